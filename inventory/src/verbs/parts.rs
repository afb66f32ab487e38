//! `inventory parts`: which part was in which node from when to when.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::store::read::{PartFilter, PartPlace};
use serde_json::json;

use super::{Site, print, show};

/// Show which part was in which node from when to when
#[derive(Debug, Args)]
pub(crate) struct Parts {
    /// The parts of this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// The part with this serial number, UUID or MAC address, wherever it was
    #[arg(long, value_name = "SERIAL")]
    part: Option<String>,
    /// Parts that two nodes show at once
    #[arg(long, conflicts_with_all = ["node", "part"])]
    twice: bool,
    /// With those that are no longer there
    #[arg(long)]
    past: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Parts {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let part = self.part.as_deref().map(str::to_lowercase);
        let filter = PartFilter {
            node: self.node.as_deref(),
            part: part.as_deref(),
            twice: self.twice,
            past: self.past,
        };
        let places = site.view()?.parts(&filter)?;
        print(self.json, &json!({ "parts": places }), || text(&places))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(places: &[PartPlace]) -> String {
    if places.is_empty() {
        return "no such parts: the ledger is made from accepted reports\n".to_owned();
    }
    let rows = places.iter().map(|place| {
        [
            place.kind.clone(),
            place.serial.clone(),
            place.node_id.clone(),
            show::or_dash(place.place.as_deref()),
            show::time(place.from),
            place.to.map_or_else(|| "now".to_owned(), show::time),
            show::or_dash(place.contested),
            place.model.clone().unwrap_or_default(),
        ]
    });
    show::table(["KIND", "SERIAL", "NODE", "PLACE", "FROM", "TO", "CONTESTED", "MODEL"], rows)
}
