//! What a device can do at most, and what can be had of that through the interface that we use.
//!
//! Terms: the *physical* peak follows from units, operations per clock and clock, or from memory clock and bus width; no
//! device of that model exceeds it. A *rated* rate is the maker's own figure, at the clock that the maker states it for.
//! *Reachable* is the share of the rated rate that Vulkan gets: on Hopper, for example, a subgroup's matrix multiply feeds
//! the matrix units at 63 to 65 % whatever the kernel does. Judge by what is reachable, refuse by what is physical.
//!
//! The figures are data (`limits/*.toml`, one file per GPU model), each with its source and a [`Grade`] that says how far
//! it is known. [`lint`] refuses what physics forbids: in our own table (a test), in a plan, and in tables that others
//! publish. What this does not do: measure anything, or say what the fleet usually reaches.
//!
//! All rates are per second and decimal: FLOP/s, OP/s (a multiply-add is two), B/s.

pub mod metric;
pub mod formula;
pub mod model;
pub mod table;
pub mod bounds;
pub mod gates;
pub mod lint;

pub use bounds::{Basis, Bounds, NoBounds, OwnProperties, Reachable, bounds_of};
pub use formula::Formula;
pub use metric::Metric;
pub use model::{Figure, Grade, Model, Reach};
