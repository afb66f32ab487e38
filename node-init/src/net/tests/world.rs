//! Links, wires and DHCP servers that exist only here, with a clock that moves when somebody waits. It records what is
//! asked of Linux, and can refuse it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ::report::MacAddr;

use crate::clock::Clock;
use crate::net::dhcp4::message::{Kind, Message, Op};
use crate::net::dhcp4::options::{Options, code};
use crate::system::links::*;

/// Turns within one moment after which nothing will ever happen.
const STUCK: u32 = 1000;

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a server answers to a packet: packets, each with the time it takes.
pub(super) type Server = Box<dyn FnMut(&Message) -> Vec<(Duration, Message)> + Send>;

/// A DHCP packet of the node.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at: Duration,
    pub(super) link: LinkIndex,
    pub(super) to: IpAddr,
    pub(super) message: Message,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) now: Duration,
    still: u32,
    links: Vec<(Duration, Link)>,
    no_carrier: BTreeMap<LinkIndex, Vec<Range<Duration>>>,
    servers: Vec<(LinkIndex, Server)>,
    /// Always has one more packet.
    pub(super) flooded: Option<LinkIndex>,
    arriving: Vec<(Duration, LinkIndex, Purpose, Vec<u8>)>,
    pub(super) sent: Vec<Sent>,
    pub(super) calls: Vec<String>,
    pub(super) held: BTreeMap<LinkIndex, Vec<Prefix>>,
    on_link: Vec<Prefix>,
    pub(super) v6: Option<(Prefix, Ipv6Addr)>,
    /// Every call counts; those in this range are refused.
    refused: Range<usize>,
    refused_kind: Option<&'static str>,
    pub(super) counted: usize,
    draws: u32,
}

/// The machine and its networks.
#[derive(Clone, Default)]
pub(super) struct World(Arc<Mutex<Inner>>);

impl World {
    /// Loopback, and as many Ethernet links with the numbers 2, 3, ...
    pub(super) fn new(ethernet: u32) -> Self {
        let world = Self::default();
        let lo = Link { index: 1, name: "lo".into(), mac: None, driver: None, kind: LinkKind::Loopback };
        world.inner().links.push((Duration::ZERO, lo));
        for index in 2..2 + ethernet {
            world.plug(index, Duration::ZERO);
        }
        world
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// A link that is there from some time on.
    pub(super) fn plug(&self, index: LinkIndex, from: Duration) {
        let kind = LinkKind::Ethernet;
        let link = Link { index, name: format!("e{index}"), mac: Some(mac(index)), driver: None, kind };
        self.inner().links.push((from, link));
    }

    pub(super) fn without_carrier(&self, link: LinkIndex, during: Range<u64>) {
        let during = secs(during.start)..secs(during.end);
        self.inner().no_carrier.entry(link).or_default().push(during);
    }

    pub(super) fn serve(
        &self,
        link: LinkIndex,
        server: impl FnMut(&Message) -> Vec<(Duration, Message)> + Send + 'static,
    ) {
        self.inner().servers.push((link, Box::new(server)));
    }

    pub(super) fn no_more_servers(&self) {
        self.inner().servers.clear();
    }

    pub(super) fn arrive(&self, at: Duration, link: LinkIndex, purpose: Purpose, packet: Vec<u8>) {
        self.inner().arriving.push((at, link, purpose, packet));
    }

    pub(super) fn refuse(&self, calls: Range<usize>) {
        self.inner().refused = calls;
    }

    pub(super) fn refuse_all(&self, doing: &'static str) {
        self.inner().refused_kind = Some(doing);
    }

    pub(super) fn sent(&self, kind: Kind) -> Vec<Sent> {
        self.inner().sent.iter().filter(|sent| sent.message.kind == kind).cloned().collect()
    }

    pub(super) fn called(&self, what: &str) -> Vec<String> {
        self.inner().calls.iter().filter(|call| call.starts_with(what)).cloned().collect()
    }

    fn call(&self, doing: &'static str, link: LinkIndex) -> Result<MutexGuard<'_, Inner>, LinkError> {
        self.count(doing).map_err(|cause| LinkError { doing, link, cause })
    }

    fn count(&self, doing: &'static str) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.inner();
        inner.counted += 1;
        if inner.refused.contains(&(inner.counted - 1)) || inner.refused_kind == Some(doing) {
            return Err(io::Error::other("refused"));
        }
        Ok(inner)
    }
}

impl Inner {
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.still = if time.is_zero() { self.still + 1 } else { 0 };
        assert!(self.still < STUCK, "it goes on without end, and no time passes");
    }

    fn has_carrier(&self, link: LinkIndex) -> bool {
        let times = self.no_carrier.get(&link).map(Vec::as_slice).unwrap_or_default();
        !times.iter().any(|time| time.contains(&self.now))
    }
}

impl Clock for World {
    fn now(&self) -> Duration {
        self.inner().now
    }

    fn sleep(&self, duration: Duration) {
        self.inner().pass(duration);
    }
}

impl Links for World {
    fn links(&self) -> Result<Vec<Link>, LinkError> {
        let inner = self.call("listing", 0)?;
        let there = inner.links.iter().filter(|(from, _)| *from <= inner.now);
        Ok(there.map(|(_, link)| link.clone()).collect())
    }

    fn set_up(&self, link: LinkIndex) -> Result<(), LinkError> {
        self.call("switching on", link)?.calls.push(format!("up {link}"));
        Ok(())
    }

    fn carrier(&self, link: LinkIndex) -> Result<bool, LinkError> {
        let inner = self.call("reading the carrier", link)?;
        Ok(inner.calls.contains(&format!("up {link}")) && inner.has_carrier(link))
    }

    fn set_mtu(&self, link: LinkIndex, mtu: u16) -> Result<(), LinkError> {
        self.call("setting the MTU", link)?.calls.push(format!("mtu {link} {mtu}"));
        Ok(())
    }

    fn add_address(
        &self,
        link: LinkIndex,
        prefix: Prefix,
        valid: Option<Duration>,
        metric: u32,
    ) -> Result<(), LinkError> {
        let mut inner = self.call("adding an address", link)?;
        inner.calls.push(format!("address {link} {prefix} {valid:?} {metric}"));
        let held = inner.held.entry(link).or_default();
        held.retain(|one| *one != prefix);
        held.push(prefix);
        Ok(())
    }

    fn remove_address(&self, link: LinkIndex, prefix: Prefix) -> Result<(), LinkError> {
        let mut inner = self.call("removing an address", link)?;
        inner.held.entry(link).or_default().retain(|one| *one != prefix);
        Ok(())
    }

    fn add_route(&self, link: LinkIndex, route: &Route) -> Result<(), LinkError> {
        let mut inner = self.call("adding a route", link)?;
        let held = inner.held.get(&link).map(Vec::as_slice).unwrap_or_default();
        let mut near = held.iter().chain(&inner.on_link);
        let reached = route.gateway.is_none_or(|gateway| near.any(|prefix| prefix.contains(gateway)));
        // As Linux does: a gateway must be on the link, or be said to be.
        if held.is_empty() || !(reached || route.on_link) {
            let cause = io::ErrorKind::NetworkUnreachable.into();
            return Err(LinkError { doing: "adding a route", link, cause });
        }
        let (to, via, metric) = (route.to, route.gateway, route.metric);
        inner.on_link.extend(via.is_none().then_some(to));
        inner.calls.push(format!("route {link} {to} {via:?} {metric}"));
        Ok(())
    }

    fn addresses(&self, link: LinkIndex) -> Result<Vec<Held>, LinkError> {
        let inner = self.call("reading addresses", link)?;
        Ok(inner.v6.iter().map(|(prefix, _)| Held { prefix: *prefix, tentative: false }).collect())
    }

    fn router(&self, link: LinkIndex) -> Result<Option<Ipv6Addr>, LinkError> {
        Ok(self.call("reading the router", link)?.v6.map(|(_, router)| router))
    }

    fn open(&self, link: LinkIndex, purpose: Purpose) -> Result<Box<dyn Port>, LinkError> {
        drop(self.call("opening a port", link)?);
        Ok(Box::new(Socket { world: self.clone(), link, purpose }))
    }

    fn wait(&self, ports: &[&dyn Port], at_most: Duration) {
        assert!(ports.iter().all(|port| port.fd().is_none()));
        let mut inner = self.inner();
        let now = inner.now;
        let next = inner.arriving.iter().map(|(at, ..)| *at).filter(|at| *at > now).min();
        inner.pass(next.map_or(at_most, |next| at_most.min(next - now)));
    }

    fn draw(&self) -> u32 {
        let mut inner = self.inner();
        inner.draws += 1;
        inner.draws.wrapping_mul(0x9e37_79b9)
    }
}

struct Socket {
    world: World,
    link: LinkIndex,
    purpose: Purpose,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} on {}", self.purpose, self.link)
    }
}

impl Port for Socket {
    fn send(&self, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let mut inner = self.world.count("sending")?;
        let (at, link, message) = (inner.now, self.link, Message::parse(packet).unwrap());
        inner.sent.push(Sent { at, link, to: to.ip(), message: message.clone() });
        let mut answers = Vec::new();
        for (_, server) in inner.servers.iter_mut().filter(|(of, _)| *of == link) {
            answers.extend(server(&message));
        }
        for (after, answer) in answers {
            inner.arriving.push((at + after, link, Purpose::Dhcp4, answer.packet()));
        }
        Ok(())
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut inner = self.world.count("receiving")?;
        if inner.flooded == Some(self.link) {
            inner.pass(Duration::ZERO);
            return Ok(Some(buffer.len()));
        }
        let now = inner.now;
        let mine = |(at, link, purpose, _): &(Duration, LinkIndex, Purpose, Vec<u8>)| {
            (*at <= now && *link == self.link && *purpose == self.purpose).then_some(*at)
        };
        let first = inner.arriving.iter().enumerate().filter_map(|(n, one)| Some((mine(one)?, n))).min();
        let Some((_, first)) = first else { return Ok(None) };
        let (.., packet) = inner.arriving.remove(first);
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        Ok(Some(length))
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

pub(super) fn mac(link: LinkIndex) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, u8::try_from(link).unwrap()])
}

/// An answer to a packet.
pub(super) fn answer(to: &Message, kind: Kind, server: Ipv4Addr, address: Ipv4Addr) -> Message {
    let mut options = Options::default();
    options.set(code::SERVER_ID, server.octets());
    let client = Ipv4Addr::UNSPECIFIED;
    Message { op: Op::Reply, yours: address, kind, options, client, ..to.clone() }
}

/// A server that keeps to RFC 2131, with a lease of so many seconds. It is its network's router.
#[derive(Clone, Copy)]
pub(super) struct Honest {
    pub(super) server: Ipv4Addr,
    pub(super) address: Ipv4Addr,
    pub(super) lease: u32,
}

impl Honest {
    pub(super) fn at(network: u8) -> Self {
        Self { server: [10, network, 0, 1].into(), address: [10, network, 0, 50].into(), lease: 3600 }
    }

    pub(super) fn grant(&self, to: &Message, kind: Kind) -> Message {
        let mut message = answer(to, kind, self.server, self.address);
        message.options.set(code::SUBNET_MASK, [255, 255, 255, 0]);
        message.options.set(code::ROUTER, self.server.octets());
        message.options.set(code::LEASE_TIME, self.lease.to_be_bytes());
        message
    }

    /// Its answer; none to a request that is meant for another server.
    pub(super) fn says(&self, to: &Message) -> Option<Message> {
        match to.kind {
            Kind::Discover => Some(self.grant(to, Kind::Offer)),
            Kind::Request => {
                let meant = to.options.address(code::SERVER_ID).unwrap();
                meant.is_none_or(|meant| meant == self.server).then(|| self.grant(to, Kind::Ack))
            }
            _ => None,
        }
    }

    /// It answers each packet after some time.
    pub(super) fn after(
        self,
        delay: Duration,
    ) -> impl FnMut(&Message) -> Vec<(Duration, Message)> + Send + 'static {
        move |to| self.says(to).map(|answer| (delay, answer)).into_iter().collect()
    }

    pub(super) fn prompt(self) -> impl FnMut(&Message) -> Vec<(Duration, Message)> + Send + 'static {
        self.after(Duration::from_millis(20))
    }
}
