//! What the switch says of itself (LLDP, IEEE 802.1AB): which port this link is plugged into. Heard, never sent, and
//! nothing waits for it. Some cards keep these frames in their firmware; then there is no neighbour.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest frame that is taken, in bytes.
pub const LARGEST: usize = 1518;
/// Destination, source, EtherType.
const HEADER: usize = 14;
const ETHERTYPE: [u8; 2] = [0x88, 0xcc];
/// Longest text that is kept, in characters.
const TEXT: usize = 255;
/// Organizations of the extensions: IEEE 802.1 and 802.3.
const IEEE_802_1: [u8; 3] = [0x00, 0x80, 0xc2];
const IEEE_802_3: [u8; 3] = [0x00, 0x12, 0x0f];

/// A switch port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// The switch: its Ethernet address, or another name that it gives.
    pub chassis: String,
    /// Its port: name, number or address.
    pub port: String,
    /// How long this is true, in seconds; 0 when the port is about to go.
    pub valid_seconds: u16,
    /// Name of the switch.
    pub system: Option<String>,
    /// Text about the port.
    pub port_description: Option<String>,
    /// VLAN of untagged frames, 1 to 4094.
    pub vlan: Option<u16>,
    /// Address to manage the switch by.
    pub management: Option<IpAddr>,
    /// Largest frame in bytes, with header and checksum.
    pub frame_max: Option<u16>,
}

/// Why a frame tells no neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Another frame, or none.
    #[error("it is not an LLDP frame")]
    NotLldp,
    /// An element goes on behind the end.
    #[error("element {kind} is cut off")]
    Cut {
        /// Its type.
        kind: u8,
    },
    /// The first three elements must be chassis, port and time (IEEE 802.1AB §8.2).
    #[error("chassis, port or time is missing")]
    Incomplete,
}

/// Reads a whole Ethernet frame.
pub fn parse_frame(frame: &[u8]) -> Result<Neighbour, Malformed> {
    let (header, data) = frame.split_first_chunk::<HEADER>().ok_or(Malformed::NotLldp)?;
    if header[12..] != ETHERTYPE {
        return Err(Malformed::NotLldp);
    }
    parse(data)
}

/// Reads the elements: 7 bits of type, 9 of length, a value.
pub fn parse(mut data: &[u8]) -> Result<Neighbour, Malformed> {
    let mut neighbour = Neighbour::default();
    for place in 0.. {
        let Some((head, rest)) = data.split_first_chunk::<2>() else { break };
        let head = u16::from_be_bytes(*head);
        let kind = u8::try_from(head >> 9).unwrap_or(u8::MAX);
        let (value, rest) = rest.split_at_checked((head & 0x1ff).into()).ok_or(Malformed::Cut { kind })?;
        if place < 3 && usize::from(kind) != place + 1 {
            return Err(Malformed::Incomplete);
        }
        match kind {
            0 => break,
            1 => neighbour.chassis = id(value, 4, 5).ok_or(Malformed::Incomplete)?,
            2 => neighbour.port = id(value, 3, 4).ok_or(Malformed::Incomplete)?,
            3 => {
                let seconds = value.first_chunk().ok_or(Malformed::Incomplete)?;
                neighbour.valid_seconds = u16::from_be_bytes(*seconds);
            }
            4 => neighbour.port_description = text(value),
            5 => neighbour.system = text(value),
            8 => neighbour.management = neighbour.management.or_else(|| management(value)),
            127 => extension(value, &mut neighbour),
            _ => {}
        }
        data = rest;
    }
    if neighbour.chassis.is_empty() || neighbour.port.is_empty() {
        Err(Malformed::Incomplete)
    } else {
        Ok(neighbour)
    }
}

/// An identifier: its kind, then an Ethernet address, a network address (numbers for these differ), or text.
fn id(value: &[u8], mac: u8, network: u8) -> Option<String> {
    let (&kind, value) = value.split_first()?;
    match value {
        [a, b, c, d, e, f] if kind == mac => Some(report::MacAddr([*a, *b, *c, *d, *e, *f]).to_string()),
        _ if kind == network => address(value).map(|ip| ip.to_string()),
        _ => text(value),
    }
}

/// IANA's address family, then the address.
fn address(value: &[u8]) -> Option<IpAddr> {
    match value {
        [1, v4 @ ..] => Some(Ipv4Addr::from(<[u8; 4]>::try_from(v4).ok()?).into()),
        [2, v6 @ ..] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(v6).ok()?).into()),
        _ => None,
    }
}

fn management(value: &[u8]) -> Option<IpAddr> {
    let (&length, rest) = value.split_first()?;
    address(rest.get(..length.into())?)
}

fn extension(value: &[u8], neighbour: &mut Neighbour) {
    let Some((head, value)) = value.split_first_chunk::<4>() else { return };
    let [a, b, c, subtype] = *head;
    let number = || value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    match ([a, b, c], subtype) {
        (IEEE_802_1, 1) => neighbour.vlan = number().filter(|vlan| (1..=4094).contains(vlan)),
        (IEEE_802_3, 4) => neighbour.frame_max = number(),
        _ => {}
    }
}

/// Text without what a console could obey.
fn text(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let kept: String = text.trim_end_matches('\0').chars().filter(|c| !c.is_control()).take(TEXT).collect();
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(kind: u16, value: &[u8]) -> Vec<u8> {
        let head = kind << 9 | u16::try_from(value.len()).unwrap();
        [&head.to_be_bytes()[..], value].concat()
    }

    fn start() -> Vec<u8> {
        let chassis = element(1, &[4, 2, 0, 0, 0, 0, 9]);
        [chassis, element(2, b"\x05swp7"), element(3, &[0, 120])].concat()
    }

    #[test]
    fn a_switch_port_is_read() {
        let more = [
            element(4, b"to node 7"),
            element(5, b"leaf-3\x1b[2J"),
            element(8, &[5, 1, 10, 0, 0, 9, 2, 0, 0, 0, 1, 0]),
            element(127, &[0x00, 0x80, 0xc2, 1, 0, 42]),
            element(127, &[0x00, 0x12, 0x0f, 4, 0x24, 0x00]),
            element(0, &[]),
            vec![0xff; 9],
        ];
        let neighbour = parse(&[start(), more.concat()].concat()).unwrap();
        assert_eq!((neighbour.chassis.as_str(), neighbour.port.as_str()), ("02:00:00:00:00:09", "swp7"));
        assert_eq!((neighbour.valid_seconds, neighbour.vlan), (120, Some(42)));
        assert_eq!(neighbour.system.as_deref(), Some("leaf-3[2J"));
        assert_eq!(neighbour.management, Some([10, 0, 0, 9].into()));
        assert_eq!(neighbour.frame_max, Some(9216));
    }

    #[test]
    fn what_is_incomplete_or_cut_is_malformed() {
        assert_eq!(parse(&[]), Err(Malformed::Incomplete));
        assert_eq!(parse(&element(2, b"\x05swp7")), Err(Malformed::Incomplete));
        assert_eq!(parse(&[start(), vec![0x0a, 0x09, 1]].concat()), Err(Malformed::Cut { kind: 5 }));
        assert_eq!(parse_frame(&[0; 60]), Err(Malformed::NotLldp));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_give_printable_text(tail: Vec<u8>, kinds in proptest::collection::vec((4_u16..128, proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let _ = (parse(&tail), parse_frame(&tail));
            let elements: Vec<u8> = kinds.iter().flat_map(|(kind, value)| element(*kind, value)).collect();
            let data = [start(), elements, tail].concat();
            if let Ok(neighbour) = parse(&data) {
                prop_assert!(neighbour.system.is_none_or(|name| !name.chars().any(char::is_control)));
                prop_assert!(neighbour.vlan.is_none_or(|vlan| (1..=4094).contains(&vlan)));
            }
        }
    }
}
