//! The digest kernel on the processor.

use std::ops::Range;

use crate::chain;
use crate::mix::{GOLDEN, mix32};
use crate::{Params, SelfFault, WORKGROUP_SIZE};

use super::CLASSES;

/// First word of a chain.
pub(super) fn start(seed: u32, class: u32, lane: u32) -> u32 {
    mix32((class * WORKGROUP_SIZE + lane).wrapping_mul(GOLDEN) ^ seed)
}

/// So many bijective steps. The multiplier is Knuth's MMIX multiplier cut to 32 bits (odd, 5 mod 8), the increment the
/// first fraction bits of the square root of 2.
pub(super) fn steps(word: u32, count: u32) -> u32 {
    (0..count).fold(word, |x, _| {
        let y = x.wrapping_mul(0x4c95_7f2d).wrapping_add(0x6a09_e667);
        y ^ (y >> 15)
    })
}

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let (seed, count) = (params[2], params[3]);
    chain::run(buffers, params, workgroups, |workgroup, lane| {
        let middle = steps(start(seed, workgroup % CLASSES, lane), count / 2);
        steps(SelfFault::apply(params, workgroup, lane, middle), count / 2)
    });
}
