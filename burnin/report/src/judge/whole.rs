//! Is the report whole? What keeps it from being so makes the verdict `unknown` at best.

use std::collections::HashSet;

use super::ReasonCode;
use crate::document::Finding;
use crate::plan::{Plan, Scope};
use crate::{CheckId, Origin, Outcome, Report, Subject};

pub(super) fn of_report(code: ReasonCode, detail: impl Into<String>) -> Finding {
    Finding { check: None, subject: Subject::Node, outcome: Outcome::Untrusted, reason: code.because(detail) }
}

/// What keeps the report from being whole.
pub(super) fn whole(report: &Report) -> Vec<Finding> {
    let plan = &report.plan;
    let rules = [
        (ReasonCode::PlanEmpty, asks_too_little(plan)),
        (
            ReasonCode::PlanAltered,
            (plan.digest() != report.plan_digest)
                .then(|| format!("plan `{}` does not have the digest that the report names", plan.name)),
        ),
        (
            ReasonCode::Planted,
            match &report.origin {
                Origin::Planted(kind) => Some(format!("`{kind}` was planted on purpose")),
                Origin::Measured => None,
            },
        ),
        (
            ReasonCode::Interrupted,
            report.completed_at.is_none().then(|| "the burn-in was not completed".to_owned()),
        ),
        (ReasonCode::Incomplete, not_one_to_one(report)),
    ];
    let found = rules.into_iter().filter_map(|(code, detail)| detail.map(|detail| of_report(code, detail)));
    found.chain(too_few_devices(report)).chain(kinds_not_planned(report)).collect()
}

/// Counts as checks that did not run: less grave than a check that tells why the devices are too few.
fn too_few_devices(report: &Report) -> Option<Finding> {
    let (found, asked) = (report.devices.len(), report.plan.devices.count_min.max(1));
    (found < asked as usize).then(|| {
        let detail = format!("{found} devices, the plan asks for {asked}");
        Finding { outcome: Outcome::NotRun, ..of_report(ReasonCode::TooFewDevices, detail) }
    })
}

fn kinds_not_planned(report: &Report) -> impl Iterator<Item = Finding> {
    let plan = &report.plan;
    report.devices.iter().filter(|device| !plan.accepts(&device.kind)).map(|device| {
        let detail =
            format!("{} is of kind `{}`, plan `{}` does not name it", device.id, device.kind, plan.name);
        of_report(ReasonCode::KindNotPlanned, detail)
    })
}

/// A plan must ask something of each device, else a device that disappears from the report would not be missed.
fn asks_too_little(plan: &Plan) -> Option<String> {
    let asks = plan.checks.iter().any(|check| check.required && check.scope == Scope::Device);
    (!asks).then(|| format!("plan `{}` requires no check of a device", plan.name))
}

/// Plan times devices, the list of planned checks and the results must name the same pairs, each once.
fn not_one_to_one(report: &Report) -> Option<String> {
    let plan = &report.plan;
    let ids: HashSet<_> = plan.checks.iter().map(|check| &check.id).collect();
    if ids.len() != plan.checks.len() {
        return Some("the plan names one check twice".to_owned());
    }
    let devices: HashSet<_> = report.devices.iter().map(|device| &device.id).collect();
    if devices.len() != report.devices.len() {
        return Some("two devices have one id".to_owned());
    }
    let planned: Vec<_> = report.planned.iter().map(|p| (p.check.clone(), p.subject.clone())).collect();
    let results: Vec<_> = report.results.iter().map(|r| (r.check.clone(), r.subject.clone())).collect();
    [("planned checks", planned), ("results", results)]
        .into_iter()
        .find_map(|(what, found)| not_what_is_asked(what, &found, report))
}

fn not_what_is_asked(what: &str, found: &[(CheckId, Subject)], report: &Report) -> Option<String> {
    let set: HashSet<_> = found.iter().collect();
    if set.len() != found.len() {
        return Some(format!("the list of {what} names one check twice"));
    }
    let asked = || report.plan.expand(&report.devices).map(|(check, subject)| (check.id.clone(), subject));
    // Walked, not collected: a small report can ask for millions of pairs, and the walk ends at the first that is missing.
    if let Some((check, subject)) = asked().find(|pair| !set.contains(pair)) {
        return Some(format!("the list of {what} lacks `{check}` on {subject}"));
    }
    let asked: HashSet<_> = asked().collect();
    let (check, subject) = found.iter().filter(|pair| !asked.contains(pair)).min()?;
    Some(format!("the list of {what} has the stray `{check}` on {subject}"))
}
