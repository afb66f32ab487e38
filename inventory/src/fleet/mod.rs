//! The fleet as its own yardstick: baselines from the stored reports, and the nodes that fall behind them.
//!
//! ```text
//! report -> figures -> (of all nodes) snapshot of baselines -> rule: what is slow -> finding, learned limit
//! ```
//!
//! Terms: a *population* is what can be compared (model, driver, kernels, plan); a *figure* is a device's median rate in one
//! metric, that of a node the median of its devices; a *baseline* is centre and spread of the nodes' figures; a *snapshot*
//! holds all baselines of one moment and never changes. [`robust`] says what centre and spread are, [`rule`] what counts as
//! slow, [`simulated`] and [`curve`] how well that works. Everything here is a pure function; the store keeps figures and
//! snapshots.
//!
//! What this does not do: say why a node is slow; compare latencies; find what slows a whole population alike, which moves its
//! baseline ([`baseline::shifts`] shows that beside the population it came from).

pub mod student;
pub mod robust;
pub mod similarity;
pub mod random;
pub mod figures;
pub mod baseline;
pub mod rule;
pub mod simulated;
pub mod curve;
pub mod learned;

pub use baseline::{Baselines, Contribution, Snapshot};
pub use figures::{Figures, Group, Key, Population};
pub use rule::{Comparison, Effect, Rule, Slow};
