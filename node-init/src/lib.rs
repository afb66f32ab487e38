//! Brings a node up: discovers it, runs its burn-in as a child, registers it with the inventory. Never links GPU code.
//!
//! As PID 1 of a RAM image it does the whole boot: read [`boot`] first, then [`register`], which also runs by itself. What
//! they stand on comes before them.

pub mod clock;
pub mod durable;
pub mod exit;
pub mod system;
pub mod phase;
pub mod progress;
pub mod console;
pub mod log;
pub mod power;
pub mod config;
pub mod mount;
pub mod image;
pub mod evidence;
pub mod modules;
pub mod reap;
pub mod cgroup;
pub mod net;
pub mod tpm;
pub mod register;
pub mod stages;
pub mod boot;
pub mod signals;
pub mod watchdog;
pub mod init;
