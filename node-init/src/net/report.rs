//! What became of each link.

use std::net::IpAddr;

use report::MacAddr;

use super::dhcp4::Malformed;
use super::dhcp4::client::Trouble;
use super::lldp::Neighbour;
use crate::system::links::{LinkIndex, Prefix};

/// One link.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkReport {
    /// Linux's number for it.
    pub index: LinkIndex,
    /// Linux's name for it.
    pub name: String,
    /// Driver.
    pub driver: Option<String>,
    /// Ethernet address.
    pub mac: Option<MacAddr>,
    /// Whether the node booted from it.
    pub booted: bool,
    /// Whether its peer is there.
    pub carrier: bool,
    /// Addresses, IPv4 first.
    pub addresses: Vec<Prefix>,
    /// The way out.
    pub gateway: Option<IpAddr>,
    /// DHCP packets sent.
    pub attempts: u32,
    /// What the switch says of itself; none where it said nothing or the card's firmware kept it.
    pub neighbour: Option<Neighbour>,
    /// Why it cannot be used.
    pub reason: Option<Reason>,
}

/// Why a link cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nobody at the other end.
    #[error("no carrier: is the cable in, the switch port on?")]
    NoCarrier,
    /// Nobody answered.
    #[error("no DHCP server answered {discovers} packets: is the VLAN right, is there a relay?")]
    NoDhcp {
        /// How often it was asked.
        discovers: u32,
    },
    /// A server refused.
    #[error("the DHCP server refused: {}", message.as_deref().unwrap_or("it did not say why"))]
    Nak {
        /// What it said.
        message: Option<String>,
    },
    /// A server's answer cannot be used.
    #[error("the DHCP server's answer cannot be used: {0}")]
    Malformed(Malformed),
    /// A server stopped answering.
    #[error("DHCP server {server} offered an address and did not give it")]
    Silent {
        /// The server.
        server: std::net::Ipv4Addr,
    },
    /// It has an IPv6 address alone, and no router is known.
    #[error("it has an IPv6 address and no IPv6 router, and no DHCP server answered")]
    NoRouter,
    /// Linux did not take it.
    #[error("it could not be set up: {doing}: {cause}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        cause: String,
    },
}

impl Reason {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCarrier => "NO_CARRIER",
            Self::NoDhcp { .. } => "NO_DHCP",
            Self::Nak { .. } => "NAK",
            Self::Malformed(_) => "MALFORMED",
            Self::Silent { .. } => "SILENT",
            Self::NoRouter => "NO_ROUTER",
            Self::Failed { .. } => "LINK",
        }
    }
}

impl From<Trouble> for Reason {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Nak { message } => Self::Nak { message },
            Trouble::Malformed(malformed) => Self::Malformed(malformed),
            Trouble::Silent { server } => Self::Silent { server },
        }
    }
}

/// All links on one line.
pub(super) fn summary(links: &[LinkReport]) -> String {
    let one = |link: &LinkReport| {
        let reason = link.reason.as_ref().map_or_else(|| "it has no route".to_owned(), ToString::to_string);
        format!("{}: {reason}", link.name)
    };
    links.iter().map(one).collect::<Vec<_>>().join("; ")
}
