//! Dot products of packed signed 8-bit integers: the rate of the units that inference uses, one right answer on every
//! device.
//!
//! Each invocation has a ring of [`CHAINS`] accumulators `a += dot(b, m)`, where b is the next of the ring and m random
//! factors. Each step is a bijection of its accumulator, so the whole state is carried by bijections and an error is still
//! there at the end; and no operand is the same twice, so that no compiler can take the products out of the loop. Buffers as
//! in [`crate::chain`].

pub mod reference;

use crate::chain::expected_chains;
pub use crate::chain::{Expected, Work};
use crate::{Cost, Feature, Kernel};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "dot",
    bindings: 2,
    table: false,
    needs: &[Feature::DotProduct],
    specialized: 2,
    spirv: include_bytes!("../../spirv/dot.spv"),
    wgsl: Some(concat!(
        include_str!("../params_2.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("dot.wgsl")
    )),
    reference: reference::run,
};

/// Accumulators of one invocation.
pub const CHAINS: u32 = 8;

/// The cost of a dispatch, in integer operations: four products and four sums for each accumulator and step.
pub fn cost(work: &Work) -> Cost {
    Cost { operations: work.steps_in_all() * u64::from(CHAINS) * 8, bytes: 0 }
}

/// What a dispatch with a ring of so many accumulators (0: all) must answer.
pub fn expected(work: &Work, chains: u32) -> Expected {
    expected_chains(work, chains, |lane| reference::Chains::start(work.seed, lane, chains))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chains as _;

    #[test]
    fn every_flip_of_a_bit_is_carried_to_the_end() {
        for bit in 0..32 {
            for chains in [0, 4] {
                let mut clean = reference::Chains::start(bit, 5, chains);
                let mut flipped = clean.clone();
                flipped.x[bit as usize % 4] ^= 1 << bit;
                clean.steps(128);
                flipped.steps(128);
                assert_ne!(clean.fold(0), flipped.fold(0), "bit {bit}");
            }
        }
    }
}
