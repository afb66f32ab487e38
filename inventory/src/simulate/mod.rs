//! A fleet that is not there: virtual nodes with real keys, real reports and real TLS against a real server, to see what
//! it does under load. Everything is drawn from a seed.
//!
//! ```text
//! fleet (machine, names, evidence) -> node (enrol, burn in, report, retry) -> line (TLS 1.3) -> server (a child)
//!                                                   tally (what it was told) -> check (what the store has)
//! ```
//!
//! What it does not do: load anything but a server that it started itself on the loopback.

pub mod backoff;
pub mod random;
pub mod names;
mod machine;
pub mod evidence;
pub mod fleet;
pub mod line;
pub mod node;
pub mod server;
pub mod tally;
pub mod check;
pub mod figures;
pub mod site;
pub mod storm;
pub mod sustained;
pub mod clones;
pub mod outage;
pub mod overload;
