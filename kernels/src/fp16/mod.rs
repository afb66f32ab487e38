//! FP16 multiply-add chains: the rate of the packed half-precision units, every answer compared bit for bit.
//!
//! Eleven bits of mantissa are too few for the map of [`crate::fp32`]: its orbits merge within some hundred steps, and a
//! flipped sign is forgotten at once (of all single flips 87.6 % were carried in a simulation). So each of the [`CHAINS`]
//! chains is a Hénon map, x' = k - x^2 + 19/64 times the x before, which has an inverse; k is 1.4 and a little less. A step
//! is two multiply-adds, reads two registers each, and every [`BLOCK`] steps the bits of all chains go into a hash by a
//! bijection. Of all single flips more than 93 % are carried (a test holds them to it). Buffers as in [`crate::chain`].
//!
//! A device may fuse or round twice ([`Rounding`]), and must do one of them throughout, rounding to the nearest. One that
//! computes through FP32 gives the bits of one that fuses: no value of this map tells the two apart (a test tries them all).
//! Numbers below the least normal one, which devices may flush, cannot change a later value (they are added to numbers near
//! 1) and are hashed as zero.

pub mod half;
pub mod reference;

use crate::chain::expected_chains;
pub use crate::chain::{Expected, Work};
pub use crate::fp32::Rounding;
use crate::{Cost, Feature, Kernel};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "fp16",
    bindings: 2,
    table: false,
    needs: &[Feature::Float16],
    specialized: 2,
    spirv: include_bytes!("../../spirv/fp16.spv"),
    wgsl: Some(concat!(
        "enable f16;\n",
        include_str!("../params_2.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("fp16.wgsl")
    )),
    reference: reference::run,
};

/// Independent chains of one invocation: four vectors of four.
pub const CHAINS: u32 = 16;

/// Steps between two looks at the chains; half of the steps of a [`Work`] are a whole number of blocks.
pub const BLOCK: u32 = 32;

/// The cost of a dispatch, in floating-point operations: two multiply-adds for each chain and step.
pub fn cost(work: &Work) -> Cost {
    Cost { operations: work.steps_in_all() * u64::from(CHAINS) * 4, bytes: 0 }
}

/// What a dispatch with the first so many chains (0: all) must answer on a device that rounds so.
pub fn expected(work: &Work, chains: u32, rounding: Rounding) -> Expected {
    expected_chains(work, chains, |lane| reference::Chains::start(work.seed, lane, chains, rounding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chains as _;
    use crate::mix::mix32;

    const WAYS: [Rounding; 2] = [Rounding::Fused, Rounding::Separate];

    #[test]
    fn every_half_reads_back_as_itself_and_ties_go_to_even() {
        for bits in 0..=u16::MAX {
            let x = half::value(bits);
            assert!(x.is_nan() || half::bits(x) == bits, "{bits:#x}");
            assert!(x.is_nan() || half::rounded(x).to_bits() == x.to_bits(), "{bits:#x}");
        }
        for bits in 0..0x7bffu16 {
            let middle = f64::midpoint(half::value(bits), half::value(bits + 1));
            let rounded = |x| half::bits(half::rounded(x));
            assert_eq!(rounded(middle), bits + (bits & 1), "{bits:#x}");
            assert_eq!(rounded(middle * (1.0 - 1e-12)), bits);
            assert_eq!(rounded(-middle * (1.0 + 1e-12)), 0x8000 | (bits + 1));
        }
        assert_eq!(half::bits(half::rounded(65_520.0)), 0x7c00);
        assert_eq!(half::bits(half::rounded(65_519.0)), 0x7bff);
    }

    #[test]
    fn nearly_every_flip_of_any_bit_is_carried_whenever_it_comes() {
        for rounding in WAYS {
            let flips = 4000;
            let carried = (0..flips).filter(|number| {
                // Any chain, any bit; looked at only a whole block later.
                let mut clean = reference::Chains::start(*number, 17, 0, rounding);
                clean.steps(BLOCK * (1 + number % 5));
                let mut flipped = clean.clone();
                let x = &mut flipped.new[(number % CHAINS) as usize];
                *x = half::value(half::bits(*x) ^ 1 << (mix32(*number) % 16));
                clean.steps(128);
                flipped.steps(128);
                clean.fold(0) != flipped.fold(0)
            });
            let carried = carried.count();
            assert!(carried * 100 >= flips as usize * 93, "{carried} of {flips}, {rounding:?}");
        }
    }

    #[test]
    fn chains_stay_within_two_and_do_not_settle() {
        for rounding in WAYS {
            let mut chains = reference::Chains::start(3, 17, 0, rounding);
            let mut seen = std::collections::HashSet::new();
            for _ in 0..300 {
                chains.steps(BLOCK);
                assert!(chains.new.iter().all(|x| x.abs() <= 2.0));
                seen.insert(chains.new.map(half::bits));
            }
            assert!(seen.len() > 290, "{} states of {rounding:?}", seen.len());
        }
    }

    #[test]
    fn two_roundings_show_at_once() {
        let work = Work { seed: 5, steps: 128, workgroups: 1 };
        let [fused, separate] = WAYS.map(|way| expected(&work, 0, way).digest(1));
        assert_ne!(fused, separate);
    }

    #[test]
    fn no_value_of_the_map_tells_a_sum_through_fp32_from_one_rounded_once() {
        let halves = || (0..=u16::MAX).map(half::value).filter(|x| x.abs() <= 2.0);
        let same = |product: f64, c: f64| {
            #[expect(clippy::cast_possible_truncation, reason = "the rounding that is tried; both are exact")]
            let through = f64::from(product as f32 + c as f32);
            half::rounded(through).to_bits() == half::rounded(product + c).to_bits()
        };
        for chain in 0..CHAINS {
            let k = 359.0 / 256.0 - f64::from(chain) / 256.0;
            assert!(halves().all(|old| same(19.0 / 64.0 * old, k)), "chain {chain}");
        }
        // With values up to 2, which no chain exceeds, the rest lies within 1.34 - 0.6 and 1.41 + 0.6.
        for rest in halves().filter(|rest| (0.74..=2.0).contains(rest)) {
            assert!(halves().filter(|x| *x >= 0.0).all(|x| same(-x * x, rest)), "{rest}");
        }
    }
}
