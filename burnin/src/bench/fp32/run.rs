//! Runs the FP32 bench.

use kernels::fp32::{CHAINS, KERNEL, Rounding, Work};
use kernels::mix::{digest64, mix32};
use kernels::{SelfFault, WORKGROUP_SIZE};
use report::{Canary, CheckResult, Mismatches, Unit};

use super::CANONICAL;
use crate::chains::{Chains, WORKGROUPS_MAX, score};
use crate::device::DeviceError;
use crate::session::{Session, coverage, measurement, operations, repeats, sample};

/// Steps of each chain in a window: long against the start of a workgroup, short enough for the processor to follow.
const STEPS: u32 = 2048;
/// Places and bits of the planted faults; the chains carry them to the end for certain (a test holds them to it).
const CANARIES: [(u32, u32, u32); 4] =
    [(0, 0, 1 << 22), (9, 31, 1 << 12), (20, 32, 1 << 3), (31, 63, 0x0060_0000)];

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let chains = Chains::allocate(session, &KERNEL)?;
    let mut result = session.result();
    let mut wrong = Mismatches::default();

    let answers = chains.run(session, CANONICAL.params(SelfFault::None), CANONICAL.workgroups, 1)?;
    let digest = digest64(answers.lanes.iter().copied());
    let separate = digest == CANONICAL.expected(Rounding::Separate).digest(CANONICAL.workgroups);
    let rounding = if separate { Rounding::Separate } else { Rounding::Fused };
    let expected = CANONICAL.expected(rounding);
    answers.compare(|group, lane| expected.lane(group, lane), 0, &mut wrong);
    result.digest = Some(format!("{digest:016x}"));
    result.notes.push(match rounding {
        Rounding::Fused => "fma is fused (rounded once)".to_owned(),
        Rounding::Separate => "fma is rounded twice (multiply, then add)".to_owned(),
    });
    let mut workgroups = u64::from(answers.completed);

    result.canary = Some(canaries(session, &chains, rounding, &mut wrong)?);

    let shape = calibrate(session, &chains, rounding, &mut wrong)?;
    let samples = session.measure(1.0, |session, number| {
        let work = Work { seed: seed(1 + number), ..shape.work };
        let answers = chains.run(session, work.params(SelfFault::None), work.workgroups, shape.repeat)?;
        let expected = work.expected(rounding);
        answers.compare(|group, lane| expected.lane(group, lane), 1 + number, &mut wrong);
        workgroups += u64::from(answers.completed);
        Ok(sample(operations(work.cost()), shape.repeat, answers.elapsed))
    })?;
    let method = format!(
        "{} workgroups of {WORKGROUP_SIZE}, {CHAINS} chains, {STEPS} steps, {} dispatches a window",
        shape.work.workgroups, shape.repeat
    );
    result.measurements = vec![measurement("fp32", Unit::FlopPerS, method, samples)];
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    result.coverage.push(coverage("workgroups", workgroups as f64));
    result.mismatches = Some(wrong);
    chains.free(session);
    Ok(result)
}

fn seed(number: u32) -> u32 {
    CANONICAL.seed ^ mix32(number)
}

fn canary_work(number: u32) -> Work {
    Work { seed: seed(0x1000 + number), steps: 256, workgroups: 32 }
}

fn canaries(
    session: &mut Session<'_>,
    chains: &Chains,
    rounding: Rounding,
    wrong: &mut Mismatches,
) -> Result<Canary, DeviceError> {
    let mut canary = Canary { planted: 0, found: 0, strays: 0 };
    for (number, (workgroup, lane, mask)) in (0u32..).zip(CANARIES) {
        let work = canary_work(number);
        let answers = chains.run(
            session,
            work.params(SelfFault::Flip { workgroup, lane, mask }),
            work.workgroups,
            1,
        )?;
        let expected = work.expected(rounding);
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
    rounding: Rounding,
    wrong: &mut Mismatches,
) -> Result<Shape, DeviceError> {
    let mut work = Work { seed: seed(0x2000), steps: STEPS, workgroups: 64 };
    loop {
        let answers = chains.run(session, work.params(SelfFault::None), work.workgroups, 1)?;
        let expected = work.expected(rounding);
        answers.compare(|group, lane| expected.lane(group, lane), 0, wrong);
        let repeat = repeats(answers.elapsed);
        if repeat <= 4 || work.workgroups == WORKGROUPS_MAX {
            return Ok(Shape { work, repeat });
        }
        work.workgroups = work.workgroups.saturating_mul(8).min(WORKGROUPS_MAX);
        work.seed = seed(work.seed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chains_carry_every_canary_to_the_end() {
        for (number, (workgroup, lane, mask)) in (0u32..).zip(CANARIES) {
            let work = canary_work(number);
            let mut lanes = vec![0; work.lanes()];
            let mut groups = vec![0; work.groups()];
            let params = work.params(SelfFault::Flip { workgroup, lane, mask });
            (KERNEL.reference)(&mut [&mut lanes, &mut groups], &params, work.workgroups);
            let expected = work.expected(Rounding::Fused);
            assert_ne!(
                lanes[(workgroup * WORKGROUP_SIZE + lane) as usize],
                expected.lane(workgroup, lane),
                "{mask:#x}"
            );
        }
    }
}
