//! IPv6 state from `/proc/net`: `if_inet6` and `ipv6_route` (formats in Linux's net/ipv6/addrconf.c and route.c).

use std::net::{IpAddr, Ipv6Addr};

use crate::system::links::{Held, LinkIndex, Prefix};

/// `IFA_F_DADFAILED` and `IFA_F_TENTATIVE` in `if_addr.h`.
const DUPLICATE: u32 = 0x08;
const TENTATIVE: u32 = 0x40;
/// `RTF_UP` and `RTF_GATEWAY` in `route.h`.
const UP_GATEWAY: u32 = 0x1 | 0x2;

/// Addresses of one link. A line that cannot be read is none; one that another node has is none either.
pub(super) fn addresses_from(text: &str, link: LinkIndex) -> Vec<Held> {
    text.lines().filter_map(|line| address(line, link)).collect()
}

fn address(line: &str, link: LinkIndex) -> Option<Held> {
    let mut words = line.split_ascii_whitespace();
    let address = ip(words.next()?)?;
    let mut number = || u32::from_str_radix(words.next()?, 16).ok();
    let (index, length, _scope, flags) = (number()?, number()?, number()?, number()?);
    (index == link && flags & DUPLICATE == 0).then_some(Held {
        prefix: Prefix {
            address: IpAddr::V6(address),
            length: u8::try_from(length).ok().filter(|n| *n <= 128)?,
        },
        tentative: flags & TENTATIVE != 0,
    })
}

/// The default router on the link of that name.
pub(super) fn router_from(text: &str, name: &str) -> Option<Ipv6Addr> {
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [to, "00", _, _, through, _, _, _, flags, on] = words[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        (on == name && ip(to)?.is_unspecified() && flags & UP_GATEWAY == UP_GATEWAY).then(|| ip(through))?
    })
}

fn ip(hex: &str) -> Option<Ipv6Addr> {
    let digits = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(hex, 16).ok())?.map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADDRESSES: &str = "\
00000000000000000000000000000001 01 80 10 80       lo
fd770000000000000000000000000042 02 40 00 00     eth0
fe80000000000000505400fffe123456 02 40 20 c0     eth0
fd770000000000000000000000000043 02 40 00 88     eth0
";
    const ROUTES: &str = "\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";

    #[test]
    fn addresses_of_the_link_are_found_with_their_state_and_duplicates_are_not() {
        let found = addresses_from(ADDRESSES, 2);
        let text: Vec<_> = found.iter().map(|held| (held.prefix.to_string(), held.tentative)).collect();
        assert_eq!(
            text,
            [("fd77::42/64".to_owned(), false), ("fe80::5054:ff:fe12:3456/64".to_owned(), true)]
        );
    }

    #[test]
    fn the_default_router_of_the_link_is_found() {
        assert_eq!(router_from(ROUTES, "eth0"), Some("fe80::1".parse().unwrap()));
        assert_eq!(router_from(ROUTES, "eth1"), None);
        assert_eq!(router_from(ROUTES, "lo"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[0-9a-fg \n]{0,400}", link in 0_u32..4) {
            addresses_from(&text, link);
            router_from(&text, "eth0");
        }
    }
}
