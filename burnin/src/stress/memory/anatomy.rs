//! Takes errors apart: bits, directions, places, distances, passes, and whether a further look saw them too.

use std::collections::BTreeMap;

use kernels::memory::{Record, TILE_BYTES};
use report::{Anatomy, BitErrors, Bytes, PassErrors};

use crate::sweep::Found;

/// Distances that are looked for: 2^5 to 2^21 bytes.
const PERIODS: std::ops::RangeInclusive<u32> = 5..=21;

/// What all passes found.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) found: Found,
    /// Least that one pass compared.
    pub(super) least_compared: Option<u64>,
    passes: Vec<PassErrors>,
}

impl Evidence {
    /// Adds what one pass found.
    pub(super) fn add(&mut self, pass: u32, what: &str, found: Found) {
        let compared = found.compared_bytes;
        self.least_compared = Some(self.least_compared.map_or(compared, |least| least.min(compared)));
        if found.wrong.count > 0 {
            self.passes.push(PassErrors { pass, what: what.to_owned(), words: found.wrong.count });
        }
        self.found.add(found);
    }

    /// What the errors have in common; none where there are none.
    pub(super) fn anatomy(&self, region_bytes: Bytes) -> Option<Anatomy> {
        let records = &self.found.records;
        let looks = |want: fn(&Record) -> bool| records.iter().filter(|record| want(record)).count() as u64;
        let stored = looks(|record| record.again == [record.found; 3]);
        let transport = looks(|record| record.again == [record.expected; 3]);
        let recorded = records.len() as u64;
        (self.found.wrong.count > 0).then(|| Anatomy {
            words: self.found.wrong.count,
            recorded,
            bits: bits(records),
            regions: self.found.regions.clone(),
            region_bytes,
            period_bytes: period(records),
            passes: self.passes.clone(),
            stored,
            transport,
            unsteady: recorded - stored - transport,
        })
    }
}

fn bits(records: &[Record]) -> Vec<BitErrors> {
    let of_bit = |bit: u32| {
        let wrong = records.iter().filter(|record| (record.expected ^ record.found) >> bit & 1 == 1);
        let (set, cleared): (Vec<&Record>, Vec<&Record>) =
            wrong.partition(|record| record.found >> bit & 1 == 1);
        BitErrors { bit, set: set.len() as u64, cleared: cleared.len() as u64 }
    };
    (0..32).map(of_bit).filter(|errors| errors.set + errors.cleared > 0).collect()
}

/// The largest power of two that divides every distance between places, if there are three places at least.
fn period(records: &[Record]) -> Option<Bytes> {
    let place = |record: &Record| (u64::from(record.tile) * TILE_BYTES + u64::from(record.word) * 4, ());
    let places: BTreeMap<u64, ()> = records.iter().map(place).collect();
    let first = *places.keys().next()?;
    let differences = places.keys().fold(0, |all, place| all | (place ^ first));
    let power = differences.trailing_zeros();
    (places.len() >= 3 && power >= *PERIODS.start()).then(|| Bytes(1 << power.min(*PERIODS.end())))
}
