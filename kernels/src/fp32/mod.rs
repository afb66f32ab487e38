//! FP32 multiply-add chains: the rate of the floating-point units, every answer compared bit for bit.
//!
//! Each invocation runs [`CHAINS`] chains `x = fma(x, x, c)` with c between -1.99 and -1.93: a chaotic map that stays
//! within -2 to 2, keeps every mantissa bit busy and carries an error to the end (a contracting chain forgets it). It
//! reads two registers, so that register ports are not the limit. Every workgroup does the same work with its own stamp.
//! Buffers as in [`crate::chain`].
//!
//! A device may fuse the multiply-add or round twice; Vulkan allows both for `fma`. [`Rounding`] names the two, and a
//! device must do one of them throughout.

pub mod reference;

use crate::chain::expected_chains;
pub use crate::chain::{Expected, Work};
use crate::{Cost, Kernel};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "fp32",
    bindings: 2,
    table: false,
    needs: &[],
    specialized: 2,
    spirv: include_bytes!("../../spirv/fp32.spv"),
    wgsl: Some(concat!(
        include_str!("../params_2.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("fp32.wgsl")
    )),
    reference: reference::run,
};

/// Independent chains of one invocation: eight vectors of four.
pub const CHAINS: u32 = 32;

/// How a device rounds `fma`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Once, after the addition.
    Fused,
    /// After the multiplication and again after the addition.
    Separate,
}

/// The cost of a dispatch, in floating-point operations; a multiply-add is two.
pub fn cost(work: &Work) -> Cost {
    Cost { operations: work.steps_in_all() * u64::from(CHAINS) * 2, bytes: 0 }
}

/// What a dispatch must answer on a device that rounds so. Every workgroup does the same work.
pub fn expected(work: &Work, rounding: Rounding) -> Expected {
    expected_of(work, 0, rounding)
}

/// The same with the first so many chains (0: all).
pub fn expected_of(work: &Work, chains: u32, rounding: Rounding) -> Expected {
    expected_chains(work, chains, |lane| reference::Chains::start(work.seed, lane, rounding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SelfFault;
    use crate::chain::Chains as _;
    use crate::mix::{digest64, mix32};

    const WORK: Work = Work { seed: 11, steps: 256, workgroups: 5 };

    fn run(fault: SelfFault) -> Vec<u32> {
        let mut lanes = vec![0; WORK.lanes()];
        let mut groups = vec![0; WORK.groups()];
        reference::run(&mut [&mut lanes, &mut groups], &WORK.params(fault), 0..WORK.workgroups);
        assert_eq!(groups[0], WORK.workgroups);
        lanes
    }

    #[test]
    fn the_reference_gives_what_is_expected_of_a_fused_device() {
        assert_eq!(digest64(run(SelfFault::None)), expected(&WORK, Rounding::Fused).digest(WORK.workgroups));
        assert_ne!(
            digest64(run(SelfFault::None)),
            expected(&WORK, Rounding::Separate).digest(WORK.workgroups)
        );
    }

    #[test]
    fn chains_stay_within_two_and_do_not_settle() {
        for rounding in [Rounding::Fused, Rounding::Separate] {
            let mut chains = reference::Chains::start(3, 17, rounding);
            chains.steps(10_000);
            let before = chains.clone();
            chains.steps(1);
            assert!(chains.values().iter().all(|x| x.abs() <= 2.0));
            let mut pairs = chains.values().iter().zip(before.values());
            assert!(pairs.all(|(after, before)| after.to_bits() != before.to_bits()));
        }
    }

    #[test]
    fn one_rounding_is_that_of_the_processor_also_at_ties() {
        let hard = [0x3f80_0001u32, 0x3fff_ffff, 0x3580_0000, 0x3c80_1003, 0x3d12_3457, 0, 0x8000_0000];
        for number in 0..100_000u32 {
            let word = hard.get(number as usize).copied().unwrap_or(mix32(number));
            // Any value of the map, and what a flipped bit makes of one.
            let x = f32::from_bits(word);
            let c = -1.9375 - (number % 32) as f32 / 1024.0;
            let (found, right) = (reference::fused(x, c), x.mul_add(x, c));
            assert!(found.to_bits() == right.to_bits() || right.is_nan() && found.is_nan(), "{word:#x}");
        }
        // 2^-12 + 2^-24 squared lies in the middle between two sums, but for its last bits.
        let x = 2f32.powi(-12) + 2f32.powi(-30);
        assert_eq!(reference::fused(x, -1.9375), x.mul_add(x, -1.9375));
    }

    #[test]
    fn most_single_bit_flips_are_carried_to_the_end() {
        let clean = run(SelfFault::None);
        let seen = (0..31)
            .filter(|bit| run(SelfFault::Flip { workgroup: 2, lane: 40, mask: 1 << bit }) != clean)
            .count();
        assert!(seen >= 28, "{seen} of 31 flips were seen");
    }
}
