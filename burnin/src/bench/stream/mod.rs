//! Measures device memory bandwidth: read, write and copy, with what was moved compared.
//!
//! A read returns a sum for each 16 KiB, compared after every window; what windows of writes and copies left is compared
//! word by word by the pattern kernel, after the destination had been filled with the complement.

pub(crate) mod run;

pub use run::run;
