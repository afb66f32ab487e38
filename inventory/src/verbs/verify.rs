//! `inventory verify`: is what is stored what was written?

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::store::{Head, verify};

use super::{Site, print, show};

/// Read the whole record again and say what is wrong with it
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A head of the audit that was noted, as `inventory audit head` prints it
    #[arg(long, value_name = "LINE:HASH")]
    head: Option<Head>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let verified = verify(&site.location(), self.head)?;
        print(self.json, &verified, || show::verified(&verified))?;
        Ok(if verified.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
