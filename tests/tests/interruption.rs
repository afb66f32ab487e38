//! A burn-in that is interrupted leaves a report that can be read and says that it is not known whether the node is
//! healthy, and no worker. Signals are sent at lines that `burnin` says, so that nothing here depends on time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use report::{Outcome, Report, Verdict};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use stories::process::{Process, Running, Signal};
use stories::{Turn, burnin, report_in, report_of, turn};

/// Longest wait for anything: much more than it takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run on the software device, in a folder that does not outlive it.
struct Story {
    run: Running,
    folder: tempfile::TempDir,
    _turn: Turn,
}

fn begin() -> Story {
    let turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut command = burnin(&["run", "--plan", "quick-software", "--json", "--out"]);
    let run = Running::start(command.arg(folder.path()));
    Story { run, folder, _turn: turn }
}

impl Story {
    /// Waits until this check begins; the worker that runs it.
    fn reaches(&mut self, check: &str) -> Process {
        self.run.says(&format!("run    {check} on "), PATIENCE);
        let workers = self.run.children();
        assert_eq!(workers.len(), 1, "one device, one worker: {workers:?}");
        workers[0]
    }

    fn on_disk(&self) -> Report {
        report_in(self.folder.path())
    }
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome, Option<&str>)> {
    let results = report.results.iter();
    results
        .map(|r| (r.check.as_str(), r.outcome, r.reason.as_ref().map(|reason| reason.code.as_str())))
        .collect()
}

/// The doctor and the first checks passed; the next ended with `first`, the others with `rest`.
fn passed_until(report: &Report, passed: usize, first: &str, rest: &str) {
    assert_eq!(report.verdict.verdict, Verdict::Unknown);
    assert_eq!(report.completed_at, None);
    assert_eq!(report.results.len(), report.planned.len());
    for (number, (check, outcome, code)) in outcomes(report).into_iter().enumerate() {
        let expected = match number.cmp(&passed) {
            std::cmp::Ordering::Less => (Outcome::Pass, None),
            std::cmp::Ordering::Equal => (Outcome::NotRun, Some(first)),
            std::cmp::Ordering::Greater => (Outcome::NotRun, Some(rest)),
        };
        assert_eq!((outcome, code), expected, "{check}");
    }
}

/// What was written while it ran is judged the same by a later reader: never better than unknown.
fn is_unknown_to_a_reader(folder: &Path) {
    let mut command = burnin(&["judge"]);
    let judged = stories::process::run(command.arg(folder), PATIENCE);
    assert_eq!(judged.code(), Some(4), "{}", judged.text());
}

fn an_interrupted_run_ends_in_order(signal: Signal) {
    let mut story = begin();
    let worker = story.reaches("fp16");
    story.run.signal(signal);
    let Story { run, folder, _turn } = story;
    let ended = run.end(PATIENCE);
    worker.is_over_within(PATIENCE);
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    let report = report_of(&ended.stdout);
    assert_eq!(report, report_in(folder.path()), "standard output and report.json");
    passed_until(&report, 3, "INTERRUPTED", "BLOCKED");
    is_unknown_to_a_reader(folder.path());
}

#[test]
fn an_interrupt_keeps_what_is_over_and_leaves_no_worker() {
    an_interrupted_run_ends_in_order(Signal::INT);
}

#[test]
fn a_request_to_end_is_taken_like_an_interrupt() {
    an_interrupted_run_ends_in_order(Signal::TERM);
}

#[test]
fn a_second_interrupt_ends_at_once_and_the_report_is_whole() {
    let mut story = begin();
    let worker = story.reaches("fp32");
    // What is written next goes to a pipe that nobody reads: the end in order hangs there as on a dead disk.
    let next = story.folder.path().join("report.json.new");
    mknodat(CWD, &next, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    story.run.signal(Signal::INT);
    story.run.says("NOT_RUN fp32 on ", PATIENCE);
    story.run.signal(Signal::INT);
    let Story { run, folder, _turn } = story;
    let ended = run.end(PATIENCE);
    worker.is_over_within(PATIENCE);
    assert_eq!(ended.code(), Some(128 + 2), "{}", ended.stderr);
    assert_eq!(ended.text(), "", "no report is printed");
    passed_until(&report_in(folder.path()), 2, "NOT-RUN", "NOT-RUN");
    is_unknown_to_a_reader(folder.path());
}

#[test]
fn a_killed_parent_takes_its_worker_along_and_the_report_is_whole() {
    let mut story = begin();
    let worker = story.reaches("fp32");
    story.run.signal(Signal::KILL);
    let Story { run, folder, _turn } = story;
    let ended = run.end(PATIENCE);
    worker.is_over_within(PATIENCE);
    assert_eq!(ended.code(), None, "a signal ended it");
    passed_until(&report_in(folder.path()), 2, "NOT-RUN", "NOT-RUN");
    is_unknown_to_a_reader(folder.path());
}

#[test]
fn a_killed_worker_costs_its_device_and_not_the_report() {
    let mut story = begin();
    let worker = story.reaches("fp32");
    worker.signal(Signal::KILL);
    let Story { run, folder, _turn } = story;
    let ended = run.end(PATIENCE);
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    let report = report_in(folder.path());
    let fp32 = outcomes(&report)[2];
    assert_eq!(fp32, ("fp32", Outcome::Error, Some("WORKER-CRASHED")));
    assert!(outcomes(&report)[3..].iter().all(|(_, outcome, _)| *outcome == Outcome::NotRun));
    assert!(report.completed_at.is_some(), "it ended in order");
}

#[test]
fn every_result_is_on_disk_before_the_next_check_begins() {
    let mut story = begin();
    for (number, check) in ["digest", "fp32", "fp16", "fp64"].iter().enumerate() {
        story.reaches(check);
        passed_until(&story.on_disk(), 1 + number, "NOT-RUN", "NOT-RUN");
    }
}
