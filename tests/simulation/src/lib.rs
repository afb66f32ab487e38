//! Nodes and an inventory in simulated time. The client is `node-init`'s own, from its key to its journal and back-off; the
//! server is the inventory's own, from its routes to its SQLite file. Between them lies a network of ours that loses,
//! repeats, delays and reorders what is sent; servers and nodes are restarted in the middle of it.
//!
//! ```text
//! run (what happens next) <-> stage (nodes, one at a time) -> network (weather) -> server (the real routes and store)
//!                                    oracle (what every node was told, against what the store has)
//! ```
//!
//! All chance comes from one seed and only one thing runs at a time, so that a seed that fails fails again. What the real
//! code draws by itself (nonces, secrets of tokens) differs from run to run and decides nothing.

pub mod weather;
pub mod stage;
mod node;
mod server;
mod world;
mod oracle;
pub mod run;
