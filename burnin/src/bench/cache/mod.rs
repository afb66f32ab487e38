//! Measures bandwidth by footprint: all workgroups read the same 4 KiB, 8 KiB, and so on to what is far beyond every cache,
//! again and again, 16 bytes a lane; and what a workgroup shares. Where the rate falls, a cache ends.
//!
//! Every word that was read is in a sum that keeps the order, compared for every lane; faults planted half-way must be
//! found. A rate is of bytes loaded, whichever cache they came from: two lanes that load the same bytes count twice. A
//! software device fetches lane by lane, which costs more instructions than its caches cost time: its figures prove the
//! check and say little about caches.

mod run;

pub use run::run;
