//! [`Links`] of Linux. Changes go by rtnetlink (`netlink-packet-route` makes the messages, `netlink-sys` is a blocking
//! socket): unlike the older ioctls it takes a metric, the life of an address and IPv6, and answers each request, all
//! without unsafe code. What is only read comes from `/sys/class/net` and `/proc/net`, as for discovery.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, CacheInfo};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Linux, packet, proc_net};
use crate::system::links::{Held, Link, LinkError, LinkIndex, LinkKind, Links, Port, Prefix, Purpose, Route};

const CLASS: &str = "/sys/class/net";
/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK` in `if_arp.h`.
const ETHERNET: &str = "1";
const LOOPBACK: &str = "772";

impl Links for Linux {
    fn links(&self) -> Result<Vec<Link>, LinkError> {
        let list = || -> io::Result<Vec<Link>> {
            let mut links = Vec::new();
            for entry in std::fs::read_dir(CLASS)? {
                // A link that is taken away while we look is none.
                links.extend(link(&entry?.file_name().to_string_lossy()).ok());
            }
            links.sort_by_key(|link| link.index);
            Ok(links)
        };
        list().map_err(|cause| LinkError { doing: "listing `/sys/class/net`", link: 0, cause })
    }

    fn set_up(&self, link: LinkIndex) -> Result<(), LinkError> {
        let mut message = LinkMessage::default();
        message.header.index = link;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        change(RouteNetlinkMessage::SetLink(message), 0).map_err(on(link, "switching on"))
    }

    fn carrier(&self, link: LinkIndex) -> Result<bool, LinkError> {
        match name(link).and_then(|name| read(&name, "carrier")) {
            Ok(text) => Ok(text == "1"),
            // Linux answers so while the link is off (`netif_running` in net/core/net-sysfs.c).
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
            Err(error) => Err(on(link, "reading the carrier")(error)),
        }
    }

    fn set_mtu(&self, link: LinkIndex, mtu: u16) -> Result<(), LinkError> {
        let mut message = LinkMessage::default();
        message.header.index = link;
        message.attributes.push(LinkAttribute::Mtu(mtu.into()));
        change(RouteNetlinkMessage::SetLink(message), 0).map_err(on(link, "setting the MTU"))
    }

    fn add_address(
        &self,
        link: LinkIndex,
        prefix: Prefix,
        valid: Option<Duration>,
        metric: u32,
    ) -> Result<(), LinkError> {
        let mut message = address(link, prefix);
        message.attributes.push(AddressAttribute::RoutePriority(metric));
        if let Some(valid) = valid {
            // All ones mean for ever, so the longest life is one second less.
            let seconds = u32::try_from(valid.as_secs()).unwrap_or(u32::MAX).min(u32::MAX - 1);
            let mut life = CacheInfo::default();
            (life.ifa_preferred, life.ifa_valid) = (seconds, seconds);
            message.attributes.push(AddressAttribute::CacheInfo(life));
        }
        change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(on(link, "adding an address"))
    }

    fn remove_address(&self, link: LinkIndex, prefix: Prefix) -> Result<(), LinkError> {
        change(RouteNetlinkMessage::DelAddress(address(link, prefix)), 0)
            .map_err(on(link, "removing an address"))
    }

    fn add_route(&self, link: LinkIndex, route: &Route) -> Result<(), LinkError> {
        let message = RouteNetlinkMessage::NewRoute(route_message(link, route));
        change(message, NLM_F_CREATE | NLM_F_REPLACE).map_err(on(link, "adding a route"))
    }

    fn addresses(&self, link: LinkIndex) -> Result<Vec<Held>, LinkError> {
        match std::fs::read_to_string("/proc/net/if_inet6") {
            Ok(text) => Ok(proc_net::addresses_from(&text, link)),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(on(link, "reading `/proc/net/if_inet6`")(error)),
        }
    }

    fn router(&self, link: LinkIndex) -> Result<Option<Ipv6Addr>, LinkError> {
        match std::fs::read_to_string("/proc/net/ipv6_route") {
            Ok(text) => {
                let name = name(link).map_err(on(link, "naming it"))?;
                Ok(proc_net::router_from(&text, &name))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(on(link, "reading `/proc/net/ipv6_route`")(error)),
        }
    }

    fn open(&self, link: LinkIndex, purpose: Purpose) -> Result<Box<dyn Port>, LinkError> {
        let open = || packet::open(link, &name(link)?, purpose);
        open().map(|port| Box::new(port) as Box<dyn Port>).map_err(on(link, "opening a port"))
    }

    fn wait(&self, ports: &[&dyn Port], at_most: Duration) {
        let mut fds: Vec<PollFd<'_>> = ports
            .iter()
            .filter_map(|port| port.fd())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // Interrupted or not, the caller looks at every port and at the clock.
        let _ = Timespec::try_from(at_most).map(|time| poll(&mut fds, Some(&time)));
    }

    fn draw(&self) -> u32 {
        // Without entropy the boot goes on: a server that answers the wrong transaction is no danger, waiting for ever is.
        getrandom::u32().unwrap_or_else(|_| std::process::id().wrapping_mul(0x9e37_79b9))
    }
}

fn on(link: LinkIndex, doing: &'static str) -> impl Fn(io::Error) -> LinkError {
    move |cause| LinkError { doing, link, cause }
}

fn read(name: &str, file: &str) -> io::Result<String> {
    Ok(std::fs::read_to_string(PathBuf::from(CLASS).join(name).join(file))?.trim().to_owned())
}

fn link(name: &str) -> io::Result<Link> {
    let index = read(name, "ifindex")?.parse().map_err(io::Error::other)?;
    let dir = PathBuf::from(CLASS).join(name);
    // A virtual cable (veth) has no device; bridges, VLANs and bonds have a `DEVTYPE` that says so.
    let kind = match read(name, "type")?.as_str() {
        LOOPBACK => LinkKind::Loopback,
        ETHERNET if !read(name, "uevent")?.lines().any(|line| line.starts_with("DEVTYPE=")) => {
            LinkKind::Ethernet
        }
        ETHERNET if dir.join("device").exists() => LinkKind::Ethernet,
        _ => LinkKind::Other,
    };
    let driver = std::fs::read_link(dir.join("device/driver")).ok();
    let driver = driver.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mac = if kind == LinkKind::Ethernet { read(name, "address")?.parse().ok() } else { None };
    Ok(Link { index, name: name.to_owned(), mac, driver, kind })
}

fn name(link: LinkIndex) -> io::Result<String> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(rustix::net::netdevice::index_to_name(&socket, link)?)
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn address(link: LinkIndex, prefix: Prefix) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = link;
    message.header.family = family(prefix.address);
    message.header.prefix_len = prefix.length;
    message.attributes =
        vec![AddressAttribute::Local(prefix.address), AddressAttribute::Address(prefix.address)];
    if let (IpAddr::V4(address), 0..=30) = (prefix.address, prefix.length) {
        let hosts = u32::MAX.checked_shr(prefix.length.into()).unwrap_or(0);
        message.attributes.push(AddressAttribute::Broadcast((u32::from(address) | hosts).into()));
    }
    message
}

fn route_message(link: LinkIndex, route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(route.to.address),
        destination_prefix_length: route.to.length,
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Dhcp,
        scope: if route.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link },
        kind: RouteType::Unicast,
        flags: if route.on_link { RouteFlags::Onlink } else { RouteFlags::empty() },
        ..RouteHeader::default()
    };
    message.attributes.push(RouteAttribute::Oif(link));
    message.attributes.push(RouteAttribute::Priority(route.metric));
    if route.to.length > 0 {
        message.attributes.push(RouteAttribute::Destination(route.to.address.into()));
    }
    message.attributes.extend(route.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    message
}

/// Makes one change. Linux answers while the call runs, so this does not wait for anybody else.
fn change(message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}
