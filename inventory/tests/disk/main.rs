//! Acknowledged means on disk: power failures at every moment, and calls to the disk that fail, one after another.
//!
//! The real store and the real routes run over a folder that [`crash_disk`] records. [`power`] rebuilds what power
//! failures leave of it; [`failing`] fails the calls. In `make test` a short story and a part of its images; `make crash`
//! sets `ASSAY_CRASH_ROUNDS`, `ASSAY_CRASH_RANDOM` and `ASSAY_FAIL_STEP` for the full form and prints its figures.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod desk;
mod failing;
mod flips;
mod oracle;
mod power;
mod story;
#[path = "../support/mod.rs"]
mod support;

/// A number from the environment, for the full form.
fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// A folder in memory where the system has one: images by the thousand wear out a disk for nothing.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
