//! Exact integer digest: chains of bijective integer steps, one right answer on every device.
//!
//! Every step is a bijection of the 32-bit word, so an error anywhere in a chain is still there at its end. Workgroups
//! repeat [`CLASSES`] classes of work, so that the processor need not compute all; each result is stamped with dispatch
//! and workgroup, so that a stale or exchanged tile is seen. Buffer 0: one word for each invocation. Buffer 1,
//! zero before: word 0 counts completed workgroups, to word 1+n each run of workgroup n adds its digest, so that with
//! repeated dispatches it carries them all.

pub mod reference;

use crate::mix::{digest64, mix32, stamp};
use crate::{Cost, Kernel, Params, SelfFault, WORKGROUP_SIZE};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "digest",
    bindings: 2,
    spirv: include_bytes!("../../spirv/digest.spv"),
    wgsl: include_str!("digest.wgsl"),
    reference: reference::run,
};

/// Different classes of work: workgroup n does class n mod `CLASSES`.
pub const CLASSES: u32 = 16;

/// Integer operations of one step: multiply, add, shift, exclusive or.
const OPERATIONS_PER_STEP: u64 = 4;

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

    /// Its cost, in integer operations.
    pub fn cost(&self) -> Cost {
        let invocations = u64::from(self.workgroups) * u64::from(WORKGROUP_SIZE);
        Cost { operations: invocations * u64::from(self.steps) * OPERATIONS_PER_STEP, bytes: 0 }
    }

    /// Words of buffer 0.
    pub fn lanes(&self) -> usize {
        self.workgroups as usize * WORKGROUP_SIZE as usize
    }

    /// Words of buffer 1.
    pub fn groups(&self) -> usize {
        1 + self.workgroups as usize
    }

    /// What the dispatch must answer.
    pub fn expected(&self) -> Expected {
        let chains = (0..CLASSES * WORKGROUP_SIZE).map(|chain| {
            let start = reference::start(self.seed, chain / WORKGROUP_SIZE, chain % WORKGROUP_SIZE);
            reference::steps(start, self.steps)
        });
        Expected { seed: self.seed, chains: chains.collect() }
    }
}

/// The right answers of a dispatch.
#[derive(Clone, Debug)]
pub struct Expected {
    seed: u32,
    chains: Vec<u32>,
}

impl Expected {
    /// The word that buffer 0 must hold for this lane of this workgroup.
    pub fn lane(&self, workgroup: u32, lane: u32) -> u32 {
        let chain = self.chains[((workgroup % CLASSES) * WORKGROUP_SIZE + lane) as usize];
        mix32(chain ^ stamp(self.seed, workgroup))
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

    const WORK: Work = Work { seed: 7, steps: 64, workgroups: 40 };

    fn run(fault: SelfFault) -> (Vec<u32>, Vec<u32>) {
        let mut lanes = vec![0; WORK.lanes()];
        let mut groups = vec![0; WORK.groups()];
        reference::run(&mut [&mut lanes, &mut groups], &WORK.params(fault), WORK.workgroups);
        (lanes, groups)
    }

    #[test]
    fn the_reference_gives_what_is_expected() {
        let (lanes, groups) = run(SelfFault::None);
        let expected = WORK.expected();
        for (at, word) in lanes.iter().enumerate() {
            let at = u32::try_from(at).unwrap();
            assert_eq!(*word, expected.lane(at / WORKGROUP_SIZE, at % WORKGROUP_SIZE));
        }
        assert_eq!(groups[0], WORK.workgroups);
        assert_eq!(digest64(lanes), expected.digest(WORK.workgroups));
    }

    #[test]
    fn a_flip_shows_in_exactly_its_lane_and_its_workgroup() {
        let (clean, clean_groups) = run(SelfFault::None);
        let (lanes, groups) = run(SelfFault::Flip { workgroup: 3, lane: 5, mask: 1 });
        let differ: Vec<_> = (0..lanes.len()).filter(|at| lanes[*at] != clean[*at]).collect();
        assert_eq!(differ, [3 * 64 + 5]);
        let differ: Vec<_> = (0..groups.len()).filter(|at| groups[*at] != clean_groups[*at]).collect();
        assert_eq!(differ, [1 + 3]);
    }

    #[test]
    fn a_stuck_lane_shows_only_in_that_lane_of_every_32() {
        let (clean, _) = run(SelfFault::None);
        let (lanes, _) = run(SelfFault::StuckLane { lane: 9, mask: 0x100 });
        let differ: Vec<_> = (0..lanes.len()).filter(|at| lanes[*at] != clean[*at]).collect();
        assert!(differ.len() > 20 && differ.iter().all(|at| at % 32 == 9));
    }
}
