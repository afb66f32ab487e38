//! `inventory label`: labels of a node, as `kubectl label` sets them.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::clock::SystemClock;
use inventory::store::{self, Order};
use serde_json::json;

use super::{Site, print};

/// Set labels of a node, or take them away
#[derive(Debug, Args)]
pub(crate) struct Label {
    /// Its id, as `inventory nodes` lists it
    node: String,
    /// KEY=VALUE to set a label, KEY- to take it away
    #[arg(required = true, value_parser = change)]
    changes: Vec<(String, Option<String>)>,
    /// Why
    #[arg(long)]
    cause: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn change(text: &str) -> Result<(String, Option<String>), String> {
    match (text.split_once('='), text.strip_suffix('-')) {
        (Some((key, value)), _) => Ok((key.to_owned(), Some(value.to_owned()))),
        (None, Some(key)) => Ok((key.to_owned(), None)),
        (None, None) => Err("write KEY=VALUE, or KEY- to take a label away".to_owned()),
    }
}

impl Label {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let order =
            Order { node_id: self.node, actor: "operator".to_owned(), cause: self.cause, source: None };
        let changes: BTreeMap<_, _> = self.changes.into_iter().collect();
        let labels = store::label(site.location(), &SystemClock, &order, &changes)?;
        let text = || labels.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        print(self.json, &json!({ "labels": labels }), text)?;
        Ok(ExitCode::SUCCESS)
    }
}
