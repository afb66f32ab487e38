//! Reads facts about a node below a root directory: the machine's own `/`, or a tree captured from another one.
//!
//! Terms: a [`Root`] is the directory; a *probe* reads one kind of fact ([`PROBES`] lists them in order); [`collect`]
//! runs all of them, each with a deadline, and records how each ended. The world's faults are recorded and the rest goes
//! on: a malformed file costs one fact, never the node.
//!
//! It reads sysfs and procfs only. It calls no program, changes nothing and decides nothing: whether a fact is good is
//! for `burnin` and the inventory to say.

pub mod root;
pub mod error;
pub mod probe;
pub mod collect;

pub use collect::{PROBE_DEADLINE, collect};
pub use error::ProbeError;
pub use probe::{PROBES, Probe};
pub use root::{ReadError, Root};
