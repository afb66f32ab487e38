//! Bench: how fast, with every answer compared.

pub mod fp32;
pub mod fp16;
pub mod fp64;
pub mod int32;
pub mod int64;
pub mod dot;
pub mod transcendental;
pub mod matrix;
pub mod stream;
pub mod latency;
pub mod latency_memory;
pub mod cache;
mod footprint;
pub mod transfer;
