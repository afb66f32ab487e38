//! INT32 multiply-add chains: the rate of the integer multipliers, one right answer on every device.
//!
//! Each invocation runs [`CHAINS`] chains `x = x * m + n` with an odd m that the seed decides: near one multiply-add a step,
//! and a bijection, so that an error anywhere is still there at the end. Every [`BLOCK`] steps the high bits are mixed into
//! the low ones, which would else have short periods. Buffers as in [`crate::chain`].

pub mod reference;

use crate::chain::expected_chains;
pub use crate::chain::{Expected, Work};
use crate::{Cost, Kernel};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "int32",
    bindings: 2,
    table: false,
    needs: &[],
    specialized: 2,
    spirv: include_bytes!("../../spirv/int32.spv"),
    wgsl: Some(concat!(
        include_str!("../params_2.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("int32.wgsl")
    )),
    reference: reference::run,
};

/// Independent chains of one invocation: eight vectors of four.
pub const CHAINS: u32 = 32;

/// Multiply-adds between two mixings; half of the steps of a [`Work`] are a whole number of blocks.
pub const BLOCK: u32 = 32;

/// The cost of a dispatch, in integer operations: a multiply-add is two; the mixing is left out.
pub fn cost(work: &Work) -> Cost {
    Cost { operations: work.steps_in_all() * u64::from(CHAINS) * 2, bytes: 0 }
}

/// What a dispatch with the first so many chains (0: all) must answer.
pub fn expected(work: &Work, chains: u32) -> Expected {
    expected_chains(work, chains, |lane| reference::Chains::start(work.seed, lane))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chains as _;

    #[test]
    fn every_flip_of_a_bit_is_carried_to_the_end() {
        for bit in 0..32 {
            let mut clean = reference::Chains::start(bit, 5);
            let mut flipped = clean.clone();
            flipped.x[bit as usize % 32] ^= 1 << bit;
            clean.steps(128);
            flipped.steps(128);
            assert_ne!(clean.fold(0), flipped.fold(0), "bit {bit}");
        }
    }
}
