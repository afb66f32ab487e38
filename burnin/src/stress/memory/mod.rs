//! Proves that the device's memory keeps what is written to it, at every address that can be had.
//!
//! Memory is taken in chunks of at most 512 MiB (or what one binding can show); words are numbered across all of them. The
//! invocations that compare count what they compared, and the least of all passes is the coverage. Two checks:
//!
//! * own address: every word holds a mix of its number, then the complement: aliasing, decoder faults, stuck bits;
//! * moving inversions: one value everywhere, swept by read-compare-invert, for two values: coupling between neighbours.

pub(crate) mod chunks;
pub(crate) mod run;

pub use run::{moving_inversions, own_address};
