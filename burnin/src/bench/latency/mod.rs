//! Measures what a submission costs: with nothing in it, with one dispatch, with many, and with the data to and fro.
//!
//! The kernel is the digest's with one workgroup and chains of no length: it does next to nothing, and counts itself. A
//! driver that drops a dispatch would be the fastest of all; so the count is read back after every block of samples, with
//! the answers of the last dispatch, and a dispatch that is left out on purpose must be missed.

mod run;

pub use run::run;
