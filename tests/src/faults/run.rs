//! One row, run.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use report::{CheckResult, Report};

use super::table::{Inject, Row};
use crate::driver::{self, Sickness};
use crate::process::{self, Ended};
use crate::{burnin, layer, report_in};

/// What was seen of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// How often the fault arrived; 1 where the reason's own words prove it.
    pub arrivals: usize,
    /// How long it took to the verdict.
    pub took: Duration,
    /// What does not fit; empty where the row holds.
    pub amiss: Vec<String>,
}

impl Seen {
    /// Was everything as the row says?
    pub fn holds(&self) -> bool {
        self.amiss.is_empty()
    }
}

/// Runs a row and compares.
///
/// # Panics
/// If something that it needs is not there, or the program is not over in three times the row's time.
pub fn run(row: &Row) -> Seen {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder for `{}`: {error}", row.id));
    let out = folder.path().join("out");
    let mut command = burnin(&["run", "--plan", &row.plan, "--quiet", "--out"]);
    command.arg(&out);
    let arrivals = inject(&row.inject, &mut command, folder.path());
    let ended = process::run(&mut command, Duration::from_secs(u64::from(row.within_s) * 3));
    let arrivals = arrivals.map(|arrivals| arrivals.lines().len());
    let mut amiss = Vec::new();
    let report = out.join("report.json").is_file().then(|| report_in(&out));
    match &report {
        Some(report) => compare(row, &ended, report, &mut amiss),
        None => amiss.push(format!("no report: {}{}", ended.text(), ended.stderr)),
    }
    if ended.took > Duration::from_secs(row.within_s.into()) {
        amiss.push(format!("it took {} s, not {} s", ended.took.as_secs(), row.within_s));
    }
    if arrivals == Some(0) {
        amiss.push("the fault did not arrive".to_owned());
    }
    Seen { arrivals: arrivals.unwrap_or(usize::from(amiss.is_empty())), took: ended.took, amiss }
}

fn inject(inject: &Inject, command: &mut Command, folder: &std::path::Path) -> Option<layer::Arrivals> {
    match inject {
        Inject::Layer(plan) => return Some(layer::below(command, plan, folder)),
        Inject::Plant(fault) => {
            command.args(["--plant", fault]);
        }
        Inject::Driver(name) => {
            let sickness = match name.as_str() {
                "crash" => Sickness::Crash,
                "hang" => Sickness::Hang,
                other => panic!("there is no driver that does `{other}`"),
            };
            let sick = driver::build(folder, sickness, None)
                .unwrap_or_else(|error| panic!("building a driver that does `{name}`: {error}"));
            driver::only(command, &[driver::software(), sick.manifest]);
        }
        Inject::Manifest(text) => {
            let path: PathBuf = folder.join("icd.json");
            std::fs::write(&path, text)
                .unwrap_or_else(|error| panic!("writing `{}`: {error}", path.display()));
            driver::only(command, &[path]);
        }
        Inject::Machine => {}
    }
    None
}

fn compare(row: &Row, ended: &Ended, report: &Report, amiss: &mut Vec<String>) {
    let expected = &row.expect;
    if ended.code() != Some(expected.exit) {
        amiss.push(format!("exit code {:?}, not {}", ended.code(), expected.exit));
    }
    let mut found = report.results.iter().filter(|result| result.check.as_str() == expected.check);
    let fits = |result: &&CheckResult| {
        result.outcome == expected.outcome
            && result
                .reason
                .as_ref()
                .is_some_and(|reason| reason.code == expected.code && reason.detail.contains(&expected.says))
    };
    if !found.clone().any(|result| fits(&result)) {
        let how: Vec<_> =
            found.by_ref().map(|result| format!("{:?} {:?}", result.outcome, result.reason)).collect();
        amiss.push(format!(
            "`{}` ended with {}, not {:?} {} \"{}\"",
            expected.check,
            how.join("; "),
            expected.outcome,
            expected.code,
            expected.says
        ));
    }
}
