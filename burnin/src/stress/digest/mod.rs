//! Proves that the integer units compute: bijective chains whose one right answer the processor knows.
//!
//! First the canonical work, whose digest is the same on every conforming device and every backend; then planted faults,
//! each of which must be found at its lane; then windows with a new seed each, every lane compared.

use kernels::digest::{KERNEL, Work, cost, expected};
use report::{CheckResult, Unit};

use crate::chains::{Oracle, Recipe, check};
use crate::device::DeviceError;
use crate::session::Session;

/// The check.
pub const RECIPE: Recipe = Recipe {
    kernel: &KERNEL,
    by_unit: Some(&kernels::units::DIGEST),
    metric: "int32",
    unit: Unit::OpsPerS,
    canonical: Work { seed: 0x0a55_a700, steps: 256, workgroups: 1024 },
    window: Work { seed: 0x0a55_a710, steps: 1024, workgroups: 256 },
    canary: Work { seed: 0x0a55_a720, steps: 64, workgroups: 64 },
    // First and last workgroup and lane; low, middle, high and two bits.
    canaries: [(0, 0, 1), (17, 31, 1 << 16), (40, 32, 1 << 31), (63, 63, 0x0001_8000)],
    cost,
    chains: 1,
    tried: &[],
    oracle: |_| (Oracle::Reference(|work, _| expected(work)), None),
};

/// Runs the check.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    check(session, &RECIPE)
}
