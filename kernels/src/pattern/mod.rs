//! Memory pattern: write a value that follows from the address, read it back and compare, word by word.
//!
//! The value of word n is `n * multiplier ^ mask` (wrapping). An odd multiplier gives every address its own value (*own
//! address*: aliasing and decoder faults); multiplier 0 gives one value everywhere, and with [`Op::VerifyInvert`] the
//! *moving inversions* (each bit seen at 0 and at 1). It costs a multiplication and an exclusive or a word, so that memory,
//! not arithmetic, sets the pace.
//!
//! Buffer 0: the memory under test. Buffer 1, of [`ERROR_WORDS`] words: quads compared, wrong words, union of wrong bits,
//! records claimed, then [`RECORDS_MAX`] records of word number, expected, found, workgroup. A *quad* is four words.

pub mod reference;

use crate::mix::GOLDEN;
use crate::{Cost, Kernel, Params, WORKGROUP_SIZE, WORKGROUPS_MAX};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "pattern",
    bindings: 2,
    table: false,
    needs: &[],
    specialized: 1,
    spirv: include_bytes!("../../spirv/pattern.spv"),
    wgsl: Some(include_str!("pattern.wgsl")),
    reference: reference::run,
};

/// Quads that one invocation handles.
pub const QUADS_PER_LANE: u32 = 16;
/// Quads that one workgroup handles: 16 KiB.
pub const QUADS_PER_WORKGROUP: u32 = QUADS_PER_LANE * WORKGROUP_SIZE;
/// Most bytes that one dispatch handles, rounded down to a power of two: 512 MiB.
pub const BYTES_MAX: u64 = 512 << 20;
/// How many mismatches are kept.
pub const RECORDS_MAX: u32 = 64;
/// Words of the error buffer.
pub const ERROR_WORDS: usize = 4 + 4 * RECORDS_MAX as usize;

const _: () = assert!(BYTES_MAX / 16 / QUADS_PER_WORKGROUP as u64 <= WORKGROUPS_MAX as u64);

/// What a dispatch does with the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Write the pattern.
    Write,
    /// Compare with the pattern.
    Verify,
    /// Compare with the pattern, then write its complement.
    VerifyInvert,
    /// Flip the bits of `mask` in one word: a planted fault.
    Flip {
        /// Which word of the buffer.
        word: u32,
        /// Which bits.
        mask: u32,
    },
}

/// The values to be written or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Factor of the word's number: odd for own address, 0 for one value everywhere.
    pub multiplier: u32,
    /// Exclusive or.
    pub mask: u32,
}

impl Pattern {
    /// Every word has a value of its own, another for each mask.
    pub const fn own_address(mask: u32) -> Self {
        Self { multiplier: GOLDEN, mask }
    }

    /// One value everywhere.
    pub const fn uniform(value: u32) -> Self {
        Self { multiplier: 0, mask: value }
    }

    /// Each word inverted.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self { mask: !self.mask, ..self }
    }

    /// The value of word n.
    pub const fn value(self, word: u32) -> u32 {
        word.wrapping_mul(self.multiplier) ^ self.mask
    }
}

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What to do.
    pub op: Op,
    /// The values.
    pub pattern: Pattern,
    /// Number of the buffer's first word among all that are tested; wraps after 16 GiB, where the caller changes the mask.
    pub base_word: u32,
    /// Quads of the buffer.
    pub quads: u32,
}

impl Work {
    /// Parameters of the dispatch.
    pub fn params(&self) -> Params {
        let (op, word, mask) = match self.op {
            Op::Write => (0, 0, 0),
            Op::Verify => (1, 0, 0),
            Op::VerifyInvert => (2, 0, 0),
            Op::Flip { word, mask } => (3, word, mask),
        };
        let Pattern { multiplier, mask: xor } = self.pattern;
        [op, self.quads, self.base_word, multiplier, xor, word, mask, 0, 0, 0, 0, 0]
    }

    /// Workgroups of the dispatch.
    pub fn workgroups(&self) -> u32 {
        if matches!(self.op, Op::Flip { .. }) { 1 } else { self.quads.div_ceil(QUADS_PER_WORKGROUP) }
    }

    /// Its cost, in bytes of device memory.
    pub fn cost(&self) -> Cost {
        let once = u64::from(self.quads) * 16;
        let bytes = match self.op {
            Op::Write | Op::Verify => once,
            Op::VerifyInvert => 2 * once,
            Op::Flip { .. } => 8,
        };
        Cost { operations: 0, bytes }
    }
}

/// One wrong word, as the kernel records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the buffer.
    pub word: u32,
    /// What should be there.
    pub expected: u32,
    /// What was found.
    pub found: u32,
    /// The workgroup that found it.
    pub workgroup: u32,
}

/// What the error buffer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    /// Bytes compared, counted by the invocations that compared them.
    pub compared_bytes: u64,
    /// Wrong words.
    pub count: u64,
    /// Union of all wrong bits.
    pub bits: u32,
    /// The first of them, by word.
    pub records: Vec<Record>,
}

impl Errors {
    /// Reads the error buffer. Whichever of count, bits and claimed records says that something was wrong is believed.
    pub fn from_words(words: &[u32]) -> Self {
        let [quads, count, bits, claimed, records @ ..] = words else {
            panic!("an error buffer has four words at least")
        };
        let kept = records.chunks_exact(4).take(*claimed as usize);
        let mut records: Vec<_> =
            kept.map(|r| Record { word: r[0], expected: r[1], found: r[2], workgroup: r[3] }).collect();
        records.sort_by_key(|record| record.word);
        let count = u64::from((*count).max(*claimed).max(u32::from(*bits != 0)));
        Self { compared_bytes: u64::from(*quads) * 16, count, bits: *bits, records }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(work: &Work, memory: &mut [u32]) -> Errors {
        let mut errors = vec![0; ERROR_WORDS];
        reference::run(&mut [memory, &mut errors], &work.params(), 0..work.workgroups());
        Errors::from_words(&errors)
    }

    fn work(op: Op, pattern: Pattern, quads: u32) -> Work {
        Work { op, pattern, base_word: 4096, quads }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_found_at_its_place_and_nothing_else(quads in 1u32..3000, at: u32, mask in 1u32.., invert: bool, pattern: (u32, u32)) {
            let pattern = Pattern { multiplier: pattern.0, mask: pattern.1 };
            let mut memory = vec![0; quads as usize * 4];
            let word = at % (quads * 4);
            run(&work(Op::Write, pattern, quads), &mut memory);
            run(&work(Op::Flip { word, mask }, pattern, quads), &mut memory);
            let op = if invert { Op::VerifyInvert } else { Op::Verify };
            let found = run(&work(op, pattern, quads), &mut memory);
            let expected = pattern.value(4096 + word);
            prop_assert_eq!(found.compared_bytes, u64::from(quads) * 16);
            prop_assert_eq!((found.count, found.bits), (1, mask));
            let workgroup = word / 4 / QUADS_PER_WORKGROUP;
            prop_assert_eq!(found.records, [Record { word, expected, found: expected ^ mask, workgroup }]);
        }

        #[test]
        fn after_an_inverting_sweep_the_complement_is_there(quads in 1u32..3000, mask: u32) {
            let pattern = Pattern::own_address(mask);
            let mut memory = vec![0; quads as usize * 4];
            run(&work(Op::Write, pattern, quads), &mut memory);
            prop_assert_eq!(run(&work(Op::VerifyInvert, pattern, quads), &mut memory).count, 0);
            prop_assert_eq!(run(&work(Op::Verify, pattern.complement(), quads), &mut memory).count, 0);
        }
    }

    #[test]
    fn any_trace_of_an_error_counts_as_one() {
        for at in 1..4 {
            let mut words = [0; ERROR_WORDS];
            assert_eq!(Errors::from_words(&words).count, 0);
            words[at] = 1;
            assert!(Errors::from_words(&words).count >= 1, "word {at}");
        }
    }

    #[test]
    fn no_more_than_64_records_are_kept_and_all_are_counted() {
        let mut memory = vec![0; 4096 * 4];
        let found = run(&work(Op::Verify, Pattern::uniform(1), 4096), &mut memory);
        assert_eq!((found.count, found.records.len()), (4096 * 4, 64));
    }
}
