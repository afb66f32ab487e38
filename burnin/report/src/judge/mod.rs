//! The judge: a pure function from a report to a verdict, the same bits on every machine.
//!
//! Five modules: [`rate`] turns windows into figures, `trust` says which of them can be believed, [`evidence`] turns the evidence of one check into an outcome,
//! `whole` asks whether anything is missing, [`verdict`] turns all of it into the verdict of the node. What stands in a
//! report is believed only downwards: a `fail` stays a `fail` whatever the evidence looks like, a `pass` must be carried by it, and
//! no reader arrives at a better verdict than the writer did ([`review`]).

pub mod reason;
pub mod rate;
mod trust;
pub mod evidence;
mod whole;
pub mod verdict;

/// Raised with every change by which the same evidence may get another verdict, so that a stored verdict tells which judge
/// it is of.
pub const VERSION: u32 = 1;

pub use evidence::settle;
pub use rate::{SUSTAINED_WINDOWS, Spread, spread, summarize};
pub use reason::ReasonCode;
pub use verdict::{Verdict, judge, judge_bytes, review, settle_on_device};
