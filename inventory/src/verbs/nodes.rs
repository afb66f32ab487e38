//! `inventory nodes`: the fleet, a line for each node.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::lifecycle::State;
use inventory::selector::Selector;
use inventory::store::Filter;
use serde_json::json;

use super::{Site, print, show};

/// List nodes
#[derive(Debug, Args)]
pub(crate) struct Nodes {
    /// Only those in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<State>,
    /// Only those with such labels, as Kubernetes writes it: rack=r7,gpu in (h100,h200),!canary
    #[arg(long, short = 'l', default_value = "", hide_default_value = true, value_parser = Selector::parse)]
    selector: Selector,
    /// Only those with devices of this name
    #[arg(long)]
    model: Option<String>,
    /// Only those with a reason of this code
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
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
        let Self { states, selector, model, reason, json } = self;
        let filter = Filter { states, selector, model, reason };
        let nodes = site.view()?.pages(&filter)?;
        print(json, &json!({ "nodes": nodes }), || show::nodes(&nodes, &filter))?;
        Ok(ExitCode::SUCCESS)
    }
}
