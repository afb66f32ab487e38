//! The nouns of a burn-in, and the one schema for all that crosses a process.
//!
//! Everything here is data and pure functions: no clock, no file, no device. `burnin` fills a [`Report`], `node-init`
//! signs its bytes, `inventory` reads it and judges it again with the very same [`judge()`].
//!
//! Terms: a *check* is one question put to one *subject* (the node or a device); its *evidence* is what was measured;
//! the *outcome* follows from evidence and plan; the *verdict* of the node follows from all outcomes.
//!
//! The rule that shapes every type: **absence never helps**. A field's zero, its absence and a value that this version
//! does not know are each read as the least favourable answer.

pub mod unit;
pub mod address;
pub mod node;
pub mod device;
pub mod matrix;
pub mod plan;
pub mod limits;
pub mod latency;
pub mod telemetry;
pub mod units;
pub mod anatomy;
pub mod check;
pub mod document;
pub mod judge;
pub mod bench;
pub mod text;
pub mod stats;
pub mod render;
pub mod compare;
pub mod schema;
pub mod wire;

pub use address::{Bdf, MacAddr, PciId};
pub use anatomy::{Anatomy, BitErrors, PassErrors, RegionRates};
pub use check::{
    Canary, CheckId, CheckResult, Coverage, Measurement, Mismatch, Mismatches, Outcome, Reason, Sample,
    Subject, WarmUp,
};
pub use device::{Backend, DeviceId, DeviceInfo, DeviceKind, Feature};
pub use document::{Counter, Finding, Origin, Planned, Report, SCHEMA, Tool, VerdictRecord};
pub use judge::{Verdict, judge};
pub use latency::Latency;
pub use matrix::{Component, MatrixScope, MatrixShape, MatrixSource};
pub use node::NodeFacts;
pub use plan::Plan;
pub use telemetry::{Moment, Range, Telemetry};
pub use unit::{Bytes, Quantity, Seconds, Unit};
pub use units::{UnitHistogram, UnitLoad};
