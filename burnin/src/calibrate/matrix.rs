//! The matrix: every class of faults with every checker, and rounds without a fault.

use report::Mismatches;
use report::plan::PlannedCheck;
use serde::{Deserialize, Serialize};

use super::checkers::{Checker, Rounds};
use super::class::{Class, published_mask};
use super::document::{Alarm, Cell, Clean, Miss, Skipped, Speed};
use super::draw::{Draw, seed};
use super::inject::{Injection, Injector};
use crate::clock::Clock;
use crate::device::{Device, DeviceError};
use crate::session::Session;

/// Draws for one fault before it counts as absent.
const DRAWS_MAX: u32 = 64;
/// Misses and alarms that are kept.
const KEPT_MAX: usize = 64;
/// Rounds between two words on how far it is.
const BETWEEN_WORDS: u32 = 16;

/// A device on which checkers are calibrated.
pub struct Bench<'a> {
    /// The device.
    pub device: Injector<Box<dyn Device>>,
    /// Host time.
    pub clock: &'a dyn Clock,
    /// A line of a plan; rounds have sizes of their own.
    pub planned: &'a PlannedCheck,
}

impl std::fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("device", &self.device.info().id).finish_non_exhaustive()
    }
}

/// What is counted over a whole calibration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Every cell.
    pub cells: Vec<Cell>,
    /// Rounds without a fault.
    pub clean: Clean,
    /// How fast each checker is.
    pub checkers: Vec<Speed>,
    /// Checkers that were not tried.
    pub skipped: Vec<Skipped>,
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Extent<'a> {
    /// The classes.
    pub classes: &'a [Class],
    /// Injections of a cell.
    pub injections: u32,
    /// Rounds without a fault, over all checkers.
    pub clean_rounds: u64,
    /// Is it to be seen how fast the checker is?
    pub speed: bool,
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        let Self { cells, clean, checkers, skipped } = other;
        self.cells.extend(cells);
        self.clean.rounds += clean.rounds;
        self.clean.alarms += clean.alarms;
        self.clean.first.extend(clean.first);
        self.clean.first.truncate(KEPT_MAX);
        self.checkers.extend(checkers);
        self.skipped.extend(skipped);
    }
}

/// What became of one injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shot {
    /// It arrived and was seen; what it did.
    Found(String),
    /// It arrived and was not seen; what it did.
    Missed(String),
    /// It did not come to be in any of many draws.
    Absent,
}

impl Bench<'_> {
    /// A session of a check on the device.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut Session<'_>) -> T) -> T {
        act(&mut Session {
            device: &mut self.device,
            clock: self.clock,
            planned: self.planned,
            host_available: None,
            progress: &mut |_| (),
        })
    }

    /// What the device lacks for a checker.
    pub fn lacks(&self, checker: &dyn Checker) -> Option<String> {
        checker.lacks(self.device.info())
    }

    /// Every class with one checker, and its share of the clean rounds.
    pub fn calibrate(
        &mut self,
        checker: &dyn Checker,
        extent: Extent<'_>,
        counts: &mut Counts,
        progress: &mut dyn FnMut(&str, f64),
    ) -> Result<(), DeviceError> {
        if let Some(reason) = self.lacks(checker) {
            counts.skipped.push(Skipped { checker: checker.name().to_owned(), reason });
            return Ok(());
        }
        let mut rounds = self.with(|session| checker.prepare(session))?;
        let clean_until = counts.clean.rounds + extent.clean_rounds;
        let clean = &mut counts.clean;
        let mut trial = Trial { bench: self, checker, rounds: rounds.as_mut(), clean, clean_until };
        trial.clean_round(0, 0)?;
        for class in extent.classes {
            counts.cells.push(trial.cell(*class, extent.injections, progress)?);
        }
        let left = clean_until.saturating_sub(trial.clean.rounds);
        let rounds_per_s = trial.clean_rounds(left, progress)?;
        if extent.speed {
            let operations_per_s = self.with(|session| rounds.rate(session))?;
            counts.checkers.push(Speed {
                checker: checker.name().to_owned(),
                rounds_per_s,
                operations_per_s,
            });
        }
        self.with(|session| rounds.free(session));
        Ok(())
    }

    /// One injection again, by its seed.
    pub fn replay(
        &mut self,
        checker: &dyn Checker,
        class: Class,
        seed: u64,
    ) -> Result<(Shot, Clean), DeviceError> {
        let mut clean = Clean::default();
        let mut rounds = self.with(|session| checker.prepare(session))?;
        let clean_until = u64::MAX;
        let mut trial =
            Trial { bench: self, checker, rounds: rounds.as_mut(), clean: &mut clean, clean_until };
        let shot = trial.inject(class, seed, &mut 0)?;
        self.with(|session| rounds.free(session));
        Ok((shot, clean))
    }
}

/// A checker on trial.
struct Trial<'a, 'b> {
    bench: &'a mut Bench<'b>,
    checker: &'a dyn Checker,
    rounds: &'a mut dyn Rounds,
    clean: &'a mut Clean,
    /// So many rounds without a fault are asked for; as long as they are not done, each injection comes after one.
    clean_until: u64,
}

impl Trial<'_, '_> {
    fn cell(
        &mut self,
        class: Class,
        injections: u32,
        progress: &mut dyn FnMut(&str, f64),
    ) -> Result<Cell, DeviceError> {
        let checker = self.checker.name();
        let claimed = self.checker.claims(class);
        let mut cell = Cell {
            checker: checker.to_owned(),
            class,
            claimed,
            injected: 0,
            found: 0,
            redrawn: 0,
            absent: 0,
            misses: Vec::new(),
        };
        for number in 0..injections {
            if number % BETWEEN_WORDS == 0 {
                progress(&format!("{checker} {class}"), f64::from(number) / f64::from(injections));
            }
            let seed = seed(checker, class.as_str(), number);
            match self.inject(class, seed, &mut cell.redrawn)? {
                Shot::Found(_) => cell.found += 1,
                Shot::Missed(what) if cell.misses.len() < KEPT_MAX => {
                    cell.misses.push(Miss { seed: format!("{seed:#018x}"), what });
                }
                Shot::Missed(_) => {}
                Shot::Absent if cell.injected == 0 => break,
                Shot::Absent => {
                    cell.absent += 1;
                    continue;
                }
            }
            cell.injected += 1;
        }
        Ok(cell)
    }

    /// A round without a fault where one is wanted, and one with a fault that is drawn until it arrives.
    fn inject(&mut self, class: Class, seed: u64, redrawn: &mut u64) -> Result<Shot, DeviceError> {
        let mut draw = Draw::new(seed);
        let clean = draw.word();
        // What a stale tile holds must follow from the seed too.
        if self.clean.rounds < self.clean_until || class == Class::StaleTile {
            self.clean_round(clean, seed)?;
        }
        let dispatches = self.bench.device.dispatches() as usize;
        for _ in 0..DRAWS_MAX {
            let at = u32::try_from(draw.below(dispatches)).unwrap_or(0);
            let injection =
                Injection { class, at, draw: Draw::new(draw.long()), dissect: self.checker.dissect() };
            let (golden, round) = (draw.clone(), draw.word());
            self.bench.device.arm(Some(injection));
            let (found, touched) = self.round(round, (class == Class::Golden).then_some(golden))?;
            if let Some(what) = touched.or_else(|| self.bench.device.arrived().map(str::to_owned)) {
                return Ok(if found.count > 0 { Shot::Found(what) } else { Shot::Missed(what) });
            }
            *redrawn += 1;
            self.judge_clean(&found, seed);
        }
        Ok(Shot::Absent)
    }

    /// One round; what was wrong, and what was done to the expected answers, if anything.
    fn round(
        &mut self,
        seed: u32,
        golden: Option<Draw>,
    ) -> Result<(Mismatches, Option<String>), DeviceError> {
        let mut touched = None;
        let mut touch = |words: &mut [u32]| {
            let Some(mut draw) = golden.clone() else { return };
            let (at, mask) = (draw.below(words.len()), published_mask(&mut draw));
            words[at] ^= mask;
            touched = Some(format!("expected word {at} ^ {mask:#010x}"));
        };
        let rounds = &mut *self.rounds;
        let found = self.bench.with(|session| rounds.round(session, &mut touch, seed))?;
        Ok((found, touched))
    }

    fn clean_round(&mut self, round: u32, seed: u64) -> Result<(), DeviceError> {
        self.bench.device.arm(None);
        let (found, _) = self.round(round, None)?;
        self.judge_clean(&found, seed);
        Ok(())
    }

    /// Nothing may be wrong in a round without a fault.
    fn judge_clean(&mut self, found: &Mismatches, seed: u64) {
        self.clean.rounds += 1;
        if found.count == 0 {
            return;
        }
        self.clean.alarms += 1;
        if self.clean.first.len() < KEPT_MAX {
            let what = format!("{} wrong, first {:?}", found.count, found.first.first());
            let checker = self.checker.name().to_owned();
            self.clean.first.push(Alarm { checker, seed: format!("{seed:#018x}"), what });
        }
    }

    /// So many more clean rounds, and at least enough to see how fast they are.
    fn clean_rounds(&mut self, more: u64, progress: &mut dyn FnMut(&str, f64)) -> Result<f64, DeviceError> {
        let more = more.max(16);
        let start = self.bench.clock.now();
        for number in 0..more {
            if number % u64::from(BETWEEN_WORDS) == 0 {
                #[expect(clippy::cast_precision_loss, reason = "a share of a display")]
                progress(&format!("{} clean", self.checker.name()), number as f64 / more as f64);
            }
            let seed = seed(self.checker.name(), "clean", u32::try_from(number).unwrap_or(u32::MAX));
            self.clean_round(Draw::new(seed).word(), seed)?;
        }
        let seconds = (self.bench.clock.now() - start).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate to a few digits")]
        Ok(more as f64 / seconds.max(1e-9))
    }
}
