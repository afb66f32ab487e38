//! `inventory readiness`: may a node take work, and if not, what blocks it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::clock::{Clock, SystemClock};
use inventory::lifecycle::Policy;

use super::{NOT_READY, Site, no_such_node, print, show};

/// Say whether a node may take work, and what blocks it; exit code 3 if something does
#[derive(Debug, Args)]
pub(crate) struct Readiness {
    /// Its id, as `inventory nodes` lists it
    node: String,
    /// A time of the policy, as `inventory serve` has it; may be repeated
    #[arg(long = "time", value_name = "STATE=TIME")]
    times: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Readiness {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let mut policy = Policy::default();
        for time in &self.times {
            policy.set(time)?;
        }
        let found = site.view()?.readiness(&self.node, &policy, SystemClock.now())?;
        let Some(readiness) = found else { return no_such_node(&self.node) };
        print(self.json, &readiness, || show::readiness(&readiness))?;
        Ok(if readiness.ready { ExitCode::SUCCESS } else { ExitCode::from(NOT_READY) })
    }
}
