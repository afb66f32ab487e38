//! Measures the FP64 multiply-add rate, with every answer compared bit for bit.
//!
//! Whether the device fuses is found out on the canonical work, as for FP32.

use kernels::fp64::{CHAINS, KERNEL, Rounding, Work, cost, expected};
use kernels::mix::digest64;
use report::{CheckResult, Unit};

use crate::chains::{Oracle, Recipe, check};
use crate::device::DeviceError;
use crate::session::Session;

/// The check.
pub const RECIPE: Recipe = Recipe {
    kernel: &KERNEL,
    by_unit: None,
    metric: "fp64",
    unit: Unit::FlopPerS,
    canonical: CANONICAL,
    window: Work { seed: 0x0a55_a713, steps: 1024, workgroups: 64 },
    canary: Work { seed: 0x0a55_a723, steps: 256, workgroups: 32 },
    // In the low word of the mantissa, all but its last bits.
    canaries: [(0, 0, 1 << 31), (9, 31, 1 << 20), (20, 32, 1 << 12), (31, 63, 0x0060_0000)],
    cost,
    chains: CHAINS,
    tried: &[8, 4],
    oracle: |answers| {
        let found = digest64(answers.lanes.iter().copied());
        if found == expected(&CANONICAL, 0, Rounding::Separate).digest(CANONICAL.workgroups) {
            let note = "fma is rounded twice (multiply, then add)".to_owned();
            let expected = |work: &Work, chains| expected(work, chains, Rounding::Separate);
            (Oracle::Reference(expected), Some(note))
        } else {
            let expected = |work: &Work, chains| expected(work, chains, Rounding::Fused);
            (Oracle::Reference(expected), Some("fma is fused (rounded once)".to_owned()))
        }
    },
};

/// The work by which rounding is found out.
const CANONICAL: Work = Work { seed: 0x0a55_a703, steps: 256, workgroups: 256 };

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    check(session, &RECIPE)
}
