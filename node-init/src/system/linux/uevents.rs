//! What the kernel says about devices that come later: a netlink socket of its own (`lib/kobject_uevent.c`).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Messages from the kernel itself, as opposed to those of a udev.
const FROM_KERNEL: u32 = 1;
/// The kernel's own buffer is 2 kB (`UEVENT_BUFFER_SIZE`).
const BYTES_MAX: usize = 8 << 10;

/// An open socket.
#[derive(Debug)]
pub struct Uevents(OwnedFd);

impl Uevents {
    /// Listens from now on.
    pub fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        bind(&socket, &SocketAddrNetlink::new(0, FROM_KERNEL))?;
        Ok(Self(socket))
    }

    /// The alias of the next device that was added; `None` where none came in time.
    pub fn next_modalias(&self, within: Duration) -> io::Result<Option<String>> {
        let timeout = Timespec::try_from(within).map_err(|_| io::ErrorKind::InvalidInput)?;
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout))? == 0 {
            return Ok(None);
        }
        let mut bytes = [0; BYTES_MAX];
        let (length, _) = recv(&self.0, &mut bytes[..], RecvFlags::empty())?;
        Ok(crate::modules::modalias_of_uevent(&bytes[..length.min(BYTES_MAX)]))
    }
}
