//! The DHCP message (RFC 2131 §2): a fixed part of 236 bytes, a magic number, options.

use std::net::Ipv4Addr;

use report::MacAddr;

use super::Malformed;
use super::options::{Options, code};

const FIXED: usize = 236;
/// RFC 2131 §3.
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const ETHERNET: u8 = 1;
const BROADCAST: u16 = 0x8000;
/// BOOTP relays drop what is shorter (RFC 1542 §2.1).
const SHORTEST: usize = 300;
/// Where the fields `sname` and `file` lie, which may hold options too (option 52).
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;

/// Who sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A client.
    Request,
    /// A server.
    Reply,
}

/// What a message is (RFC 2132 §9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who has an address for me?
    Discover,
    /// I have one.
    Offer,
    /// I take it.
    Request,
    /// I do not take it: somebody has it.
    Decline,
    /// It is yours.
    Ack,
    /// It is not yours.
    Nak,
    /// I give it back.
    Release,
    /// Others.
    Other(u8),
}

impl From<u8> for Kind {
    fn from(raw: u8) -> Self {
        match raw {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            other => Self::Other(other),
        }
    }
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Discover => 1,
            Kind::Offer => 2,
            Kind::Request => 3,
            Kind::Decline => 4,
            Kind::Ack => 5,
            Kind::Nak => 6,
            Kind::Release => 7,
            Kind::Other(other) => other,
        }
    }
}

/// A message. Fields that Assay neither sets nor needs (hops, next server, relay) are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who sends it.
    pub op: Op,
    /// Transaction that it belongs to.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Answers are to be broadcast: the client cannot take others yet.
    pub broadcast: bool,
    /// The address that the client has.
    pub client: Ipv4Addr,
    /// The address that it is given.
    pub yours: Ipv4Addr,
    /// The client's Ethernet address.
    pub mac: MacAddr,
    /// What the message is.
    pub kind: Kind,
    /// The rest; the message type is not among them.
    pub options: Options,
}

impl Message {
    /// Reads a packet.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        let (fixed, rest) =
            packet.split_first_chunk::<FIXED>().ok_or(Malformed::Short { length: packet.len() })?;
        let field = rest.strip_prefix(&MAGIC).ok_or(Malformed::NotDhcp)?;
        let op = match fixed[0] {
            1 => Op::Request,
            2 => Op::Reply,
            _ => return Err(Malformed::NotDhcp),
        };
        if fixed[1..3] != [ETHERNET, 6] {
            return Err(Malformed::NotDhcp);
        }
        let mut options = Options::default();
        options.read(field)?;
        // RFC 2132 §9.3: 1 the file field, 2 the sname field, 3 both, in this order (RFC 3396 §5).
        let overload = options.u8(code::OVERLOAD)?.unwrap_or(0);
        for (bit, range) in [(1, FILE), (2, SNAME)] {
            if overload & bit != 0 {
                options.read(&fixed[range])?;
            }
        }
        let kind = options.u8(code::MESSAGE_TYPE)?.ok_or(Malformed::NotDhcp)?.into();
        options.remove(&[code::MESSAGE_TYPE, code::OVERLOAD]);
        Ok(Self {
            op,
            xid: u32::from_be_bytes(bytes(fixed, 4)),
            secs: u16::from_be_bytes(bytes(fixed, 8)),
            broadcast: u16::from_be_bytes(bytes(fixed, 10)) & BROADCAST != 0,
            client: bytes::<4>(fixed, 12).into(),
            yours: bytes::<4>(fixed, 16).into(),
            mac: MacAddr(bytes(fixed, 28)),
            kind,
            options,
        })
    }

    /// Writes a packet.
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = vec![0; FIXED];
        packet[0] = if self.op == Op::Request { 1 } else { 2 };
        packet[1..3].copy_from_slice(&[ETHERNET, 6]);
        packet[4..8].copy_from_slice(&self.xid.to_be_bytes());
        packet[8..10].copy_from_slice(&self.secs.to_be_bytes());
        packet[10..12].copy_from_slice(&if self.broadcast { BROADCAST } else { 0 }.to_be_bytes());
        packet[12..16].copy_from_slice(&self.client.octets());
        packet[16..20].copy_from_slice(&self.yours.octets());
        packet[28..34].copy_from_slice(&self.mac.0);
        packet.extend(MAGIC);
        let mut options = self.options.clone();
        options.set(code::MESSAGE_TYPE, [u8::from(self.kind)]);
        options.write(&mut packet);
        packet.resize(packet.len().max(SHORTEST), 0);
        packet
    }
}

fn bytes<const N: usize>(fixed: &[u8; FIXED], at: usize) -> [u8; N] {
    std::array::from_fn(|n| fixed[at + n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message() -> impl Strategy<Value = Message> {
        let options =
            proptest::collection::vec((1_u8..255, proptest::collection::vec(any::<u8>(), 0..300)), 0..6);
        let head = (any::<bool>(), any::<u32>(), any::<u16>(), any::<bool>(), any::<u8>());
        (head, any::<[u8; 4]>(), any::<[u8; 4]>(), any::<[u8; 6]>(), options).prop_map(
            |((asks, xid, secs, broadcast, kind), client, yours, mac, list)| {
                let mut options = Options::default();
                for (code, value) in list {
                    if !matches!(code, code::MESSAGE_TYPE | code::OVERLOAD) {
                        options.set(code, value);
                    }
                }
                Message {
                    op: if asks { Op::Request } else { Op::Reply },
                    xid,
                    secs,
                    broadcast,
                    client: client.into(),
                    yours: yours.into(),
                    mac: MacAddr(mac),
                    kind: kind.into(),
                    options,
                }
            },
        )
    }

    #[test]
    fn options_may_lie_in_the_fields_for_names() {
        let mut packet = vec![0; FIXED];
        packet[..3].copy_from_slice(&[2, 1, 6]);
        packet[FILE.start..FILE.start + 6].copy_from_slice(&[12, 2, b'n', b'o', 255, 7]);
        packet[SNAME.start..SNAME.start + 4].copy_from_slice(&[12, 2, b'd', b'e']);
        packet.extend(MAGIC);
        packet.extend([53, 1, 5, 52, 1, 3, 255]);
        let message = Message::parse(&packet).unwrap();
        assert_eq!(message.options.text(code::HOSTNAME).as_deref(), Some("node"));
        packet[FILE.start + 1] = 200;
        assert_eq!(Message::parse(&packet), Err(Malformed::Cut { option: 12 }));
    }

    #[test]
    fn what_is_no_dhcp_is_told_from_what_is_short() {
        assert_eq!(Message::parse(&[2, 1, 6]), Err(Malformed::Short { length: 3 }));
        assert_eq!(Message::parse(&[0; 400]), Err(Malformed::NotDhcp));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(message in message()) {
            let packet = message.packet();
            prop_assert!(packet.len() >= SHORTEST);
            prop_assert_eq!(Message::parse(&packet), Ok(message));
        }

        #[test]
        fn any_bytes_behind_a_good_start_are_read_without_a_panic(message in message(), tail: Vec<u8>, cut: u16) {
            let mut packet = message.packet();
            packet.truncate(usize::from(cut) % (packet.len() + 1));
            packet.extend(tail);
            let _ = Message::parse(&packet);
        }
    }
}
