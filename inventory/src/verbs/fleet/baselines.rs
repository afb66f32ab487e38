//! `inventory fleet baselines`: what is usual, and what moved.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use inventory::fleet::baseline::{Shift, shifts};
use inventory::fleet::{Baselines as OfPopulation, Snapshot};
use report::text::clean;
use serde_json::json;

use super::{Site, now};
use crate::verbs::{print, show};

/// Show what the nodes of each model usually reach, and what a new driver or new kernels moved
#[derive(Debug, Args)]
pub(crate) struct Baselines {
    /// Only models with this in their name
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Shifts of less than this are no news.
const SHIFT_MIN: f64 = 0.01;

impl Baselines {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let (_, mut snapshot) = now(site)?;
        let wanted = |model: &str| self.model.as_ref().is_none_or(|name| model.contains(name.as_str()));
        snapshot.populations.retain(|baselines| wanted(&baselines.population.model));
        let shifts = shifts(&snapshot, SHIFT_MIN);
        let document = json!({ "populations": snapshot.populations, "shifts": shifts });
        print(self.json, &document, || text(&snapshot, &shifts))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(snapshot: &Snapshot, shifts: &[Shift]) -> String {
    if snapshot.populations.is_empty() {
        return "no node has reported a rate yet: `inventory nodes` lists those there are\n".to_owned();
    }
    let mut out = String::new();
    for baselines in &snapshot.populations {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", title(baselines));
        let rows = baselines.metrics.iter().map(|one| {
            let dip = one.dip.map_or_else(|| "-".to_owned(), |dip| format!("{:.1} %", 100.0 * dip.centre));
            [
                one.key.to_string(),
                one.level.count.to_string(),
                one.unit.show_finely(one.centre_per_s()),
                format!("{:.2} %", 100.0 * one.level.spread),
                (one.level.count - one.level.kept).to_string(),
                dip,
            ]
        });
        let heads = ["METRIC", "NODES", "USUAL", "SPREAD", "FAR OFF", "LOST IN WINDOWS"];
        for line in show::table(heads, rows).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    for shift in shifts {
        let what = if shift.ratio < 0.0 { "slower" } else { "faster" };
        let line = format!(
            "{} of {}: {:.1} % {what} with {} than with {}, for all nodes alike",
            shift.key,
            shift.to.model,
            100.0 * shift.ratio.abs(),
            name(&shift.to, &shift.from),
            name(&shift.from, &shift.to),
        );
        let _ = writeln!(out, "shift: {}", clean(&line));
    }
    out
}

fn title(baselines: &OfPopulation) -> String {
    let population = &baselines.population;
    let kernels: String = population.kernels.chars().take(12).collect();
    clean(&format!(
        "{}, {}, kernels {kernels}, plan {}: {} nodes",
        population.model, population.driver, population.plan, baselines.nodes
    ))
}

/// What tells a population from the other: its driver, or else its kernels.
fn name(one: &inventory::fleet::Population, other: &inventory::fleet::Population) -> String {
    if one.driver == other.driver {
        format!("kernels {}", one.kernels.chars().take(12).collect::<String>())
    } else {
        one.driver.clone()
    }
}
