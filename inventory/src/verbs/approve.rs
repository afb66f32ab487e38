//! `inventory approve`: an operator vouches for a node's key.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::clock::SystemClock;
use inventory::store;

use super::{Site, print};

/// Vouch for a node's key, after comparing it with what the node shows on its own console
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The node, as `inventory nodes` lists it
    node: String,
    /// Trust the TPM that the node showed in this boot from now on, in this node only
    #[arg(long)]
    pin_tpm: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Approve {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let trust = store::approve(site.location(), &SystemClock, &self.node, self.pin_tpm)?;
        print(self.json, &trust, || format!("{} has trust level {} now\n", self.node, trust.level))?;
        Ok(ExitCode::SUCCESS)
    }
}
