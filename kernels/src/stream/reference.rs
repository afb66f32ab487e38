//! The stream kernel on the processor.

use std::ops::Range;

use crate::Params;
use crate::pattern::QUADS_PER_WORKGROUP;

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let [source, target, sums] = buffers else {
        panic!("the stream kernel binds three buffers, {} are bound", buffers.len())
    };
    let [op, _, _, multiplier, ..] = *params;
    let words = QUADS_PER_WORKGROUP * 4;
    for workgroup in workgroups {
        let first = workgroup * words;
        let tile = first as usize..(first + words) as usize;
        match op {
            0 => {
                let weighted = (first..).zip(&source[tile]);
                let sum = &mut sums[1 + workgroup as usize];
                *sum = weighted
                    .fold(*sum, |sum, (n, value)| sum.wrapping_add(value.wrapping_mul(super::weight(n))));
            }
            1 => (first..).zip(&mut target[tile]).for_each(|(n, value)| *value = n.wrapping_mul(multiplier)),
            _ => target[tile.clone()].copy_from_slice(&source[tile]),
        }
        sums[0] = sums[0].wrapping_add(1);
    }
}
