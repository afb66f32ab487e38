//! Burns in and benchmarks GPUs with compute kernels. The only GPU code of Assay.
//!
//! ```text
//! discover -> check -> stress / bench -> judge -> report
//! ```
//!
//! Modules in the order of that story. [`run`] is the pipeline and [`crew`] its middle part: one [`worker`] process a
//! device, which opens the [`device`] and runs each check in a [`session`]; the evidence goes through the judge of the
//! `report` crate into the [`journal`].
//!
//! What this does not do: change a setting of a device, judge a fleet, talk to a network.

pub mod clock;
pub mod run;
pub mod figures;
pub mod device;
pub mod session;
pub mod measure;
pub mod sweep;
pub mod check;
pub mod stress;
pub mod bench;
pub mod mismatches;
pub mod chains;
pub mod catalogue;
pub mod calibrate;
pub mod worker;
pub mod telemetry;
pub mod counters;
pub mod crew;
pub mod journal;
pub mod progress;
pub mod bundle;
