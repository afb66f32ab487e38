//! `inventory tournament`: who measures with whom, and who is to blame for what they measured.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use inventory::tournament::attribute::{Finding, attribute};
use inventory::tournament::fabric::{Fabric, Port};
use inventory::tournament::flow::Flow;
use inventory::tournament::schedule::{Rounds, schedule};
use inventory::tournament::separate::Next;
use inventory::tournament::simulate::{Scores, World, faults, fleet, measure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::print;

/// Plan the rounds in which nodes measure each other, and name the bad end of what they measured
#[derive(Debug, Args)]
pub(crate) struct Tournament {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the rounds for a fabric
    Plan {
        /// The fabric as JSON: nodes, rails, leaves with their uplinks, and the leaf of each port
        #[arg(long, value_name = "FILE")]
        fabric: PathBuf,
        #[command(flatten)]
        rounds: RoundsArgs,
        /// The same seed makes the same rounds
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Name the parts that are to blame for slow pairs
    Attribute {
        /// The fabric as JSON
        #[arg(long, value_name = "FILE")]
        fabric: PathBuf,
        /// What the pairs measured: a JSON array of flows
        #[arg(long, value_name = "FILE")]
        flows: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Put bad parts into simulated fleets, and count how many are named
    Simulate {
        /// Nodes of a fleet, with eight rails, 32 nodes below each leaf, 16 uplinks a leaf
        #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [64, 1024, 16384])]
        nodes: Vec<u32>,
        /// Fleets of each size; the largest sizes get fewer, but at least two
        #[arg(long, value_name = "N", default_value_t = 64)]
        fleets: u64,
        #[command(flatten)]
        rounds: RoundsArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, Args)]
struct RoundsArgs {
    /// Rounds between ports below one leaf
    #[arg(long, value_name = "N", default_value_t = 4)]
    inside: u32,
    /// Rounds between ports of different leaves
    #[arg(long, value_name = "N", default_value_t = 4)]
    across: u32,
}

impl From<RoundsArgs> for Rounds {
    fn from(RoundsArgs { inside, across }: RoundsArgs) -> Self {
        Self { inside, across }
    }
}

impl Tournament {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.verb {
            Verb::Plan { fabric, rounds, seed, json } => {
                plan(&read_fabric(&fabric)?, rounds.into(), seed, json)?
            }
            Verb::Attribute { fabric, flows, json } => {
                let fabric = read_fabric(&fabric)?;
                let flows = read_flows(&fabric, &flows)?;
                let findings = attribute(&fabric, &flows);
                print(json, &json!({ "findings": findings }), || blame(&fabric, &flows, &findings))?;
                return Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Verb::Simulate { nodes, fleets, rounds, json } => simulate(&nodes, fleets, rounds.into(), json)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading `{}`", path.display()))
}

fn read_fabric(path: &Path) -> Result<Fabric> {
    let fabric: Fabric = read(path)?;
    fabric.check().with_context(|| format!("the fabric in `{}`", path.display()))?;
    Ok(fabric)
}

fn read_flows(fabric: &Fabric, path: &Path) -> Result<Vec<Flow>> {
    let flows: Vec<Flow> = read(path)?;
    for (number, flow) in flows.iter().enumerate() {
        if let Err(error) = flow.check(fabric) {
            bail!("flow {number} in `{}`: {error}", path.display());
        }
    }
    Ok(flows)
}

fn end(fabric: &Fabric, port: Port) -> String {
    format!("{}:{}", fabric.nodes[fabric.node_of(port) as usize], fabric.rail_of(port))
}

fn plan(fabric: &Fabric, rounds: Rounds, seed: u64, as_json: bool) -> Result<()> {
    let rounds = schedule(fabric, rounds, seed);
    let text = || {
        let mut out = String::new();
        for (number, round) in rounds.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "round {} {:?}, {} pairs", number + 1, round.class, round.pairs.len());
            for (a, b) in &round.pairs {
                let _ = writeln!(out, "  {} {}", end(fabric, *a), end(fabric, *b));
            }
        }
        out
    };
    print(as_json, &json!({ "rounds": rounds }), text)
}

/// Faults for people: who, how surely, by which flows, and what to do.
fn blame(fabric: &Fabric, flows: &[Flow], findings: &[Finding]) -> String {
    if findings.is_empty() {
        return format!("{} flows, and none is slow for a reason that lasts\n", flows.len());
    }
    let mut out = String::new();
    for finding in findings {
        for (place, suspect) in finding.suspects.iter().enumerate() {
            let _ = writeln!(
                out,
                "{}{:5.1} %  {} at {:.0} % of the usual rate, {} of {} flows slow",
                if place == 0 { "" } else { "  or " },
                suspect.probability * 100.0,
                fabric.name(suspect.part),
                suspect.fraction * 100.0,
                suspect.slow,
                suspect.flows
            );
        }
        for witness in &finding.witnesses {
            let flow = &flows[*witness as usize];
            let percent = flow.fraction * 100.0;
            let _ = writeln!(out, "     {} - {}: {percent:.0} %", end(fabric, flow.a), end(fabric, flow.b));
        }
        let _ = writeln!(out, "  => {}", advice(fabric, finding.next));
    }
    out
}

fn advice(fabric: &Fabric, next: Next) -> String {
    match next {
        Next::Mend(part) => format!("look at {}", fabric.name(part)),
        Next::Measure { a, b, if_slow, if_fast } => format!(
            "measure {} with {}: slow, and it is {}; as usual, and it is {}",
            end(fabric, a),
            end(fabric, b),
            fabric.name(if_slow),
            fabric.name(if_fast)
        ),
        Next::SwapCable(port) => {
            format!(
                "move the cable of {} to another port, and see which of them stays slow",
                end(fabric, port)
            )
        }
        Next::LookAtBoth(one, other) => {
            format!("no pair tells them apart: look at {}, then at {}", fabric.name(one), fabric.name(other))
        }
    }
}

/// How one size of fleet went.
#[derive(Debug, Serialize)]
struct Size {
    nodes: u32,
    fleets: u64,
    faults: u32,
    flows: usize,
    scores: Scores,
    plan_s: f64,
    solve_s: f64,
}

fn simulate(nodes: &[u32], fleets: u64, rounds: Rounds, as_json: bool) -> Result<()> {
    let mut sizes = Vec::new();
    for nodes in nodes.iter().copied().filter(|nodes| *nodes > 1) {
        let fleets = (fleets * 64 / u64::from(nodes)).clamp(2, fleets.max(2));
        tracing::info!(nodes, fleets, "simulating");
        // None, and one part in thirty-two nodes, but at least one.
        for count in [0, (nodes / 32).max(1)] {
            sizes.push(one_size(nodes, fleets, count, rounds));
        }
    }
    print(as_json, &json!({ "sizes": sizes }), || table(&sizes))
}

fn one_size(nodes: u32, fleets: u64, count: u32, rounds: Rounds) -> Size {
    let fabric = fleet(nodes, 8, 32, 16);
    let (mut scores, mut flows) = (Scores::default(), 0);
    let (mut plan, mut solve) = (Duration::ZERO, Duration::ZERO);
    for seed in 0..fleets {
        let mut random = fastrand::Rng::with_seed(seed);
        let bad = faults(&fabric, count, &mut random);
        let (_, planning) = timed(|| schedule(&fabric, rounds, seed));
        let measured = measure(&fabric, rounds, &bad, World::default(), &mut random);
        let (findings, solving) = timed(|| attribute(&fabric, &measured));
        scores.add(&fabric, &bad, &findings);
        (plan, solve, flows) = (plan.max(planning), solve.max(solving), measured.len());
    }
    let (plan_s, solve_s) = (plan.as_secs_f64(), solve.as_secs_f64());
    Size { nodes, fleets, faults: count, flows, scores, plan_s, solve_s }
}

#[expect(clippy::disallowed_methods, reason = "the time that the solver takes is what is asked for")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

/// A table in Markdown, as it stands in `docs/tournament.md`.
fn table(sizes: &[Size]) -> String {
    let mut out = "| nodes | fleets | bad parts in each | flows | class | planted | right end first | first | first or second | false alarms in all fleets | plan | solve |\n\
                   |---|---|---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for size in sizes {
        let Size { nodes, fleets, faults, flows, scores, plan_s, solve_s } = size;
        let head = format!("| {nodes} | {fleets} | {faults} | {flows}");
        let tail = format!("{} | {plan_s:.2} s | {solve_s:.2} s |", scores.false_alarms);
        if *faults == 0 {
            let _ = writeln!(out, "{head} | none | 0 | - | - | - | {tail}");
        }
        for (class, score) in scores.classes().iter().filter(|(_, score)| score.planted > 0) {
            let _ = writeln!(
                out,
                "{head} | {class} | {} | {} | {} | {} | {tail}",
                score.planted, score.end, score.first, score.second
            );
        }
    }
    out
}
