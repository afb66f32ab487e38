//! Measures copies between memory of the host and of the device, both ways, with what was copied compared: on the device
//! by the memory kernel, on the host word by word.
//!
//! Every window carries other words than the one before, so that a copy that did not happen is seen. Planted faults: a
//! bit flipped on the host before a copy to the device, and one flipped on the device before a copy to the host.
//!
//! What this does not do: both directions at once, several queues, memory near another processor.

mod run;

pub use run::run;
