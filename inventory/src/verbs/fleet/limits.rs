//! `inventory fleet limits`: what the fleet teaches, as limits that a plan or a policy can take over.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use inventory::clock::{Clock, SystemClock};
use inventory::fleet::Rule;
use inventory::fleet::learned::{Learned, learn, lint};
use report::Quantity;

use super::{Site, now};
use crate::verbs::WRONG_USAGE;

/// Write limits learned from the fleet, each with the evidence behind it, or check a file of them
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// Write them into this file
    #[arg(long, value_name = "FILE", required_unless_present = "check", conflicts_with = "check")]
    out: Option<PathBuf>,
    /// Check this file instead: what physics forbids and what too few nodes carry is refused
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Share of healthy nodes that a warning may meet
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    quantile: f64,
    /// Nodes that a limit must rest on at least
    #[arg(long, value_name = "N", default_value_t = Rule::default().peers_min)]
    nodes_min: usize,
}

impl Limits {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let rule = Rule { peers_min: self.nodes_min.max(5), ..Rule::default() };
        let learned = match &self.check {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
                toml::from_str::<Learned>(&text).with_context(|| format!("reading `{}`", path.display()))?
            }
            None => {
                let quantile = Quantity::new(self.quantile)?;
                learn(&now(site)?.1, &rule, quantile, SystemClock.now())
            }
        };
        let refused = lint(&learned, &rule);
        for reason in &refused {
            writeln!(io::stderr(), "inventory: {reason}")?;
        }
        if !refused.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        let limits: usize = learned.populations.iter().map(|population| population.limits.len()).sum();
        let Some(path) = self.out else {
            writeln!(io::stderr(), "inventory: {limits} limits, none is refused")?;
            return Ok(ExitCode::SUCCESS);
        };
        if limits == 0 {
            writeln!(
                io::stderr(),
                "inventory: no model has {} nodes: nothing is learned yet",
                rule.peers_min
            )?;
            return Ok(ExitCode::from(WRONG_USAGE));
        }
        std::fs::write(&path, toml::to_string(&learned)?)
            .with_context(|| format!("writing `{}`", path.display()))?;
        writeln!(io::stderr(), "inventory: {limits} limits in `{}`", path.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
