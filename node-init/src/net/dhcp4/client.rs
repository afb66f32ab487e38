//! The client's state machine (RFC 2131 §4.4), one for each link. It is told the time and what came, and says what to send.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use report::MacAddr;

use super::Malformed;
use super::lease::Lease;
use super::message::{Kind, Message, Op};
use super::options::{Options, code};

const SERVER_PORT: u16 = 67;
/// RFC 2131 §4.1: waits of 4, 8, 16, 32, 64 seconds, each give or take one.
const FIRST_WAIT: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// Requests that a server may leave unanswered before others are asked: 4 + 8 seconds.
const REQUESTS: u32 = 2;
/// RFC 2131 §4.4.5: the shortest wait between two requests to go on with a lease.
const RENEWAL_WAIT: Duration = Duration::from_secs(60);
/// Wait after a refusal, so that client and server do not chase each other.
const AFTER_NAK: Duration = Duration::from_secs(1);

/// What is asked for, in the order of RFC 3442 (routes before routers).
const WANTED: [u8; 12] = [
    code::SUBNET_MASK,
    code::CLASSLESS_ROUTES,
    code::ROUTER,
    code::DOMAIN_SERVER,
    code::HOSTNAME,
    code::DOMAIN_NAME,
    code::DOMAIN_SEARCH,
    code::INTERFACE_MTU,
    code::NTP_SERVERS,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    224,
];
/// Largest answer that is taken, in bytes: what fits a link with an MTU of 1500.
pub const LARGEST: u16 = 1472;

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// Whom to.
    pub to: SocketAddr,
    /// What.
    pub packet: Vec<u8>,
}

/// What follows from the time or from a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Something is to be sent.
    Send(Sending),
    /// The address is ours, or ours for longer.
    Granted(Lease),
    /// The address is ours no more; the client looks for another.
    Lost(Lease),
}

#[derive(Debug)]
enum Phase {
    Selecting,
    Requesting(Lease),
    Bound { lease: Lease, since: Duration },
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A server refused.
    Nak {
        /// What it said.
        message: Option<String>,
    },
    /// A server answered what cannot be used.
    Malformed(Malformed),
    /// A server offered an address and did not answer when it was taken.
    Silent {
        /// The server.
        server: Ipv4Addr,
    },
}

/// The client of one link.
#[derive(Debug)]
pub struct Client {
    mac: MacAddr,
    xid: u32,
    began: Duration,
    phase: Phase,
    /// When to act, and how many packets went out in this phase.
    due: Duration,
    sent: u32,
    /// The cable was out since the lease was granted: its server may be out of reach.
    moved: bool,
    shunned: Option<Ipv4Addr>,
    /// An offer of the server that is shunned, for when nobody else offers.
    spare: Option<Lease>,
    /// Packets sent since the start.
    pub attempts: u32,
    /// What went wrong last, until an address is granted.
    pub trouble: Option<Trouble>,
}

impl Client {
    /// Starts now.
    pub fn start(mac: MacAddr, now: Duration, draw: u32) -> Self {
        Self {
            mac,
            xid: draw,
            began: now,
            phase: Phase::Selecting,
            due: now,
            sent: 0,
            moved: false,
            shunned: None,
            spare: None,
            attempts: 0,
            trouble: None,
        }
    }

    /// When to call [`Client::tick`] next.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// The cable was out: acts at once, and asks any server whether the lease still holds, as RFC 2131 §3.7 advises.
    pub fn moved(&mut self, now: Duration) {
        (self.due, self.sent, self.moved) = (now, 0, true);
        if !matches!(self.phase, Phase::Bound { .. }) {
            self.select(now);
        }
    }

    /// The lease that holds now.
    pub fn lease(&self) -> Option<&Lease> {
        if let Phase::Bound { lease, .. } = &self.phase { Some(lease) } else { None }
    }

    /// Acts if it is time to. `draw` is for jitter and new transactions.
    pub fn tick(&mut self, now: Duration, draw: u32) -> Step {
        if now < self.due {
            return Step::Nothing;
        }
        match &self.phase {
            Phase::Selecting => match self.spare.take() {
                Some(offer) => self.request(offer, now, draw),
                None => self.discover(now, draw),
            },
            Phase::Requesting(offer) if self.sent < REQUESTS => {
                let offer = offer.clone();
                self.request(offer, now, draw)
            }
            Phase::Requesting(offer) => {
                self.trouble = Some(Trouble::Silent { server: offer.server });
                self.shunned = Some(offer.server);
                self.select(now);
                self.discover(now, draw)
            }
            Phase::Bound { lease, since } => {
                let (lease, since) = (lease.clone(), *since);
                self.hold(lease, since, now, draw)
            }
        }
    }

    /// Takes a packet.
    pub fn hear(&mut self, packet: &[u8], now: Duration, draw: u32) -> Step {
        let message = match Message::parse(packet) {
            Ok(message) => message,
            Err(malformed) => return self.note(malformed),
        };
        if message.op != Op::Reply || message.xid != self.xid || message.mac != self.mac {
            return Step::Nothing;
        }
        match (&self.phase, message.kind) {
            (Phase::Selecting, Kind::Offer) if self.sent > 0 => match Lease::from_message(&message) {
                Ok(offer) if self.shunned == Some(offer.server) => {
                    self.spare = Some(offer);
                    Step::Nothing
                }
                Ok(offer) => self.request(offer, now, draw),
                Err(malformed) => self.note(malformed),
            },
            (Phase::Requesting(_) | Phase::Bound { .. }, Kind::Ack) if self.sent > 0 => {
                match Lease::from_message(&message) {
                    Ok(lease) => self.granted(lease, now),
                    Err(malformed) => self.note(malformed),
                }
            }
            (Phase::Requesting(_) | Phase::Bound { .. }, Kind::Nak) if self.sent > 0 => {
                self.refused(&message, now)
            }
            _ => Step::Nothing,
        }
    }

    fn note(&mut self, malformed: Malformed) -> Step {
        if self.lease().is_none() {
            self.trouble = Some(Trouble::Malformed(malformed));
        }
        Step::Nothing
    }

    fn granted(&mut self, lease: Lease, now: Duration) -> Step {
        let chosen =
            if let Phase::Requesting(offer) = &self.phase { offer.server == lease.server } else { true };
        if !chosen {
            return Step::Nothing;
        }
        (self.sent, self.moved, self.shunned, self.spare, self.trouble) = (0, false, None, None, None);
        // A lease for ever needs no renewal; a day is as good as any time to look again.
        self.due = now + if lease.valid.is_some() { lease.renew } else { Duration::from_secs(86_400) };
        self.phase = Phase::Bound { lease: lease.clone(), since: now };
        Step::Granted(lease)
    }

    fn refused(&mut self, message: &Message, now: Duration) -> Step {
        let server = message.options.address(code::SERVER_ID).ok().flatten();
        if let Phase::Requesting(offer) = &self.phase
            && server.is_some_and(|server| server != offer.server)
        {
            return Step::Nothing;
        }
        self.trouble = Some(Trouble::Nak { message: message.options.text(code::MESSAGE) });
        self.shunned = server;
        let lost = self.lease().cloned();
        self.select(now);
        self.due = now + AFTER_NAK;
        lost.map_or(Step::Nothing, Step::Lost)
    }

    fn select(&mut self, now: Duration) {
        (self.phase, self.sent, self.due, self.spare) = (Phase::Selecting, 0, now, None);
    }

    fn discover(&mut self, now: Duration, draw: u32) -> Step {
        if self.sent == 0 {
            self.xid = draw;
        }
        self.count(now, draw);
        self.send(Kind::Discover, Ipv4Addr::BROADCAST, now, |_| {})
    }

    fn request(&mut self, offer: Lease, now: Duration, draw: u32) -> Step {
        if !matches!(self.phase, Phase::Requesting(_)) {
            self.sent = 0;
        }
        self.count(now, draw);
        let (address, server) = (offer.prefix.address, offer.server);
        self.phase = Phase::Requesting(offer);
        self.send(Kind::Request, Ipv4Addr::BROADCAST, now, |message| {
            if let std::net::IpAddr::V4(address) = address {
                message.options.set(code::REQUESTED_ADDRESS, address.octets());
            }
            message.options.set(code::SERVER_ID, server.octets());
        })
    }

    /// Renews, rebinds or gives up a lease (RFC 2131 §4.4.5).
    fn hold(&mut self, lease: Lease, since: Duration, now: Duration, draw: u32) -> Step {
        let ends = since + lease.valid.unwrap_or(Duration::MAX / 2);
        if now >= ends {
            self.select(now);
            return Step::Lost(lease);
        }
        let rebinds = since + lease.rebind;
        let (any, until) = if now < rebinds { (self.moved, rebinds) } else { (true, ends) };
        let to = if any { Ipv4Addr::BROADCAST } else { lease.server };
        if self.sent == 0 {
            (self.xid, self.began) = (draw, now);
        }
        self.count(now, draw);
        if !self.moved {
            // Half of what is left, but not less than a minute.
            self.due = now + (until.saturating_sub(now) / 2).max(RENEWAL_WAIT);
        }
        // In time for what comes next.
        self.due = self.due.min(until);
        let std::net::IpAddr::V4(address) = lease.prefix.address else { return Step::Nothing };
        self.send(Kind::Request, to, now, |message| {
            (message.client, message.broadcast) = (address, false);
        })
    }

    fn count(&mut self, now: Duration, draw: u32) {
        let doubled = FIRST_WAIT * 1_u32.checked_shl(self.sent).unwrap_or(u32::MAX).min(16);
        let jitter = Duration::from_millis(u64::from(draw % 2001));
        self.due = now + doubled.min(LONGEST_WAIT) + jitter - Duration::from_secs(1);
        self.sent = self.sent.saturating_add(1);
    }

    fn send(&mut self, kind: Kind, to: Ipv4Addr, now: Duration, fill: impl FnOnce(&mut Message)) -> Step {
        self.attempts = self.attempts.saturating_add(1);
        let mut options = Options::default();
        options.set(code::PARAMETER_LIST, WANTED);
        options.set(code::MAX_SIZE, (LARGEST + 28).to_be_bytes());
        options.set(code::VENDOR_CLASS, *b"assay");
        // Type and Ethernet address, as firmware and iPXE send it: the same lease for all of them.
        options.set(code::CLIENT_ID, [&[1], self.mac.0.as_slice()].concat());
        let mut message = Message {
            op: Op::Request,
            xid: self.xid,
            secs: u16::try_from(now.saturating_sub(self.began).as_secs()).unwrap_or(u16::MAX),
            broadcast: true,
            client: Ipv4Addr::UNSPECIFIED,
            yours: Ipv4Addr::UNSPECIFIED,
            mac: self.mac,
            kind,
            options,
        };
        fill(&mut message);
        Step::Send(Sending { to: (to, SERVER_PORT).into(), packet: message.packet() })
    }
}
