//! Measures the FP32 multiply-add rate, with every answer compared bit for bit.
//!
//! Whether the device fuses is found out on the canonical work; from then on it must round that way throughout. A device
//! that does neither is wrong.

mod run;

pub use run::run;

use kernels::fp32::Work;

/// The work by which rounding is found out, and whose digest stands in the report.
pub const CANONICAL: Work = Work { seed: 0x0a55_a701, steps: 512, workgroups: 256 };
