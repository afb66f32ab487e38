//! `inventory wish`: what is to become of a node.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::clock::SystemClock;
use inventory::lifecycle;
use inventory::store::{self, Order, WishChange};

use super::{Site, print};

/// Say what is to become of a node; a running server follows within seconds
#[derive(Debug, Args)]
pub(crate) struct Wish {
    /// Its id, as `inventory nodes` lists it
    node: String,
    /// in_service, drain, maintenance or retired
    #[arg(value_parser = wish)]
    desired: lifecycle::Wish,
    /// Why
    #[arg(long)]
    cause: String,
    /// Leave the node where it is: no deadline counts, nothing admits it
    #[arg(long)]
    hold: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn wish(word: &str) -> Result<lifecycle::Wish, String> {
    let known = || lifecycle::Wish::ALL.map(lifecycle::Wish::as_str).join(", ");
    lifecycle::Wish::parse(word).ok_or_else(|| format!("the wishes are {}", known()))
}

impl Wish {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let order =
            Order { node_id: self.node, actor: "operator".to_owned(), cause: self.cause, source: None };
        let change = WishChange { desired: self.desired, hold: Some(self.hold), based_on: None };
        let wish = store::wish(site.location(), &SystemClock, &order, change)?;
        let held = if wish.hold { ", held" } else { "" };
        print(self.json, &wish, || format!("{}{held} (revision {})\n", wish.desired, wish.revision))?;
        Ok(ExitCode::SUCCESS)
    }
}
