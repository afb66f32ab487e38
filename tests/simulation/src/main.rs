//! `simulation`: many seeds, one after the other; stops at nothing, and names every seed that failed.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use simulation::run::{Counts, Options, Plant, run};

/// Plays nodes and inventory against each other in simulated time
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// So many seeds
    #[arg(long, value_name = "N", default_value_t = 1000)]
    seeds: u64,
    /// Nodes of each run
    #[arg(long, value_name = "N", default_value_t = 6)]
    nodes: usize,
}

fn main() -> Result<ExitCode> {
    let Arguments { seed, seeds, nodes } = Arguments::parse();
    let (mut failed, mut sum) = (0u64, Counts::default());
    for seed in seed..seed.saturating_add(seeds) {
        let outcome = run(Options { seed, nodes, weather: None, plant: Plant::Nothing })?;
        sum.add(&outcome.counts);
        if !outcome.violations.is_empty() {
            failed += 1;
            let mut out = io::stdout().lock();
            writeln!(out, "seed {seed}: (again with --seed {seed} --seeds 1)")?;
            for violation in &outcome.violations {
                writeln!(out, "  {violation}")?;
            }
        }
        if (seed + 1) % 100 == 0 {
            writeln!(io::stderr(), "{} seeds, {failed} failed", seed + 1)?;
        }
    }
    writeln!(io::stdout(), "{seeds} seeds of {nodes} nodes, {failed} failed; {}", sum.in_words())?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
