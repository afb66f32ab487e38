//! Work, time and wrong words by compute unit, while a check runs.

use std::collections::BTreeMap;

use kernels::units::Place;
use report::{UnitHistogram, UnitLoad};

/// Times kept of a unit: enough for a median.
const TICKS_MAX: usize = 1024;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    units: BTreeMap<u32, Unit>,
}

#[derive(Debug, Default)]
struct Unit {
    workgroups: u64,
    mismatches: u64,
    ticks: Vec<u64>,
}

impl Seen {
    /// Counts the workgroups of a dispatch, by where each ran, and the wrong words of those that had some.
    pub(super) fn add(&mut self, places: &[Place], wrong: &[(u32, u64)]) {
        for place in places {
            self.units.entry(place.unit).or_default().workgroups += 1;
        }
        for (workgroup, words) in wrong {
            if let Some(place) = places.get(*workgroup as usize) {
                self.units.entry(place.unit).or_default().mismatches += words;
            }
        }
    }

    /// Keeps times of workgroups that all did the same work.
    pub(super) fn time(&mut self, places: &[Place]) {
        for place in places {
            let ticks = &mut self.units.entry(place.unit).or_default().ticks;
            if ticks.len() < TICKS_MAX {
                ticks.push(place.ticks);
            }
        }
    }

    /// As it stands in a report; `None` where no unit was seen.
    pub(super) fn histogram(self) -> Option<UnitHistogram> {
        let load = |(unit, mut seen): (u32, Unit)| {
            seen.ticks.sort_unstable();
            let median_ticks = seen.ticks.get(seen.ticks.len() / 2).copied().unwrap_or_default();
            UnitLoad { unit, workgroups: seen.workgroups, mismatches: seen.mismatches, median_ticks }
        };
        let units: Vec<_> = self.units.into_iter().map(load).collect();
        (!units.is_empty()).then_some(UnitHistogram { units })
    }
}
