//! `inventory backup`: a copy of the record in one file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::store::backup;

use super::{Site, print};

/// Copy the record into one file, while a server may run; the keys in `tls/` are not in it
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to make
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let copy = backup(&site.location(), &self.out)?;
        print(self.json, &copy, || {
            format!(
                "{}\nsha256 {}\nlast change {}, {} nodes, {} reports, audit head {}\n",
                copy.path.display(),
                copy.sha256,
                copy.revision,
                copy.verified.nodes,
                copy.verified.reports,
                copy.verified.audit_head.as_deref().unwrap_or("none"),
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
