//! The reads on the processor.

use std::ops::Range;

use crate::chain::{self, fold};
use crate::mix::mix32;
use crate::{Params, SelfFault, WORKGROUP_SIZE};

use super::BLOCK;

/// What one invocation reads: where, and how it sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    first: u32,
    last: u32,
    shift: u32,
    sum: [u32; 4],
}

impl Lane {
    /// The lane of a workgroup before its first load.
    pub(super) fn new(params: &Params, workgroup: u32, lane: u32) -> Self {
        let all = params[3] / BLOCK * BLOCK;
        let part = (workgroup % params[9]).wrapping_mul(all).wrapping_mul(WORKGROUP_SIZE);
        let first = part.wrapping_add(mix32(params[2]) & !(WORKGROUP_SIZE - 1)).wrapping_add(lane);
        Self { first, last: params[8], shift: params[10], sum: [0; 4] }
    }

    /// These blocks of loads; `load` gives the four words of a place.
    pub(super) fn blocks(&mut self, blocks: Range<u32>, load: impl Fn(u32) -> [u32; 4]) {
        for block in blocks {
            let passed = block * (BLOCK * WORKGROUP_SIZE);
            let at = self.first.wrapping_add(passed).wrapping_add((passed >> self.shift).wrapping_mul(8));
            for n in 0..BLOCK {
                let words = load(at.wrapping_add(n * WORKGROUP_SIZE) & self.last);
                for (sum, word) in self.sum.iter_mut().zip(words) {
                    *sum = sum.wrapping_mul(5).wrapping_add(word);
                }
            }
        }
    }

    /// All loads as one word.
    pub(super) fn folded(&self) -> u32 {
        self.sum.into_iter().fold(0, fold)
    }
}

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let Some((answers, [words])) = buffers.split_at_mut_checked(2) else {
        panic!("a kernel that reads again binds three buffers")
    };
    let load = |at: u32| std::array::from_fn(|n| words[at as usize * 4 + n]);
    let all = params[3] / BLOCK;
    chain::run(answers, params, workgroups, |workgroup, lane| {
        let mut reader = Lane::new(params, workgroup, lane);
        reader.blocks(0..all / 2, load);
        reader.sum[0] = SelfFault::apply(params, workgroup, lane, reader.sum[0]);
        reader.blocks(all / 2..all, load);
        reader.folded()
    });
}
