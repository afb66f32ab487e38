//! `inventory fleet`: the fleet as its own yardstick.

mod baselines;
mod curve;
mod limits;
mod outliers;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use inventory::fleet::{Contribution, Snapshot};

use super::Site;

/// Compare nodes with their peers: baselines, outliers, learned limits
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    #[command(subcommand)]
    verb: Verb,
}

/// A file in `fleet/` for each.
#[derive(Debug, Subcommand)]
enum Verb {
    Baselines(baselines::Baselines),
    Outliers(outliers::Outliers),
    Limits(limits::Limits),
    Curve(curve::Curve),
}

impl Fleet {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        match self.verb {
            Verb::Baselines(baselines) => baselines.run(site),
            Verb::Outliers(outliers) => outliers.run(site),
            Verb::Limits(limits) => limits.run(site),
            Verb::Curve(curve) => curve.run(),
        }
    }
}

/// What the nodes have measured, and the baselines of that: as they are now, not those of the latest snapshot.
fn now(site: &Site) -> Result<(Vec<Contribution>, Snapshot)> {
    let fleet = site.view()?.contributions()?;
    let snapshot = Snapshot::of(&fleet);
    Ok((fleet, snapshot))
}
