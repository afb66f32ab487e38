//! The check of a chain kernel: canonical work, planted faults, calibration, windows.

use kernels::chain::{Expected, Work};
use kernels::mix::{digest64, mix32};
use kernels::{Cost, Kernel, SelfFault, WORKGROUP_SIZE};
use report::{Canary, CheckResult, Mismatches, Unit};

use super::{Answers, Chains, WORKGROUPS_MAX};
use crate::device::DeviceError;
use crate::mismatches::score;
use crate::session::{Session, coverage, measurement, repeats, sample};

/// What makes the check that of one kernel.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// What is measured.
    pub metric: &'static str,
    /// In what unit.
    pub unit: Unit,
    /// The work whose digest stands in the report, the same for every device and every version of the check.
    pub canonical: Work,
    /// The work of a window, before its number of workgroups has grown to fill one.
    pub window: Work,
    /// The work in which faults are planted.
    pub canary: Work,
    /// The planted faults: workgroup, lane, bits.
    pub canaries: [(u32, u32, u32); 4],
    /// Cost of a dispatch.
    pub cost: fn(&Work) -> Cost,
    /// What the device must answer from now on, by its answers to the canonical work; and what a reader should know.
    pub expect: fn(&Answers) -> (Expect, Option<String>),
}

/// The right answers of a dispatch.
pub type Expect = fn(&Work) -> Expected;

/// The check while it runs.
struct Run<'a> {
    recipe: &'a Recipe,
    chains: Chains,
    expect: Expect,
    wrong: Mismatches,
    workgroups: u64,
}

/// Runs the check.
pub fn check(session: &mut Session<'_>, recipe: &Recipe) -> Result<CheckResult, DeviceError> {
    let chains = Chains::allocate(session, recipe.kernel)?;
    let mut result = session.result();

    let answers = chains.run(session, &recipe.canonical, SelfFault::None, 1)?;
    let (expect, note) = (recipe.expect)(&answers);
    let mut run = Run { recipe, chains, expect, wrong: Mismatches::default(), workgroups: 0 };
    run.take(&recipe.canonical, &answers, 0);
    result.digest = Some(format!("{:016x}", digest64(answers.lanes.iter().copied())));
    result.notes.extend(note);

    result.canary = Some(run.plant(session)?);

    let (window, repeat) = run.calibrate(session)?;
    let samples = session.measure(1.0, |session, number| {
        let work = Work { seed: seed(&window, number), ..window };
        let answers = run.chains.run(session, &work, SelfFault::None, repeat)?;
        run.take(&work, &answers, 1 + number);
        Ok(sample((recipe.cost)(&work).operations, repeat, answers.elapsed))
    })?;
    let Work { workgroups, steps, .. } = window;
    let method =
        format!("{workgroups} workgroups of {WORKGROUP_SIZE}, {steps} steps, {repeat} dispatches a window");
    result.measurements = vec![measurement(recipe.metric, recipe.unit, method, samples)];
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    result.coverage.push(coverage("workgroups", run.workgroups as f64));
    result.mismatches = Some(run.wrong);
    run.chains.free(session);
    Ok(result)
}

/// Another seed for each dispatch, so that no answer can be one of before.
fn seed(work: &Work, number: u32) -> u32 {
    work.seed ^ mix32(1 + number)
}

impl Run<'_> {
    /// Compares answers and counts what was completed.
    fn take(&mut self, work: &Work, answers: &Answers, pass: u32) {
        answers.compare(&(self.expect)(work), pass, &mut self.wrong);
        self.workgroups += u64::from(answers.completed);
    }

    /// Plants one fault after the other; each must be found at its lane, and nothing else.
    fn plant(&mut self, session: &mut Session<'_>) -> Result<Canary, DeviceError> {
        let mut canary = Canary { planted: 0, found: 0, strays: 0 };
        for (number, (workgroup, lane, mask)) in (0u32..).zip(self.recipe.canaries) {
            let work = Work { seed: seed(&self.recipe.canary, number), ..self.recipe.canary };
            let fault = SelfFault::Flip { workgroup, lane, mask };
            let answers = self.chains.run(session, &work, fault, 1)?;
            let mut seen = Mismatches::default();
            answers.compare(&(self.expect)(&work), number, &mut seen);
            let planted_at = u64::from(workgroup * WORKGROUP_SIZE + lane) * 4;
            score(&mut canary, seen, planted_at, &mut self.wrong);
        }
        Ok(canary)
    }

    /// Grows the dispatch until few of them fill a window; what it computes on the way is compared too.
    fn calibrate(&mut self, session: &mut Session<'_>) -> Result<(Work, u32), DeviceError> {
        let mut work = self.recipe.window;
        loop {
            let answers = self.chains.run(session, &work, SelfFault::None, 1)?;
            self.take(&work, &answers, 0);
            let repeat = repeats(answers.elapsed);
            if repeat <= 4 || work.workgroups == WORKGROUPS_MAX {
                return Ok((work, repeat));
            }
            work.workgroups = work.workgroups.saturating_mul(8).min(WORKGROUPS_MAX);
            work.seed = seed(&work, repeat);
        }
    }
}
