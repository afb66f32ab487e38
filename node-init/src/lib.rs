//! Brings a node up: discovers it, runs its burn-in as a child, registers it with the inventory. Never links GPU code.
//!
//! Read [`register`] first: it is the story. What it stands on comes before it.

pub mod clock;
pub mod durable;
pub mod exit;
pub mod net;
pub mod register;
pub mod system;
