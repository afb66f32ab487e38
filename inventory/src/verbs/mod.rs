//! What the program can be asked to do, a file for each verb: its arguments, and `run`, which gives the exit code.
//! [`show`] makes text of what is known; [`print`] gives it out as text or JSON.

pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod nodes;
pub(crate) mod node;
pub(crate) mod readiness;
pub(crate) mod wish;
pub(crate) mod label;
pub(crate) mod access_key;
pub(crate) mod audit;
pub(crate) mod verify;
pub(crate) mod backup;
pub(crate) mod restore;
pub(crate) mod migrate;
pub(crate) mod simulate;
pub(crate) mod tournament;
mod hardware;
mod show;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use inventory::files::{DataDir, DataDirError};
use inventory::store::read::View;
use inventory::store::{Location, LocationError, StoreError};
use serde::Serialize;

/// Exit code beside 0 and 1 (failed): wrong usage, or a name that is not there.
const WRONG_USAGE: u8 = 2;
/// Exit code of `inventory readiness` where something blocks the node.
const NOT_READY: u8 = 3;

/// Where an inventory keeps what it has.
#[derive(Debug)]
pub(crate) struct Site {
    /// Keys, certificates, and the record unless a server keeps it.
    data: PathBuf,
    database: Option<Location>,
}

impl Site {
    pub(crate) fn new(data: PathBuf, database: Option<&str>) -> Result<Self, LocationError> {
        Ok(Self { data, database: database.map(Location::server).transpose()? })
    }

    /// Where the record is.
    fn location(&self) -> Location {
        self.database.clone().unwrap_or_else(|| DataDir::at(&self.data).database().into())
    }

    /// Where the record is; its directory is made if it is missing.
    fn create(&self) -> Result<Location, DataDirError> {
        if self.database.is_none() {
            DataDir::create(&self.data)?;
        }
        Ok(self.location())
    }

    /// The record as it is now.
    fn view(&self) -> Result<View, StoreError> {
        View::open(self.location())
    }
}

/// A name that is not there.
fn no_such_node(id: &str) -> Result<ExitCode> {
    let id = report::text::clean(id);
    writeln!(io::stderr(), "inventory: there is no node `{id}`: `inventory nodes` lists those there are")?;
    Ok(ExitCode::from(WRONG_USAGE))
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
