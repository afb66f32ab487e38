//! `inventory nodes`: the fleet, a line for each node.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::lifecycle::State;
use serde_json::json;

use super::{Site, print, show};

/// List nodes
#[derive(Debug, Args)]
pub(crate) struct Nodes {
    /// Only those in this state
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn state(word: &str) -> Result<State, String> {
    let known = || State::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    State::parse(word).ok_or_else(|| format!("the states are {}", known()))
}

impl Nodes {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let nodes = site.view()?.nodes(self.state)?;
        print(self.json, &json!({ "nodes": nodes }), || show::nodes(&nodes, self.state))?;
        Ok(ExitCode::SUCCESS)
    }
}
