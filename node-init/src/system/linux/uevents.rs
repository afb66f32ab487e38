//! What the kernel says about devices that come later: a netlink socket of its own (`lib/kobject_uevent.c`).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::modules::modalias_of_uevent;
use crate::system::devices::{DeviceEvent, DeviceEvents};

/// Messages from the kernel itself, as opposed to those of a udev.
const FROM_KERNEL: u32 = 1;
/// The kernel's own buffer is 2 kB (`UEVENT_BUFFER_SIZE`).
const BYTES_MAX: usize = 8 << 10;

/// An open socket.
#[derive(Debug)]
pub(super) struct Uevents(OwnedFd);

impl Uevents {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        bind(&socket, &SocketAddrNetlink::new(0, FROM_KERNEL))?;
        Ok(Self(socket))
    }
}

impl DeviceEvents for Uevents {
    fn next(&self, within: Duration) -> io::Result<DeviceEvent> {
        let timeout = Timespec::try_from(within).map_err(|_| io::ErrorKind::InvalidInput)?;
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout))? == 0 {
            return Ok(DeviceEvent::Quiet);
        }
        let mut bytes = [0; BYTES_MAX];
        match recv(&self.0, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((length, _)) => {
                let alias = modalias_of_uevent(&bytes[..length.min(BYTES_MAX)]);
                Ok(alias.map_or(DeviceEvent::Other, DeviceEvent::Added))
            }
            Err(Errno::NOBUFS) => Ok(DeviceEvent::Lost),
            Err(Errno::INTR | Errno::AGAIN) => Ok(DeviceEvent::Other),
            Err(error) => Err(error.into()),
        }
    }
}
