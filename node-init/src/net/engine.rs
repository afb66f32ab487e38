//! All links at once, without threads: each turn looks at every link, takes what came, and sends what is due.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::dhcp4::client::{Client, LARGEST, Step};
use super::dhcp4::lease::Lease;
use super::lldp::{self, Neighbour};
use super::{Keeper, LinkReport, Network, Reason, Wish};
use crate::system::links::{Link, LinkError, LinkKind, Links, Port, Prefix, Purpose, Route};

/// Metric of the preferred link's routes; the others follow in the order of their numbers.
const METRIC: u32 = 100;
/// Packets taken from a port in one turn, so that a flood on one link does not starve the others.
const AT_ONCE: usize = 32;

/// What is known and open of all links.
#[derive(Debug)]
pub struct Engine {
    wish: Wish,
    links: Vec<State>,
    loopback: bool,
}

#[derive(Debug)]
struct State {
    link: Link,
    booted: bool,
    carrier: bool,
    dhcp: Option<(Client, Box<dyn Port>)>,
    lldp: Option<Box<dyn Port>>,
    neighbour: Option<Neighbour>,
    v6: Vec<Prefix>,
    router: Option<IpAddr>,
    failed: Option<Reason>,
}

impl Engine {
    /// Knows nothing yet.
    pub fn new(wish: Wish) -> Self {
        Self { wish, links: Vec::new(), loopback: false }
    }

    /// Looks at every link once. True if an address came or went, or a neighbour was heard. What Linux refuses on one
    /// link is that link's reason; only a list of links that cannot be read is an error.
    pub fn turn(&mut self, system: &dyn Links, now: Duration) -> Result<bool, LinkError> {
        self.find(system)?;
        let mut changed = false;
        for state in &mut self.links {
            match state.turn(system, &self.wish, now) {
                Ok(new) => changed |= new,
                Err(error) => state.fail(&error),
            }
        }
        Ok(changed)
    }

    /// Takes in links that have appeared and drops those that went.
    fn find(&mut self, system: &dyn Links) -> Result<(), LinkError> {
        let found = system.links()?;
        self.links.retain(|state| found.iter().any(|link| link.index == state.link.index));
        for link in found {
            match link.kind {
                LinkKind::Loopback if !self.loopback => {
                    system.set_up(link.index)?;
                    self.loopback = true;
                }
                LinkKind::Ethernet if self.links.iter().all(|state| state.link.index != link.index) => {
                    self.links.push(State::start(link, &self.wish, system));
                }
                _ => {}
            }
        }
        self.links.sort_by_key(|state| (!state.booted, state.link.index));
        Ok(())
    }

    /// Waits until something comes, something is due, or the time is over.
    pub fn wait(&self, system: &dyn Links, now: Duration, at_most: Duration) {
        let due = self
            .links
            .iter()
            .filter(|state| state.carrier)
            .filter_map(|state| Some(state.dhcp.as_ref()?.0.due()));
        let time = due.map(|due| due.saturating_sub(now)).min().unwrap_or(at_most).min(at_most);
        let dhcp = self.links.iter().filter_map(|state| Some(state.dhcp.as_ref()?.1.as_ref()));
        let lldp = self.links.iter().filter_map(|state| state.lldp.as_deref());
        system.wait(&dhcp.chain(lldp).collect::<Vec<_>>(), time);
    }

    /// No Ethernet link has been seen.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Some link has an address and a route.
    pub fn ready(&self) -> bool {
        self.links.iter().any(State::ready)
    }

    /// The preferred link is ready: the one the node booted from if it is there, else whichever was first.
    pub fn preferred_ready(&self) -> bool {
        let ready = |state: &State| state.ready() && (state.lease().is_some() || !self.wish.dhcp4);
        match self.links.iter().find(|state| state.booted) {
            Some(booted) => ready(booted),
            None => self.links.iter().any(ready),
        }
    }

    /// What became of each link so far.
    pub fn reports(&self) -> Vec<LinkReport> {
        self.links.iter().map(State::report).collect()
    }

    /// The network as it is now. What several links tell is put together, the preferred link first.
    pub fn into_network(self) -> Network {
        let leases = || self.links.iter().filter_map(State::lease);
        let mut options = BTreeMap::new();
        for (code, value) in leases().flat_map(|lease| &lease.site) {
            let text = std::str::from_utf8(value).map(|text| text.trim_end_matches('\0'));
            if let Ok(text) = text {
                options.entry(*code).or_insert_with(|| text.to_owned());
            }
        }
        Network {
            links: self.reports(),
            dns: unique(leases().flat_map(|lease| lease.dns.iter().map(|ip| IpAddr::V4(*ip)))),
            search: unique(leases().flat_map(|lease| lease.search.iter().cloned())),
            hostname: leases().find_map(|lease| lease.hostname.clone()),
            ntp: unique(leases().flat_map(|lease| lease.ntp.iter().map(|ip| IpAddr::V4(*ip)))),
            options,
            keeper: Keeper(self),
        }
    }
}

fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

impl State {
    fn start(link: Link, wish: &Wish, system: &dyn Links) -> Self {
        let booted = wish.boot_mac.is_some() && link.mac == wish.boot_mac;
        let mut state = Self {
            booted,
            carrier: false,
            dhcp: None,
            lldp: None,
            neighbour: None,
            v6: Vec::new(),
            router: None,
            failed: None,
            link,
        };
        if let Err(error) = system.set_up(state.link.index) {
            state.fail(&error);
        }
        // Without LLDP the node boots as well.
        state.lldp = system.open(state.link.index, Purpose::Lldp).ok();
        state
    }

    fn fail(&mut self, error: &LinkError) {
        self.failed = Some(Reason::Failed { doing: error.doing, cause: error.cause.to_string() });
    }

    fn turn(&mut self, system: &dyn Links, wish: &Wish, now: Duration) -> Result<bool, LinkError> {
        self.carrier = system.carrier(self.link.index)?;
        if !self.carrier {
            return Ok(false);
        }
        let mut changed = self.hear_neighbour();
        if wish.ipv6 {
            changed |= self.look_for_v6(system)?;
        }
        if wish.dhcp4 {
            if let (None, Some(mac)) = (&self.dhcp, self.link.mac) {
                let port = system.open(self.link.index, Purpose::Dhcp4)?;
                self.dhcp = Some((Client::start(mac, now, system.draw()), port));
            }
            changed |= self.talk(system, now)?;
        }
        Ok(changed)
    }

    /// Takes what came to the DHCP port, then sends what is due.
    fn talk(&mut self, system: &dyn Links, now: Duration) -> Result<bool, LinkError> {
        let mut changed = false;
        let mut buffer = [0; LARGEST as usize];
        for _ in 0..AT_ONCE {
            let Some((client, port)) = &mut self.dhcp else { return Ok(changed) };
            // A link that goes down while its port is read says so here, and by its carrier.
            let Ok(Some(length)) = port.receive(&mut buffer) else { break };
            let step = client.hear(buffer.get(..length).unwrap_or_default(), now, system.draw());
            changed |= self.act(step, system)?;
        }
        if let Some((client, _)) = &mut self.dhcp {
            let step = client.tick(now, system.draw());
            changed |= self.act(step, system)?;
        }
        Ok(changed)
    }

    fn act(&mut self, step: Step, system: &dyn Links) -> Result<bool, LinkError> {
        match step {
            Step::Nothing => Ok(false),
            Step::Send(sending) => {
                let Some((_, port)) = &self.dhcp else { return Ok(false) };
                let sent = port.send(sending.to, &sending.packet);
                sent.map_err(|cause| LinkError { doing: "sending to DHCP", link: self.link.index, cause })?;
                Ok(false)
            }
            Step::Granted(lease) => {
                self.set(&lease, system)?;
                self.failed = None;
                Ok(true)
            }
            Step::Lost(lease) => {
                // Linux may have taken it away already, at the same second.
                let _ = system.remove_address(self.link.index, lease.prefix);
                Ok(true)
            }
        }
    }

    /// Gives Linux what a server granted.
    fn set(&self, lease: &Lease, system: &dyn Links) -> Result<(), LinkError> {
        let (index, metric) = (self.link.index, self.metric());
        if let Some(mtu) = lease.mtu {
            system.set_mtu(index, mtu)?;
        }
        system.add_address(index, lease.prefix, lease.valid, metric)?;
        // Routes on the link first: gateways of the others may lie behind them.
        let (near, far): (Vec<_>, Vec<_>) =
            lease.routes.iter().copied().partition(|(_, gateway)| gateway.is_none());
        for (to, gateway) in near.into_iter().chain(far) {
            let gateway = gateway.map(IpAddr::V4);
            let reached = gateway.is_none_or(|gateway| {
                let near = |(to, via): &(Prefix, Option<Ipv4Addr>)| via.is_none() && to.contains(gateway);
                lease.prefix.contains(gateway) || lease.routes.iter().any(near)
            });
            system.add_route(index, &Route { to, gateway, on_link: !reached, metric })?;
        }
        Ok(())
    }

    fn metric(&self) -> u32 {
        if self.booted { METRIC } else { METRIC.saturating_add(self.link.index) }
    }

    fn look_for_v6(&mut self, system: &dyn Links) -> Result<bool, LinkError> {
        let held = system.addresses(self.link.index)?.into_iter().filter(|held| !held.tentative);
        let v6: Vec<Prefix> =
            held.map(|held| held.prefix).filter(|prefix| is_global(prefix.address)).collect();
        self.router = system.router(self.link.index)?.map(IpAddr::V6);
        let changed = v6 != self.v6;
        self.v6 = v6;
        Ok(changed)
    }

    fn hear_neighbour(&mut self) -> bool {
        let mut frame = [0; lldp::LARGEST];
        let before = self.neighbour.clone();
        for _ in 0..AT_ONCE {
            let Some(Ok(Some(length))) = self.lldp.as_ref().map(|port| port.receive(&mut frame)) else {
                break;
            };
            if let Ok(neighbour) = lldp::parse_frame(frame.get(..length).unwrap_or_default()) {
                self.neighbour = Some(neighbour).filter(|neighbour| neighbour.valid_seconds > 0);
            }
        }
        self.neighbour != before
    }

    fn lease(&self) -> Option<&Lease> {
        self.dhcp.as_ref()?.0.lease()
    }

    fn ready(&self) -> bool {
        let v4 = self.lease().is_some_and(|lease| !lease.routes.is_empty()) && self.failed.is_none();
        self.carrier && (v4 || (!self.v6.is_empty() && self.router.is_some()))
    }

    fn report(&self) -> LinkReport {
        let lease = self.lease();
        let everywhere = |(to, gateway): &(Prefix, Option<Ipv4Addr>)| gateway.filter(|_| to.length == 0);
        let gateway = lease.and_then(|lease| lease.routes.iter().find_map(everywhere)).map(IpAddr::V4);
        let addresses = lease.map(|lease| lease.prefix).into_iter().chain(self.v6.iter().copied()).collect();
        LinkReport {
            index: self.link.index,
            name: self.link.name.clone(),
            driver: self.link.driver.clone(),
            mac: self.link.mac,
            booted: self.booted,
            carrier: self.carrier,
            addresses,
            gateway: gateway.or(self.router),
            attempts: self.dhcp.as_ref().map_or(0, |(client, _)| client.attempts),
            neighbour: self.neighbour.clone(),
            reason: self.reason(),
        }
    }

    fn reason(&self) -> Option<Reason> {
        if let Some(reason) = &self.failed {
            return Some(reason.clone());
        }
        if !self.carrier {
            return Some(Reason::NoCarrier);
        }
        if self.lease().is_some() || !self.v6.is_empty() {
            return None;
        }
        let client = self.dhcp.as_ref().map(|(client, _)| client);
        let trouble = client.and_then(|client| client.trouble.clone()).map(Reason::from);
        Some(trouble.unwrap_or(Reason::NoDhcp { discovers: client.map_or(0, |client| client.attempts) }))
    }
}

/// Neither the loopback's nor one that ends at the link.
fn is_global(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_multicast())
}
