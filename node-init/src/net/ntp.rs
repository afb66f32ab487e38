//! The time from a server: a client of SNTP (RFC 4330), asked once at boot. It says how far the clock is off; who sets the
//! clock is the boot.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::Clock;

/// The port of NTP.
pub const PORT: u16 = 123;
const LENGTH: usize = 48;
/// Leap 0, version 4, mode 3 (client).
const CLIENT: u8 = 4 << 3 | 3;
const SERVER: u8 = 4;
/// Seconds from 1900, where NTP begins, to 1970.
const TO_UNIX: u64 = 2_208_988_800;
/// One turn of the 32 bits of seconds: the next era begins in 2036.
const ERA: u64 = 1 << 32;
/// An answer that was longer under way says too little.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(2);
/// How long a moment after the image was built is believed: thirty years.
const BELIEVED: Duration = Duration::from_secs(30 * 365 * 86_400);

/// How far the clock is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// True if the clock is behind: the time is to be added.
    pub behind: bool,
    /// By how much.
    pub by: Duration,
    /// The way there and back; the offset is wrong by half of it at most.
    pub round_trip: Duration,
    /// Distance of the server from a reference clock, 1 to 15.
    pub stratum: u8,
}

impl Offset {
    /// The true time, given what the clock says.
    pub fn apply(&self, clock: SystemTime) -> Option<SystemTime> {
        if self.behind { clock.checked_add(self.by) } else { clock.checked_sub(self.by) }
    }
}

/// Why a server's answer gives no time.
#[derive(Debug, thiserror::Error)]
pub enum NtpError {
    /// It could not be asked.
    #[error("asking NTP server {server}")]
    Io {
        /// The server.
        server: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It did not answer.
    #[error("NTP server {server} did not answer")]
    Silent {
        /// The server.
        server: SocketAddr,
    },
    /// It says that it is not to be asked (RFC 4330 §8), or does not know the time itself.
    #[error("the NTP server gives no time: {}", code.escape_ascii())]
    KissOfDeath {
        /// Its reason.
        code: [u8; 4],
    },
    /// It is no answer to what was asked.
    #[error("it is no answer of an NTP server to what was asked")]
    NotAnAnswer,
    /// The time cannot be true.
    #[error("the NTP server says a time before this image was built or long after it")]
    Implausible,
    /// The way was too long.
    #[error("the answer was {} ms under way", round_trip.as_millis())]
    TooLong {
        /// There and back.
        round_trip: Duration,
    },
}

/// The earliest time that can be now: when this image was built. A clock before it is set to it, so that certificates made
/// before the image are valid; none where the clock is later.
pub fn floor(clock: SystemTime, built: SystemTime) -> Option<SystemTime> {
    (clock < built).then_some(built)
}

/// Asks one server. `nonce` is a random number that the answer must carry, so that only who saw the question can answer.
/// `built` is when the image was built: no time before it is believed.
pub fn ask(
    server: SocketAddr,
    deadline: Duration,
    clock: &dyn Clock,
    nonce: u64,
    built: SystemTime,
) -> Result<Offset, NtpError> {
    let io = |cause| NtpError::Io { server, cause };
    let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).map_err(io)?;
    // Connected: packets of others do not come, and a closed port is told at once.
    socket.connect(server).map_err(io)?;
    let (started, sent) = (clock.now(), SystemTime::now());
    socket.send(&question(nonce)).map_err(io)?;
    let mut last = NtpError::Silent { server };
    loop {
        let left = (started + deadline).saturating_sub(clock.now());
        if left.is_zero() {
            return Err(last);
        }
        socket.set_read_timeout(Some(left)).map_err(io)?;
        let mut packet = [0; LENGTH * 4];
        match socket.recv(&mut packet) {
            Ok(length) => {
                let round_trip = clock.now() - started;
                match offset_from(packet.get(..length).unwrap_or_default(), nonce, sent, round_trip, built) {
                    // Forged or late: the true answer may still come.
                    Err(error @ NtpError::NotAnAnswer) => last = error,
                    done => return done,
                }
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(io(error)),
        }
    }
}

fn question(nonce: u64) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = CLIENT;
    packet[40..].copy_from_slice(&nonce.to_be_bytes());
    packet
}

/// Reads an answer. `sent` is what the clock said when the question went out, `round_trip` how long the answer took by a
/// clock that does not jump.
pub fn offset_from(
    packet: &[u8],
    nonce: u64,
    sent: SystemTime,
    round_trip: Duration,
    built: SystemTime,
) -> Result<Offset, NtpError> {
    let fixed = packet.first_chunk::<LENGTH>().ok_or(NtpError::NotAnAnswer)?;
    let stamp = |at: usize| u64::from_be_bytes(std::array::from_fn(|n| fixed[at + n]));
    let (leap, version, mode) = (fixed[0] >> 6, fixed[0] >> 3 & 7, fixed[0] & 7);
    if mode != SERVER || !(3..=4).contains(&version) || stamp(24) != nonce {
        return Err(NtpError::NotAnAnswer);
    }
    let stratum = fixed[1];
    if stratum == 0 {
        return Err(NtpError::KissOfDeath { code: std::array::from_fn(|n| fixed[12 + n]) });
    }
    if leap == 3 || stratum > 15 {
        return Err(NtpError::KissOfDeath { code: *b"SYNC" });
    }
    if round_trip > ROUND_TRIP_MAX {
        return Err(NtpError::TooLong { round_trip });
    }
    let (heard, answered) = (time(stamp(32), built), time(stamp(40), built));
    let (Some(heard), Some(answered)) = (heard, answered) else { return Err(NtpError::Implausible) };
    if stamp(40) == 0 || answered < heard || answered > built + BELIEVED {
        return Err(NtpError::Implausible);
    }
    // RFC 4330 §5 with T4 = T1 + round trip: the middle of the server's times against the middle of ours.
    let theirs = heard + (answered.duration_since(heard).unwrap_or_default() / 2);
    let ours = sent + round_trip / 2;
    let (behind, by) = match theirs.duration_since(ours) {
        Ok(by) => (true, by),
        Err(ahead) => (false, ahead.duration()),
    };
    Ok(Offset { behind, by, round_trip, stratum })
}

/// The first moment not before `built` that these 64 bits can mean: seconds since 1900 in some era, and a fraction.
fn time(stamp: u64, built: SystemTime) -> Option<SystemTime> {
    let (seconds, fraction) = (stamp >> 32, stamp & 0xffff_ffff);
    let nanoseconds = u32::try_from((fraction * 1_000_000_000) >> 32).ok()?;
    let built = built.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let eras = (built + TO_UNIX).checked_sub(seconds).map_or(0, |past| past.div_ceil(ERA));
    let unix = (seconds + eras * ERA).checked_sub(TO_UNIX)?;
    UNIX_EPOCH.checked_add(Duration::new(unix, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUILT: Duration = Duration::from_secs(1_780_000_000);

    fn stamp(unix: u64, fraction: u32) -> [u8; 8] {
        let seconds = (unix + TO_UNIX) % ERA;
        (seconds << 32 | u64::from(fraction)).to_be_bytes()
    }

    fn answer(unix: u64) -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        packet[..2].copy_from_slice(&[4 << 3 | SERVER, 2]);
        packet[24..32].copy_from_slice(&7_u64.to_be_bytes());
        packet[32..40].copy_from_slice(&stamp(unix, 0));
        packet[40..48].copy_from_slice(&stamp(unix, 1 << 31));
        packet
    }

    fn read(packet: &[u8], clock: u64) -> Result<Offset, NtpError> {
        let clock = UNIX_EPOCH + Duration::from_secs(clock);
        offset_from(packet, 7, clock, Duration::from_millis(100), UNIX_EPOCH + BUILT)
    }

    #[test]
    fn a_clock_behind_is_told_by_how_much() {
        let offset = read(&answer(1_790_000_000), 1_780_000_000).unwrap();
        assert!(offset.behind);
        assert_eq!(
            offset.by,
            Duration::from_millis(10_000_000_200),
            "a quarter second of theirs less 50 ms of ours"
        );
        let offset = read(&answer(1_790_000_000), 1_790_000_010).unwrap();
        assert!(!offset.behind);
        assert_eq!(offset.by, Duration::from_millis(9_800));
    }

    #[test]
    fn the_era_of_2036_is_understood() {
        let offset = read(&answer(2_100_000_000), 2_100_000_000).unwrap();
        assert!(offset.by < Duration::from_secs(1));
    }

    #[test]
    fn refusals_and_forgeries_are_told_apart() {
        let mut kiss = answer(1_790_000_000);
        kiss[1] = 0;
        kiss[12..16].copy_from_slice(b"RATE");
        assert!(matches!(read(&kiss, 0), Err(NtpError::KissOfDeath { code: [b'R', b'A', b'T', b'E'] })));
        let mut unsynchronized = answer(1_790_000_000);
        unsynchronized[0] |= 3 << 6;
        assert!(matches!(read(&unsynchronized, 0), Err(NtpError::KissOfDeath { .. })));
        let mut forged = answer(1_790_000_000);
        forged[31] = 8;
        assert!(matches!(read(&forged, 0), Err(NtpError::NotAnAnswer)));
        assert!(matches!(read(&forged[..47], 0), Err(NtpError::NotAnAnswer)));
    }

    #[test]
    fn a_time_before_the_image_or_long_after_it_is_not_believed() {
        assert!(matches!(read(&answer(1_779_999_000), 0), Err(NtpError::Implausible)));
        assert!(matches!(read(&answer(1_780_000_000 + 31 * 365 * 86_400), 0), Err(NtpError::Implausible)));
    }

    #[test]
    fn a_clock_before_the_image_is_lifted_to_it() {
        let built = UNIX_EPOCH + BUILT;
        assert_eq!(floor(UNIX_EPOCH, built), Some(built));
        assert_eq!(floor(built + Duration::from_secs(1), built), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(packet: Vec<u8>, tail: [u8; 32], clock in 0_u64..1 << 40) {
            let _ = read(&packet, clock);
            let mut near = answer(1_790_000_000);
            near[16..].copy_from_slice(&tail);
            near[24..32].copy_from_slice(&7_u64.to_be_bytes());
            let _ = read(&near, clock);
        }

        #[test]
        fn applying_the_offset_gives_the_servers_time(server in 1_780_000_000_u64..2_000_000_000, clock in 0_u64..4_000_000_000) {
            let offset = read(&answer(server), clock).unwrap();
            let set = offset.apply(UNIX_EPOCH + Duration::from_secs(clock) + Duration::from_millis(50)).unwrap();
            prop_assert_eq!(set, UNIX_EPOCH + Duration::from_secs(server) + Duration::from_millis(250));
        }
    }
}
