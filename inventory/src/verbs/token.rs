//! `inventory token`: lets one node in.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use inventory::clock::SystemClock;
use inventory::store;
use jiff::SignedDuration;

use super::{Site, print};

/// Make a single-use token that lets one node in
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// How long it can be used, for example 90s, 15m or 24h
    #[arg(long, default_value = "15m")]
    ttl: SignedDuration,
    /// The burn-in that the node must stand
    #[arg(long, default_value = "quick")]
    plan: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Token {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let issued = store::issue(site.create()?, &SystemClock, &self.plan, self.ttl, 1)?;
        let Some(token) = issued.first() else { bail!("no token was made") };
        // The token alone on standard output, so that a script can take it.
        print(self.json, token, || format!("{}\n", token.token))?;
        if !self.json {
            writeln!(
                io::stderr(),
                "for one node, once, until {:.0}; its burn-in is plan `{}`; shown only now",
                token.expires_at,
                token.plan
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
