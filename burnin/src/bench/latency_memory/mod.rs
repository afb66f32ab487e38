//! Measures the latency of a load by footprint: one invocation follows a cycle of nodes, each load naming the next, through
//! 4 KiB to what is far beyond every cache. Where the time of a load rises, a cache ends.
//!
//! Where each walk ends is compared with the law of the cycle, so no load can have been left out or answered wrongly; walks
//! that are led astray half-way on purpose must be found. Times are whole nanoseconds and include the address arithmetic of
//! a step, which on a software device is most of them as long as a cache answers.

mod run;

pub use run::run;
