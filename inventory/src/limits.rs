//! Bounds on what one source, or one kind of refusal, may use: a bucket of permits for each that fills up by time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How fast permits come back, and how many can be saved up.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Permits per second.
    pub per_s: f64,
    /// Most permits at once.
    pub burst: f64,
}

/// No permit is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// Buckets by key. When there are too many keys, those that are full again are forgotten; if none is, new keys wait.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    keys_max: usize,
    by_key: Mutex<ByKey<K, Bucket>>,
}

/// A table of bounded size. Looking through all of it takes a while, so that it is not done for each key that is new.
#[derive(Debug)]
struct ByKey<K, V> {
    entries: HashMap<K, V>,
    looked_through: Option<Instant>,
}

/// Least time between two looks through a table that is full.
const LOOK_THROUGH_EVERY: Duration = Duration::from_secs(1);

impl<K, V> Default for ByKey<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), looked_through: None }
    }
}

impl<K: Eq + Hash, V> ByKey<K, V> {
    /// Is there room for the key? Forgets what may be forgotten if need be.
    fn has_room(&mut self, key: &K, max: usize, now: Instant, keep: impl Fn(&V) -> bool) -> bool {
        if self.entries.len() < max || self.entries.contains_key(key) {
            return true;
        }
        let lately = |at| now.saturating_duration_since(at) < LOOK_THROUGH_EVERY;
        if self.looked_through.is_some_and(lately) {
            return false;
        }
        self.looked_through = Some(now);
        self.entries.retain(|_, value| keep(value));
        self.entries.len() < max
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    permits: f64,
    at: Instant,
    dropped: u64,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Buckets for at most so many keys.
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Self { rate, keys_max, by_key: Mutex::default() }
    }

    /// Takes a permit; gives how many were refused since the last one that was given.
    pub fn take(&self, key: K) -> Result<u64, Exhausted> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: K, now: Instant) -> Result<u64, Exhausted> {
        let Rate { per_s, burst } = self.rate;
        let filled = |bucket: &Bucket| {
            (bucket.permits + now.saturating_duration_since(bucket.at).as_secs_f64() * per_s).min(burst)
        };
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if !by_key.has_room(&key, self.keys_max, now, |bucket| filled(bucket) < burst) {
            return Err(Exhausted);
        }
        let bucket = by_key.entries.entry(key).or_insert(Bucket { permits: burst, at: now, dropped: 0 });
        let permits = filled(bucket);
        if permits < 1.0 {
            *bucket = Bucket { permits, at: now, dropped: bucket.dropped.saturating_add(1) };
            return Err(Exhausted);
        }
        let dropped = bucket.dropped;
        *bucket = Bucket { permits: permits - 1.0, at: now, dropped: 0 };
        Ok(dropped)
    }

    /// Counts what was dropped although there was a permit for it.
    pub fn count_dropped(&self, key: K, count: u64) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = by_key.entries.get_mut(&key) {
            bucket.dropped = bucket.dropped.saturating_add(count);
        }
    }
}

/// What those who take connections must know of the requests: whose come from nodes that were let in and owe a report, and
/// whether there are too many.
///
/// Nodes that owe a report are nearly done, and go first when not all can be served. Who shares an address with one
/// (behind a NAT) goes first with it; it is a matter of order, not of trust.
#[derive(Debug, Default)]
pub struct Pressure {
    finishing: Mutex<ByKey<IpAddr, Instant>>,
    overloaded: AtomicBool,
}

/// A burn-in that takes longer loses its place in front.
const FINISHING_FOR: Duration = Duration::from_secs(24 * 3600);
/// Sources remembered.
const FINISHING_MAX: usize = 1 << 16;

impl Pressure {
    fn finishing(&self) -> MutexGuard<'_, ByKey<IpAddr, Instant>> {
        self.finishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was refused since there are too many.
    pub fn overloaded(&self) {
        self.overloaded.store(true, Ordering::Relaxed);
    }

    /// Was one refused since the last time that this was asked?
    pub fn was_overloaded(&self) -> bool {
        self.overloaded.swap(false, Ordering::Relaxed)
    }

    /// A node from there was let in.
    pub fn begin_finishing(&self, address: IpAddr) {
        self.begin_finishing_at(address, Instant::now());
    }

    fn begin_finishing_at(&self, address: IpAddr, now: Instant) {
        let (source, mut sources) = (source_of(address), self.finishing());
        let is_at_it = |since: &Instant| now.saturating_duration_since(*since) < FINISHING_FOR;
        // If all of them are still at it, one more is not remembered.
        if sources.has_room(&source, FINISHING_MAX, now, is_at_it) {
            sources.entries.insert(source, now);
        }
    }

    /// Its report is stored.
    pub fn end_finishing(&self, address: IpAddr) {
        self.finishing().entries.remove(&source_of(address));
    }

    /// Is a node from there nearly done?
    pub fn is_finishing(&self, address: IpAddr) -> bool {
        self.finishing().entries.contains_key(&source_of(address))
    }
}

/// What counts as one source: an IPv4 address, or the 64 bits of an IPv6 network (a single machine has all the rest).
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_s: 2.0, burst: 3.0 };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (buckets, start) = (Buckets::new(RATE, 10), Instant::now());
        let given = (0..10).filter(|_| buckets.take_at("a", start).is_ok()).count();
        assert_eq!(given, 3);
        assert_eq!(buckets.take_at("b", start), Ok(0));
        let later = start + Duration::from_secs(1);
        assert_eq!(buckets.take_at("a", later), Ok(7));
        assert_eq!(buckets.take_at("a", later), Ok(0));
        assert_eq!(buckets.take_at("a", later), Err(Exhausted));
    }

    #[test]
    fn a_flood_of_sources_takes_no_more_memory_than_allowed() {
        let (buckets, start) = (Buckets::new(RATE, 10), Instant::now());
        let given = (0..1000).filter(|source| buckets.take_at(*source, start).is_ok()).count();
        assert_eq!(given, 10);
        let later = start + Duration::from_secs(10);
        assert_eq!(buckets.take_at(5000, later), Ok(0));
        assert_eq!(buckets.by_key.lock().unwrap().entries.len(), 1);
    }

    #[test]
    fn who_owes_a_report_is_remembered_until_it_comes_and_memory_is_bounded() {
        let (pressure, start) = (Pressure::default(), Instant::now());
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        pressure.begin_finishing(address(1));
        assert!(pressure.is_finishing(address(1)) && !pressure.is_finishing(address(2)));
        pressure.end_finishing(address(1));
        assert!(!pressure.is_finishing(address(1)));
        (0..100_000).for_each(|n| pressure.begin_finishing_at(address(n), start));
        assert_eq!(pressure.finishing().entries.len(), FINISHING_MAX);
        pressure.begin_finishing_at(address(200_000), start + FINISHING_FOR);
        assert_eq!(pressure.finishing().entries.len(), 1);
    }

    #[test]
    fn one_machine_is_one_source_whatever_addresses_it_gives_itself() {
        let source = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
