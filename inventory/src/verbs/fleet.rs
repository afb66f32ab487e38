//! `inventory fleet`: the fleet as its own yardstick.

mod curve;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Compare nodes with their peers: baselines, outliers, learned limits
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Curve(curve::Curve),
}

impl Fleet {
    pub(crate) fn run(self, _data: PathBuf) -> Result<ExitCode> {
        match self.verb {
            Verb::Curve(curve) => curve.run(),
        }
    }
}
