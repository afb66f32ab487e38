//! Bench: how fast, with every answer compared.

pub mod fp32;
pub mod stream;
pub mod transfer;
