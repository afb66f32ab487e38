//! What sweeps compared and found: the error buffer, read after each dispatch that compares.

use kernels::memory::errors::HEADER_WORDS;
use kernels::memory::{ERROR_WORDS, Errors, LANES, RECORDS_MAX, REGIONS, Record, TILE_BYTES, Work};
use report::{Bytes, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError, Elapsed};
use crate::mismatches::{add, merge};
use crate::session::Session;

/// What a sweep took, compared and found.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// By the device's clock where every dispatch of it had one, and by the host's.
    pub elapsed: Option<Elapsed>,
    /// Bytes read and written.
    pub bytes: u64,
    /// What was compared and was wrong.
    pub found: Found,
}

/// What was compared and was wrong.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Bytes compared, counted by the invocations that compared them.
    pub compared_bytes: u64,
    /// The wrong words.
    pub wrong: Mismatches,
    /// Those of them that were recorded, with how they were at further looks.
    pub records: Vec<Record>,
    /// How many were wrong in each region.
    pub regions: Vec<u64>,
}

/// The error buffer, which adds up from dispatch to dispatch.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) buffer: Buffer,
    /// Its header as it was last read.
    seen: Errors,
}

/// What a dispatch was asked to compare.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Strips; wraps as the counter does.
    pub(super) strips: u32,
    /// Address of the first of them.
    pub(super) address: u64,
    /// How many tiles further on than their values say the words are.
    pub(super) ahead: u32,
}

impl Asked {
    pub(super) fn of(work: &Work, repeat: u32) -> Self {
        let strips = work.span.tiles.wrapping_mul(LANES).wrapping_mul(repeat);
        let first = work.span.base.wrapping_add(work.span.first);
        Self { strips, address: u64::from(first) * TILE_BYTES, ahead: 0 }
    }
}

impl Ledger {
    pub(super) fn allocate(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let buffer = session.device.allocate(Bytes(ERROR_WORDS as u64 * 4))?;
        Ok(Self { buffer, seen: Errors::from_words(&[0; HEADER_WORDS]) })
    }

    pub(super) fn forget(&mut self, session: &mut Session<'_>) -> Result<(), DeviceError> {
        self.seen = Errors::from_words(&[0; HEADER_WORDS]);
        session.write(self.buffer, &[0; ERROR_WORDS])
    }

    /// What a dispatch compared and found since the last time.
    pub(super) fn collect(
        &mut self,
        session: &mut Session<'_>,
        asked: Asked,
        pass: u32,
    ) -> Result<Found, DeviceError> {
        let now = Errors::from_words(&session.read(self.buffer, HEADER_WORDS)?);
        let count = now.count.wrapping_sub(self.seen.count);
        let strips = now.strips.wrapping_sub(self.seen.strips);
        let records = if count > 0 { self.records(session, asked.ahead)? } else { Vec::new() };
        let first = records.iter().take(Mismatches::KEPT_MAX).map(|record| mismatch(record, pass)).collect();
        let bits = if count > 0 { now.set | now.cleared } else { 0 };
        let by_region = now.regions.iter().zip(&self.seen.regions);
        let mut found = Found {
            compared_bytes: Errors { strips, ..now.clone() }.compared_bytes(),
            wrong: Mismatches { count: u64::from(count), bits, first },
            records,
            regions: by_region.map(|(now, before)| u64::from(now.wrapping_sub(*before))).collect(),
        };
        // Each counter wraps, their sum does not: the same high bit of two of them must not cancel.
        let in_regions = u32::try_from(found.regions.iter().sum::<u64>()).unwrap_or(u32::MAX);
        let silent = count > 0 || (now.set, now.cleared) == (self.seen.set, self.seen.cleared);
        // A comparison that did not run, or of fewer words, is as wrong as a word; so are counters that contradict each other.
        let counters = [(asked.strips, strips), (count, in_regions), (1, u32::from(silent))];
        for (expected, counted) in counters.into_iter().filter(|(expected, counted)| expected != counted) {
            let (byte_address, workgroup) = (asked.address, 0);
            add(&mut found.wrong, Mismatch { byte_address, expected, found: counted, workgroup, pass });
        }
        self.seen = now;
        Ok(found)
    }

    /// The records that came since the last time.
    fn records(&self, session: &mut Session<'_>, ahead: u32) -> Result<Vec<Record>, DeviceError> {
        let kept = self.seen.count.min(RECORDS_MAX) as usize;
        if kept == RECORDS_MAX as usize {
            return Ok(Vec::new());
        }
        let mut records =
            Errors::from_words(&session.read(self.buffer, ERROR_WORDS)?).records.split_off(kept);
        records.iter_mut().for_each(|record| record.tile = record.tile.wrapping_add(ahead));
        records.sort_unstable();
        Ok(records)
    }
}

/// A wrong word as it stands in a report.
fn mismatch(record: &Record, pass: u32) -> Mismatch {
    Mismatch {
        byte_address: u64::from(record.tile) * TILE_BYTES + u64::from(record.word) * 4,
        expected: record.expected,
        found: record.found,
        workgroup: record.workgroup,
        pass,
    }
}

impl Swept {
    /// Adds the time of another dispatch.
    pub(super) fn took(&mut self, more: Elapsed) {
        self.elapsed = Some(self.elapsed.map_or(more, |so_far| Elapsed {
            device: so_far.device.zip(more.device).map(|(a, b)| a + b),
            host: so_far.host + more.host,
        }));
    }
}

impl Found {
    /// Joins what another sweep compared and found.
    pub fn add(&mut self, more: Self) {
        self.compared_bytes += more.compared_bytes;
        merge(&mut self.wrong, more.wrong);
        self.records.extend(more.records);
        self.regions.resize(REGIONS as usize, 0);
        self.regions.iter_mut().zip(more.regions).for_each(|(region, more)| *region += more);
    }
}
