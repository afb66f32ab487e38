//! From all outcomes to the verdict of the node.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{ReasonCode, settle};
use crate::document::{Finding, VerdictRecord};
use crate::plan::{Class, PlannedCheck};
use crate::{CheckId, CheckResult, Origin, Outcome, Planned, Report, Subject};

/// May the node take work?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every required check passed, with evidence.
    Healthy,
    /// Right answers, but slower than it should be.
    Degraded,
    /// Evidence of a fault.
    Faulty,
    /// Not enough is known.
    Unknown,
}

impl Verdict {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Faulty => "faulty",
            Self::Unknown => "unknown",
        }
    }

    /// The exit code of `burnin`: 0 healthy, 1 faulty, 3 degraded, 4 unknown (2 is wrong usage).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Faulty => 1,
            Self::Degraded => 3,
            Self::Unknown => 4,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict on a report.
///
/// `faulty` if any check failed. Else `unknown` if the report is not whole (plan altered or empty, devices missing or of
/// a kind that the plan does not name, planned checks and results that do not match one to one, not completed, a fault
/// planted) or a required check is anything but `pass` or `warn`. Else `degraded` if a check of class performance warned.
/// Else `healthy`.
pub fn judge(report: &Report) -> VerdictRecord {
    let mut findings = whole(report);
    let mut degraded = false;
    let mut unknown = !findings.is_empty();
    let mut faulty = false;
    for result in &report.results {
        let device = match &result.subject {
            Subject::Node => None,
            Subject::Device(id) => report.devices.iter().find(|device| device.id == *id),
        };
        let Some(planned) = report.plan.check_on(&result.check, device) else { continue };
        let (outcome, reason) = settle(&planned, result);
        let required_open = planned.required && !matches!(outcome, Outcome::Pass | Outcome::Warn);
        faulty |= outcome == Outcome::Fail;
        unknown |= required_open;
        degraded |= outcome == Outcome::Warn && planned.class == Class::Performance;
        findings.extend(reason.map(|reason| Finding {
            check: Some(result.check.clone()),
            subject: result.subject.clone(),
            outcome,
            reason,
        }));
    }
    let verdict = match (faulty, unknown, degraded) {
        (true, _, _) => Verdict::Faulty,
        (false, true, _) => Verdict::Unknown,
        (false, false, true) => Verdict::Degraded,
        (false, false, false) => Verdict::Healthy,
    };
    // Stable: findings of equal weight keep the order in which the checks ran.
    findings.sort_by_key(|finding| gravity(finding.outcome));
    VerdictRecord { verdict, findings }
}

/// The verdict on bytes that should be a report: what cannot be read is `unknown`.
pub fn judge_bytes(bytes: &[u8]) -> VerdictRecord {
    match Report::from_json(bytes) {
        Ok(report) => judge(&report),
        Err(error) => VerdictRecord {
            verdict: Verdict::Unknown,
            findings: vec![of_report(ReasonCode::Unreadable, error.to_string())],
        },
    }
}

fn gravity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Fail => 0,
        Outcome::Untrusted => 1,
        Outcome::Error => 2,
        Outcome::NotRun => 3,
        Outcome::Skip => 4,
        Outcome::Warn => 5,
        Outcome::Pass => 6,
    }
}

fn of_report(code: ReasonCode, detail: impl Into<String>) -> Finding {
    Finding { check: None, subject: Subject::Node, outcome: Outcome::Untrusted, reason: code.because(detail) }
}

/// What keeps the report from being whole.
fn whole(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |code, detail: String| findings.push(of_report(code, detail));
    let plan = &report.plan;
    if plan.checks.is_empty() || !plan.checks.iter().any(|check| check.required) {
        add(ReasonCode::PlanEmpty, format!("plan `{}` requires no check", plan.name));
    }
    if plan.digest() != report.plan_digest {
        add(
            ReasonCode::PlanAltered,
            format!("plan `{}` does not have the digest that the report names", plan.name),
        );
    }
    if let Origin::Planted(kind) = &report.origin {
        add(ReasonCode::Planted, format!("`{kind}` was planted on purpose"));
    }
    if report.completed_at.is_none() {
        add(ReasonCode::Interrupted, "the burn-in was not completed".to_owned());
    }
    if report.devices.len() < plan.devices.count_min.max(1) as usize {
        let detail =
            format!("{} devices, the plan asks for {}", report.devices.len(), plan.devices.count_min.max(1));
        add(ReasonCode::TooFewDevices, detail);
    }
    for device in report.devices.iter().filter(|device| !plan.accepts(&device.kind)) {
        let detail =
            format!("{} is of kind `{}`, plan `{}` does not name it", device.id, device.kind, plan.name);
        add(ReasonCode::KindNotPlanned, detail);
    }
    if let Some(detail) = not_one_to_one(report) {
        add(ReasonCode::Incomplete, detail);
    }
    findings
}

/// Plan times devices, the list of planned checks and the results must name the same pairs, each once.
fn not_one_to_one(report: &Report) -> Option<String> {
    let asked: Vec<(CheckId, Subject)> = report
        .plan
        .expand(&report.devices)
        .map(|(check, subject): (&PlannedCheck, _)| (check.id.clone(), subject))
        .collect();
    let planned =
        report.planned.iter().map(|Planned { check, subject }| (check.clone(), subject.clone())).collect();
    let results = report.results.iter().map(|r: &CheckResult| (r.check.clone(), r.subject.clone())).collect();
    let asked_set: HashSet<_> = asked.iter().collect();
    if asked_set.len() != asked.len() {
        return Some("the plan asks for one check twice, or two devices have one id".to_owned());
    }
    [("planned checks", planned), ("results", results)].into_iter().find_map(|(what, found): (_, Vec<_>)| {
        let set: HashSet<_> = found.iter().collect();
        if set.len() != found.len() {
            return Some(format!("the list of {what} names one check twice"));
        }
        let missing = asked.iter().find(|pair| !set.contains(pair)).map(|p| ("lacks", p));
        let stray = found.iter().find(|pair| !asked_set.contains(pair)).map(|p| ("has the stray", p));
        missing
            .or(stray)
            .map(|(how, (check, subject))| format!("the list of {what} {how} `{check}` on {subject}"))
    })
}
