//! Runs one tile again and again with its seed, to see how often it goes wrong, and how.

use std::fmt;

use kernels::SelfFault;
use kernels::chain::{Shape, Work};
use report::{Backend, DeviceId, Mismatch, Mismatches, Quantity, Seconds};
use serde::{Deserialize, Serialize};

use super::recipe::Expectations;
use super::{Chains, Recipe};
use crate::device::DeviceError;
use crate::session::Session;

/// One workgroup of one dispatch of a check: all that is needed to run it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tile {
    /// Through what the device is driven.
    pub backend: Backend,
    /// Which device.
    pub device: DeviceId,
    /// Which check.
    pub check: String,
    /// The seed of the dispatch.
    pub seed: u32,
    /// The workgroup.
    pub workgroup: u32,
    /// Steps of each chain; those of the check's windows if not given.
    pub steps: Option<u32>,
    /// Workgroups of the dispatch; as many as contain the workgroup, and at least those of the check's windows, if not given.
    pub workgroups: Option<u32>,
    /// Chains of an invocation; all if not given.
    pub chains: Option<u32>,
    /// Invocations of the device's workgroup; the base size if not given.
    pub invocations: Option<u32>,
}

impl Tile {
    /// The work of its dispatch, and in what shape.
    fn work(&self, recipe: &Recipe) -> (Work, Shape) {
        let invocations = self.invocations.unwrap_or(Shape::BASE.invocations);
        let side_by_side = (invocations / Shape::BASE.invocations).max(1);
        let least = (self.workgroup + 1).next_multiple_of(side_by_side).max(recipe.window.workgroups);
        let workgroups = self.workgroups.unwrap_or(least);
        let work = Work { seed: self.seed, steps: self.steps.unwrap_or(recipe.window.steps), workgroups };
        (work, Shape { invocations, chains: self.chains.unwrap_or(0) })
    }

    /// Why it cannot be run as it is, if it cannot.
    pub fn refusal(&self, recipe: &Recipe) -> Option<String> {
        let (work, shape) = self.work(recipe);
        let tried = recipe.tried.contains(&shape.chains) || [0, recipe.chains].contains(&shape.chains);
        let even =
            [64, 128].contains(&shape.invocations) && work.workgroups.is_multiple_of(shape.invocations / 64);
        if work.workgroups == 0 || work.workgroups > super::WORKGROUPS_MAX {
            Some(format!("a dispatch has 1 to {} workgroups", super::WORKGROUPS_MAX))
        } else if self.workgroup >= work.workgroups {
            Some(format!("workgroup {} is not one of {}", self.workgroup, work.workgroups))
        } else if !tried || !even {
            Some(format!("check `{}` has no shape {shape:?}", self.check))
        } else {
            None
        }
    }
}

/// The command that runs it again.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, device, check, seed, workgroup, .. } = self;
        write!(f, "burnin replay --backend {backend} --device {device} --check {check} --seed {seed}")?;
        write!(f, " --workgroup {workgroup}")?;
        let more = [
            ("steps", self.steps),
            ("workgroups", self.workgroups),
            ("chains", self.chains.filter(|chains| *chains > 0)),
            ("invocations", self.invocations),
        ];
        more.iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .try_for_each(|(name, value)| write!(f, " --{name} {value}"))
    }
}

/// How often a tile was wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// What was run.
    pub tile: Tile,
    /// How many times.
    pub dispatches: u64,
    /// In how many of them the workgroup was wrong.
    pub wrong_dispatches: u64,
    /// Wrong words of the workgroup in all of them.
    pub wrong_words: u64,
    /// Union of their wrong bits.
    pub bits: u32,
    /// Wrong words of all other workgroups.
    pub wrong_words_elsewhere: u64,
    /// The first wrong words, of the workgroup if it had some.
    pub first: Vec<Mismatch>,
    /// How long it took.
    pub took_s: Seconds,
}

/// Runs the tile's dispatch until so many are done or the time is over, and compares every word.
pub fn replay(
    session: &mut Session<'_>,
    recipe: &Recipe,
    tile: &Tile,
    (times, seconds): (u64, f64),
) -> Result<Replayed, DeviceError> {
    let start = session.clock.now();
    let chains = Chains::allocate(session, recipe.kernel)?;
    let canonical = chains.run(session, (&recipe.canonical, Shape::BASE), SelfFault::None, 1)?;
    let mut expectations = Expectations::new((recipe.oracle)(&canonical).0);
    let (work, shape) = tile.work(recipe);
    let (mut wrong, mut other) = (Mismatches::default(), Mismatches::default());
    let (mut dispatches, mut wrong_dispatches) = (0, 0);
    while dispatches < times && (dispatches == 0 || (session.clock.now() - start).as_secs_f64() < seconds) {
        let answers = chains.run(session, (&work, shape), SelfFault::None, 1)?;
        let expected = expectations.of(&work, shape.chains, &answers.lanes);
        let pass = u32::try_from(dispatches).unwrap_or(u32::MAX);
        let tile_wrong = answers.compare_some(expected, tile.workgroup..tile.workgroup + 1, pass, &mut wrong);
        wrong_dispatches += tile_wrong.len() as u64;
        answers.compare_some(expected, 0..tile.workgroup, pass, &mut other);
        answers.compare_some(expected, tile.workgroup + 1..work.workgroups, pass, &mut other);
        dispatches += 1;
    }
    chains.free(session);
    let first = if wrong.first.is_empty() { other.first } else { wrong.first };
    Ok(Replayed {
        tile: tile.clone(),
        dispatches,
        wrong_dispatches,
        wrong_words: wrong.count,
        bits: wrong.bits,
        wrong_words_elsewhere: other.count,
        first,
        took_s: Quantity::new((session.clock.now() - start).as_secs_f64()).unwrap_or_default(),
    })
}
