//! `inventory restore`: the record of an empty data directory from a copy.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::store::{CopyError, Location, restore};

use super::{Site, print};

/// Make the record of a data directory that has none from a copy
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The copy, as `inventory backup` made it
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The SHA-256 that it must have, as `inventory backup` printed it
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        if matches!(site.location(), Location::Server(_)) {
            bail!(CopyError::Server);
        }
        let data = DataDir::create(&site.data)?;
        let restored = restore(&self.from, &data, self.sha256.as_deref(), &SystemClock)?;
        print(self.json, &restored, || {
            format!(
                "{}\nchanges go on at {} after {}; {} tokens are no longer good\n",
                restored.path.display(),
                restored.revision,
                restored.revision_before,
                restored.tokens_voided,
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
