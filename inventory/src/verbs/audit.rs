//! `inventory audit`: who did what, and what was refused.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{Site, print, show};

/// Show who did what, and what was refused
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// So many lines, the latest
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let lines = site.view()?.audit(self.last)?;
        print(self.json, &json!({ "audit": lines }), || show::audit(&lines))?;
        Ok(ExitCode::SUCCESS)
    }
}
