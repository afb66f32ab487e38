//! Proves that the integer units compute: bijective chains whose one right answer the processor knows.
//!
//! First the canonical work, whose digest is the same on every conforming device and every backend; then planted faults,
//! each of which must be found at its lane; then windows with a new seed each, every lane compared.

mod run;

pub use run::run;

use kernels::digest::Work;

/// The work whose digest stands in the report, the same for every device and every version of this check.
pub const CANONICAL: Work = Work { seed: 0x0a55_a700, steps: 256, workgroups: 1024 };
