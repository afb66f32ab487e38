//! FP16 multiply-add chains: the rate of the packed half-precision units, every answer compared bit for bit.
//!
//! Eleven bits of mantissa are too few for the map of [`crate::fp32`]: its orbits merge within some hundred steps, and a
//! flipped sign is forgotten at once (of all single flips 87.6 % were carried in a simulation). So each of the [`CHAINS`]
//! chains is a Hénon map, x' = k - x^2 + 19/64 times the x before, which has an inverse; k is 1.4 and a little less. A step
//! is two multiply-adds, reads two registers each, and every [`BLOCK`] steps the bits of all chains go into a hash by a
//! bijection. Of all single flips more than 93 % are carried (a test holds them to it). Buffers as in [`crate::chain`].
//!
//! A device may fuse, round twice, or compute through FP32: [`Rounding`]. It must do one of them throughout, rounding to the
//! nearest. Numbers below the least normal one, which devices may flush, cannot change a later value (they are added to
//! numbers near 1) and are hashed as zero.

pub mod half;
pub mod reference;

use crate::chain::expected_chains;
pub use crate::chain::{Expected, Work};
use crate::{Cost, Feature, Kernel};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "fp16",
    bindings: 2,
    table: false,
    needs: &[Feature::Float16],
    specialized: 2,
    spirv: include_bytes!("../../spirv/fp16.spv"),
    wgsl: Some(concat!("enable f16;\n", include_str!("../chain.wgsl"), include_str!("fp16.wgsl"))),
    reference: reference::run,
};

/// Independent chains of one invocation: four vectors of four.
pub const CHAINS: u32 = 16;

/// Steps between two looks at the chains; half of the steps of a [`Work`] are a whole number of blocks.
pub const BLOCK: u32 = 32;

/// How a device rounds `fma` of halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Once, after the addition.
    Fused,
    /// After the multiplication and again after the addition.
    Separate,
    /// To FP32 after the addition, then to FP16.
    ThroughFp32,
}

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

    const WAYS: [Rounding; 3] = [Rounding::Fused, Rounding::Separate, Rounding::ThroughFp32];

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
    fn two_roundings_show_at_once_and_a_rounding_to_fp32_in_between_hardly_ever() {
        let work = Work { seed: 5, steps: 256, workgroups: 1 };
        let [fused, separate, _] = WAYS.map(|way| expected(&work, 0, way).digest(1));
        assert_ne!(fused, separate);
        // 24 bits are nearly enough for the sum; where it lies next to the middle between two halves they are not.
        let apart = |number: &u32| {
            let halves = [mix32(*number), mix32(*number) >> 16]
                .map(|bits| half::value(u16::try_from(bits & 0x3fff).unwrap()));
            let [one, _, other] = WAYS.map(|way| reference::multiply_add(halves[0], halves[1], 359.0 / 256.0, way));
            one.to_bits() != other.to_bits()
        };
        let differ = (0..2_000_000).filter(apart).count();
        assert!((1..1000).contains(&differ), "{differ} of 2000000 differ");
    }
}
