//! What the program can be asked to do, a file for each verb: its arguments, and `run`, which gives the exit code.
//! [`show`] makes text of what is known; [`print`] gives it out as text or JSON.

pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod nodes;
pub(crate) mod node;
pub(crate) mod audit;
pub(crate) mod fleet;
mod hardware;
mod show;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use inventory::files::DataDir;
use inventory::store::StoreError;
use inventory::store::read::View;
use serde::Serialize;

/// Exit code beside 0 and 1 (failed): wrong usage, or a name that is not there.
const WRONG_USAGE: u8 = 2;

/// The record below that data directory, as it is now.
fn view(data: PathBuf) -> Result<View, StoreError> {
    View::open(&DataDir::at(data).database())
}

/// One JSON document, or text.
fn print(as_json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let text = if as_json { serde_json::to_string_pretty(value)? + "\n" } else { text() };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Whoever read our output has enough (`inventory audit | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
