//! Heartbeats: kept in memory, written down for many nodes at once, and paced so that a large fleet asks no more of the
//! server than a small one.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use report::wire::heartbeat::Heartbeat;

use crate::refusal::Refusal;
use crate::store::Store;
use crate::store::engine::values;
use crate::store::tx::Tx;

/// Heartbeats per second that the whole fleet should send to one server.
const RATE_PER_S: i64 = 500;
/// Nodes that were not heard of for so long are forgotten here.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Nodes in one write.
const ROWS_MAX: usize = 1000;

/// What was heard.
#[derive(Debug, Default)]
pub struct Heartbeats {
    by_node: Mutex<HashMap<String, Heard>>,
    /// Spreads the nodes; it need not be the same tomorrow.
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Timestamp,
    count: u64,
    written: bool,
}

impl Heartbeats {
    /// A node lives; gives when to send the next. One that comes late or twice changes nothing.
    pub fn hear(&self, id: &str, beat: &Heartbeat, now: Timestamp, pace: SignedDuration) -> SignedDuration {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        match by_node.get_mut(id) {
            // The same again; a smaller count is that of a new boot.
            Some(heard) if beat.count == heard.count => {}
            Some(heard) => *heard = Heard { at: now, count: beat.count, written: false },
            None => {
                by_node.insert(id.to_owned(), Heard { at: now, count: beat.count, written: false });
            }
        }
        let nodes = i64::try_from(by_node.len()).unwrap_or(i64::MAX);
        drop(by_node);
        self.spread(id, beat.count, pace_for(nodes, pace))
    }

    /// Up to a tenth more or less, so that nodes that were powered on together do not stay together.
    fn spread(&self, id: &str, count: u64, pace: SignedDuration) -> SignedDuration {
        let part = i128::from(self.hasher.hash_one((id, count)) % 2001) - 1000;
        let ms = pace.as_millis() * (10_000 + part) / 10_000;
        SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// Nodes that are remembered.
    pub fn len(&self) -> usize {
        self.by_node.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is not written down yet; forgets those that are gone.
    fn take(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        by_node.retain(|_, heard| now.duration_since(heard.at) < FORGET_AFTER);
        let fresh = by_node.iter_mut().filter(|(_, heard)| !heard.written).map(|(id, heard)| {
            heard.written = true;
            (id.clone(), heard.at)
        });
        fresh.collect()
    }
}

/// The pace, slowed down where the fleet would send more than [`RATE_PER_S`].
fn pace_for(nodes: i64, pace: SignedDuration) -> SignedDuration {
    pace.max(SignedDuration::from_millis(nodes.saturating_mul(1000) / RATE_PER_S))
}

impl Store {
    /// Writes down when nodes were last heard of.
    pub async fn flush_heartbeats(&self, now: Timestamp) -> Result<(), Refusal> {
        let heard = self.heartbeats.take(now);
        for rows in heard.chunks(ROWS_MAX) {
            let (rows, policy) = (rows.to_vec(), self.policy);
            let work = move |tx: &Tx<'_>| {
                for (id, at) in &rows {
                    tx.run("UPDATE nodes SET heard_at_ms = ?2 WHERE id = ?1", values![id, *at])?;
                    super::refresh(tx, id, &policy)?;
                }
                Ok(())
            };
            self.submit(None, work).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: SignedDuration = SignedDuration::from_secs(30);
    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn beat(count: u64) -> Heartbeat {
        Heartbeat { phase: "burn_in".to_owned(), count }
    }

    #[test]
    fn a_large_fleet_is_slowed_down_so_that_the_server_hears_the_same_rate() {
        assert_eq!(pace_for(10, PACE), PACE);
        assert_eq!(pace_for(15_000, PACE), PACE);
        assert_eq!(pace_for(150_000, PACE), SignedDuration::from_secs(300));
    }

    #[test]
    fn nodes_are_spread_by_a_tenth() {
        let heartbeats = Heartbeats::default();
        let next: Vec<_> = (0..100)
            .map(|n| heartbeats.hear(&format!("node-{n}"), &beat(1), NOW, PACE).as_millis())
            .collect();
        assert!(next.iter().all(|ms| (27_000..=33_000).contains(ms)), "{next:?}");
        assert!(next.iter().max().unwrap() - next.iter().min().unwrap() > 2_000, "{next:?}");
    }

    #[test]
    fn what_was_heard_is_written_once_and_the_silent_are_forgotten() {
        let heartbeats = Heartbeats::default();
        heartbeats.hear("a", &beat(1), NOW, PACE);
        heartbeats.hear("b", &beat(1), NOW, PACE);
        assert_eq!(heartbeats.take(NOW).len(), 2);
        let later = NOW + SignedDuration::from_mins(59);
        heartbeats.hear("a", &beat(2), later, PACE);
        // Heard again, as a repetition: not later than it was.
        heartbeats.hear("b", &beat(1), later, PACE);
        assert_eq!(heartbeats.take(later), [("a".to_owned(), later)]);
        heartbeats.take(NOW + SignedDuration::from_mins(61));
        assert_eq!(heartbeats.len(), 1);
    }
}
