//! Proves that the device's memory keeps what is written to it, at every address that can be had.
//!
//! Each check is a table of passes ([`suite`]) over all of the memory ([`crate::sweep`]): a new pattern is one row. Passes
//! that compare take tiles in another order than those that wrote. The invocations that compare count what they compared,
//! and the least of all passes is the coverage. What each table sees, and what it cannot, is held by tests against models
//! of broken memory:
//!
//! * own address: every word holds a mix of its number, then the complement: aliasing, decoder faults, stuck bits;
//! * moving inversions: one value everywhere, swept by read-compare-invert: stuck bits, transitions, coupling. It sees a
//!   decoder fault between tiles, not one within a tile, which is read whole before it is written;
//! * walking bits: as moving inversions for a single 1 and a single 0 at each of 32 places;
//! * modulo 20: every 20th cell of 32 bytes is a victim, all others are written twice after it, for each residue and both
//!   values. It sees no fault within a cell that moves all of its words together;
//! * March C-: {w0} up{r0,w1} up{r1,w0} down{r0,w1} down{r1,w0} {r0}; up and down are the order of tiles, and within a tile
//!   of 64 KiB all is read before any is written, since a GPU has no order of single words;
//! * random: values that no neighbour foretells, and their complement;
//! * retention: random values are left alone for half of the planned time, then compared, then the complement. Memory is
//!   refreshed as always meanwhile: it finds cells that leak faster than that;
//! * neighbour: lines of 32 B, 1 KiB, 8 KiB and 32 KiB; every other line is written many times, those between are compared.
//!
//! Errors are taken apart in [`anatomy`]. What this does not do: hammer rows at a chosen physical address (mapping is not
//! public), turn refresh off, or see what error correction mended: read the counters beside it.

mod anatomy;
mod run;
pub(crate) mod suite;

#[cfg(test)]
mod broken;
#[cfg(test)]
mod tests;

use report::CheckResult;

use crate::device::DeviceError;
use crate::session::Session;

/// The own-address check.
pub fn own_address(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::own_address())
}

/// The moving-inversions check.
pub fn moving_inversions(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::moving_inversions())
}

/// The walking-bits check.
pub fn walking_bits(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::walking_bits())
}

/// The modulo-20 check.
pub fn modulo_20(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::modulo_20())
}

/// The March C- check.
pub fn march(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::march())
}

/// The random check.
pub fn random(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::random())
}

/// The retention check: it leaves the memory alone for the plan's `measure_s` in all.
pub fn retention(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::retention())
}

/// The neighbour check.
pub fn neighbour(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    run::check(session, &suite::neighbour())
}
