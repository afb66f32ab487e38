//! Places for connections: so many at once, so many of one source, some kept for nodes that are nearly done, and fewer for
//! strangers the longer the server is late.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::source_of;

/// All places.
#[derive(Clone, Debug)]
pub(super) struct Places {
    total: usize,
    per_source: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_strangers: usize,
    /// Most places that strangers can have now.
    strangers_max: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guest {
    /// A node that owes a report.
    Finishing,
    /// Anybody else.
    Stranger,
}

/// Of all places, those that only nodes can have that are nearly done: one in so many.
const KEPT_FOR_FINISHING: usize = 4;
/// Least places of strangers: enough to keep a server busy, and few enough to make it no later.
const STRANGERS_MIN: usize = 32;
/// By so many places their share grows with each time that the server is not late.
const STRANGERS_STEP: usize = 4;

impl Places {
    pub(super) fn new(total: usize, per_source: usize) -> Self {
        let taken = Taken { strangers_max: Self::for_strangers(total), ..Taken::default() };
        Self { total, per_source, taken: Arc::new(Mutex::new(taken)) }
    }

    fn for_strangers(total: usize) -> usize {
        total - total / KEPT_FOR_FINISHING
    }

    /// Half as many places for strangers while the server is late, and then back step by step: all at once, those who were
    /// kept out would make it late again.
    pub(super) fn adapt(&self, late: bool) {
        let mut taken = lock(&self.taken);
        let most = Self::for_strangers(self.total);
        let wanted = if late { taken.strangers_max / 2 } else { taken.strangers_max + STRANGERS_STEP };
        taken.strangers_max = wanted.max(STRANGERS_MIN).min(most);
    }

    /// A place for one more connection, if there is one.
    pub(super) fn take(&self, address: IpAddr, guest: Guest) -> Option<Place> {
        let source = source_of(address);
        let mut taken = lock(&self.taken);
        let strangers_full = guest == Guest::Stranger && taken.by_strangers >= taken.strangers_max;
        let full = taken.total >= self.total || strangers_full;
        if full {
            return None;
        }
        let count = taken.by_source.entry(source).or_default();
        if *count >= self.per_source {
            return None;
        }
        *count += 1;
        taken.total += 1;
        let stranger = guest == Guest::Stranger;
        taken.by_strangers += usize::from(stranger);
        Some(Place { source, stranger, taken: Arc::clone(&self.taken) })
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    source: IpAddr,
    stranger: bool,
    taken: Arc<Mutex<Taken>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total -= 1;
        taken.by_strangers -= usize::from(self.stranger);
        if let Some(count) = taken.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_source_has_so_many_and_they_come_back() {
        let places = Places::new(100, 2);
        let first = places.take(from(1), Guest::Stranger).unwrap();
        let _second = places.take(from(1), Guest::Stranger).unwrap();
        assert!(places.take(from(1), Guest::Finishing).is_none());
        assert!(places.take(from(2), Guest::Stranger).is_some());
        drop(first);
        assert!(places.take(from(1), Guest::Stranger).is_some());
    }

    #[test]
    fn the_last_places_are_for_who_is_nearly_done() {
        let places = Places::new(8, 8);
        let mut held: Vec<_> = std::iter::from_fn(|| places.take(from(1), Guest::Stranger)).collect();
        assert_eq!(held.len(), 6);
        held.extend(std::iter::from_fn(|| places.take(from(2), Guest::Finishing)));
        assert_eq!(held.len(), 8);
        drop(held);
        let taken = lock(&places.taken);
        assert_eq!((taken.total, taken.by_strangers, taken.by_source.len()), (0, 0, 0));
    }

    #[test]
    fn a_late_server_takes_few_strangers_and_all_who_are_nearly_done() {
        let places = Places::new(1000, 1000);
        (0..20).for_each(|_| places.adapt(true));
        let strangers: Vec<_> = std::iter::from_fn(|| places.take(from(1), Guest::Stranger)).collect();
        assert_eq!(strangers.len(), STRANGERS_MIN);
        let finishing: Vec<_> = std::iter::from_fn(|| places.take(from(2), Guest::Finishing)).collect();
        assert_eq!(finishing.len(), 1000 - STRANGERS_MIN);
        drop(strangers);
        places.adapt(false);
        let strangers: Vec<_> = std::iter::from_fn(|| places.take(from(1), Guest::Stranger)).collect();
        assert_eq!(strangers.len(), STRANGERS_MIN.min(32), "only as many as there are places at all");
    }

    #[test]
    fn strangers_come_back_step_by_step_up_to_all_their_places() {
        let places = Places::new(100, 1000);
        places.adapt(true);
        assert_eq!(lock(&places.taken).strangers_max, 37);
        places.adapt(false);
        assert_eq!(lock(&places.taken).strangers_max, 41);
        (0..100).for_each(|_| places.adapt(false));
        assert_eq!(lock(&places.taken).strangers_max, 75);
    }
}
