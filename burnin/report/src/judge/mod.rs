//! The judge: a pure function from a report to a verdict, the same bits on every machine.
//!
//! Three steps, three modules: [`rate`] turns windows into figures, [`evidence`] turns the evidence of one check into an
//! outcome, [`verdict`] turns all outcomes into the verdict of the node. An outcome that stands in a report is believed
//! only downwards: a `fail` stays a `fail` whatever the evidence looks like, a `pass` must be carried by it.

pub mod reason;
pub mod rate;
pub mod evidence;
pub mod verdict;

pub use evidence::settle;
pub use rate::{SUSTAINED_WINDOWS, summarize};
pub use reason::ReasonCode;
pub use verdict::{Verdict, judge, judge_bytes};
