//! FP32 multiply-add chains: the rate of the floating-point units, every answer compared bit for bit.
//!
//! Each invocation runs [`CHAINS`] chains `x = fma(x, x, c)` with c between -1.99 and -1.93: a chaotic map that stays
//! within -2 to 2, keeps every mantissa bit busy and carries an error to the end (a contracting chain forgets it). It
//! reads two registers, so that register ports are not the limit. Every workgroup does the same work with its own stamp.
//! Buffers as in [`crate::digest`].
//!
//! A device may fuse the multiply-add or round twice; Vulkan allows both for `fma`. [`Rounding`] names the two, and a
//! device must do one of them throughout.

pub mod reference;

use crate::mix::{digest64, mix32, stamp};
use crate::{Cost, Kernel, Params, SelfFault, WORKGROUP_SIZE};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "fp32",
    bindings: 2,
    spirv: include_bytes!("../../spirv/fp32.spv"),
    wgsl: include_str!("fp32.wgsl"),
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

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Start of all chains; another in every dispatch.
    pub seed: u32,
    /// Steps of each chain; even.
    pub steps: u32,
    /// Workgroups.
    pub workgroups: u32,
}

impl Work {
    /// Parameters of the dispatch, with a fault planted or not.
    pub fn params(&self, fault: SelfFault) -> Params {
        let [kind, workgroup, lane, mask] = fault.words();
        [self.seed, self.steps, kind, workgroup, lane, mask, 0, 0, 0, 0, 0, 0]
    }

    /// Its cost, in floating-point operations; a multiply-add is two.
    pub fn cost(&self) -> Cost {
        let invocations = u64::from(self.workgroups) * u64::from(WORKGROUP_SIZE);
        Cost { operations: invocations * u64::from(CHAINS) * u64::from(self.steps) * 2, bytes: 0 }
    }

    /// Words of buffer 0.
    pub fn lanes(&self) -> usize {
        self.workgroups as usize * WORKGROUP_SIZE as usize
    }

    /// Words of buffer 1.
    pub fn groups(&self) -> usize {
        1 + self.workgroups as usize
    }

    /// What the dispatch must answer on a device that rounds so.
    pub fn expected(&self, rounding: Rounding) -> Expected {
        let folds = (0..WORKGROUP_SIZE).map(|lane| {
            let mut chains = reference::start(self.seed, lane);
            reference::steps(&mut chains, self.steps, rounding);
            reference::fold(&chains)
        });
        Expected { seed: self.seed, folds: folds.collect() }
    }
}

/// The right answers of a dispatch.
#[derive(Clone, Debug)]
pub struct Expected {
    seed: u32,
    folds: Vec<u32>,
}

impl Expected {
    /// The word that buffer 0 must hold for this lane of this workgroup.
    pub fn lane(&self, workgroup: u32, lane: u32) -> u32 {
        mix32(self.folds[lane as usize] ^ stamp(self.seed, workgroup))
    }

    /// The digest of a whole dispatch.
    pub fn digest(&self, workgroups: u32) -> u64 {
        digest64(
            (0..workgroups).flat_map(|group| (0..WORKGROUP_SIZE).map(move |lane| self.lane(group, lane))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Work = Work { seed: 11, steps: 256, workgroups: 5 };

    fn run(fault: SelfFault) -> Vec<u32> {
        let mut lanes = vec![0; WORK.lanes()];
        let mut groups = vec![0; WORK.groups()];
        reference::run(&mut [&mut lanes, &mut groups], &WORK.params(fault), WORK.workgroups);
        assert_eq!(groups[0], WORK.workgroups);
        lanes
    }

    #[test]
    fn the_reference_gives_what_is_expected_of_a_fused_device() {
        assert_eq!(digest64(run(SelfFault::None)), WORK.expected(Rounding::Fused).digest(WORK.workgroups));
        assert_ne!(digest64(run(SelfFault::None)), WORK.expected(Rounding::Separate).digest(WORK.workgroups));
    }

    #[test]
    fn chains_stay_within_two_and_do_not_settle() {
        for rounding in [Rounding::Fused, Rounding::Separate] {
            let mut chains = reference::start(3, 17);
            reference::steps(&mut chains, 10_000, rounding);
            let before = chains;
            reference::steps(&mut chains, 1, rounding);
            assert!(chains.iter().all(|x| x.abs() <= 2.0));
            assert!(chains.iter().zip(before).all(|(after, before)| after.to_bits() != before.to_bits()));
        }
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
