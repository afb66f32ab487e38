//! DHCP for IPv4 (RFC 2131): [`client`] decides, without sockets or clocks of its own; [`message`] and [`options`] read
//! what came; [`lease`] is what was granted.

pub mod client;
pub mod lease;
pub mod message;
pub mod options;

use std::net::Ipv4Addr;

/// Why a packet is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not even the fixed part.
    #[error("{length} bytes are no DHCP message")]
    Short {
        /// Bytes there are.
        length: usize,
    },
    /// Something else that came to the port.
    #[error("it is not a DHCP message for Ethernet")]
    NotDhcp,
    /// An option goes on behind the end.
    #[error("option {option} is cut off")]
    Cut {
        /// Its code.
        option: u8,
    },
    /// An option of a length that it cannot have.
    #[error("option {option} has {length} bytes")]
    Length {
        /// Its code.
        option: u8,
        /// Its bytes.
        length: usize,
    },
    /// No node can have this address.
    #[error("{address} cannot be the address of a node")]
    Address {
        /// The address.
        address: Ipv4Addr,
    },
    /// Ones and zeros are mixed.
    #[error("{mask} is not a subnet mask")]
    Mask {
        /// The mask.
        mask: Ipv4Addr,
    },
    /// The server does not say who it is.
    #[error("option 54 (server) is missing")]
    NoServer,
    /// The server does not say for how long, or for no time.
    #[error("option 51 (lease time) is missing or zero")]
    NoLeaseTime,
}
