//! From all outcomes to the verdict of the node.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::trust::beyond_physics;
use super::whole::{of_report, whole};
use super::{ReasonCode, settle};
use crate::document::{Finding, VerdictRecord};
use crate::plan::{Class, PlannedCheck};
use crate::{CheckResult, DeviceInfo, Measurement, Outcome, Reason, Report, Subject};

/// May the node take work?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// The verdict that the evidence of a report carries. For who writes the report; who reads one asks [`review`].
///
/// `faulty` if any check failed. Else `unknown` if the report is not whole (plan altered or empty, devices missing or of
/// a kind that the plan does not name, planned checks and results that do not match one to one, not completed, a fault
/// planted) or a required check is anything but `pass` or `warn`. Else `degraded` if a check of class performance warned.
/// Else `healthy`. The order of the results changes nothing.
pub fn judge(report: &Report) -> VerdictRecord {
    let mut findings = whole(report);
    let mut degraded = false;
    let mut unknown = !findings.is_empty();
    let mut faulty = false;
    let devices = report.devices_by_id();
    for result in &report.results {
        let device = match &result.subject {
            Subject::Node => None,
            Subject::Device(id) => devices.get(id).copied(),
        };
        let Some(planned) = report.plan.check_on(&result.check, device) else { continue };
        let (outcome, reason) = settle_on_device(device, &planned, result);
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
    findings.sort_by_cached_key(|finding| order(report, finding));
    VerdictRecord { verdict, findings }
}

/// The verdict on a report that somebody else wrote: [`judge`], but never better than the writer's own.
///
/// The writer saw all of the evidence. If what is left of it looks better than the writer's verdict, something is
/// missing, so the verdict is `unknown`: this is what makes absence never help, whatever is absent. A writer's good
/// verdict counts for nothing.
pub fn review(report: &Report) -> VerdictRecord {
    let VerdictRecord { verdict, mut findings } = judge(report);
    let stated = report.verdict.verdict;
    let better = match verdict {
        Verdict::Healthy => stated != Verdict::Healthy,
        Verdict::Degraded => matches!(stated, Verdict::Faulty | Verdict::Unknown),
        Verdict::Faulty | Verdict::Unknown => false,
    };
    if !better {
        return VerdictRecord { verdict, findings };
    }
    let detail = format!("the writer's verdict is `{stated}`, the evidence that is here says `{verdict}`");
    findings.insert(0, of_report(ReasonCode::WriterDisagrees, detail));
    VerdictRecord { verdict: Verdict::Unknown, findings }
}

/// The verdict on bytes that should be a report, see [`review`]: what cannot be read is `unknown`.
pub fn judge_bytes(bytes: &[u8]) -> VerdictRecord {
    match Report::from_json(bytes) {
        Ok(report) => review(&report),
        Err(error) => VerdictRecord {
            verdict: Verdict::Unknown,
            findings: vec![of_report(ReasonCode::Unreadable, error.to_string())],
        },
    }
}

/// As [`settle`]; and where the device has a clock of its own, the rates must have been taken by it: left out, nothing
/// would compare it with the host's. Every compute unit that the device has must have done work, where it tells. No rate may be beyond what the table of limits says of the device's model.
pub fn settle_on_device(
    device: Option<&DeviceInfo>,
    planned: &PlannedCheck,
    result: &CheckResult,
) -> (Outcome, Option<Reason>) {
    let settled = settle(planned, result);
    let believed = matches!(settled.0, Outcome::Pass | Outcome::Warn);
    let beyond = |m: &Measurement| device.and_then(|device| beyond_physics(device, m));
    if let Some((code, detail)) = result.measurements.iter().find_map(beyond).filter(|_| believed) {
        return (Outcome::Untrusted, Some(code.because(detail)));
    }
    if let Some(detail) = device.and_then(|device| units_unseen(device, result)).filter(|_| believed) {
        return (Outcome::Untrusted, Some(ReasonCode::UnitsUnseen.because(detail)));
    }
    let silent = |m: &&Measurement| m.samples.iter().any(|sample| sample.device_s.is_none());
    let limited = |m: &&Measurement| planned.limits.iter().any(|limit| limit.metric == m.metric);
    match settled.0 {
        Outcome::Pass | Outcome::Warn if device.is_some_and(|device| device.timestamps) => {
            let Some(found) = result.measurements.iter().filter(limited).find(silent) else { return settled };
            let detail = format!("`{}` was not timed by the device, which has a clock", found.metric);
            (Outcome::Untrusted, Some(ReasonCode::EvidenceMissing.because(detail)))
        }
        _ => settled,
    }
}

/// Which compute units did nothing, where device and check both tell their numbers: right answers of the others prove
/// nothing about them.
fn units_unseen(device: &DeviceInfo, result: &CheckResult) -> Option<String> {
    let (told, seen) = (device.units?, result.units.as_ref()?);
    // Counted by number, so that one that is listed twice stands for itself alone.
    let worked: HashSet<u32> = seen.units.iter().filter(|u| u.workgroups > 0).map(|u| u.unit).collect();
    ((worked.len() as u64) < u64::from(told))
        .then(|| format!("{} compute units did work, the device says that it has {told}", worked.len()))
}

/// The gravest first; what concerns the report as a whole after the checks that broke, since these say why; a drill last.
/// Within one weight in the order of the plan.
fn order(report: &Report, finding: &Finding) -> (u8, usize, Option<Subject>) {
    let Some(id) = &finding.check else {
        let drill = finding.reason.code == ReasonCode::Planted.as_str();
        return (if drill { u8::MAX } else { gravity(Outcome::Error) }, usize::MAX, None);
    };
    let place =
        report.plan.checks.iter().position(|check| check.id == *id).unwrap_or(report.plan.checks.len());
    (gravity(finding.outcome), place, Some(finding.subject.clone()))
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
