//! The INT64 kernel on the processor.

use std::ops::Range;

use crate::Params;
use crate::chain::{self, first, fold, run_chains};
use crate::mix::{GOLDEN, mix32};

use super::{BLOCK, CHAINS};

/// The chains of one invocation.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    pub(super) x: [u64; CHAINS as usize],
    multiplier: u64,
    increment: u64,
}

fn joined(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Low and high word.
#[expect(clippy::cast_possible_truncation, reason = "the words that are meant")]
fn parts(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

impl Chains {
    /// First values, multiplier and increment: random bits.
    pub(super) fn start(seed: u32, lane: u32) -> Self {
        let x = std::array::from_fn(|chain| {
            #[expect(clippy::cast_possible_truncation, reason = "below 16")]
            let low = mix32((lane * CHAINS + chain as u32).wrapping_mul(GOLDEN) ^ seed);
            joined(low, mix32(low.wrapping_add(GOLDEN)))
        });
        let random = |number: u32| mix32(seed.wrapping_add(number.wrapping_mul(GOLDEN)));
        Self { x, multiplier: joined(random(0) | 1, random(2)), increment: joined(random(1) | 1, random(3)) }
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
            self.x.iter_mut().for_each(|x| *x ^= *x >> 31);
        }
    }

    fn plant(&mut self, fault: impl Fn(u32) -> u32) {
        let [low, high] = parts(self.x[0]);
        self.x[0] = joined(fault(low), high);
    }

    fn fold(&self, chains: usize) -> u32 {
        first(&self.x, chains).iter().flat_map(|x| parts(*x)).fold(0, fold)
    }
}

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    run_chains(buffers, params, workgroups, |lane| Chains::start(params[2], lane));
}
