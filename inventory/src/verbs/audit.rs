//! `inventory audit`: who did what, and what was refused; and whether all of it is still there.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use inventory::store::Head;
use serde_json::json;

use super::{Site, print, show};

/// Show who did what, and what was refused
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Audit {
    /// So many lines, the latest
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    chain: Option<Chain>,
}

#[derive(Debug, Subcommand)]
enum Chain {
    /// Print the number of the last line and the hash over all lines up to it, to be noted elsewhere
    Head {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Follow the chain of hashes from the first line to the last; name the first line at which it does not hold
    Verify {
        /// A head that was noted: without one, missing last lines are not seen
        #[arg(long, value_name = "LINE:HASH")]
        head: Option<Head>,
    },
}

impl Audit {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        match self.chain {
            None => {
                let lines = site.view()?.audit(self.last)?;
                print(self.json, &json!({ "audit": lines }), || show::audit(&lines))?;
            }
            Some(Chain::Head { json }) => {
                let head = site.view()?.audit_head()?;
                print(json, &json!({ "head": head.to_string() }), || format!("{head}\n"))?;
            }
            Some(Chain::Verify { head }) => return verify(site, head),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn verify(site: &Site, noted: Option<Head>) -> Result<ExitCode> {
    match site.view()?.follow_audit(noted)? {
        Ok(head) => {
            print(false, &(), || format!("{} lines, head {head}\n", head.id))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            writeln!(io::stderr(), "inventory: the audit does not hold: {broken}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
