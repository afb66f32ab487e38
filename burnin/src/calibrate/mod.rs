//! Calibration: proof that the checkers see what they claim.
//!
//! A *checker* ([`checkers`]) is a check cut down to one cheap round. An *injection* ([`inject`]) puts one fault of a *class*
//! ([`class`]) into a round and proves that it arrived. The *matrix* ([`matrix`]) is the share of injections that each checker
//! saw of each class; a class that a checker *claims* it must see always, and a round without a fault must never alarm.
//! Every injection follows from a seed, by which it can be replayed.
//!
//! [`naive`] shows what other ways of comparing would have seen, [`law`] what silence proves, [`mutants`] whether a kernel
//! that computes something else is noticed.
//!
//! What this does not say: how many defective devices of the field are found. Nobody has a population of known-bad GPUs; only
//! the detection of declared, injected faults is measured.

pub mod draw;
pub mod class;
pub mod anatomy;
pub mod inject;
pub mod checkers;
pub mod matrix;
pub mod naive;
pub mod law;
pub mod mutants;
pub mod crew;
pub mod document;
pub mod table;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::device::{Device, DeviceError};
use checkers::Checker;
use class::Class;
use document::{Calibration, Clean, SCHEMA};
use inject::Injector;
use matrix::{Bench, Counts, Extent};
use report::DeviceInfo;
use report::plan::PlannedCheck;

/// What is to be calibrated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which checkers.
    pub checkers: Vec<&'static dyn Checker>,
    /// Which classes.
    pub classes: Vec<Class>,
    /// Injections of a cell.
    pub injections: u32,
    /// Rounds without a fault, over all checkers; those that come with injections count.
    pub clean_rounds: u64,
}

/// Calibrates on a device in this process; [`crew::run`] does it in workers.
pub fn run(
    options: &Options,
    device: Box<dyn Device>,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Calibration, DeviceError> {
    let start = clock.now();
    let mut calibration = summary(options, device.info().clone());
    let planned = planned();
    let mut bench = Bench { device: Injector::new(device), clock, planned: &planned };
    let mut counts = Counts::default();
    for (number, checker) in (0u64..).zip(&options.checkers) {
        let left = options.clean_rounds.saturating_sub(counts.clean.rounds);
        let clean_rounds = left / (options.checkers.len() as u64 - number);
        let Options { classes, injections, .. } = options;
        let extent = Extent { classes, injections: *injections, clean_rounds, speed: true };
        bench.calibrate(*checker, extent, &mut counts, progress)?;
    }
    calibration.take(counts);
    calibration.took_s = (clock.now() - start).as_secs_f64();
    Ok(calibration)
}

/// A calibration of which nothing has been counted yet.
fn summary(options: &Options, device: DeviceInfo) -> Calibration {
    Calibration {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernels_digest: crate::run::kernels_digest(),
        device,
        started_at: Timestamp::now(),
        took_s: 0.0,
        injections: options.injections,
        cells: Vec::new(),
        clean: Clean::default(),
        checkers: Vec::new(),
        contrast: naive::contrast(options.injections),
        durations: Vec::new(),
        base_rate: law::base_rates(),
        skipped: Vec::new(),
        deaths: Vec::new(),
        mutants: None,
    }
}

impl Calibration {
    /// Takes what was counted, and what follows from it.
    fn take(&mut self, counts: Counts) {
        let Counts { cells, clean, checkers, skipped } = counts;
        (self.cells, self.clean, self.checkers, self.skipped) = (cells, clean, checkers, skipped);
        self.durations = law::durations(self);
    }
}

/// The line of a plan that sessions are made with; rounds take nothing from it.
///
/// # Panics
/// If the built-in plan has no check of a device, which a test of plans rules out.
pub fn planned() -> PlannedCheck {
    let plan = report::Plan::built_in("quick-software").ok();
    let check = plan.and_then(|plan| plan.checks.into_iter().find(|check| check.id.as_str() == "digest"));
    check.unwrap_or_else(|| panic!("the built-in plan has no check `digest`"))
}

#[cfg(test)]
mod tests;
