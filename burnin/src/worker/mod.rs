//! Worker processes: every device is driven by a process of its own, so that a hang, a crash or a lost device costs one
//! verdict and not the node.
//!
//! The parent writes one [`Job`] as a line of JSON to the worker's standard input; the worker answers with [`Event`]s, a
//! line of JSON each, on its standard output, and ends. [`serve`] is the worker's side, [`supervise`] the parent's, which
//! keeps the deadlines: a worker is never trusted to keep its own.

use serde::{Deserialize, Serialize};

use report::{Backend, Bytes, CheckId, CheckResult, DeviceId, DeviceInfo, Plan, Seconds};

use crate::calibrate::crew::Part;
use crate::calibrate::matrix::Counts;
use crate::calibrate::mutants::{Trials, Tried};
use crate::chains::{Replayed, Tile};
use crate::device::faulty::Fault;

pub mod serve;
pub mod supervise;

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// List the devices of a backend.
    List {
        /// Which.
        backend: Backend,
    },
    /// Run every check of the plan that is about a device.
    Burn(Burn),
    /// Run one tile of a chain check again and again.
    Replay(Again),
    /// Try changed kernels.
    Mutants(Trials),
    /// Put faults in, and see that a checker finds them.
    Calibrate(Part),
}

/// A tile and how long to run it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// Which.
    pub tile: Tile,
    /// How many times at most.
    pub times: u64,
    /// How long at most.
    pub seconds: Seconds,
    /// A fault to plant.
    pub fault: Option<Fault>,
}

/// A burn-in of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Burn {
    /// Through what.
    pub backend: Backend,
    /// Which device.
    pub device: DeviceId,
    /// The plan.
    pub plan: Plan,
    /// Host memory to spare.
    pub host_available: Option<Bytes>,
    /// A fault to plant.
    pub fault: Option<Fault>,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The devices asked for, or why there are none.
    Listed(Result<Vec<DeviceInfo>, String>),
    /// How often the tile was wrong, or why it was not run.
    Replayed(Result<Box<Replayed>, String>),
    /// A check begins.
    Started(CheckId),
    /// A check is so far, 0 to 1.
    Progress(CheckId, f64),
    /// A check is over.
    Finished(Box<CheckResult>),
    /// A changed kernel is tried.
    Mutant(Tried),
    /// A calibration goes on.
    Calibrating,
    /// What was counted in a part of a calibration, or why it could not be done.
    Calibrated(Result<Box<Counts>, String>),
}
