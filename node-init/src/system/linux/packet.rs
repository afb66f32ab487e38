//! Sockets that are tied to one link: UDP for DHCP, Ethernet frames for LLDP.
//!
//! UDP with `SO_BINDTODEVICE` is enough for DHCP: with the broadcast flag (RFC 2131 §4.1) servers answer to
//! 255.255.255.255, which Linux delivers before the link has an address. The one unsafe part of the network is the
//! address family `AF_PACKET`, for which no library has safe calls.
#![expect(unsafe_code, reason = "AF_PACKET has no safe binding")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use crate::system::links::{LinkIndex, Port, Purpose};

/// `ETH_P_LLDP` in `if_ether.h`.
const ETHERTYPE_LLDP: u16 = 0x88cc;
/// Nearest bridge, IEEE 802.1AB §7.1: the group that switches do not forward.
const LLDP_GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x0e];
const DHCP4_CLIENT: u16 = 68;

#[derive(Debug)]
pub(super) struct Bound(Socket);

impl Port for Bound {
    fn send(&self, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let sent = self.0.send_to(packet, &SockAddr::from(to))?;
        if sent == packet.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match io::Read::read(&mut &self.0, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

pub(super) fn open(link: LinkIndex, name: &str, purpose: Purpose) -> io::Result<Bound> {
    let socket = match purpose {
        Purpose::Dhcp4 => dhcp4(name)?,
        Purpose::Lldp => lldp(link)?,
    };
    socket.set_nonblocking(true)?;
    Ok(Bound(socket))
}

fn dhcp4(name: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // The device before the address: sockets on different links then share the port.
    socket.bind_device(Some(name.as_bytes()))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, DHCP4_CLIENT)).into())?;
    Ok(socket)
}

fn lldp(link: LinkIndex) -> io::Result<Socket> {
    let protocol = ETHERTYPE_LLDP.to_be();
    let index = i32::try_from(link).map_err(io::Error::other)?;
    // Protocol 0 hears nothing until it is bound, so no frame of another link comes in between.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is a plain structure of Linux that begins with the family and is smaller than the storage;
    // every bit pattern is a value of it, and no other view of the storage lives.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = protocol;
    address.sll_ifindex = index;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    // SAFETY: the storage holds a whole `sockaddr_ll`, whose size this is.
    let address = unsafe { SockAddr::new(storage, length) };
    socket.bind(&address)?;
    join(&socket, index)?;
    Ok(socket)
}

/// Lets the link take frames for the LLDP group, without making it take everything.
fn join(socket: &Socket, index: i32) -> io::Result<()> {
    let mut group = libc::packet_mreq {
        mr_ifindex: index,
        mr_type: u16::try_from(libc::PACKET_MR_MULTICAST).map_err(io::Error::other)?,
        mr_alen: 6,
        mr_address: [0; 8],
    };
    group.mr_address[..6].copy_from_slice(&LLDP_GROUP);
    let length = libc::socklen_t::try_from(size_of_val(&group)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open while `socket` lives; Linux reads `length` bytes of `group`, which lives longer.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const group).cast(),
            length,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
