//! The network of a node that boots: all links at once, an address for each that can have one, and the reason for each
//! that has none.
//!
//! [`bring_up`] returns as soon as the node can talk; its [`Keeper`] goes on: it renews leases, and waits for links and
//! neighbours that come late. No part of it waits on its own: [`engine`] looks at every link in turn, so that a test
//! drives it with a manual clock. What is not here: 802.1X, Wi-Fi, bonds.

pub mod dhcp4;
pub mod engine;
pub mod lldp;
pub mod names;
pub mod ntp;
pub mod report;
pub mod resolv;
mod state;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::report::MacAddr;

use crate::clock::Clock;
use crate::system::links::{LinkError, Links};
use engine::Engine;
pub use report::{LinkReport, Reason};

/// How long the link that the node booted from may take longer than the first that has an address.
const PREFERENCE: Duration = Duration::from_secs(10);
/// How long links may take to appear.
const APPEARANCE: Duration = Duration::from_secs(15);
/// How long the keeper sleeps at most: the time a link takes to be noticed.
const LOOK: Duration = Duration::from_millis(250);

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Address of the link that the node booted from (`BOOTIF`), which is preferred.
    pub boot_mac: Option<MacAddr>,
    /// How long to try.
    pub deadline: Duration,
    /// Ask DHCP for IPv4.
    pub dhcp4: bool,
    /// Take IPv6 from routers.
    pub ipv6: bool,
}

/// The node can talk.
#[derive(Debug)]
pub struct Network {
    /// Each link, the preferred first.
    pub links: Vec<LinkReport>,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// Domains to look names up in.
    pub search: Vec<String>,
    /// Name for this node.
    pub hostname: Option<String>,
    /// NTP servers.
    pub ntp: Vec<IpAddr>,
    /// The site's own DHCP options as text by code; 224 is the inventory's URL.
    pub options: std::collections::BTreeMap<u8, String>,
    /// What goes on in the background.
    pub keeper: Keeper,
}

/// Why the node cannot talk.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Linux refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no Ethernet link.
    #[error("this node has no Ethernet link: does the image hold the driver of its network card?")]
    NoLink,
    /// No link has an address.
    #[error("no link has an address after {} s: {}", waited.as_secs(), report::summary(links))]
    NoAddress {
        /// How long it was tried.
        waited: Duration,
        /// Each link.
        links: Vec<LinkReport>,
    },
}

impl NetError {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Link(_) => "LINK",
            Self::NoLink => "NO_LINK",
            Self::NoAddress { links, .. } => {
                let carrier = links.iter().find(|link| link.carrier);
                carrier.and_then(|link| link.reason.as_ref()).map_or("NO_CARRIER", Reason::code)
            }
        }
    }
}

/// Switches on loopback and all Ethernet links, and asks for addresses on each that has a carrier, all at once. Returns
/// when the preferred link has an address and a route, or another has and the preferred one has had its time.
pub fn bring_up(system: &dyn Links, wish: &Wish, clock: &dyn Clock) -> Result<Network, NetError> {
    let started = clock.now();
    let mut engine = Engine::new(wish.clone());
    let mut first_ready = None;
    loop {
        engine.turn(system, clock.now())?;
        let now = clock.now();
        if engine.ready() {
            let since = *first_ready.get_or_insert(now);
            if engine.preferred_ready() || now - since >= PREFERENCE.min(wish.deadline) {
                return Ok(engine.into_network());
            }
        }
        let waited = now - started;
        if engine.is_empty() && waited >= APPEARANCE.min(wish.deadline) {
            return Err(NetError::NoLink);
        }
        if waited >= wish.deadline {
            if engine.ready() {
                return Ok(engine.into_network());
            }
            return Err(NetError::NoAddress { waited, links: engine.reports() });
        }
        engine.wait(system, now, LOOK);
    }
}

/// How long the keeper bears that the links cannot be listed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps leases alive, and takes up links that come late.
#[derive(Debug)]
pub struct Keeper(Engine);

impl Keeper {
    /// Runs until told to stop; run it in a thread of its own. `changed` is told all links whenever a carrier or an
    /// address came or went or a neighbour was heard. An error says that the links could not be listed for a minute.
    pub fn run(
        mut self,
        system: &dyn Links,
        clock: &dyn Clock,
        stop: &AtomicBool,
        changed: &mut dyn FnMut(&[LinkReport]),
    ) -> Result<(), LinkError> {
        let mut listed = clock.now();
        while !stop.load(Ordering::Relaxed) {
            let now = clock.now();
            match self.0.turn(system, now) {
                Ok(new) => {
                    listed = now;
                    if new {
                        changed(&self.0.reports());
                    }
                }
                Err(error) if now - listed >= PATIENCE => return Err(error),
                Err(_) => clock.sleep(LOOK),
            }
            self.0.wait(system, clock.now(), LOOK * 4);
        }
        Ok(())
    }
}
