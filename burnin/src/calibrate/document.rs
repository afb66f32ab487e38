//! What a calibration found, as one document.

use jiff::Timestamp;
use report::DeviceInfo;
use serde::{Deserialize, Serialize};

use super::class::Class;

/// Version of the document.
pub const SCHEMA: &str = "assay.calibration.v1";

/// A calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program.
    pub tool_version: String,
    /// Digest of all kernels, as in reports.
    pub kernels_digest: String,
    /// On which device.
    pub device: DeviceInfo,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub took_s: f64,
    /// Injections asked for in each cell.
    pub injections: u32,
    /// Each checker with each class.
    pub cells: Vec<Cell>,
    /// Rounds without a fault.
    pub clean: Clean,
    /// How fast each checker is.
    pub checkers: Vec<Speed>,
    /// What other ways of comparing see of the same damage.
    pub contrast: Vec<Contrast>,
    /// How long it takes to see a rare error.
    pub durations: Vec<Duration>,
    /// What an alarm is worth.
    pub base_rate: Vec<BaseRate>,
    /// Checkers that were not tried, with what the device lacks.
    pub skipped: Vec<Skipped>,
    /// Workers that ended without an answer; what each did was done again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deaths: Vec<Death>,
    /// Changed kernels, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutants: Option<Mutants>,
}

/// A checker that was not tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Which.
    pub checker: String,
    /// Why.
    pub reason: String,
}

/// A worker that ended without an answer: a driver that took its process with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Checker and class.
    pub part: String,
    /// How it ended.
    pub how: String,
}

/// One checker with one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The checker.
    pub checker: String,
    /// The class.
    pub class: Class,
    /// Must it see all?
    pub claimed: bool,
    /// Faults that arrived.
    pub injected: u32,
    /// Of these, seen.
    pub found: u32,
    /// Draws that changed nothing, and were drawn again.
    pub redrawn: u64,
    /// Faults that did not come to be in any of many draws.
    pub absent: u32,
    /// The first that were not seen.
    pub misses: Vec<Miss>,
}

/// A fault that was not seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// `burnin calibrate --checker C --class K --replay SEED` does it again.
    pub seed: String,
    /// What it did.
    pub what: String,
}

/// Rounds without a fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clean {
    /// How many.
    pub rounds: u64,
    /// Those in which something was said to be wrong.
    pub alarms: u64,
    /// The first of them.
    pub first: Vec<Alarm>,
}

/// A round without a fault in which something was said to be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Who said it.
    pub checker: String,
    /// The seed of the injection that the round belongs to.
    pub seed: String,
    /// What was said.
    pub what: String,
}

/// How fast a checker is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// The checker.
    pub checker: String,
    /// Rounds a second, without injection.
    pub rounds_per_s: f64,
    /// Operations a second in the check itself, where the unit counts operations.
    pub operations_per_s: Option<f64>,
}

/// What another way of comparing sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The way.
    pub way: String,
    /// The class of damage.
    pub class: Class,
    /// Damage done.
    pub injected: u32,
    /// Damage seen.
    pub found: u32,
}

/// How long until an error of this rate is seen with a probability of 95 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duration {
    /// The checker.
    pub checker: String,
    /// Errors an operation.
    pub error_rate: f64,
    /// Share of the errors within the unit that reach a comparison, as measured.
    pub seen_share: f64,
    /// The time.
    pub seconds: f64,
}

/// What an alarm is worth where one device in so many is bad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseRate {
    /// Share of devices that are bad.
    pub prevalence: f64,
    /// Share of bad devices that are found.
    pub sensitivity: f64,
    /// Share of good devices for which there is an alarm.
    pub false_alarm_rate: f64,
    /// Probability that an alarm is right.
    pub right: f64,
}

/// Changed kernels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutants {
    /// Every one.
    pub tried: Vec<Mutant>,
}

/// A changed kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutant {
    /// The kernel.
    pub kernel: String,
    /// Its number among those of the kernel.
    pub number: u32,
    /// What was changed.
    pub change: String,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a changed kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// A checker of the unit noticed, in a round or by its canary.
    Caught {
        /// Which.
        checker: String,
        /// Only because a planted fault was not found as planted?
        by_canary: bool,
    },
    /// The driver refused it.
    Refused(String),
    /// The worker process died of it.
    Crashed(String),
    /// It did not end.
    Hung,
    /// Nobody noticed, and it is shown to make no difference to a real run.
    Equivalent(String),
    /// Nobody noticed: a hole.
    Survived,
}

impl Cell {
    /// Faults that arrived and were not seen.
    pub fn missed(&self) -> u32 {
        self.injected - self.found
    }

    /// Is a claim broken? A claim that could not be tried is.
    pub fn broken(&self) -> bool {
        self.claimed && (self.missed() > 0 || self.absent > 0 || self.injected == 0)
    }
}

impl Calibration {
    /// Is every claim kept, without a false alarm and without a surviving mutant?
    pub fn holds(&self) -> bool {
        let mutants = self.mutants.iter().flat_map(|mutants| &mutants.tried);
        self.cells.iter().all(|cell| !cell.broken())
            && self.clean.alarms == 0
            && mutants.filter(|mutant| mutant.fate == Fate::Survived).count() == 0
    }

    /// Checkers in the order of the matrix.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !names.contains(&cell.checker.as_str()) {
                names.push(&cell.checker);
            }
        }
        names
    }
}
