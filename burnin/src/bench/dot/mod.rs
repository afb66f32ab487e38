//! Measures the rate of dot products of packed 8-bit integers, with every answer compared.
//!
//! Exact: one right answer on every device, and every step is a bijection, so that an error anywhere is still there at the
//! end.

use kernels::dot::{CHAINS, KERNEL, Work, cost, expected};
use report::{CheckResult, Unit};

use crate::chains::{Oracle, Recipe, check};
use crate::device::DeviceError;
use crate::session::Session;

/// The check.
pub const RECIPE: Recipe = Recipe {
    kernel: &KERNEL,
    by_unit: None,
    metric: "dot",
    unit: Unit::OpsPerS,
    canonical: Work { seed: 0x0a55_a707, steps: 256, workgroups: 256 },
    window: Work { seed: 0x0a55_a717, steps: 2048, workgroups: 64 },
    canary: Work { seed: 0x0a55_a727, steps: 128, workgroups: 64 },
    // First and last workgroup and lane; low, middle, high and two bits.
    canaries: [(0, 0, 1), (17, 31, 1 << 16), (40, 32, 1 << 31), (63, 63, 0x0001_8000)],
    cost,
    chains: CHAINS,
    tried: &[4],
    oracle: |_| (Oracle::Reference(expected), None),
};

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    check(session, &RECIPE)
}
