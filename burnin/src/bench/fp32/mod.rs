//! Measures the FP32 multiply-add rate, with every answer compared bit for bit.
//!
//! Whether the device fuses is found out on the canonical work; from then on it must round that way throughout. A device
//! that does neither is wrong.

use kernels::fp32::{CHAINS, KERNEL, Rounding, Work, cost, expected, expected_of};
use kernels::mix::digest64;
use report::{CheckResult, Unit};

use crate::chains::{Oracle, Recipe, check};
use crate::device::DeviceError;
use crate::session::Session;

/// The check.
pub const RECIPE: Recipe = Recipe {
    kernel: &KERNEL,
    by_unit: Some(&kernels::units::FP32),
    metric: "fp32",
    unit: Unit::FlopPerS,
    canonical: CANONICAL,
    // Long against the start of a workgroup, short enough for the processor to follow.
    window: Work { seed: 0x0a55_a711, steps: 2048, workgroups: 64 },
    canary: Work { seed: 0x0a55_a721, steps: 256, workgroups: 32 },
    // Bits of the mantissa, which the chains carry to the end for certain (a test holds them to it); a flipped exponent
    // could end in a NaN, whose bits devices are free to choose.
    canaries: [(0, 0, 1 << 22), (9, 31, 1 << 12), (20, 32, 1 << 3), (31, 63, 0x0060_0000)],
    cost,
    chains: CHAINS,
    tried: &[16, 8, 4],
    oracle: |answers| {
        let found = digest64(answers.lanes.iter().copied());
        if found == expected(&CANONICAL, Rounding::Separate).digest(CANONICAL.workgroups) {
            let note = "fma is rounded twice (multiply, then add)".to_owned();
            let expected = |work: &Work, chains| expected_of(work, chains, Rounding::Separate);
            (Oracle::Reference(expected), Some(note))
        } else {
            let expected = |work: &Work, chains| expected_of(work, chains, Rounding::Fused);
            (Oracle::Reference(expected), Some("fma is fused (rounded once)".to_owned()))
        }
    },
};

/// The work by which rounding is found out.
const CANONICAL: Work = Work { seed: 0x0a55_a701, steps: 512, workgroups: 256 };

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
                let mut lanes = vec![0; work.lanes()];
                let mut groups = vec![0; work.groups()];
                let params = work.params(SelfFault::Flip { workgroup, lane, mask });
                kernels::fp32::reference::run_rounded(
                    &mut [&mut lanes, &mut groups],
                    &params,
                    0..work.workgroups,
                    rounding,
                );
                let should = expected(&work, rounding).lane(workgroup, lane);
                assert_ne!(
                    lanes[(workgroup * WORKGROUP_SIZE + lane) as usize],
                    should,
                    "{mask:#x} {rounding:?}"
                );
            }
        }
    }
}
