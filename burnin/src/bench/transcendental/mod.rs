//! Measures the rate of transcendental functions (exp2, log2, sin, cos, sqrt, inversesqrt, reciprocal) in FP32.
//!
//! The last bits of these functions are the device's own, so two oracles judge: each result of sampled work lies within the
//! bounds of the Vulkan specification, and all workgroups of a class give the same bits, within a dispatch and from one to
//! the next (see [`kernels::transcendental`]). A digest in the notes is one of this device and driver, not of all.

use kernels::chain::Shape;
use kernels::mix::mix32;
use kernels::transcendental::{Beyond, Function, KERNEL, Sampled, Work, agreed, cost};
use kernels::{SelfFault, WORKGROUP_SIZE};
use report::{CheckResult, Mismatch, Mismatches, Unit};

use crate::chains::{Chains, Oracle, Recipe, check};
use crate::device::DeviceError;
use crate::mismatches::{add, merge};
use crate::session::{Session, coverage};

/// The check.
pub const RECIPE: Recipe = Recipe {
    kernel: &KERNEL,
    by_unit: None,
    metric: "transcendental",
    unit: Unit::OpsPerS,
    canonical: Work { seed: 0x0a55_a708, steps: 32, workgroups: 256 },
    window: Work { seed: 0x0a55_a718, steps: 256, workgroups: 64 },
    canary: Work { seed: 0x0a55_a728, steps: 32, workgroups: 64 },
    // First and last workgroup and lane; low, middle, high and two bits.
    canaries: [(0, 0, 1), (17, 31, 1 << 16), (40, 32, 1 << 31), (63, 63, 0x0001_8000)],
    cost,
    chains: 1,
    tried: &[],
    oracle: |_| (Oracle::Agreement(agreed), None),
};

/// Seeds of sampled work, each for every function.
const SAMPLES: u32 = 4;

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let mut result = check(session, &RECIPE)?;
    let (compared, wrong) = within_bounds(session)?;
    result.coverage.push(coverage("results_within_bounds", f64::from(compared)));
    let beyond = wrong.iter().take(4).map(|(function, beyond)| {
        let Beyond { input, found, exact, .. } = *beyond;
        format!("{function:?} of {input:e} is {found:e}, right is {exact:e}: beyond the bound of the specification")
    });
    result.notes.extend(beyond);
    merge(result.mismatches.get_or_insert_default(), mismatches(wrong));
    Ok(result)
}

/// What lies beyond its bounds in sampled work of every function.
pub(crate) fn beyond_bounds(session: &mut Session<'_>) -> Result<Mismatches, DeviceError> {
    Ok(mismatches(within_bounds(session)?.1))
}

fn mismatches(wrong: Vec<(Function, Beyond)>) -> Mismatches {
    let mut words = Mismatches::default();
    for (function, Beyond { place: (workgroup, lane), found, exact, .. }) in wrong {
        let byte_address = u64::from(workgroup * WORKGROUP_SIZE + lane) * 4;
        let (expected, found, pass) = (exact.to_bits(), found.to_bits(), function.number());
        add(&mut words, Mismatch { byte_address, expected, found, workgroup, pass });
    }
    words
}

/// Runs sampled work; how many results were compared, and those beyond their bounds.
fn within_bounds(session: &mut Session<'_>) -> Result<(u32, Vec<(Function, Beyond)>), DeviceError> {
    let chains = Chains::allocate(session, &KERNEL)?;
    let (mut compared, mut wrong) = (0, Vec::new());
    for function in Function::ALL {
        for number in 0..SAMPLES {
            let sampled = Sampled { seed: mix32(number), function };
            let shape = Shape { chains: function.number(), ..Shape::BASE };
            let work = sampled.work();
            let answers = chains.run(session, (&work, shape), SelfFault::None, 1)?;
            wrong.extend(sampled.beyond(&answers.lanes).into_iter().map(|beyond| (function, beyond)));
            compared += answers.completed * WORKGROUP_SIZE;
        }
    }
    chains.free(session);
    Ok((compared, wrong))
}
