//! Memory stream: read, write and copy at the device's full bandwidth, and what was moved is compared.
//!
//! The data is the [`Pattern`] of own address with mask 0. A read adds each word times a weight that follows from
//! its number, one sum a workgroup, for which there is a closed form: within the 16 KiB of a workgroup no two words can be
//! exchanged and no single word be wrong without changing it. A write or a copy is compared afterwards by the `pattern` kernel.
//!
//! Buffer 0: source. Buffer 1: destination. Buffer 2, zero before: word 0 counts completed
//! workgroups, to word 1+n each read of workgroup n adds its sum.

pub mod reference;

use crate::pattern::{BYTES_MAX, Pattern, QUADS_PER_WORKGROUP};
use crate::{Cost, Kernel, Params, WORKGROUPS_MAX};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "stream",
    bindings: 3,
    table: false,
    needs: &[],
    specialized: 1,
    spirv: include_bytes!("../../spirv/stream.spv"),
    wgsl: Some(include_str!("stream.wgsl")),
    reference: reference::run,
};

const _: () = assert!(BYTES_MAX / 16 / QUADS_PER_WORKGROUP as u64 <= WORKGROUPS_MAX as u64);

/// The data that is streamed.
pub const PATTERN: Pattern = Pattern::own_address(0);

/// What a dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read the source.
    Read,
    /// Write the pattern to the destination.
    Write,
    /// Copy source to destination.
    Copy,
}

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What to do.
    pub op: Op,
    /// Quads (16 bytes) of each buffer; a multiple of [`QUADS_PER_WORKGROUP`].
    pub quads: u32,
}

impl Work {
    /// Parameters of the dispatch.
    pub fn params(&self) -> Params {
        let op = match self.op {
            Op::Read => 0,
            Op::Write => 1,
            Op::Copy => 2,
        };
        [op, self.quads, 0, PATTERN.multiplier, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// Workgroups of the dispatch.
    pub fn workgroups(&self) -> u32 {
        self.quads / QUADS_PER_WORKGROUP
    }

    /// Its cost, in bytes of device memory; a copy reads and writes.
    pub fn cost(&self) -> Cost {
        let once = u64::from(self.quads) * 16;
        Cost { operations: 0, bytes: if self.op == Op::Copy { 2 * once } else { once } }
    }

    /// Words of buffer 2.
    pub fn sums(&self) -> usize {
        1 + self.workgroups() as usize
    }
}

/// What word n weighs in a sum: odd, hence invertible, so that no single wrong word leaves the sum as it is.
pub(crate) const fn weight(word: u32) -> u32 {
    word.wrapping_mul(2).wrapping_add(1)
}

/// The sum of a workgroup that reads the pattern: the words of number n, each `n * multiplier`, times `2n + 1`.
///
/// The sum of 2n^2 + n from 0 to b-1 is (b-1)b(2b-1)/3 + (b-1)b/2, evaluated in 128 bits and cut to 32.
pub fn expected_sum(workgroup: u32) -> u32 {
    let words = u128::from(QUADS_PER_WORKGROUP) * 4;
    let below =
        |end: u128| if end == 0 { 0 } else { (end - 1) * end * (2 * end - 1) / 3 + (end - 1) * end / 2 };
    let first = u128::from(workgroup) * words;
    let sum = below(first + words) - below(first);
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's arithmetic wraps at 32 bits too")]
    let wrapped = (sum & u128::from(u32::MAX)) as u32;
    wrapped.wrapping_mul(PATTERN.multiplier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(source: &mut [u32]) -> Vec<u32> {
        let work = Work { op: Op::Read, quads: u32::try_from(source.len() / 4).unwrap() };
        let mut sums = vec![0; work.sums()];
        reference::run(&mut [source, &mut [], &mut sums], &work.params(), 0..work.workgroups());
        sums
    }

    fn pattern(workgroups: u32) -> Vec<u32> {
        (0..workgroups * QUADS_PER_WORKGROUP * 4).map(|word| PATTERN.value(word)).collect()
    }

    #[test]
    fn the_closed_form_is_the_sum() {
        let sums = read(&mut pattern(5));
        assert_eq!(sums[0], 5);
        assert_eq!(sums[1..], (0..5).map(expected_sum).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn one_wrong_word_or_two_exchanged_ones_change_the_sum(at in 0usize..4096, other in 0usize..4096, mask in 1u32..) {
            let mut wrong = pattern(1);
            wrong[at] ^= mask;
            prop_assert_ne!(read(&mut wrong)[1], expected_sum(0));
            prop_assume!(at != other);
            let mut exchanged = pattern(1);
            exchanged.swap(at, other);
            prop_assert_ne!(read(&mut exchanged)[1], expected_sum(0));
        }
    }

    #[test]
    fn sums_add_up_over_repeated_reads() {
        let mut source = pattern(2);
        let work = Work { op: Op::Read, quads: 2 * QUADS_PER_WORKGROUP };
        let mut sums = vec![0; work.sums()];
        for _ in 0..3 {
            reference::run(&mut [&mut source, &mut [], &mut sums], &work.params(), 0..work.workgroups());
        }
        assert_eq!(sums, [6, expected_sum(0).wrapping_mul(3), expected_sum(1).wrapping_mul(3)]);
    }

    #[test]
    fn a_copy_copies_and_a_write_writes() {
        let (mut source, mut target, mut sums) = (pattern(2), vec![0; 2 * 4096], vec![0; 3]);
        let work = |op| Work { op, quads: 2 * QUADS_PER_WORKGROUP };
        reference::run(&mut [&mut source, &mut target, &mut sums], &work(Op::Copy).params(), 0..2);
        assert_eq!(source, target);
        target.fill(0);
        reference::run(&mut [&mut source, &mut target, &mut sums], &work(Op::Write).params(), 0..2);
        assert_eq!(source, target);
        assert_eq!(sums[0], 4);
    }
}
