//! All memory that a check works on, as one row of tiles: taken in chunks, swept by the memory kernels, by one dispatch for
//! all chunks where the device offers addresses, else by one for each.
//!
//! Chunks have at most 1 GiB and at most what one binding can show, and are of one size as long as memory lasts; then
//! smaller ones fill the rest. On a GPU some is left to its driver, see [`reserve`].

mod canary;
mod ledger;
mod shape;
mod space;
#[cfg(test)]
mod tests;

pub use canary::canaries;
pub use ledger::{Found, Swept};
pub use shape::Shape;
pub use space::{Action, Space};

use report::Bytes;

/// What is left of a GPU's memory to its driver and to what displays: 0.5 %, and 256 MiB at least.
pub fn reserve(memory: Bytes) -> Bytes {
    Bytes((memory.0 / 200).max(256 << 20))
}
