//! Figures of the fleet.

use jiff::Timestamp;

use crate::figures::{Fleet, cause_code};
use crate::lifecycle::State;
use crate::store::engine::values;
use crate::store::read::View;
use crate::store::{Store, StoreError};

/// Series of transitions that are told apart; a cause beyond them is `other`.
const SERIES_MAX: usize = 256;

impl View {
    /// How many nodes stand where, and for how long.
    pub fn figures(&self, now: Timestamp) -> Result<Fleet, StoreError> {
        let sql = "SELECT state, count(*), CAST(sum(?1 - since_ms) AS BIGINT), max(?1 - since_ms) FROM nodes GROUP BY state";
        let rows = self.all(sql, values![now], |row| {
            Ok((row.get::<String>(0)?, row.get(1)?, row.get::<i64>(2)?, row.get::<i64>(3)?))
        })?;
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let states = State::ALL.iter().map(|state| {
            let row = rows.iter().find(|(word, ..)| word == state.as_str());
            row.map_or((*state, 0, 0.0, 0.0), |(_, count, sum, max)| {
                (*state, *count, seconds(*sum), seconds(*max))
            })
        });
        Ok(Fleet { revision: self.head()?, audit_head: self.audit_head()?.id, states: states.collect() })
    }
}

impl Store {
    /// Counts the transitions that were written since it was last called, by whichever replica. The first call only
    /// remembers where to begin. Blocks on disk or network.
    pub fn count_transitions(&self) -> Result<(), StoreError> {
        let mut known = self.counters().transitions();
        let since = known.last;
        let last = self.view(|view| {
            view.one("SELECT coalesce(max(id), 0) FROM transitions", &[], |row| row.get::<u64>(0))
        })?;
        let last = last.unwrap_or(0);
        if !std::mem::replace(&mut known.begun, true) {
            known.last = last;
            return Ok(());
        }
        let sql = "SELECT coalesce(from_state, 'new'), to_state, cause, count(*) FROM transitions
                   WHERE id > ?1 AND id <= ?2 GROUP BY from_state, to_state, cause";
        let rows = self.view(|view| {
            view.all(sql, values![since, last], |row| {
                Ok((row.get::<String>(0)?, row.get::<String>(1)?, row.get::<String>(2)?, row.get::<u64>(3)?))
            })
        })?;
        known.last = last;
        for (from, to, cause, count) in rows {
            let mut key = (from, to, cause_code(&cause));
            if known.counts.len() >= SERIES_MAX && !known.counts.contains_key(&key) {
                key.2 = "other".to_owned();
            }
            *known.counts.entry(key).or_default() += count;
        }
        Ok(())
    }
}
