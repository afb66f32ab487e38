//! The INT32 kernel on the processor.

use std::ops::Range;

use crate::Params;
use crate::chain::{self, first, fold, run_chains};
use crate::mix::{GOLDEN, mix32};

use super::{BLOCK, CHAINS};

/// The chains of one invocation.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    pub(super) x: [u32; CHAINS as usize],
    multiplier: u32,
    increment: u32,
}

impl Chains {
    /// First values, multiplier and increment: random bits.
    pub(super) fn start(seed: u32, lane: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "below 32")]
        let x =
            std::array::from_fn(|chain| mix32((lane * CHAINS + chain as u32).wrapping_mul(GOLDEN) ^ seed));
        Self { x, multiplier: mix32(seed) | 1, increment: mix32(seed.wrapping_add(GOLDEN)) | 1 }
    }
}

impl chain::Chains for Chains {
    fn steps(&mut self, count: u32) {
        for _ in 0..count / BLOCK {
            for _ in 0..BLOCK {
                for x in &mut self.x {
                    *x = x.wrapping_mul(self.multiplier).wrapping_add(self.increment);
                }
            }
            self.x.iter_mut().for_each(|x| *x ^= *x >> 15);
        }
    }

    fn plant(&mut self, fault: impl Fn(u32) -> u32) {
        self.x[0] = fault(self.x[0]);
    }

    fn fold(&self, chains: usize) -> u32 {
        first(&self.x, chains).iter().copied().fold(0, fold)
    }
}

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    run_chains(buffers, params, workgroups, |lane| Chains::start(params[2], lane));
}
