//! The tournament: nodes measure each other in rounds, and from the matrix of pairs the bad end is named.
//!
//! ```text
//! fabric (who is cabled where) -> schedule (rounds of pairs) -> flows (what each pair measured) -> attribute (who is to blame)
//! ```
//!
//! Terms: a *rail* is the n-th fabric port of every node; a *port* is one port of one node; a *leaf* is the switch at the
//! other end of its cable, with some *uplinks* to the rest of the fabric; a *flow* is one measured pair of ports. A *part*
//! is what can be bad: a node, a port, a cable, a leaf's uplink.
//!
//! A flow is as fast as the slowest part on its way. So a bad part smears over all its partners, and a single slow flow
//! says nothing about which of its ends is bad: only the flows of many pairs together do.

pub mod fabric;
pub mod schedule;
pub mod flow;
mod noise;
mod evidence;
pub mod attribute;
pub mod separate;
pub mod simulate;
