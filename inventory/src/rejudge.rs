//! Judging again: every node's latest report under another policy, another judge or newer baselines, and what would change.
//!
//! Nothing is written here; [`crate::store::Applier`] does that with the decisions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use report::judge::VERSION;
use report::{Report, Verdict};
use serde::Serialize;

use crate::fleet::{Figures, Snapshot};
use crate::lifecycle::State;
use crate::policy::Policy;
use crate::store::read::View;
use crate::store::{Basis, Case, Decision, Location, StoreError};

/// Which baselines reports are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baselines {
    /// Those that the verdict in force rests on: only policy and judge differ.
    Recorded,
    /// The latest.
    Latest,
}

/// One verdict that would be another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The node.
    pub node_id: String,
    /// The change by which its report was stored.
    pub report: u64,
    /// The verdict in force.
    pub from: Verdict,
    /// What it would be.
    pub to: Verdict,
    /// Where the node stands.
    pub state: State,
    /// Where it would stand.
    pub state_after: State,
    /// The first thing that is found now and was not before, or that was and is not.
    pub why: String,
}

/// What judging again comes to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Reports that were judged.
    pub judged: usize,
    /// How many of them were last judged by another version of the judge.
    pub other_judge: usize,
    /// Nodes whose report cannot be read by this version: their verdict stays.
    pub unreadable: Vec<String>,
    /// What would change, by the nodes' names: verdicts, or only what led to them.
    pub decisions: Vec<Decision>,
}

/// Judges every node's latest report again, on all processors. `progress` hears how many are done, of how many.
pub fn rejudge(
    location: &Location,
    policy: &Policy,
    baselines: Baselines,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Outcome, StoreError> {
    let view = View::open(location.clone())?;
    let cases = view.cases()?;
    let snapshots = Snapshots::read(&view, &cases, baselines)?;
    drop(view);
    let (next, done, total) = (AtomicUsize::new(0), AtomicUsize::new(0), cases.len());
    let work = || -> Result<Vec<(usize, Answer)>, StoreError> {
        let view = View::open(location.clone())?;
        let mut answers = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(place) else { return Ok(answers) };
            answers.push((place, one(&view, case, policy, &snapshots)?));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(total.max(1));
    let answers = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect::<Result<Vec<_>, StoreError>>()
    })?;
    let mut answers: Vec<_> = answers.into_iter().flatten().collect();
    answers.sort_by_key(|(place, _)| *place);
    let mut outcome = Outcome {
        judged: total,
        other_judge: cases.iter().filter(|case| case.basis.judge != VERSION).count(),
        ..Outcome::default()
    };
    for (place, answer) in answers {
        match answer {
            Answer::Same => {}
            Answer::Unreadable => outcome.unreadable.push(cases[place].node_id.clone()),
            Answer::Other(decision) => outcome.decisions.push(*decision),
        }
    }
    Ok(outcome)
}

enum Answer {
    Same,
    Unreadable,
    Other(Box<Decision>),
}

fn one(view: &View, case: &Case, policy: &Policy, snapshots: &Snapshots) -> Result<Answer, StoreError> {
    let bytes = view.report_bytes(case.report)?;
    let Some(report) = bytes.and_then(|bytes| Report::from_json(&bytes).ok()) else {
        return Ok(Answer::Unreadable);
    };
    let (id, snapshot) = snapshots.of(case);
    let verdict = policy.judge(&report, &Figures::of(&report), snapshot);
    if verdict == case.verdict {
        return Ok(Answer::Same);
    }
    let basis = Basis { judge: VERSION, policy: policy.digest(), snapshot: id };
    Ok(Answer::Other(Box::new(Decision { case: case.clone(), basis, verdict })))
}

/// The snapshots that are needed, by id.
struct Snapshots {
    latest: Option<Option<String>>,
    by_id: HashMap<String, Snapshot>,
    none: Snapshot,
}

impl Snapshots {
    fn read(view: &View, cases: &[Case], baselines: Baselines) -> Result<Self, StoreError> {
        let (mut by_id, mut latest) = (HashMap::new(), None);
        if baselines == Baselines::Latest {
            let found = view.latest_snapshot()?;
            let id = (found.number > 0).then(|| found.value.0.id());
            if let Some(id) = &id {
                by_id.insert(id.clone(), found.value.0);
            }
            latest = Some(id);
        } else {
            for id in cases.iter().filter_map(|case| case.basis.snapshot.as_ref()) {
                if !by_id.contains_key(id)
                    && let Some(snapshot) = view.snapshot_of(id)?
                {
                    by_id.insert(id.clone(), snapshot);
                }
            }
        }
        Ok(Self { latest, by_id, none: Snapshot::default() })
    }

    fn of(&self, case: &Case) -> (Option<String>, &Snapshot) {
        let id = self.latest.clone().unwrap_or_else(|| case.basis.snapshot.clone());
        let snapshot = id.as_ref().and_then(|id| self.by_id.get(id));
        // A snapshot that is not there is none: the node is compared with nobody.
        (id.filter(|_| snapshot.is_some()), snapshot.unwrap_or(&self.none))
    }
}

impl Change {
    /// The change that a decision makes.
    pub fn of(decision: &Decision) -> Self {
        let (case, to) = (&decision.case, decision.verdict.verdict);
        let way = decision.way();
        Self {
            node_id: case.node_id.clone(),
            report: case.report,
            from: case.verdict.verdict,
            to,
            state: case.state,
            state_after: way.last().copied().unwrap_or(case.state),
            why: why(decision),
        }
    }

    /// Is the verdict another, or only what led to it?
    pub fn is_of_verdict(&self) -> bool {
        self.from != self.to
    }
}

fn why(decision: &Decision) -> String {
    let (before, after) = (&decision.case.verdict.findings, &decision.verdict.findings);
    let new = after.iter().find(|finding| !before.contains(finding));
    let gone = before.iter().find(|finding| !after.contains(finding));
    let (word, finding) = match (new, gone) {
        (Some(new), _) => ("", new),
        (None, Some(gone)) => ("no longer ", gone),
        (None, None) => return "the same findings weigh otherwise".to_owned(),
    };
    let check = finding.check.as_ref().map_or("report", |check| check.as_str());
    format!("{word}{check} on {}: {} {}", finding.subject, finding.reason.code, finding.reason.detail)
}
