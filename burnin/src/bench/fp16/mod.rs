//! Measures the FP16 multiply-add rate, with every answer compared bit for bit.
//!
//! Whether the device rounds once or twice is found out on the canonical work; from then on it must round that way throughout.
//! A device that does neither is wrong.

use kernels::fp16::{CHAINS, KERNEL, Rounding, Work, cost, expected};
use kernels::mix::digest64;
use report::{CheckResult, Unit};

use crate::chains::{Oracle, Recipe, check};
use crate::device::DeviceError;
use crate::session::Session;

/// The check.
pub const RECIPE: Recipe = Recipe {
    kernel: &KERNEL,
    by_unit: None,
    metric: "fp16",
    unit: Unit::FlopPerS,
    canonical: CANONICAL,
    window: Work { seed: 0x0a55_a714, steps: 512, workgroups: 64 },
    canary: Work { seed: 0x0a55_a724, steps: 256, workgroups: 32 },
    // High bits of the mantissa of the first chain, of the second, and of both, which are carried for certain (a test holds
    // them to it).
    canaries: [(0, 0, 1 << 9), (9, 31, 1 << 24), (20, 32, 1 << 8), (31, 63, 0x0200_0100)],
    cost,
    chains: CHAINS,
    tried: &[8, 4],
    oracle: |answers| {
        let found = digest64(answers.lanes.iter().copied());
        if found == expected(&CANONICAL, 0, Rounding::Separate).digest(CANONICAL.workgroups) {
            let note = "fma is rounded twice (multiply, then add)".to_owned();
            (Oracle::Reference(|work, chains| expected(work, chains, Rounding::Separate)), Some(note))
        } else {
            let note = "fma is rounded once (fused, or through FP32)".to_owned();
            (Oracle::Reference(|work, chains| expected(work, chains, Rounding::Fused)), Some(note))
        }
    },
};

/// The work by which rounding is found out.
const CANONICAL: Work = Work { seed: 0x0a55_a704, steps: 256, workgroups: 256 };

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    check(session, &RECIPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::mix::mix32;
    use kernels::{SelfFault, WORKGROUP_SIZE};

    #[test]
    fn the_chains_carry_every_canary_to_the_end_however_the_device_rounds() {
        for (number, (workgroup, lane, mask)) in (0u32..).zip(RECIPE.canaries) {
            for rounding in [Rounding::Fused, Rounding::Separate] {
                let work = Work { seed: RECIPE.canary.seed ^ mix32(1 + number), ..RECIPE.canary };
                let (mut lanes, mut groups) = (vec![0; work.lanes()], vec![0; work.groups()]);
                kernels::fp16::reference::run_rounded(
                    &mut [&mut lanes, &mut groups],
                    &work.params(SelfFault::Flip { workgroup, lane, mask }),
                    workgroup..workgroup + 1,
                    rounding,
                );
                let should = expected(&work, 0, rounding).lane(workgroup, lane);
                let found = lanes[(workgroup * WORKGROUP_SIZE + lane) as usize];
                assert_ne!(found, should, "{mask:#x} {rounding:?}");
            }
        }
    }
}
