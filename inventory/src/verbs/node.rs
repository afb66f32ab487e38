//! `inventory node`: all about one node, and what it is made of.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::hardware::Hardware;
use super::{Site, no_such_node, print, show};

/// Show all about one node
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Its id, as `inventory nodes` lists it
    id: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Node {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let view = site.view()?;
        let Some(node) = view.node(&self.id)? else { return no_such_node(&self.id) };
        let hardware = Hardware::of(&view, &node)?;
        let mut document = serde_json::to_value(&node)?;
        document["hardware"] = serde_json::to_value(&hardware)?;
        print(self.json, &document, || show::node(&node, hardware.as_ref()))?;
        Ok(ExitCode::SUCCESS)
    }
}
