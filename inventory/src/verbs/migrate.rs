//! `inventory migrate`: the whole record from one database to another.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::files::DataDir;
use inventory::store::{Location, Transferred, transfer};
use serde_json::json;

use super::print;

/// Bring the whole record from one database to another that is empty; stop its servers first
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Where it is: a data directory, or postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "DIR|ADDRESS")]
    from: String,
    /// Where it goes: the same
    #[arg(long, value_name = "DIR|ADDRESS")]
    to: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (from, _unserved) = place(&self.from, false)?;
        let (to, _unserved_either) = place(&self.to, true)?;
        let mut tables: Vec<Transferred> = Vec::new();
        let mut err = io::stderr();
        transfer(&from, &to, |table| {
            let _ = writeln!(err, "inventory: {} rows of `{}`", table.rows, table.table);
            tables.push(table.clone());
        })?;
        print(
            self.json,
            &json!({ "from": from.to_string(), "to": to.to_string(), "tables": tables }),
            || {
                let line =
                    |table: &Transferred| format!("{:>9} {} {}\n", table.rows, table.sha256, table.table);
                tables.iter().map(line).collect()
            },
        )?;
        writeln!(
            err,
            "inventory: everything is in {to}; keys and certificates stay in `tls` of the data directory"
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The database, and the right to its data directory: no server may use it meanwhile.
fn place(text: &str, make: bool) -> Result<(Location, Option<File>)> {
    if text.contains("://") {
        return Ok((Location::server(text)?, None));
    }
    let data = if make { DataDir::create(PathBuf::from(text))? } else { DataDir::at(text) };
    let lock = if data.root().exists() { Some(data.lock()?) } else { None };
    Ok((data.database().into(), lock))
}
