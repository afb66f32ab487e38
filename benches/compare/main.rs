//! `compare`: other programs' figures and ours, in turn on the same device, as ratios of medians.
//!
//! A peer is used if its executable lies in the folder that is named; each claim of [`claims`] about a peer that is not there
//! is left out and said to be. Rounds are interleaved, so that a machine that slows down slows both.

mod claims;
mod peers;
mod run;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Compares our bench with other programs on the first Vulkan device.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Arguments {
    /// Folder with the other programs, built by whoever compares: clpeak, vkpeak, memtest_vulkan, vk_cooperative_matrix_perf
    #[arg(long)]
    peers: PathBuf,
    /// Our program
    #[arg(long, default_value = "target/release/burnin")]
    burnin: PathBuf,
    /// How often each runs
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds for each of our measurements
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Where to write the figures: PATH.json and PATH.txt
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Figures of all rounds.
#[derive(Default)]
struct Figures {
    /// Ours, by check and metric.
    ours: BTreeMap<(String, String), Vec<f64>>,
    /// Theirs, for each round, by peer.
    theirs: BTreeMap<&'static str, Vec<Vec<peers::Row>>>,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Line {
    ours: String,
    ours_per_s: f64,
    peer: &'static str,
    peer_row: String,
    peer_per_s: f64,
    ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    note: &'static str,
}

/// All that is saved.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    at: String,
    commit: String,
    device: String,
    driver: String,
    load_before: String,
    rounds: usize,
    /// SHA-256 of each program.
    programs: BTreeMap<String, String>,
    lines: Vec<Line>,
    left_out: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let found: Vec<_> = peers::ALL.iter().filter(|p| arguments.peers.join(p.name).is_file()).collect();
    if found.is_empty() {
        bail!("no program to compare with in `{}`: see --help for their names", arguments.peers.display());
    }
    let folder = arguments.peers.canonicalize().context("finding the folder of the other programs")?;
    let load_before = std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned();
    let mut figures = Figures::default();
    for round in 1..=arguments.rounds {
        for peer in &found {
            eprintln!("round {round} of {}: {}", arguments.rounds, peer.name);
            figures.theirs.entry(peer.name).or_default().push(run::peer(&folder, peer)?);
            let checks = checks_against(peer.name);
            eprintln!("round {round} of {}: burnin bench --only {checks}", arguments.rounds);
            for (check, metric, rate) in run::ours(&arguments.burnin, &checks, arguments.seconds)? {
                figures.ours.entry((check, metric)).or_default().push(rate);
            }
        }
    }
    let document = document(&arguments, &folder, &found, load_before, &figures)?;
    let text = text(&document);
    print(&text)?;
    if let Some(out) = &arguments.out {
        save(out, &document, &text)?;
    }
    let held = document.lines.iter().all(|line| line.at_least.is_none_or(|bar| line.ratio >= bar));
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Our checks that are compared with this peer, as `--only` takes them.
fn checks_against(peer: &str) -> String {
    let mut checks: Vec<_> =
        claims::ALL.iter().filter(|claim| claim.peer == peer).map(|claim| claim.ours.0).collect();
    checks.sort_unstable();
    checks.dedup();
    checks.join(",")
}

fn document(
    arguments: &Arguments,
    folder: &Path,
    found: &[&peers::Peer],
    load_before: String,
    figures: &Figures,
) -> Result<Document> {
    let mut lines = Vec::new();
    let mut left_out = Vec::new();
    for claim in &claims::ALL {
        match line(claim, figures) {
            Some(line) => lines.push(line),
            None => {
                left_out.push(format!("{} against {} {}", claim.ours.1, claim.peer, claim.rows.join(", ")))
            }
        }
    }
    let mut programs = BTreeMap::from([("burnin".to_owned(), digest(&arguments.burnin)?)]);
    for peer in found {
        programs.insert(peer.name.to_owned(), digest(&folder.join(peer.name))?);
    }
    let (device, driver) = device(&arguments.burnin)?;
    Ok(Document {
        schema: "assay.compare/1",
        at: jiff::Timestamp::now().to_string(),
        commit: commit(),
        device,
        driver,
        load_before,
        rounds: arguments.rounds,
        programs,
        lines,
        left_out,
    })
}

/// Medians of both over the rounds, and their ratio.
fn line(claim: &claims::Claim, figures: &Figures) -> Option<Line> {
    let key = (claim.ours.0.to_owned(), claim.ours.1.to_owned());
    let ours_per_s = median(figures.ours.get(&key)?.clone())?;
    let theirs = figures.theirs.get(claim.peer)?.iter();
    let peer_per_s = median(theirs.filter_map(|rows| claim.theirs(rows)).collect())?;
    Some(Line {
        ours: claim.ours.1.to_owned(),
        ours_per_s,
        peer: claim.peer,
        peer_row: format!("best of {}", claim.rows.join(", ")),
        peer_per_s,
        ratio: ours_per_s / peer_per_s,
        at_least: claim.at_least,
        note: claim.note,
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    (count > 0).then(|| f64::midpoint(values[(count - 1) / 2], values[count / 2]))
}

fn text(document: &Document) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{}, {}; commit {}; {}",
        document.device, document.driver, document.commit, document.at
    );
    let _ = writeln!(
        out,
        "medians of {} rounds in turn; load before: {}\n",
        document.rounds, document.load_before
    );
    let _ = writeln!(
        out,
        "{:<16} {:>12}  {:<27} {:>12} {:>7}  bar",
        "metric", "ours G/s", "peer", "its best G/s", "ratio"
    );
    for line in &document.lines {
        let bar = match line.at_least {
            Some(bar) if line.ratio >= bar => format!(">= {bar} held"),
            Some(bar) => format!(">= {bar} NOT HELD"),
            None => "shown".to_owned(),
        };
        let (ours, theirs) = (line.ours_per_s / 1e9, line.peer_per_s / 1e9);
        let _ = writeln!(
            out,
            "{:<16} {ours:>12.2}  {:<27} {theirs:>12.2} {:>7.2}  {bar}",
            line.ours, line.peer, line.ratio
        );
        if !line.note.is_empty() {
            let _ = writeln!(out, "{:<16} {}", "", line.note);
        }
    }
    for left_out in &document.left_out {
        let _ = writeln!(out, "not compared: {left_out}");
    }
    out
}

#[expect(clippy::print_stdout, reason = "the result of this program")]
fn print(text: &str) -> Result<()> {
    println!("{text}");
    Ok(())
}

fn save(out: &Path, document: &Document, text: &str) -> Result<()> {
    for (extension, content) in
        [("json", serde_json::to_string_pretty(document)? + "\n"), ("txt", text.to_owned())]
    {
        let path = out.with_extension(extension);
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn digest(program: &Path) -> Result<String> {
    let bytes = std::fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    Ok(HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// Name and driver of the first device.
fn device(burnin: &Path) -> Result<(String, String)> {
    let output = std::process::Command::new(burnin).args(["list", "--json"]).output()?;
    let listed: Vec<report::DeviceInfo> =
        serde_json::from_slice(&output.stdout).context("reading what `burnin list` printed")?;
    let first = listed.into_iter().next().context("`burnin list` shows no device")?;
    Ok((first.name, first.driver))
}

fn commit() -> String {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(ours: f64) -> Figures {
        let row = |per_s| vec![peers::Row { name: "fp32-vec4".to_owned(), per_s }];
        Figures {
            ours: BTreeMap::from([(("fp32".to_owned(), "fp32".to_owned()), vec![ours, ours * 9.0, ours])]),
            theirs: BTreeMap::from([("vkpeak", vec![row(1e9), row(2e9), row(50e9)])]),
        }
    }

    #[test]
    fn a_ratio_is_of_medians_and_one_wild_round_changes_nothing() {
        let line = line(&claims::ALL[0], &figures(4e9)).unwrap();
        assert_eq!((line.ours_per_s, line.peer_per_s, line.ratio), (4e9, 2e9, 2.0));
    }

    #[test]
    fn a_claim_without_figures_is_left_out() {
        assert!(line(&claims::ALL[1], &figures(4e9)).is_none());
    }
}
