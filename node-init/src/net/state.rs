//! One link: what is known of it, what is open on it, what was given to Linux for it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::dhcp4::client::{Client, LARGEST, Step};
use super::dhcp4::lease::Lease;
use super::lldp::{self, Neighbour};
use super::{LinkReport, Reason, Wish};
use crate::system::links::{Link, LinkError, Links, Port, Prefix, Purpose, Route};

/// Metric of the preferred link's routes; the others follow in the order of their numbers.
const METRIC: u32 = 100;
/// Packets taken from a port in one turn, so that a flood on one link does not starve the others.
const AT_ONCE: usize = 32;

#[derive(Debug)]
pub(super) struct State {
    pub(super) link: Link,
    pub(super) booted: bool,
    up: bool,
    carrier: bool,
    dhcp: Option<(Client, Box<dyn Port>)>,
    /// The address that Linux was given for the lease, and whether all that goes with it is done too.
    given: Option<Prefix>,
    settled: bool,
    lldp: Option<Box<dyn Port>>,
    neighbour: Option<Neighbour>,
    v6: Vec<Prefix>,
    router: Option<IpAddr>,
    /// What went wrong in the last turn, and at the last sending.
    failed: Option<Reason>,
    unsent: Option<Reason>,
}

impl State {
    pub(super) fn new(link: Link, wish: &Wish) -> Self {
        Self {
            booted: wish.boot_mac.is_some() && link.mac == wish.boot_mac,
            link,
            up: false,
            carrier: false,
            dhcp: None,
            given: None,
            settled: false,
            lldp: None,
            neighbour: None,
            v6: Vec::new(),
            router: None,
            failed: None,
            unsent: None,
        }
    }

    /// Looks once; true if a carrier or an address came or went, or a neighbour was heard. What Linux refuses is tried again in the
    /// next turn, and is this link's reason until then.
    pub(super) fn turn(&mut self, system: &dyn Links, wish: &Wish, now: Duration) -> bool {
        let before = (self.carrier, self.addresses(), self.neighbour.clone());
        let done = self.look(system, now).and_then(|()| {
            if !self.carrier {
                return Ok(());
            }
            self.hear_neighbour();
            // A family that fails does not keep the other from coming up.
            let v4 = if wish.dhcp4 { self.look_for_v4(system, now) } else { Ok(()) };
            let v6 = if wish.ipv6 { self.look_for_v6(system) } else { Ok(()) };
            v4.and(v6)
        });
        self.failed = done.err().map(|error| failure(error.doing, &error.cause));
        before != (self.carrier, self.addresses(), self.neighbour.clone())
    }

    /// Switches the link on, and sees whether its peer is there.
    fn look(&mut self, system: &dyn Links, now: Duration) -> Result<(), LinkError> {
        let index = self.link.index;
        if !self.up {
            system.set_up(index)?;
            self.up = true;
        }
        if self.lldp.is_none() {
            // Without LLDP the node boots as well.
            self.lldp = system.open(index, Purpose::Lldp).ok();
        }
        let before = std::mem::replace(&mut self.carrier, false);
        self.carrier = system.carrier(index)?;
        if self.carrier
            && !before
            && let Some((client, _)) = &mut self.dhcp
        {
            client.moved(now);
        }
        Ok(())
    }

    fn look_for_v4(&mut self, system: &dyn Links, now: Duration) -> Result<(), LinkError> {
        if let (None, Some(mac)) = (&self.dhcp, self.link.mac) {
            let port = system.open(self.link.index, Purpose::Dhcp4)?;
            self.dhcp = Some((Client::start(mac, now, system.draw()), port));
        }
        self.talk(system, now);
        self.settle(system)
    }

    /// Takes what came to the DHCP port, then sends what is due.
    fn talk(&mut self, system: &dyn Links, now: Duration) {
        let Some((client, port)) = &mut self.dhcp else { return };
        let mut buffer = [0; LARGEST as usize];
        let mut sent = None;
        for _ in 0..AT_ONCE {
            // A link that goes down while its port is read says so here, and by its carrier.
            let Ok(Some(length)) = port.receive(&mut buffer) else { break };
            let step = client.hear(buffer.get(..length).unwrap_or_default(), now, system.draw());
            self.settled &= !changes(&step);
            sent = send(port.as_ref(), step).or(sent);
        }
        let step = client.tick(now, system.draw());
        self.settled &= !changes(&step);
        sent = send(port.as_ref(), step).or(sent);
        if let Some(sent) = sent {
            self.unsent = sent.err().map(|cause| failure("sending to DHCP", &cause));
        }
    }

    /// Makes Linux agree with the lease, or with having none.
    fn settle(&mut self, system: &dyn Links) -> Result<(), LinkError> {
        if self.settled {
            return Ok(());
        }
        let lease = self.lease().cloned();
        if let Some(old) = self.given
            && lease.as_ref().is_none_or(|lease| lease.prefix != old)
        {
            self.given = None;
            // Linux may have taken it away already, at the same second.
            let _ = system.remove_address(self.link.index, old);
        }
        if let Some(lease) = lease {
            self.set(&lease, system)?;
        }
        self.settled = true;
        Ok(())
    }

    /// Gives Linux what a server granted.
    fn set(&mut self, lease: &Lease, system: &dyn Links) -> Result<(), LinkError> {
        let (index, metric) = (self.link.index, self.metric());
        if let Some(mtu) = lease.mtu {
            system.set_mtu(index, mtu)?;
        }
        system.add_address(index, lease.prefix, lease.valid, metric)?;
        self.given = Some(lease.prefix);
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

    fn look_for_v6(&mut self, system: &dyn Links) -> Result<(), LinkError> {
        let held = system.addresses(self.link.index)?.into_iter().filter(|held| !held.tentative);
        self.v6 = held.map(|held| held.prefix).filter(|prefix| is_global(prefix.address)).collect();
        self.router = system.router(self.link.index)?.map(IpAddr::V6);
        Ok(())
    }

    fn hear_neighbour(&mut self) {
        let mut frame = [0; lldp::LARGEST];
        for _ in 0..AT_ONCE {
            let Some(Ok(Some(length))) = self.lldp.as_ref().map(|port| port.receive(&mut frame)) else {
                break;
            };
            if let Ok(neighbour) = lldp::parse_frame(frame.get(..length).unwrap_or_default()) {
                self.neighbour = Some(neighbour).filter(|neighbour| neighbour.valid_seconds > 0);
            }
        }
    }

    /// When DHCP is to act next, if it can.
    pub(super) fn due(&self) -> Option<Duration> {
        self.dhcp.as_ref().filter(|_| self.carrier).map(|(client, _)| client.due())
    }

    /// What is open.
    pub(super) fn ports(&self) -> impl Iterator<Item = &dyn Port> {
        let dhcp = self.dhcp.as_ref().map(|(_, port)| port.as_ref());
        dhcp.into_iter().chain(self.lldp.as_deref())
    }

    pub(super) fn lease(&self) -> Option<&Lease> {
        self.dhcp.as_ref()?.0.lease()
    }

    fn addresses(&self) -> Vec<Prefix> {
        self.given.into_iter().chain(self.v6.iter().copied()).collect()
    }

    /// It has an address that can be used. Its own network may be all that it needs: a network for bring-up often has
    /// no router.
    pub(super) fn ready(&self) -> bool {
        let v4 = self.given.is_some() && self.settled;
        self.carrier && (v4 || (!self.v6.is_empty() && self.router.is_some()))
    }

    /// It leads to other networks, by the family that is wanted first.
    pub(super) fn leads_on(&self, wish: &Wish) -> bool {
        self.lease().is_some_and(|lease| !lease.routes.is_empty()) || (!wish.dhcp4 && self.router.is_some())
    }

    pub(super) fn report(&self) -> LinkReport {
        let everywhere = |(to, gateway): &(Prefix, Option<Ipv4Addr>)| gateway.filter(|_| to.length == 0);
        let gateway = self.lease().and_then(|lease| lease.routes.iter().find_map(everywhere)).map(IpAddr::V4);
        LinkReport {
            index: self.link.index,
            name: self.link.name.clone(),
            driver: self.link.driver.clone(),
            mac: self.link.mac,
            booted: self.booted,
            carrier: self.carrier,
            addresses: self.addresses(),
            gateway: gateway.or(self.router),
            attempts: self.dhcp.as_ref().map_or(0, |(client, _)| client.attempts),
            neighbour: self.neighbour.clone(),
            reason: self.reason(),
        }
    }

    fn reason(&self) -> Option<Reason> {
        if self.ready() {
            return None;
        }
        if let Some(reason) = &self.failed {
            return Some(reason.clone());
        }
        if !self.carrier {
            return Some(Reason::NoCarrier);
        }
        if !self.addresses().is_empty() {
            return Some(Reason::NoRouter);
        }
        let client = self.dhcp.as_ref().map(|(client, _)| client);
        let trouble = client.and_then(|client| client.trouble.clone()).map(Reason::from);
        let silence = || Reason::NoDhcp { discovers: client.map_or(0, |client| client.attempts) };
        Some(trouble.or_else(|| self.unsent.clone()).unwrap_or_else(silence))
    }
}

fn failure(doing: &'static str, cause: &std::io::Error) -> Reason {
    Reason::Failed { doing, cause: cause.to_string() }
}

fn changes(step: &Step) -> bool {
    matches!(step, Step::Granted(_) | Step::Lost(_))
}

fn send(port: &dyn Port, step: Step) -> Option<std::io::Result<()>> {
    if let Step::Send(sending) = step { Some(port.send(sending.to, &sending.packet)) } else { None }
}

/// Neither the loopback's nor one that ends at the link.
fn is_global(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_multicast())
}
