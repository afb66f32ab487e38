//! Bounds on what one source, or one kind of refusal, may use: a bucket of permits for each that fills up by time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

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
    by_key: Mutex<HashMap<K, Bucket>>,
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
        Self { rate, keys_max, by_key: Mutex::new(HashMap::new()) }
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
        if by_key.len() >= self.keys_max && !by_key.contains_key(&key) {
            by_key.retain(|_, bucket| filled(bucket) < burst || bucket.dropped > 0);
            if by_key.len() >= self.keys_max {
                return Err(Exhausted);
            }
        }
        let bucket = by_key.entry(key).or_insert(Bucket { permits: burst, at: now, dropped: 0 });
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
        if let Some(bucket) = self.by_key.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key) {
            bucket.dropped = bucket.dropped.saturating_add(count);
        }
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
    use std::time::Duration;

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
        assert_eq!(buckets.by_key.lock().unwrap().len(), 1);
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
