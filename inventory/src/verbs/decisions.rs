//! `inventory decisions`: which machine each node was taken for, and why.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::store::read::DecisionRow;
use serde_json::json;

use super::{Site, WRONG_USAGE, print, show};

/// Above the number of every decision; the database's numbers are signed.
const LATEST: u64 = i64::MAX as u64;

/// Show which machine each node was taken for, and why
#[derive(Debug, Args)]
pub(crate) struct Decisions {
    /// Only those about this node
    #[arg(long, value_name = "NODE", conflicts_with = "explain")]
    node: Option<String>,
    /// So many, the latest
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: u32,
    /// The decision with this number, with all that it was made of, as JSON
    #[arg(long, value_name = "NUMBER")]
    explain: Option<u64>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Decisions {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let view = site.view()?;
        if let Some(id) = self.explain {
            let Some(decision) = view.decision(id)? else {
                writeln!(
                    io::stderr(),
                    "inventory: there is no decision {id}: `inventory decisions` lists those there are"
                )?;
                return Ok(ExitCode::from(WRONG_USAGE));
            };
            print(true, &decision, String::new)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows = view.decisions(self.node.as_deref(), LATEST, self.last)?;
        print(self.json, &json!({ "decisions": rows }), || text(&rows))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(rows: &[DecisionRow]) -> String {
    if rows.is_empty() {
        return "no decisions yet: a node must enrol first\n".to_owned();
    }
    let rows = rows.iter().map(|row| {
        [
            row.id.to_string(),
            show::time(row.at),
            row.node_id.clone(),
            row.outcome.clone(),
            show::or_dash(row.other_id.as_deref()),
            row.score.to_string(),
            show::or_dash(row.why.as_deref()),
            row.effect.clone(),
            row.actor.clone(),
            row.cause.clone().unwrap_or_default(),
        ]
    });
    show::table(
        ["NUMBER", "TIME", "NODE", "OUTCOME", "OTHER", "SCORE", "WHY", "EFFECT", "ACTOR", "CAUSE"],
        rows,
    )
}
