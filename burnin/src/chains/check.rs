//! The check of a chain kernel: canonical work, planted faults, calibration, shape, windows.

use kernels::chain::{Shape, Work};
use kernels::mix::{digest64, mix32};
use kernels::units::Place;
use kernels::{SelfFault, WORKGROUP_SIZE};
use report::{Canary, CheckResult, Mismatches};

use super::recipe::{Expectations, Oracle, Recipe};
use super::units_seen::Seen;
use super::{Answers, Chains, Tile, WORKGROUPS_MAX};
use crate::device::DeviceError;
use crate::mismatches::score;
use crate::session::{Session, coverage, measurement, repeats, sample};

/// So many seeds take turns in windows: enough that a stale answer is seen, few enough that the processor, which works out
/// the right answers once for each, is not what is measured.
const SEEDS: u32 = 3;

/// More dispatches than this in a window, and the dispatch grows.
pub(super) const REPEATS_MAX: u32 = 4;

/// The check while it runs.
pub(super) struct Run<'a> {
    pub(super) recipe: &'a Recipe,
    chains: Chains,
    expectations: Expectations,
    wrong: Mismatches,
    workgroups: u64,
    /// Dispatches so far, canaries left out.
    passes: u32,
    units: Seen,
    /// The first workgroups that were wrong.
    accused: Vec<Accused>,
}

/// Runs the check.
pub fn check(session: &mut Session<'_>, recipe: &Recipe) -> Result<CheckResult, DeviceError> {
    let chains = Chains::allocate(session, recipe.kernel_on(session.device.info()))?;
    let mut result = session.result();

    let answers = chains.run(session, (&recipe.canonical, Shape::BASE), SelfFault::None, 1)?;
    let (oracle, note) = (recipe.oracle)(&answers);
    let expectations = Expectations::new(oracle);
    let mut run = Run {
        recipe,
        chains,
        expectations,
        wrong: Mismatches::default(),
        workgroups: 0,
        passes: 0,
        units: Seen::default(),
        accused: Vec::new(),
    };
    run.take(&recipe.canonical, Shape::BASE, &answers);
    let digest = format!("{:016x}", digest64(answers.lanes.iter().copied()));
    match oracle {
        Oracle::Reference(_) => result.digest = Some(digest),
        Oracle::Agreement(_) => {
            result.notes.push(format!("digest of this device and driver alone: {digest}"))
        }
    }
    result.notes.extend(note);

    result.canary = Some(run.plant(session)?);

    let window = run.calibrate(session)?;
    let (window, shape, repeat, tried) = run.tune(session, &window)?;
    let samples = session.measure(1.0, |session, number| {
        let work = Work { seed: seed(&window, number % SEEDS), ..window };
        let answers = run.dispatch(session, &work, shape, repeat)?;
        run.units.time(&answers.places);
        Ok(sample(run.operations(&work, shape), repeat, answers.elapsed))
    })?;
    let method = method(&window, shape, recipe, (repeat, tried));
    result.measurements = vec![measurement(recipe.metric, recipe.unit, method, samples)];
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    result.coverage.push(coverage("workgroups", run.workgroups as f64));
    result.notes.extend(run.accusations(session));
    result.mismatches = Some(run.wrong);
    result.units = run.units.histogram();
    if recipe.by_unit.is_some() && result.units.is_none() {
        result.notes.push("the driver does not tell which compute unit ran what".to_owned());
    }
    if let Some(seen) = &result.units {
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
        result.coverage.push(coverage("units", seen.units.len() as f64));
    }
    run.chains.free(session);
    Ok(result)
}

/// A workgroup with wrong words: where and in what work.
struct Accused {
    work: Work,
    shape: Shape,
    workgroup: u32,
    words: u64,
    place: Option<Place>,
}

/// Most workgroups that are named with the command that runs them again.
const ACCUSED_MAX: usize = 8;

fn method(window: &Work, shape: Shape, recipe: &Recipe, (repeat, tried): (u32, usize)) -> String {
    let Work { workgroups, steps, .. } = *window;
    let mut method =
        format!("{workgroups} workgroups of {WORKGROUP_SIZE}, {steps} steps, {repeat} dispatches a window");
    if tried > 1 {
        let chains = if shape.chains == 0 { recipe.chains } else { shape.chains };
        method +=
            &format!("; {chains} chains in workgroups of {}, best of {tried} shapes", shape.invocations);
    }
    method
}

/// Another seed for each dispatch, so that no answer can be one of just before.
pub(super) fn seed(work: &Work, number: u32) -> u32 {
    work.seed ^ mix32(1 + number)
}

impl Run<'_> {
    /// Compares answers and counts what was completed.
    fn take(&mut self, work: &Work, shape: Shape, answers: &Answers) {
        let expected = self.expectations.of(work, shape.chains, &answers.lanes);
        let wrong = answers.compare(expected, self.passes, &mut self.wrong);
        self.units.add(&answers.places, &wrong);
        for (workgroup, words) in wrong.into_iter().take(ACCUSED_MAX - self.accused.len()) {
            let place = answers.places.get(workgroup as usize).copied();
            self.accused.push(Accused { work: *work, shape, workgroup, words, place });
        }
        self.workgroups += u64::from(answers.completed);
        self.passes += 1;
    }

    /// Says of each wrong workgroup where it ran, and the command that runs it again.
    fn accusations(&self, session: &Session<'_>) -> Vec<String> {
        let info = session.device.info();
        let of = |accused: &Accused| {
            let Accused { work, shape, workgroup, words, place } = accused;
            let tile = Tile {
                backend: info.backend,
                device: info.id.clone(),
                check: session.planned.id.to_string(),
                seed: work.seed,
                workgroup: *workgroup,
                steps: Some(work.steps),
                workgroups: Some(work.workgroups),
                chains: Some(shape.chains),
                invocations: Some(shape.invocations),
            };
            let on = place
                .map(|Place { unit, slot, .. }| format!(" on compute unit {unit}, subgroup slot {slot}"))
                .unwrap_or_default();
            format!("{words} wrong words in workgroup {workgroup}{on}; again: {tile}")
        };
        self.accused.iter().map(of).collect()
    }

    /// Runs work and compares its answers.
    pub(super) fn dispatch(
        &mut self,
        session: &mut Session<'_>,
        work: &Work,
        shape: Shape,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        let answers = self.chains.run(session, (work, shape), SelfFault::None, repeat)?;
        self.take(work, shape, &answers);
        Ok(answers)
    }

    /// Operations of a dispatch in this shape.
    pub(super) fn operations(&self, work: &Work, shape: Shape) -> u64 {
        let all = (self.recipe.cost)(work).operations;
        if shape.chains == 0 { all } else { all / u64::from(self.recipe.chains) * u64::from(shape.chains) }
    }

    /// Plants one fault after the other; each must be found at its lane, and nothing else.
    fn plant(&mut self, session: &mut Session<'_>) -> Result<Canary, DeviceError> {
        let mut canary = Canary { planted: 0, found: 0, strays: 0 };
        for (number, (workgroup, lane, mask)) in (0u32..).zip(self.recipe.canaries) {
            let work = Work { seed: seed(&self.recipe.canary, number), ..self.recipe.canary };
            let fault = SelfFault::Flip { workgroup, lane, mask };
            let answers = self.chains.run(session, (&work, Shape::BASE), fault, 1)?;
            let mut seen = Mismatches::default();
            let expected = self.expectations.of(&work, Shape::BASE.chains, &answers.lanes);
            answers.compare(expected, number, &mut seen);
            let planted_at = u64::from(workgroup * WORKGROUP_SIZE + lane) * 4;
            score(&mut canary, seen, planted_at, &mut self.wrong);
        }
        Ok(canary)
    }

    /// Grows the dispatch until few of them fill a window; what it computes on the way is compared too.
    fn calibrate(&mut self, session: &mut Session<'_>) -> Result<Work, DeviceError> {
        let mut window = self.recipe.window;
        for number in 0.. {
            let work = Work { seed: seed(&self.recipe.window, number % SEEDS), ..window };
            let answers = self.dispatch(session, &work, Shape::BASE, 1)?;
            if repeats(answers.elapsed) <= REPEATS_MAX || work.workgroups == WORKGROUPS_MAX {
                break;
            }
            window.workgroups = work.workgroups.saturating_mul(8).min(WORKGROUPS_MAX);
        }
        Ok(window)
    }
}
