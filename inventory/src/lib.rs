//! The inventory: which nodes there are, how well each is proven, and which of them may take work.
//!
//! ```text
//! serve (TLS, limits) -> api (enrolments, reports) -> store (one writer, group commit) -> read (people, programs)
//! ```
//!
//! A node never says that it is healthy and is believed: it sends evidence, signed, and the verdict is computed here by
//! the judge of `report`. What is acknowledged is on disk. Who claims another's identity is quarantined, and the owner is
//! left alone. Every refusal has a code and an audit line.

pub mod clock;
pub mod files;
pub mod ca;
pub mod refusal;
pub mod limits;
pub mod admission;
pub mod credential;
pub mod identity;
pub mod lifecycle;
pub mod selector;
pub mod access;
pub mod figures;
pub mod serve;
pub mod api;
pub mod store;
pub mod simulate;
pub mod tournament;
