//! Network links as a seam: what the network part asks of Linux, so that it is tested with a recorder and a manual clock.
//!
//! Terms: a *link* is a network interface; *carrier* means that its peer is there; a *port* is an open socket that is tied
//! to one link.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use report::MacAddr;

/// Index that Linux gives a link; never 0.
pub type LinkIndex = u32;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Linux's number for it.
    pub index: LinkIndex,
    /// Linux's name for it.
    pub name: String,
    /// The Ethernet address; none for the loopback and other kinds of link.
    pub mac: Option<MacAddr>,
    /// The driver's name.
    pub driver: Option<String>,
    /// What it is.
    pub kind: LinkKind,
}

/// What a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// `lo`.
    Loopback,
    /// Ethernet with a device behind it, or the end of a virtual cable.
    Ethernet,
    /// Anything else (bridges, tunnels, VLANs, InfiniBand): left alone.
    Other,
}

/// An address and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// Bits of the network, 0 to 32 or 128.
    pub length: u8,
}

impl Prefix {
    /// Whether an address lies in the network; never where the families differ.
    pub fn contains(&self, other: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(u32::from(a)), u128::from(u32::from(b)), 32_u32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b), 128),
            _ => return false,
        };
        let host_bits = width.saturating_sub(u32::from(self.length));
        (ours ^ theirs).checked_shr(host_bits).unwrap_or(0) == 0
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A way to other networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to; length 0 is the default route.
    pub to: Prefix,
    /// Through whom; none means that the network is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The gateway is reached on the link although no address of ours shares its network (RFC 3442 allows it).
    pub on_link: bool,
    /// Lower is preferred.
    pub metric: u32,
}

/// An address that a link has, as Linux tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The address.
    pub prefix: Prefix,
    /// Duplicate address detection still runs: it cannot be used yet.
    pub tentative: bool,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// UDP port 68: broadcasts are sent and heard before the link has an address.
    Dhcp4,
    /// Ethernet frames of the Link Layer Discovery Protocol; sending fails.
    Lldp,
}

/// An open socket that is tied to one link; closed when dropped.
pub trait Port: Send + std::fmt::Debug {
    /// Sends one packet.
    fn send(&self, to: SocketAddr, packet: &[u8]) -> std::io::Result<()>;
    /// Takes one packet if one is there, without waiting; its length, cut to the buffer's.
    fn receive(&self, buffer: &mut [u8]) -> std::io::Result<Option<usize>>;
    /// What to wait on; none in a recorder.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// What could not be done with a link.
#[derive(Debug, thiserror::Error)]
#[error("{doing} on link {link}")]
pub struct LinkError {
    /// What was being done.
    pub doing: &'static str,
    /// The link's number; 0 for all of them.
    pub link: LinkIndex,
    /// Why.
    #[source]
    pub cause: std::io::Error,
}

/// The links of a machine.
pub trait Links: Send + Sync {
    /// All links there are now.
    fn links(&self) -> Result<Vec<Link>, LinkError>;
    /// Switches a link on.
    fn set_up(&self, link: LinkIndex) -> Result<(), LinkError>;
    /// Whether the peer is there; false while the link is off.
    fn carrier(&self, link: LinkIndex) -> Result<bool, LinkError>;
    /// Sets the largest packet in bytes.
    fn set_mtu(&self, link: LinkIndex, mtu: u16) -> Result<(), LinkError>;
    /// Gives a link an address, or makes an address it has last longer. Linux takes it away when `valid` has passed.
    fn add_address(
        &self,
        link: LinkIndex,
        prefix: Prefix,
        valid: Option<Duration>,
        metric: u32,
    ) -> Result<(), LinkError>;
    /// Takes an address away; the routes over it go with it.
    fn remove_address(&self, link: LinkIndex, prefix: Prefix) -> Result<(), LinkError>;
    /// Adds a route over a link, in place of one with the same destination and metric.
    fn add_route(&self, link: LinkIndex, route: &Route) -> Result<(), LinkError>;
    /// Addresses of one link.
    fn addresses(&self, link: LinkIndex) -> Result<Vec<Held>, LinkError>;
    /// The IPv6 router that Linux sends to by default on a link.
    fn router(&self, link: LinkIndex) -> Result<Option<Ipv6Addr>, LinkError>;
    /// Opens a port.
    fn open(&self, link: LinkIndex, purpose: Purpose) -> Result<Box<dyn Port>, LinkError>;
    /// Waits until one of the ports has something, or the time is over.
    fn wait(&self, ports: &[&dyn Port], at_most: Duration);
    /// A random number, for transaction ids and jitter.
    fn draw(&self) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str, length: u8) -> Prefix {
        Prefix { address: address.parse().unwrap(), length }
    }

    #[test]
    fn a_prefix_contains_its_network_and_no_other_family() {
        let net = prefix("10.0.2.15", 24);
        assert!(net.contains("10.0.2.255".parse().unwrap()));
        assert!(!net.contains("10.0.3.0".parse().unwrap()));
        assert!(!net.contains("::ffff:10.0.2.1".parse().unwrap()));
        assert!(prefix("0.0.0.0", 0).contains("255.1.2.3".parse().unwrap()));
        assert!(!prefix("10.1.2.3", 32).contains("10.1.2.2".parse().unwrap()));
        assert!(prefix("fd77::1", 64).contains("fd77::9:8:7:6".parse().unwrap()));
        assert!(prefix("::", 0).contains("fe80::1".parse().unwrap()));
    }
}
