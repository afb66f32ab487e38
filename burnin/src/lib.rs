//! Burns in and benchmarks GPUs with compute kernels. The only GPU code of Assay.
//!
//! Modules in the order of the story; [`run`] is the pipeline.

pub mod clock;
pub mod device;
