//! The pointer chase on the processor.

use std::ops::Range;

use crate::chain;
use crate::mix::mix32;
use crate::{Params, SelfFault};

use super::NODE_WORDS;

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let Some((answers, [nodes])) = buffers.split_at_mut_checked(2) else {
        panic!("a chase binds three buffers")
    };
    let (half, last, first) = (params[3] / 2, params[8], params[9]);
    let walk = |node: u32, count: u32| {
        (0..count).fold(node, |node, _| nodes[node as usize * NODE_WORDS as usize] & last)
    };
    chain::run(answers, params, workgroups, |workgroup, lane| {
        let count = if lane == 0 { half } else { 0 };
        let middle = walk(first.wrapping_add(lane) & last, count);
        mix32(walk(SelfFault::apply(params, workgroup, lane, middle) & last, count))
    });
}
