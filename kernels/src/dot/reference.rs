//! The dot-product kernel on the processor.

use std::ops::Range;

use crate::Params;
use crate::chain::{self, fold, run_chains};
use crate::mix::{GOLDEN, mix32};

use super::CHAINS;

/// The accumulators of one invocation.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    pub(super) x: Vec<u32>,
    factors: u32,
}

/// The sum of the products of four pairs of signed bytes.
fn dot4(a: u32, b: u32) -> u32 {
    let (a, b) = (a.to_le_bytes().map(u8::cast_signed), b.to_le_bytes().map(u8::cast_signed));
    a.into_iter().zip(b).map(|(a, b)| i32::from(a) * i32::from(b)).sum::<i32>().cast_unsigned()
}

impl Chains {
    /// First values and factors: random bits. The accumulators form a ring, so their number is part of the arithmetic.
    pub(super) fn start(seed: u32, lane: u32, chains: u32) -> Self {
        let used = if chains == 0 { CHAINS } else { chains };
        let x = (0..used).map(|chain| mix32((lane * CHAINS + chain).wrapping_mul(GOLDEN) ^ seed)).collect();
        Self { x, factors: mix32(seed.wrapping_add(lane.wrapping_mul(GOLDEN))) }
    }
}

impl chain::Chains for Chains {
    fn steps(&mut self, count: u32) {
        for _ in 0..count {
            for at in 0..self.x.len() {
                let next = self.x[(at + 1) % self.x.len()];
                self.x[at] = self.x[at].wrapping_add(dot4(next, self.factors));
            }
        }
    }

    fn plant(&mut self, fault: impl Fn(u32) -> u32) {
        self.x[0] = fault(self.x[0]);
    }

    fn fold(&self, _chains: usize) -> u32 {
        self.x.iter().copied().fold(0, fold)
    }
}

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    run_chains(buffers, params, workgroups, |lane| Chains::start(params[2], lane, params[1]));
}
