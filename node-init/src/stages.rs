//! The stages of a boot that talk to others, and the log, as a seam beside [`System`](crate::system::System).

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, UNIX_EPOCH};

use tracing::{info, warn};

use crate::cgroup::Cell;
use crate::clock::{Clock, Monotonic};
use crate::config::Config;
use crate::log;
use crate::net::ntp::{self, Offset};
use crate::net::{self, Keeper, LinkReport, NetError, Wish};
use crate::phase::{Code, Failure, Phase, chain};
use crate::register::{self, Options, Progress, RegisterError, Registration};
use crate::system::Linux;

/// What the network told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Online {
    /// Settings for [`crate::config`].
    pub settings: Vec<(String, String)>,
    /// A name for this node.
    pub hostname: Option<String>,
    /// Whom to ask for the time.
    pub ntp: Vec<IpAddr>,
}

/// Network, time, registration, log.
pub trait Stages {
    /// Makes the node reachable.
    fn network(&self, config: &Config, clock: &dyn Clock) -> Result<Online, Failure>;
    /// Asks for the time; the first server that knows it wins. Where none does, the reasons.
    fn time(&self, servers: &[String], built: Duration, clock: &dyn Clock) -> Result<Offset, Vec<String>>;
    /// Logs from now on what is at this level or above it.
    fn log(&self, level: &str);
    /// Registers it.
    fn register(
        &self,
        options: &Options,
        progress: &dyn Progress,
        cell: Option<&Cell>,
    ) -> Result<Registration, RegisterError>;
}

/// The real ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

/// How long one time server may take.
const NTP_MAX: Duration = Duration::from_secs(3);

/// The key of our configuration that a site's own DHCP option (RFC 3942) stands for.
const OPTIONS: &[(u8, &str)] = &[(224, "inventory")];

impl Stages for Real {
    fn network(&self, config: &Config, clock: &dyn Clock) -> Result<Online, Failure> {
        let wish = Wish { boot_mac: config.boot_mac, deadline: config.net_timeout, dhcp4: true, ipv6: true };
        let network = net::bring_up(&Linux, &wish, clock).map_err(|error| {
            let code = match &error {
                NetError::NoLink => Code::NoLink,
                NetError::NoAddress { links, .. } if links.iter().all(|link| !link.carrier) => Code::NoLink,
                NetError::NoAddress { .. } => Code::NoDhcp,
                NetError::Link(_) => Code::Network,
            };
            Failure::new(Phase::Network, code, error)
        })?;
        let path = Path::new("/etc/resolv.conf");
        net::resolv::write_resolv_conf(path, &network.dns, &network.search)
            .map_err(|error| Failure::new(Phase::Network, Code::Dns, error))?;
        let named = OPTIONS.iter().filter_map(|(code, key)| Some((*key, network.options.get(code)?)));
        let online = Online {
            settings: named.map(|(key, value)| (key.to_owned(), value.clone())).collect(),
            hostname: network.hostname,
            ntp: network.ntp,
        };
        keep(network.keeper, Monotonic::going_on(clock))
            .map_err(|error| Failure::new(Phase::Network, Code::Network, error))?;
        Ok(online)
    }

    fn time(&self, servers: &[String], built: Duration, clock: &dyn Clock) -> Result<Offset, Vec<String>> {
        let mut reasons = Vec::new();
        for server in servers {
            match ask(server, built, clock) {
                Ok(offset) => return Ok(offset),
                Err(error) => reasons.push(format!("{server}: {}", chain(&*error))),
            }
        }
        Err(reasons)
    }

    fn log(&self, level: &str) {
        log::set(level);
    }

    fn register(
        &self,
        options: &Options,
        progress: &dyn Progress,
        cell: Option<&Cell>,
    ) -> Result<Registration, RegisterError> {
        register::run_as_init(options, progress, cell)
    }
}

/// Asks one server, by name or address.
fn ask(server: &str, built: Duration, clock: &dyn Clock) -> Result<Offset, Box<dyn Error + Send + Sync>> {
    let addresses: Vec<SocketAddr> = match server.parse::<IpAddr>() {
        Ok(address) => vec![(address, ntp::PORT).into()],
        Err(_) => (server, ntp::PORT).to_socket_addrs()?.collect(),
    };
    let address = addresses.first().ok_or("the name has no address")?;
    Ok(ntp::ask(*address, NTP_MAX, clock, getrandom::u64()?, UNIX_EPOCH + built)?)
}

/// Renews leases in the background, as long as this process lives.
fn keep(keeper: Keeper, clock: Monotonic) -> io::Result<()> {
    let run = move || {
        let mut changed = |links: &[LinkReport]| info!(links = links.len(), "the links have changed");
        if let Err(error) = keeper.run(&Linux, &clock, &AtomicBool::new(false), &mut changed) {
            warn!(error = chain(&error), "leases are not renewed any more");
        }
    };
    std::thread::Builder::new().name("network".to_owned()).spawn(run).map(|_| ())
}
