//! The FP16 kernel on the processor.

use std::ops::Range;

use crate::Params;
use crate::chain::{self, run_chains};
use crate::mix::{GOLDEN, mix32};

use super::half::{bits, rounded, value};
use super::{BLOCK, CHAINS, Rounding};

/// The chains of one invocation: the values, those before, and the hash so far.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    pub(super) new: [f64; CHAINS as usize],
    old: [f64; CHAINS as usize],
    hash: u32,
    used: usize,
    rounding: Rounding,
}

/// `a * b + c` of halves. Products and sums are exact in 64 bits within the range of the map.
#[inline]
fn multiply_add(a: f64, b: f64, c: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Fused => rounded(a * b + c),
        Rounding::Separate => rounded(rounded(a * b) + c),
    }
}

/// The bits as they are hashed: what a device may flush counts as zero.
fn seen(half: f64) -> u32 {
    let bits = bits(half);
    if bits & 0x7c00 == 0 { 0 } else { u32::from(bits) }
}

impl Chains {
    /// First values: 10 random bits as a number from -0.5 to 0.5; the ones before are zero.
    pub(super) fn start(seed: u32, lane: u32, chains: u32, rounding: Rounding) -> Self {
        let used = if chains == 0 { CHAINS } else { chains } as usize;
        let new = std::array::from_fn(|chain| {
            #[expect(clippy::cast_possible_truncation, reason = "below 16")]
            let number = lane * CHAINS + chain as u32;
            f64::from(mix32(number.wrapping_mul(GOLDEN) ^ seed) & 0x3ff) / 1024.0 - 0.5
        });
        Self { new, old: [0.0; CHAINS as usize], hash: 0, used, rounding }
    }

    /// A whole block with this rounding, so that the compiler sees one way at a time.
    #[inline]
    fn block(&mut self, rounding: Rounding) {
        #[expect(clippy::cast_precision_loss, reason = "below 16, exact")]
        let constants: [f64; CHAINS as usize] = std::array::from_fn(|n| 359.0 / 256.0 - n as f64 / 256.0);
        for _ in 0..BLOCK {
            for ((new, old), k) in self.new[..self.used].iter_mut().zip(&mut self.old).zip(constants) {
                let rest = multiply_add(19.0 / 64.0, *old, k, rounding);
                *old = *new;
                *new = multiply_add(-*new, *new, rest, rounding);
            }
        }
    }
}

impl chain::Chains for Chains {
    fn steps(&mut self, count: u32) {
        for _ in 0..count / BLOCK {
            match self.rounding {
                Rounding::Fused => self.block(Rounding::Fused),
                Rounding::Separate => self.block(Rounding::Separate),
            }
            for pair in self.new[..self.used].chunks_exact(2) {
                let word = seen(pair[0]) | seen(pair[1]) << 16;
                self.hash = self.hash.wrapping_mul(GOLDEN).wrapping_add(word);
            }
        }
    }

    fn plant(&mut self, fault: impl Fn(u32) -> u32) {
        let word = fault(u32::from(bits(self.new[0])) | u32::from(bits(self.new[1])) << 16);
        #[expect(clippy::cast_possible_truncation, reason = "low and high half")]
        let (low, high) = (word as u16, (word >> 16) as u16);
        (self.new[0], self.new[1]) = (value(low), value(high));
    }

    fn fold(&self, _chains: usize) -> u32 {
        self.hash
    }
}

/// Runs the kernel as a device that fuses.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    run_rounded(buffers, params, workgroups, Rounding::Fused);
}

/// Runs the kernel as a device that rounds so.
pub fn run_rounded(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>, rounding: Rounding) {
    run_chains(buffers, params, workgroups, |lane| Chains::start(params[2], lane, params[1], rounding));
}
