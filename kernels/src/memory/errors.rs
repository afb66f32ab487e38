//! What a sweep compared and found: the error buffer.
//!
//! Words: strips compared, wrong words, union of bits that were 1 and should be 0, union of bits that were 0 and should be
//! 1, wrong words of each of 64 regions, then [`RECORDS_MAX`] records of eight words: tile, word of the tile, expected,
//! found, workgroup, and the word as it was at three further looks. Everything adds up from sweep to sweep.

use super::{REGIONS, STRIP_BYTES};

/// How many wrong words are kept with their place.
pub const RECORDS_MAX: u32 = 512;
/// Words before the records.
pub const HEADER_WORDS: usize = 4 + REGIONS as usize;
/// Words of the error buffer.
pub const ERROR_WORDS: usize = HEADER_WORDS + RECORD_WORDS * RECORDS_MAX as usize;
const RECORD_WORDS: usize = 8;

/// One wrong word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Its tile, numbered among all that are tested.
    pub tile: u32,
    /// Which word of the tile.
    pub word: u32,
    /// What should be there.
    pub expected: u32,
    /// What was found.
    pub found: u32,
    /// The workgroup that found it.
    pub workgroup: u32,
    /// The word at three further looks, before anything was written to it.
    pub again: [u32; 3],
}

/// What the error buffer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    /// Strips compared, counted by the invocations that compared them; wraps.
    pub strips: u32,
    /// Wrong words; wraps.
    pub count: u32,
    /// Union of all bits that were 1 and should be 0.
    pub set: u32,
    /// Union of all bits that were 0 and should be 1.
    pub cleared: u32,
    /// Wrong words by region; each wraps.
    pub regions: Vec<u32>,
    /// The first of them, in the order in which they were found.
    pub records: Vec<Record>,
}

impl Errors {
    /// Reads the error buffer, or its header alone.
    ///
    /// # Panics
    /// If not even the header is there.
    pub fn from_words(words: &[u32]) -> Self {
        let ([strips, count, set, cleared, regions @ ..], records) = words.split_at(HEADER_WORDS) else {
            panic!("an error buffer has a header of {HEADER_WORDS} words")
        };
        let record = |r: &[u32]| Record {
            tile: r[0],
            word: r[1],
            expected: r[2],
            found: r[3],
            workgroup: r[4],
            again: [r[5], r[6], r[7]],
        };
        let kept = records.chunks_exact(RECORD_WORDS).take(*count as usize);
        Self {
            strips: *strips,
            count: *count,
            set: *set,
            cleared: *cleared,
            regions: regions.to_vec(),
            records: kept.map(record).collect(),
        }
    }

    /// Bytes compared.
    pub fn compared_bytes(&self) -> u64 {
        u64::from(self.strips) * STRIP_BYTES
    }
}

/// Puts a wrong word into the error buffer, as the kernel does.
pub(super) fn record(errors: &mut [u32], region: u32, entry: Record) {
    let wrong = entry.expected ^ entry.found;
    let at = errors[1] as usize;
    errors[1] = errors[1].wrapping_add(1);
    errors[2] |= wrong & !entry.expected;
    errors[3] |= wrong & entry.expected;
    let region = &mut errors[4 + region.min(REGIONS - 1) as usize];
    *region = region.wrapping_add(1);
    if at < RECORDS_MAX as usize {
        let at = HEADER_WORDS + RECORD_WORDS * at;
        let [a, b, c] = entry.again;
        let words = [entry.tile, entry.word, entry.expected, entry.found, entry.workgroup, a, b, c];
        errors[at..at + RECORD_WORDS].copy_from_slice(&words);
    }
}
