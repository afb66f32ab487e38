//! Chain kernels: a row each, made from the recipe of the check.

use kernels::chain::{Expected, Shape, Work};
use kernels::{Kernel, SelfFault, WORKGROUP_SIZE, transcendental};
use report::{DeviceInfo, Mismatches};

use super::{Checker, Rounds, Touch, unlike};
use crate::calibrate::anatomy::{Anatomy, Dissect, Region, lanes};
use crate::calibrate::class::Class;
use crate::calibrate::draw::Draw;
use crate::chains::{Chains, Oracle, Recipe};
use crate::device::{DeviceError, Dispatch, offers};
use crate::mismatches::merge;
use crate::session::Session;
use crate::{bench, stress};

/// Runs dispatches of its own and says what was wrong.
pub type More = fn(&mut Session<'_>) -> Result<Mismatches, DeviceError>;

/// The check of a chain kernel.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// Its recipe.
    pub recipe: &'static Recipe,
    /// Is every step a bijection, so that every fault within a chain is still there at its end?
    pub bijective: bool,
    /// Workgroups of a round: each class of them and a few again; where most decide what is right, each class three times.
    pub workgroups: u32,
    /// What else the check compares, in dispatches of its own.
    pub more: Option<More>,
}

const fn chain(recipe: &'static Recipe, bijective: bool) -> Chain {
    Chain { recipe, bijective, workgroups: 20, more: None }
}

/// Every chain kernel.
pub static ALL: [Chain; 8] = [
    chain(&stress::digest::RECIPE, true),
    chain(&bench::fp32::RECIPE, false),
    chain(&bench::fp16::RECIPE, false),
    chain(&bench::fp64::RECIPE, false),
    chain(&bench::int32::RECIPE, true),
    chain(&bench::int64::RECIPE, true),
    chain(&bench::dot::RECIPE, false),
    Chain {
        recipe: &bench::transcendental::RECIPE,
        bijective: true,
        workgroups: 3 * transcendental::CLASSES,
        more: Some(bench::transcendental::beyond_bounds),
    },
];

/// Steps of a round: chains as short as they may be. What comes before a word is stored does not matter to damage of the
/// stored word.
const STEPS: u32 = 8;

impl Checker for Chain {
    fn name(&self) -> &'static str {
        self.recipe.kernel.name
    }

    fn lacks(&self, info: &DeviceInfo) -> Option<String> {
        let lacks = self.recipe.kernel.needs.iter().find(|need| !offers(info, **need))?;
        Some(format!("the device does not offer {lacks:?}"))
    }

    fn kernels(&self) -> Vec<&'static Kernel> {
        vec![self.recipe.kernel]
    }

    fn claims(&self, class: Class) -> bool {
        class != Class::InKernel || self.bijective
    }

    fn dissect(&self) -> Dissect {
        dissect
    }

    fn prepare(&self, session: &mut Session<'_>) -> Result<Box<dyn Rounds>, DeviceError> {
        let chains = Chains::allocate(session, self.recipe.kernel)?;
        let answers = chains.run(session, (&self.recipe.canonical, Shape::BASE), SelfFault::None, 1)?;
        let (oracle, _) = (self.recipe.oracle)(&answers);
        let first = match oracle {
            Oracle::Reference(_) => None,
            Oracle::Agreement(agreed) => Some(agreed(&self.recipe.canonical, &answers.lanes)),
        };
        Ok(Box::new(Ready { checker: *self, chains, oracle, first }))
    }
}

fn dissect(dispatch: &Dispatch<'_>) -> Anatomy {
    let groups = 1 + dispatch.workgroups as usize;
    let others = ALL.iter().map(|chain| chain.recipe.kernel);
    let others = others.filter(|other| other.name != dispatch.kernel.name && other.needs.is_empty());
    Anatomy {
        regions: vec![
            Region { buffer: 0, words: lanes(dispatch.workgroups), before: false, after: true },
            Region { buffer: 1, words: groups, before: true, after: true },
        ],
        // The seed; and the steps, though not so many more that it would take long.
        params: vec![(2, u32::MAX), (3, 0x7e)],
        stale: others.map(|kernel| (kernel, dispatch.params[0])).collect(),
        hook: true,
    }
}

/// A chain kernel on a device.
struct Ready {
    checker: Chain,
    chains: Chains,
    oracle: Oracle,
    /// What the device answered to the canonical work when it was first asked, where it alone knows: it must say so again.
    first: Option<Expected>,
}

impl Ready {
    fn work(&self, seed: u32) -> Work {
        Work { seed, steps: STEPS, workgroups: self.checker.workgroups }
    }

    /// Where the device alone knows the answers it is asked twice, as in a check, where every seed comes again.
    fn compare(
        &self,
        session: &mut Session<'_>,
        work: &Work,
        fault: SelfFault,
        golden: Touch<'_>,
    ) -> Result<Mismatches, DeviceError> {
        let mut found = Mismatches::default();
        let mut expected = match self.oracle {
            Oracle::Reference(expected) => expected(work, 0),
            Oracle::Agreement(agreed) => {
                let before = self.chains.run(session, (work, Shape::BASE), SelfFault::None, 1)?;
                let expected = agreed(work, &before.lanes);
                before.compare(&expected, 0, &mut found);
                expected
            }
        };
        golden(expected.words_mut());
        let answers = self.chains.run(session, (work, Shape::BASE), fault, 1)?;
        answers.compare(&expected, 1, &mut found);
        Ok(found)
    }
}

impl Ready {
    fn work_of_canary(&self, draw: &mut Draw) -> Work {
        Work { seed: draw.word(), workgroups: self.checker.workgroups, ..self.checker.recipe.canary }
    }

    /// A bit that is stuck in one lane of every 32 must show there, in about every second one, and nowhere else.
    fn stuck(&self, session: &mut Session<'_>, draw: &mut Draw) -> Result<Mismatches, DeviceError> {
        let work = self.work_of_canary(draw);
        let (lane, mask) = (draw.lane() % 32, self.checker.recipe.canaries[0].2);
        let fault = SelfFault::StuckLane { lane, mask };
        let seen = self.compare(session, &work, fault, &mut |_| ())?;
        let elsewhere = seen.first.iter().any(|m| m.byte_address / 4 % 32 != u64::from(lane));
        if seen.count == 0 || elsewhere { Ok(unlike(1, seen.count)) } else { Ok(Mismatches::default()) }
    }
}

impl Rounds for Ready {
    fn round(
        &mut self,
        session: &mut Session<'_>,
        golden: Touch<'_>,
        seed: u32,
    ) -> Result<Mismatches, DeviceError> {
        self.compare(session, &self.work(seed), SelfFault::None, golden)
    }

    fn wide(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        let canonical = self.checker.recipe.canonical;
        let mut found = self.compare(session, &Work { seed, ..canonical }, SelfFault::None, &mut |_| ())?;
        if let Some(first) = &self.first {
            let again = self.chains.run(session, (&canonical, Shape::BASE), SelfFault::None, 1)?;
            again.compare(first, 2, &mut found);
        }
        if let Some(more) = self.checker.more {
            merge(&mut found, more(session)?);
        }
        Ok(found)
    }

    fn canary(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        let mut draw = Draw::new(u64::from(seed));
        let mut wrong = Mismatches::default();
        for (_, _, mask) in self.checker.recipe.canaries {
            let work = self.work_of_canary(&mut draw);
            let (workgroup, lane) = (draw.word() % work.workgroups, draw.lane());
            let fault = SelfFault::Flip { workgroup, lane, mask };
            let seen = self.compare(session, &work, fault, &mut |_| ())?;
            let planted_at = u64::from(workgroup * WORKGROUP_SIZE + lane) * 4;
            let found_at = seen.first.first().map_or(u64::MAX, |mismatch| mismatch.byte_address);
            if (seen.count, found_at) != (1, planted_at) {
                merge(&mut wrong, unlike(planted_at, found_at));
            }
        }
        merge(&mut wrong, self.stuck(session, &mut draw)?);
        Ok(wrong)
    }

    fn rate(&mut self, session: &mut Session<'_>) -> Result<Option<f64>, DeviceError> {
        const LONG_ENOUGH_S: f64 = 0.02;
        let mut work = self.checker.recipe.window;
        loop {
            // Twice: the first may hold the compilation.
            self.chains.run(session, (&work, Shape::BASE), SelfFault::None, 1)?;
            let elapsed = self.chains.run(session, (&work, Shape::BASE), SelfFault::None, 1)?.elapsed;
            let seconds = elapsed.device.unwrap_or(elapsed.host).as_secs_f64();
            if seconds > LONG_ENOUGH_S || work.workgroups >= crate::chains::WORKGROUPS_MAX {
                #[expect(clippy::cast_precision_loss, reason = "a rate to a few digits")]
                let operations = (self.checker.recipe.cost)(&work).operations as f64;
                return Ok(Some(operations / seconds.max(1e-9)));
            }
            work.workgroups = work.workgroups.saturating_mul(4).min(crate::chains::WORKGROUPS_MAX);
        }
    }

    fn free(self: Box<Self>, session: &mut Session<'_>) {
        self.chains.free(session);
    }
}
