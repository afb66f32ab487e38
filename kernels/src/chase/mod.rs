//! Pointer chase: dependent loads, so that the time of one is the latency of whatever cache or memory the footprint fits in.
//!
//! Buffer 2 holds nodes of 64 bytes, a cache line of most devices, whose first words name the node to go to. All are one
//! cycle, x -> a x + c modulo their number, a power of two: with a = 1 modulo 4 and c odd it takes every node once before it
//! comes back (T. E. Hull and A. R. Dobell, Random Number Generators, SIAM Review 4, 1962), and neighbours lead far apart,
//! which no prefetcher foresees. Modulo a smaller power of two the same words are a cycle of fewer nodes: one table serves
//! every footprint. The law can be followed for any number of steps at once, so the right answer costs nothing; the device
//! has only the loads. Buffers 0 and 1 as in [`crate::chain`]; a step loses nothing, so an error anywhere is there at the end.

pub mod reference;

use crate::chain::{Expected, Shape, Work};
use crate::mix::mix32;
use crate::{Cost, Kernel, Params, SelfFault, WORKGROUP_SIZE};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "chase",
    bindings: 3,
    table: false,
    needs: &[],
    specialized: 2,
    spirv: include_bytes!("../../spirv/chase.spv"),
    wgsl: Some(concat!(
        include_str!("../params_3.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("chase.wgsl")
    )),
    reference: reference::run,
};

/// Words of a node.
pub const NODE_WORDS: u32 = 16;

/// The multiplier of P. L'Ecuyer's tables for 2^32 (Mathematics of Computation 68, 1999), and an odd increment: the first
/// fraction bits of the square root of 2.
const LAW: (u32, u32) = (0xac56_4b05, 0x6a09_e667);

/// A walk: dispatch, nodes (a power of two), and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Steps (of one invocation for each workgroup) and workgroups.
    pub work: Work,
    /// How many nodes the cycle has: a power of two.
    pub nodes: u32,
    /// The node at which the walking lane begins; taken modulo the nodes.
    pub first: u32,
}

impl Walk {
    /// Parameters of the dispatch.
    pub fn params(&self, fault: SelfFault) -> Params {
        let mut params = self.work.params_in(Shape::BASE, fault);
        params[8] = self.nodes - 1;
        params[9] = self.first;
        params
    }

    /// What it must answer.
    pub fn expected(&self) -> Expected {
        let last = self.nodes - 1;
        let words: Vec<u32> = (0..WORKGROUP_SIZE)
            .map(|lane| {
                let steps = if lane == 0 { self.work.steps / 2 * 2 } else { 0 };
                mix32(after(self.first.wrapping_add(lane), steps) & last)
            })
            .collect();
        Expected::new(self.work.seed, &words)
    }

    /// The node at which it ends.
    pub fn last(&self) -> u32 {
        after(self.first, self.work.steps / 2 * 2) & (self.nodes - 1)
    }

    /// Its cost: an operation is a load.
    pub fn cost(&self) -> Cost {
        let loads = u64::from(self.work.workgroups) * u64::from(self.work.steps / 2 * 2);
        Cost { operations: loads, bytes: loads * 4 }
    }
}

/// The words of these nodes, as buffer 2 holds them.
pub fn table(nodes: std::ops::Range<u32>) -> Vec<u32> {
    let mut words = vec![0; nodes.len() * NODE_WORDS as usize];
    for (place, node) in words.chunks_exact_mut(NODE_WORDS as usize).zip(nodes) {
        place[0] = after(node, 1);
    }
    words
}

/// Where so many steps lead: the law applied to itself, so that twice the steps cost one more turn.
fn after(node: u32, steps: u32) -> u32 {
    let ((mut multiplier, mut increment), mut node, mut left) = (LAW, node, steps);
    while left > 0 {
        if left & 1 == 1 {
            node = node.wrapping_mul(multiplier).wrapping_add(increment);
        }
        increment = increment.wrapping_mul(multiplier).wrapping_add(increment);
        multiplier = multiplier.wrapping_mul(multiplier);
        left >>= 1;
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_power_of_two_of_nodes_is_one_cycle() {
        for bits in [1u32, 2, 6, 12] {
            let nodes = 1 << bits;
            let mut seen: Vec<u32> = (0..nodes).map(|steps| after(3, steps) & (nodes - 1)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..nodes).collect::<Vec<_>>());
            assert_eq!(after(3, nodes) & (nodes - 1), 3 & (nodes - 1));
        }
    }

    #[test]
    fn many_steps_at_once_lead_where_single_ones_do() {
        let one_by_one = |steps| (0..steps).fold(77, |node, _| after(node, 1));
        for steps in [0, 1, 2, 3, 100, 4097] {
            assert_eq!(after(77, steps), one_by_one(steps));
        }
    }
}
