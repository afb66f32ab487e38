//! A driver that crashes or hangs when it is first spoken to, beside one that works: `burnin` lives, names what happened, and
//! does not know whether the node is healthy. Drivers are loaded together, so the working one proves nothing then.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use report::{Outcome, Verdict};
use stories::driver::{self, Sickness};
use stories::{burnin, process, report_in};

const PATIENCE: Duration = Duration::from_secs(120);

fn is_named(sickness: Sickness, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let sick = driver::build(folder.path(), sickness, None).unwrap();
    let out = folder.path().join("out");
    let mut command = burnin(&["run", "--plan", "smoke-software", "--quiet", "--out"]);
    driver::only(command.arg(&out), &[driver::software(), sick.manifest]);
    let ended = process::run(&mut command, PATIENCE);
    assert_eq!(ended.code(), Some(4), "{}", ended.text());
    assert!(ended.text().contains(words), "{}", ended.text());
    let report = report_in(&out);
    assert_eq!(report.verdict.verdict, Verdict::Unknown);
    let doctor = report.results.iter().find(|result| result.check.as_str() == "doctor").unwrap();
    assert_eq!(doctor.outcome, Outcome::Error);
    assert_eq!(doctor.reason.as_ref().unwrap().code.as_str(), "DRIVER-ERROR");
}

#[test]
fn a_driver_that_crashes_costs_the_verdict_and_not_burnin() {
    is_named(Sickness::Crash, "the worker ended without an answer: signal 6");
}

#[test]
fn a_driver_that_never_answers_is_given_up() {
    is_named(Sickness::Hang, "the driver hangs");
}
