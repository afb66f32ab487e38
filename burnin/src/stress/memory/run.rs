//! Runs a table of passes.

use std::time::Duration;

use kernels::memory::{Op, TILE_BYTES};
use report::{Bytes, CheckResult, Mismatches, Quantity};

use super::anatomy::Evidence;
use super::suite::{Pass, Step};
use crate::device::DeviceError;
use crate::mismatches::merge;
use crate::session::{Session, coverage};
use crate::sweep::{Action, Space, canaries};

/// A memory check: canaries first, then every pass.
pub(super) fn check(session: &mut Session<'_>, passes: &[Pass]) -> Result<CheckResult, DeviceError> {
    let mut space = Space::allocate(session)?;
    let mut result = session.result();
    let mut evidence = Evidence::default();
    space.forget(session)?;
    let mut strays = Mismatches::default();
    result.canary = Some(canaries(session, &mut space, first_look(passes), &mut strays)?);
    let mut waited = Duration::ZERO;
    for (number, pass) in (1u32..).zip(passes) {
        match pass.step {
            Step::Sweep(action) => {
                let all = 0..space.tiles();
                let swept = space.sweep(session, &action, all, number)?;
                if matches!(action.op, Op::Verify | Op::VerifyInvert) {
                    evidence.add(number, pass.what, swept.found);
                }
            }
            Step::Wait(share) => {
                let time = Duration::from_secs_f64(session.planned.measure_s.get() * share);
                session.clock.wait(time);
                waited += time;
            }
        }
        (session.progress)(f64::from(number) / passes.len() as f64);
    }
    cover(session, &mut result, &evidence, waited);
    result.anatomy = evidence.anatomy(Bytes(u64::from(space.region_tiles()) * TILE_BYTES));
    result.notes.push(format!("{} in {} passes, {}", space.bytes(), passes.len(), space.shape()));
    let mut wrong = evidence.found.wrong;
    merge(&mut wrong, strays);
    result.mismatches = Some(wrong);
    space.free(session);
    Ok(result)
}

#[expect(clippy::cast_precision_loss, reason = "a share to a few digits; byte counts below 2^53")]
fn cover(session: &Session<'_>, result: &mut CheckResult, evidence: &Evidence, waited: Duration) {
    let compared = evidence.least_compared.unwrap_or(0);
    let Bytes(memory) = session.device.info().memory_bytes;
    result.coverage.extend([
        coverage("verified_bytes", compared as f64),
        coverage("memory_fraction", compared as f64 / memory.max(1) as f64),
    ]);
    if waited > Duration::ZERO {
        let waited = Quantity::new(waited.as_secs_f64()).unwrap_or_default();
        result.coverage.push(coverage("waited_s", waited.get()));
        result.notes.push("left alone meanwhile, and refreshed by the device as always".to_owned());
    }
}

/// The way in which a table looks for faults: with the operation and the values of its first pass that compares.
fn first_look(passes: &[Pass]) -> Option<Action> {
    passes.iter().find_map(|pass| match pass.step {
        Step::Sweep(action) if matches!(action.op, Op::Verify | Op::VerifyInvert) => Some(action),
        _ => None,
    })
}
