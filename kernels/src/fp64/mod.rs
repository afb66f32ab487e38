//! FP64 multiply-add chains: the rate of the double-precision units, every answer compared bit for bit.
//!
//! The map of [`crate::fp32`] in double precision: [`CHAINS`] chains `x = fma(x, x, c)`, the bits of each hashed as two
//! words. A fault is planted in the low word of the first chain. Buffers as in [`crate::chain`].

pub mod reference;

use crate::chain::expected_chains;
pub use crate::chain::{Expected, Work};
pub use crate::fp32::Rounding;
use crate::{Cost, Feature, Kernel};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "fp64",
    bindings: 2,
    table: false,
    // The second for its bits.
    needs: &[Feature::Float64, Feature::Int64],
    specialized: 2,
    spirv: include_bytes!("../../spirv/fp64.spv"),
    wgsl: Some(concat!(
        include_str!("../params_2.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("fp64.wgsl")
    )),
    reference: reference::run,
};

/// Independent chains of one invocation: four vectors of four.
pub const CHAINS: u32 = 16;

/// The cost of a dispatch, in floating-point operations; a multiply-add is two.
pub fn cost(work: &Work) -> Cost {
    Cost { operations: work.steps_in_all() * u64::from(CHAINS) * 2, bytes: 0 }
}

/// What a dispatch with the first so many chains (0: all) must answer on a device that rounds so.
pub fn expected(work: &Work, chains: u32, rounding: Rounding) -> Expected {
    expected_chains(work, chains, |lane| reference::Chains::start(work.seed, lane, rounding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chains as _;
    use crate::mix::mix32;

    #[test]
    fn chains_stay_within_two_and_nearly_every_flip_of_any_bit_is_carried_to_the_end() {
        for rounding in [Rounding::Fused, Rounding::Separate] {
            let flips = 4000;
            let carried = (0..flips).filter(|number| {
                let mut clean = reference::Chains::start(*number, 17, rounding);
                clean.steps(40);
                assert!(clean.x.iter().all(|x| x.abs() <= 2.0));
                let mut flipped = clean.clone();
                flipped.x[0] = f64::from_bits(flipped.x[0].to_bits() ^ 1 << (mix32(*number) % 64));
                clean.steps(160);
                flipped.steps(160);
                clean.fold(0) != flipped.fold(0)
            });
            let carried = carried.count();
            assert!(carried * 100 >= flips as usize * 95, "{carried} of {flips}, {rounding:?}");
        }
    }
}
