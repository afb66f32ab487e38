//! `inventory fleet outliers`: which nodes fall behind their peers.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::fleet::{Rule, Slow};
use inventory::policy::Pool;
use report::Plan;
use serde::Serialize;
use serde_json::json;

use super::{Site, now};
use crate::verbs::{print, show};

/// List what is slower than its peers, the farthest first; exit code 3 if there is anything
#[derive(Debug, Args)]
pub(crate) struct Outliers {
    /// Only models with this in their name
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Something slow, and whose it is.
#[derive(Debug, Serialize)]
struct Outlier {
    node_id: String,
    report: u64,
    code: &'static str,
    subject: String,
    #[serde(flatten)]
    slow: Slow,
}

/// Exit code: some node is slow.
const SOME: u8 = 3;

impl Outliers {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let policy = site.view()?.policy_in_force()?.value;
        let (fleet, snapshot) = now(site)?;
        let mut outliers = Vec::new();
        for node in &fleet {
            for figures in &node.figures {
                let population = &figures.population;
                if self.model.as_ref().is_some_and(|name| !population.model.contains(name.as_str())) {
                    continue;
                }
                let software = Plan::built_in(&population.plan).is_ok_and(|plan| plan.is_software());
                let rule: Rule = policy.demands(if software { Pool::Software } else { Pool::Gpu }).fleet;
                let found = rule.compare(std::slice::from_ref(figures), &snapshot).slow;
                outliers.extend(found.into_iter().map(|slow| Outlier {
                    node_id: node.node_id.clone(),
                    report: node.revision,
                    code: slow.code().as_str(),
                    subject: slow.subject().to_string(),
                    slow,
                }));
            }
        }
        outliers.sort_by(|one, other| other.slow.spreads.total_cmp(&one.slow.spreads));
        print(self.json, &json!({ "outliers": outliers }), || text(&outliers, fleet.len()))?;
        Ok(if outliers.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME) })
    }
}

fn text(outliers: &[Outlier], nodes: usize) -> String {
    if outliers.is_empty() {
        return format!(
            "none of {nodes} nodes falls behind its peers (or has too few: `inventory fleet baselines`)\n"
        );
    }
    let rows = outliers.iter().map(|outlier| {
        let slow = &outlier.slow;
        [
            outlier.node_id.clone(),
            outlier.code.to_owned(),
            outlier.subject.clone(),
            slow.worst().to_string(),
            slow.found.clone(),
            slow.usual.clone(),
            format!("{:.1} %", 100.0 * slow.slower),
            format!("{:.1}", slow.spreads),
            slow.peers.to_string(),
        ]
    });
    let heads = ["NODE", "CODE", "SUBJECT", "WORST METRIC", "FOUND", "USUAL", "BELOW", "SPREADS", "PEERS"];
    show::table(heads, rows)
}
