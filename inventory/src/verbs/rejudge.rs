//! `inventory rejudge`: every stored verdict again, under another policy.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use inventory::clock::SystemClock;
use inventory::policy::Policy;
use inventory::rejudge::{Baselines, Change, Outcome, rejudge};
use inventory::store::Applier;
use serde_json::json;

use super::{Site, print, show};

/// Judge every node's latest report again and show what would change; exit code 3 if anything would
#[derive(Debug, Args)]
pub(crate) struct Rejudge {
    /// The policy; without it, the one in force
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Compare with the latest baselines, not with those that each verdict rests on
    #[arg(long)]
    latest_baselines: bool,
    /// Put the policy in force, write the new verdicts and move the nodes
    #[arg(long, requires = "cause")]
    apply: bool,
    /// Why, for the record of every node that changes
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Exit code: something would change.
const WOULD_CHANGE: u8 = 3;
/// Decisions in one transaction: nodes that report meanwhile wait for one at most.
const BATCH: usize = 256;

impl Rejudge {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        let (policy, content) = self.policy(site)?;
        let baselines = if self.latest_baselines { Baselines::Latest } else { Baselines::Recorded };
        let outcome = rejudge(&site.location(), &policy, baselines, progress)?;
        let changes: Vec<Change> = outcome.decisions.iter().map(Change::of).collect();
        let written = match (self.apply, &self.cause) {
            (true, Some(cause)) => Some(apply(site, &outcome, &policy, (&content, cause))?),
            (true, None) => bail!("--apply needs a --cause"),
            (false, _) => None,
        };
        let verdicts = changes.iter().filter(|change| change.is_of_verdict()).count();
        let document = json!({
            "policy": { "name": policy.name, "digest": policy.digest() },
            "judge": report::judge::VERSION,
            "judged": outcome.judged,
            "of_another_judge": outcome.other_judge,
            "unreadable": outcome.unreadable,
            "verdicts_changed": verdicts,
            "reasons_changed": changes.len() - verdicts,
            "written": written,
            "changes": changes,
        });
        print(self.json, &document, || text(&outcome, &changes, written))?;
        let done = written == Some(changes.len()) || changes.is_empty();
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::from(WOULD_CHANGE) })
    }

    fn policy(&self, site: &Site) -> Result<(Policy, String)> {
        let Some(path) = &self.policy else {
            let policy = site.view()?.policy_in_force()?.value;
            let content = toml::to_string(&policy)?;
            return Ok((policy, content));
        };
        let place = || format!("reading `{}`", path.display());
        let content = std::fs::read_to_string(path).with_context(place)?;
        Ok((Policy::from_toml(&content).with_context(place)?, content))
    }
}

fn apply(site: &Site, outcome: &Outcome, policy: &Policy, (content, cause): (&str, &str)) -> Result<usize> {
    let applier = Applier::open(&site.location(), cause)?;
    // First, so that no report that comes in meanwhile is judged by the policy before.
    applier.put_in_force(&SystemClock, policy, content)?;
    let mut written = 0;
    for batch in outcome.decisions.chunks(BATCH) {
        written += applier.apply(&SystemClock, batch)?;
        writeln!(io::stderr(), "inventory: {written} of {} written", outcome.decisions.len())?;
    }
    Ok(written)
}

/// A line over itself on a terminal; in a log, one for each thousand.
fn progress(done: usize, total: usize) {
    let mut err = io::stderr().lock();
    let last = done == total;
    if err.is_terminal() && (done.is_multiple_of(64) || last) {
        let _ = write!(err, "\rinventory: judged {done} of {total}{}", if last { "\n" } else { "" });
    } else if done.is_multiple_of(1000) || last {
        let _ = writeln!(err, "inventory: judged {done} of {total}");
    }
}

fn text(outcome: &Outcome, changes: &[Change], written: Option<usize>) -> String {
    let rows = changes.iter().map(|change| {
        let state = if change.state == change.state_after {
            change.state.to_string()
        } else {
            format!("{} -> {}", change.state, change.state_after)
        };
        let verdict = if change.is_of_verdict() {
            format!("{} -> {}", change.from, change.to)
        } else {
            format!("{} as before", change.to)
        };
        [change.node_id.clone(), verdict, state, change.why.clone()]
    });
    let mut out = if changes.is_empty() {
        String::new()
    } else {
        show::table(["NODE", "VERDICT", "STATE", "WHY"], rows)
    };
    let verdicts = changes.iter().filter(|change| change.is_of_verdict()).count();
    let would = if written.is_some() { "changed" } else { "would change" };
    let mut line = format!(
        "{} judged: {verdicts} verdicts {would}, {} only in their reasons",
        outcome.judged,
        changes.len() - verdicts
    );
    if outcome.other_judge > 0 {
        line += &format!("; {} were judged by another version of the judge", outcome.other_judge);
    }
    if !outcome.unreadable.is_empty() {
        line += &format!("; {} reports cannot be read and keep their verdict", outcome.unreadable.len());
    }
    if let Some(left) = written.map(|written| changes.len() - written).filter(|left| *left > 0) {
        line += &format!("; {left} nodes have reported meanwhile: repeat the command");
    }
    out.push_str(&line);
    out.push('\n');
    out
}
