//! Exact integer digest: chains of bijective integer steps, one right answer on every device.
//!
//! Every step is a bijection of the 32-bit word, so an error anywhere in a chain is still there at its end. Workgroups
//! repeat [`CLASSES`] classes of work, so that the processor need not compute all. Buffers as in [`crate::chain`].

pub mod reference;

pub use crate::chain::{Expected, Work};
use crate::{Cost, Kernel, WORKGROUP_SIZE};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "digest",
    bindings: 2,
    table: false,
    needs: &[],
    specialized: 2,
    spirv: include_bytes!("../../spirv/digest.spv"),
    wgsl: Some(concat!(
        include_str!("../params_2.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("digest.wgsl")
    )),
    reference: reference::run,
};

/// Different classes of work: workgroup n does class n mod `CLASSES`.
pub const CLASSES: u32 = 16;

/// Integer operations of one step: multiply, add, shift, exclusive or.
const OPERATIONS_PER_STEP: u64 = 4;

/// The cost of a dispatch, in integer operations.
pub fn cost(work: &Work) -> Cost {
    Cost { operations: work.steps_in_all() * OPERATIONS_PER_STEP, bytes: 0 }
}

/// What a dispatch must answer.
pub fn expected(work: &Work) -> Expected {
    let chains = (0..CLASSES).flat_map(|class| (0..WORKGROUP_SIZE).map(move |lane| (class, lane)));
    let ends =
        chains.map(|(class, lane)| reference::steps(reference::start(work.seed, class, lane), work.steps));
    Expected::new(work.seed, &ends.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SelfFault;
    use crate::mix::digest64;

    const WORK: Work = Work { seed: 7, steps: 64, workgroups: 40 };

    fn run(fault: SelfFault) -> (Vec<u32>, Vec<u32>) {
        let mut lanes = vec![0; WORK.lanes()];
        let mut groups = vec![0; WORK.groups()];
        reference::run(&mut [&mut lanes, &mut groups], &WORK.params(fault), 0..WORK.workgroups);
        (lanes, groups)
    }

    #[test]
    fn the_reference_gives_what_is_expected() {
        let (lanes, groups) = run(SelfFault::None);
        let expected = expected(&WORK);
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
