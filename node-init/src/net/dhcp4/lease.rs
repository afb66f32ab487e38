//! What a server grants: read once, checked whole, so that nothing behind this sees an address that cannot be one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::Malformed;
use super::message::Message;
use super::options::{Options, code};
use crate::net::names;
use crate::system::links::Prefix;

/// What RFC 791 lets every node take; a smaller MTU than this is a mistake of the server, and dropped.
const SMALLEST_MTU: u16 = 576;
/// All ones: for ever (RFC 2131 §3.3).
const FOR_EVER: u32 = u32::MAX;

/// An address for some time, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address and its network.
    pub prefix: Prefix,
    /// Who grants it.
    pub server: Ipv4Addr,
    /// Destinations and their gateways; a gateway of none is on the link.
    pub routes: Vec<(Prefix, Option<Ipv4Addr>)>,
    /// DNS servers.
    pub dns: Vec<Ipv4Addr>,
    /// NTP servers.
    pub ntp: Vec<Ipv4Addr>,
    /// Domains to look names up in.
    pub search: Vec<String>,
    /// Name for this node.
    pub hostname: Option<String>,
    /// Largest packet in bytes.
    pub mtu: Option<u16>,
    /// How long the address is ours; for ever if absent.
    pub valid: Option<Duration>,
    /// When to ask its server to go on, from the grant.
    pub renew: Duration,
    /// When to ask any server.
    pub rebind: Duration,
    /// The site's own options.
    pub site: BTreeMap<u8, Vec<u8>>,
}

impl Lease {
    /// Reads an offer or an acknowledgement.
    pub fn from_message(message: &Message) -> Result<Self, Malformed> {
        let options = &message.options;
        let address = usable(message.yours)?;
        let length = match options.address(code::SUBNET_MASK)? {
            Some(mask) => mask_length(mask)?,
            None => class_length(address),
        };
        let server = options.address(code::SERVER_ID)?.ok_or(Malformed::NoServer)?;
        // A lease of no time at all would be asked for again without end.
        let granted = options.u32(code::LEASE_TIME)?.filter(|seconds| *seconds > 0);
        let granted = granted.ok_or(Malformed::NoLeaseTime)?;
        let valid = (granted != FOR_EVER).then(|| Duration::from_secs(granted.into()));
        let (renew, rebind) = timers(granted, options)?;
        Ok(Self {
            prefix: Prefix { address: IpAddr::V4(address), length },
            server,
            routes: routes(options)?,
            dns: specified(options.addresses(code::DOMAIN_SERVER)?),
            ntp: specified(options.addresses(code::NTP_SERVERS)?),
            search: search(options),
            hostname: options.text(code::HOSTNAME).filter(|name| names::is_name(name)),
            mtu: options.u16(code::INTERFACE_MTU)?.filter(|mtu| *mtu >= SMALLEST_MTU),
            valid,
            renew,
            rebind,
            site: options.site(),
        })
    }
}

fn usable(address: Ipv4Addr) -> Result<Ipv4Addr, Malformed> {
    let wrong = address.octets()[0] == 0 || address.is_loopback() || address.octets()[0] >= 224;
    if wrong { Err(Malformed::Address { address }) } else { Ok(address) }
}

fn specified(addresses: Vec<Ipv4Addr>) -> Vec<Ipv4Addr> {
    addresses.into_iter().filter(|address| !address.is_unspecified() && !address.is_broadcast()).collect()
}

fn mask_length(mask: Ipv4Addr) -> Result<u8, Malformed> {
    let ones = u32::from(mask).leading_ones();
    let length = u8::try_from(ones).ok().filter(|_| u32::from(mask).count_ones() == ones && ones > 0);
    length.ok_or(Malformed::Mask { mask })
}

/// Networks by the class of their first octet (RFC 791), for servers that send no mask.
fn class_length(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

/// T1 and T2 (RFC 2131 §4.4.5): by default a half and seven eighths of the lease. A server's own count only in order.
fn timers(granted: u32, options: &Options) -> Result<(Duration, Duration), Malformed> {
    let whole = Duration::from_secs(granted.into());
    // Zero would be now, again and again.
    let asked = |code| {
        let seconds = options.u32(code)?.filter(|seconds| *seconds > 0);
        Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
    };
    let rebind = asked(code::REBINDING_TIME)?.filter(|t2| *t2 < whole).unwrap_or(whole * 7 / 8);
    let renew = asked(code::RENEWAL_TIME)?.filter(|t1| *t1 < rebind).unwrap_or((whole / 2).min(rebind));
    Ok((renew, rebind))
}

/// Option 121 alone where it is there, else the routers (RFC 3442: a client MUST ignore option 3 then).
fn routes(options: &Options) -> Result<Vec<(Prefix, Option<Ipv4Addr>)>, Malformed> {
    if let Some(value) = options.get(code::CLASSLESS_ROUTES) {
        return classless(value);
    }
    let everything = Prefix { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 0 };
    let routers = specified(options.addresses(code::ROUTER)?);
    Ok(routers.first().map(|router| (everything, Some(*router))).into_iter().collect())
}

/// RFC 3442: the prefix's length, as many octets as it has, the gateway.
fn classless(mut value: &[u8]) -> Result<Vec<(Prefix, Option<Ipv4Addr>)>, Malformed> {
    let wrong = Malformed::Length { option: code::CLASSLESS_ROUTES, length: value.len() };
    let mut routes = Vec::new();
    while let Some((&length, rest)) = value.split_first() {
        let (network, rest) = rest.split_at_checked(usize::from(length).div_ceil(8)).ok_or(wrong)?;
        let (gateway, rest) = rest.split_first_chunk::<4>().ok_or(wrong)?;
        if length > 32 {
            return Err(wrong);
        }
        let mut octets = [0; 4];
        octets[..network.len()].copy_from_slice(network);
        // Linux refuses a network with bits behind its mask.
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let address = IpAddr::V4(Ipv4Addr::from(u32::from_be_bytes(octets) & mask));
        let gateway = Ipv4Addr::from(*gateway);
        routes.push((Prefix { address, length }, (!gateway.is_unspecified()).then_some(gateway)));
        value = rest;
    }
    Ok(routes)
}

/// The search list (option 119), or the domain (15).
fn search(options: &Options) -> Vec<String> {
    let list = options.get(code::DOMAIN_SEARCH).map(names::list_from).unwrap_or_default();
    if !list.is_empty() {
        return list;
    }
    let domain = options.text(code::DOMAIN_NAME).filter(|name| names::is_name(name));
    domain.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::dhcp4::message::{Kind, Op};
    use proptest::prelude::*;
    use report::MacAddr;

    fn grant(options: &[(u8, &[u8])]) -> Message {
        let mut message = Message {
            op: Op::Reply,
            xid: 1,
            secs: 0,
            broadcast: true,
            client: Ipv4Addr::UNSPECIFIED,
            yours: Ipv4Addr::new(10, 0, 2, 15),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            kind: Kind::Ack,
            options: Options::default(),
        };
        message.options.set(code::SERVER_ID, [10, 0, 2, 2]);
        message.options.set(code::LEASE_TIME, 86_400_u32.to_be_bytes());
        for (code, value) in options {
            message.options.set(*code, *value);
        }
        message
    }

    fn routes_of(options: &[(u8, &[u8])]) -> Vec<String> {
        let lease = Lease::from_message(&grant(options)).unwrap();
        lease.routes.iter().map(|(to, via)| format!("{to} {via:?}")).collect()
    }

    #[test]
    fn a_whole_grant_is_read() {
        let lease = Lease::from_message(&grant(&[
            (code::SUBNET_MASK, &[255, 255, 255, 0]),
            (code::ROUTER, &[10, 0, 2, 2, 10, 0, 2, 9]),
            (code::DOMAIN_SERVER, &[10, 0, 2, 3]),
            (code::DOMAIN_NAME, b"example.net"),
            (code::HOSTNAME, b"node-7"),
            (code::INTERFACE_MTU, &[0x23, 0x28]),
            (code::NTP_SERVERS, &[10, 0, 2, 4]),
            (224, b"https://inventory:8443"),
        ]))
        .unwrap();
        assert_eq!(lease.prefix.to_string(), "10.0.2.15/24");
        assert_eq!(lease.routes.len(), 1);
        assert_eq!((lease.mtu, lease.hostname.as_deref()), (Some(9000), Some("node-7")));
        assert_eq!(lease.search, ["example.net"]);
        assert_eq!(lease.valid, Some(Duration::from_secs(86_400)));
        assert_eq!((lease.renew.as_secs(), lease.rebind.as_secs()), (43_200, 75_600));
        assert_eq!(lease.site[&224], b"https://inventory:8443");
    }

    #[test]
    fn classless_routes_stand_alone_and_may_need_no_gateway() {
        let value = [
            24, 192, 168, 9, 10, 0, 2, 9, 0, 10, 0, 2, 2, 32, 10, 9, 9, 9, 0, 0, 0, 0, 12, 172, 31, 1, 2, 3,
            4,
        ];
        assert_eq!(
            routes_of(&[(code::ROUTER, &[1, 2, 3, 4]), (code::CLASSLESS_ROUTES, &value)]),
            [
                "192.168.9.0/24 Some(10.0.2.9)",
                "0.0.0.0/0 Some(10.0.2.2)",
                "10.9.9.9/32 None",
                "172.16.0.0/12 Some(1.2.3.4)"
            ]
        );
        let wrong = grant(&[(code::CLASSLESS_ROUTES, &[33, 1, 2, 3, 4, 5, 6, 7, 8, 9])]);
        assert_eq!(Lease::from_message(&wrong), Err(Malformed::Length { option: 121, length: 10 }));
    }

    #[test]
    fn what_cannot_be_an_address_or_a_mask_is_malformed() {
        for wrong in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
            let mut message = grant(&[]);
            message.yours = wrong.into();
            assert_eq!(Lease::from_message(&message), Err(Malformed::Address { address: wrong.into() }));
        }
        for wrong in [[255, 0, 255, 0], [0; 4]] {
            let message = grant(&[(code::SUBNET_MASK, &wrong)]);
            assert_eq!(Lease::from_message(&message), Err(Malformed::Mask { mask: wrong.into() }));
        }
    }

    #[test]
    fn times_of_the_server_count_only_in_order() {
        let times = |t1: u32, t2: u32| {
            let (t1, t2) = (t1.to_be_bytes(), t2.to_be_bytes());
            let lease =
                Lease::from_message(&grant(&[(code::RENEWAL_TIME, &t1), (code::REBINDING_TIME, &t2)]));
            lease.map(|lease| (lease.renew.as_secs(), lease.rebind.as_secs())).unwrap()
        };
        assert_eq!(times(100, 200), (100, 200));
        assert_eq!(times(300, 200), (200, 200));
        assert_eq!(times(100, 90_000), (100, 75_600));
        let eternal = Lease::from_message(&grant(&[(code::LEASE_TIME, &[255; 4])])).unwrap();
        assert_eq!(eternal.valid, None);
    }

    proptest! {
        #[test]
        fn any_routes_are_read_without_a_panic_and_lie_within_their_masks(value: Vec<u8>) {
            for (to, _) in classless(&value).unwrap_or_default() {
                let IpAddr::V4(network) = to.address else { unreachable!("only IPv4 is made") };
                let host = u32::MAX.checked_shr(to.length.into()).unwrap_or(0);
                prop_assert_eq!(u32::from(network) & host, 0);
            }
        }

        #[test]
        fn timers_are_in_order(granted in 1..u32::MAX, t1: u32, t2: u32) {
            let (t1, t2) = (t1.to_be_bytes(), t2.to_be_bytes());
            let granted_bytes = granted.to_be_bytes();
            let lease = Lease::from_message(&grant(&[
                (code::LEASE_TIME, &granted_bytes), (code::RENEWAL_TIME, &t1), (code::REBINDING_TIME, &t2),
            ])).unwrap();
            prop_assert!(!lease.renew.is_zero() && lease.renew <= lease.rebind && lease.rebind <= lease.valid.unwrap());
        }
    }
}
