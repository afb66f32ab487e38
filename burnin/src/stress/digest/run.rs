//! Runs the digest check.

use kernels::digest::{KERNEL, Work};
use kernels::mix::digest64;
use kernels::{SelfFault, WORKGROUP_SIZE};
use report::{Canary, CheckResult, Mismatches, Unit};

use super::CANONICAL;
use crate::chains::{Chains, WORKGROUPS_MAX, score};
use crate::device::DeviceError;
use crate::session::{Session, coverage, measurement, operations, repeats, sample};

/// Steps of each chain in a window.
const STEPS: u32 = 1024;
/// Places and bits of the planted faults: first and last workgroup and lane, low, middle and high bits.
const CANARIES: [(u32, u32, u32); 4] =
    [(0, 0, 1), (17, 31, 1 << 16), (40, 32, 1 << 31), (63, 63, 0x0001_8000)];

/// Runs the check.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let chains = Chains::allocate(session, &KERNEL)?;
    let mut result = session.result();
    let mut wrong = Mismatches::default();

    let answers = chains.run(session, CANONICAL.params(SelfFault::None), CANONICAL.workgroups, 1)?;
    let expected = CANONICAL.expected();
    answers.compare(|group, lane| expected.lane(group, lane), 0, &mut wrong);
    result.digest = Some(format!("{:016x}", digest64(answers.lanes.iter().copied())));
    let mut workgroups = u64::from(answers.completed);

    result.canary = Some(canaries(session, &chains, &mut wrong)?);

    let shape = calibrate(session, &chains, &mut wrong)?;
    let samples = session.measure(1.0, |session, number| {
        let work = Work { seed: seed(1 + number), ..shape.work };
        let answers = chains.run(session, work.params(SelfFault::None), work.workgroups, shape.repeat)?;
        let expected = work.expected();
        answers.compare(|group, lane| expected.lane(group, lane), 1 + number, &mut wrong);
        workgroups += u64::from(answers.completed);
        Ok(sample(operations(work.cost()), shape.repeat, answers.elapsed))
    })?;
    let method = format!(
        "{} workgroups of {WORKGROUP_SIZE}, {STEPS} steps, {} dispatches a window",
        shape.work.workgroups, shape.repeat
    );
    result.measurements = vec![measurement("int32", Unit::OpsPerS, method, samples)];
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    result.coverage.push(coverage("workgroups", workgroups as f64));
    result.mismatches = Some(wrong);
    chains.free(session);
    Ok(result)
}

/// Another seed for each dispatch.
fn seed(number: u32) -> u32 {
    CANONICAL.seed ^ kernels::mix::mix32(number)
}

fn canaries(
    session: &mut Session<'_>,
    chains: &Chains,
    wrong: &mut Mismatches,
) -> Result<Canary, DeviceError> {
    let mut canary = Canary { planted: 0, found: 0, strays: 0 };
    for (number, (workgroup, lane, mask)) in (0u32..).zip(CANARIES) {
        let work = Work { seed: seed(0x1000 + number), steps: 64, workgroups: 64 };
        let answers = chains.run(
            session,
            work.params(SelfFault::Flip { workgroup, lane, mask }),
            work.workgroups,
            1,
        )?;
        let expected = work.expected();
        let mut seen = Mismatches::default();
        answers.compare(|group, lane| expected.lane(group, lane), number, &mut seen);
        let planted_at = u64::from(workgroup * WORKGROUP_SIZE + lane) * 4;
        score(&mut canary, seen, planted_at, wrong);
    }
    Ok(canary)
}

struct Shape {
    work: Work,
    repeat: u32,
}

/// Grows the dispatch until it fills a window; what it computes on the way is compared too.
fn calibrate(
    session: &mut Session<'_>,
    chains: &Chains,
    wrong: &mut Mismatches,
) -> Result<Shape, DeviceError> {
    let mut work = Work { seed: seed(0x2000), steps: STEPS, workgroups: 256 };
    loop {
        let answers = chains.run(session, work.params(SelfFault::None), work.workgroups, 1)?;
        let expected = work.expected();
        answers.compare(|group, lane| expected.lane(group, lane), 0, wrong);
        let repeat = repeats(answers.elapsed);
        if repeat <= 4 || work.workgroups == WORKGROUPS_MAX {
            return Ok(Shape { work, repeat });
        }
        work.workgroups = work.workgroups.saturating_mul(8).min(WORKGROUPS_MAX);
        work.seed = seed(work.seed);
    }
}
