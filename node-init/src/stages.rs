//! The two stages of a boot that talk to others, as a seam beside [`System`](crate::system::System).

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Config;
use crate::phase::{Code, Failure, Phase};
use crate::register::{self, Options, Progress, RegisterError, Registration};

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

/// Network and registration.
pub trait Stages {
    /// Makes the node reachable.
    fn network(&self, config: &Config, clock: &dyn Clock) -> Result<Online, Failure>;
    /// Registers it.
    fn register(&self, options: &Options, progress: &dyn Progress) -> Result<Registration, RegisterError>;
}

/// The real ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

/// No route to anywhere in time.
#[derive(Debug, thiserror::Error)]
#[error("no route after {} s: is a cable in, and does the image hold the driver of the network card?", .0.as_secs())]
struct NoRoute(Duration);

impl Stages for Real {
    /// Waits until somebody has given this node a route.
    fn network(&self, config: &Config, clock: &dyn Clock) -> Result<Online, Failure> {
        let until = clock.now() + config.net_timeout;
        while !has_route().unwrap_or(false) {
            if clock.now() >= until {
                return Err(Failure::new(Phase::Network, Code::NoLink, NoRoute(config.net_timeout)));
            }
            clock.sleep(Duration::from_millis(100));
        }
        Ok(Online::default())
    }

    fn register(&self, options: &Options, progress: &dyn Progress) -> Result<Registration, RegisterError> {
        register::run_as_init(options, progress)
    }
}

/// Any line under the heading.
fn has_route() -> io::Result<bool> {
    Ok(std::fs::read_to_string("/proc/net/route")?.lines().nth(1).is_some())
}
