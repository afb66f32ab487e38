//! Measures device memory bandwidth over all of the memory that the plan gives: read, write, copy and
//! read-modify-write, with what was moved compared, and the rate of each region read alone.
//!
//! A read is a sweep that compares every word; a read-modify-write compares and writes the complement. What writes and
//! copies left is compared afterwards; before, every word was another. The form of the kernel is the fastest of a short
//! sweep and stands in `method`.

pub(crate) mod run;

pub use run::run;
