//! Stress: are the answers right, everywhere and under load?

pub mod digest;
pub mod memory;
pub mod power;
