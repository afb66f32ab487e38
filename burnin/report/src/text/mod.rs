//! A report as text for people on a terminal: verdict first, then why and what to do, then the figures. Pure; no colour.

pub(crate) mod line;
mod table;
pub mod bench;

use crate::bench::Bench;
use crate::document::Finding;
use crate::{CheckResult, Coverage, DeviceKind, Origin, Outcome, Report, Subject, Verdict, VerdictRecord};

pub use line::clean;
use line::{NO_BREAK, clip, number, wrap};

/// The report as lines of at most 100 columns, ending in a newline.
///
/// Outcomes are those of the verdict's findings: what a check says of itself counts only as far as it was believed.
pub fn render(report: &Report, judged: &VerdictRecord) -> String {
    let mut out = String::new();
    head(&mut out, report, judged);
    devices(&mut out, report);
    results(&mut out, report, judged);
    figures(&mut out, report);
    findings(&mut out, judged);
    out
}

fn head(out: &mut String, report: &Report, judged: &VerdictRecord) {
    let software = !report.devices.is_empty() && report.devices.iter().all(|d| d.kind == DeviceKind::Cpu);
    let on = match (report.devices.len(), software) {
        (0, _) => "no device was burned in".to_owned(),
        (n, true) => format!("{n} SOFTWARE DEVICE{}, NO GPU", if n == 1 { "" } else { "S" }),
        (n, false) => format!("{n} device{}", if n == 1 { "" } else { "s" }),
    };
    let plan = clip(&report.plan.name, 24);
    let verdict = judged.verdict.as_str().to_uppercase();
    wrap(out, "", 0, &format!("{verdict}: {on}, plan {plan}, run {}", clip(&report.run_id, 32)));
    if let Origin::Planted(kind) = &report.origin {
        wrap(out, "  drill  ", 9, &format!("fault `{}` was planted on purpose", clip(kind, 40)));
    }
    if let Some(accounting) = accounting(report) {
        wrap(out, "  time   ", 9, &accounting);
    }
    match judged.findings.first() {
        Some(first) => {
            let label = if judged.verdict == Verdict::Healthy { "  note   " } else { "  why    " };
            wrap(out, label, 9, &told(first));
            let code = clip(&first.reason.code, 24);
            wrap(out, "  do     ", 9, &format!("{} ({code})", clip(&first.reason.action, 300)));
        }
        None if software => {
            wrap(out, "  note   ", 9, "this proves the tool and the path to admission, not a GPU")
        }
        None => {}
    }
}

/// How much of the time from start to end was device work, on the device with the least of it.
pub(crate) fn accounting(report: &Report) -> Option<String> {
    let whole = report.completed_at?.as_nanosecond() - report.started_at.as_nanosecond();
    #[expect(clippy::cast_precision_loss, reason = "seconds to a few digits")]
    let whole_s = whole as f64 * 1e-9;
    let of = |device: &crate::DeviceInfo| -> Option<f64> {
        let mut its = report.results.iter().filter(|r| r.subject == Subject::Device(device.id.clone()));
        its.try_fold(0.0, |sum, result| Some(sum + result.device_s?.get()))
    };
    let least = report.devices.iter().map(of).collect::<Option<Vec<_>>>()?.into_iter().reduce(f64::min)?;
    (whole_s > 0.0).then(|| {
        let share = number((100.0 * least / whole_s).min(999.0), 0);
        format!("device work {share} % of {} s", number(whole_s, 1))
    })
}

/// Where and what.
fn told(finding: &Finding) -> String {
    let detail = clip(&finding.reason.detail, 400);
    match &finding.check {
        Some(check) => format!("{check} on {}: {detail}", shown(&finding.subject)),
        None => format!("the report: {detail}"),
    }
}

fn devices(out: &mut String, report: &Report) {
    if !report.devices.is_empty() {
        out.push_str("\nDEVICES\n");
    }
    for device in &report.devices {
        let id = clip(&device.id.0, 16);
        let text = format!(
            "{}, {}, {}, {} through {}",
            clip(&device.name, 60),
            clip(device.kind.as_str(), 16),
            device.memory_bytes,
            clip(&device.driver, 60),
            device.backend
        );
        wrap(out, &format!("  {id}  "), 4 + id.chars().count(), &text);
    }
}

fn results(out: &mut String, report: &Report, judged: &VerdictRecord) {
    let width = |texts: &mut dyn Iterator<Item = usize>, least: usize, most: usize| {
        texts.max().unwrap_or_default().clamp(least, most)
    };
    let check = width(&mut report.results.iter().map(|r| r.check.as_str().len()), 5, 30);
    let subject = width(&mut report.results.iter().map(|r| shown(&r.subject).chars().count()), 7, 16);
    let columns = |outcome: &str, name: &str, on: &str, seconds: &str| {
        format!("  {outcome:<9}  {name:<check$}  {on:<subject$}  {seconds:>7}  ")
    };
    let titles = columns("OUTCOME", "CHECK", "SUBJECT", "SECONDS");
    out.push('\n');
    wrap(out, &titles, 0, "EVIDENCE");
    for result in &report.results {
        let outcome = believed(result, judged);
        let word = match outcome {
            Outcome::Pass | Outcome::Skip => outcome.as_str().to_owned(),
            _ => outcome.as_str().to_uppercase(),
        };
        let seconds = number(result.took_s.get(), 2);
        let row =
            columns(&word, &clip(result.check.as_str(), check), &shown(&result.subject), &clip(&seconds, 7));
        wrap(out, &row, titles.chars().count(), &evidence(result).join(", "));
        if let Some(anatomy) = &result.anatomy {
            wrap(
                out,
                &" ".repeat(titles.chars().count()),
                titles.chars().count(),
                &clip(&anatomy.summary(), 600),
            );
        }
        for note in &result.notes {
            wrap(out, &" ".repeat(titles.chars().count()), titles.chars().count(), &clip(note, 200));
        }
    }
}

/// Rates and latencies of each device, as a bench shows them.
fn figures(out: &mut String, report: &Report) {
    let of_all = Bench::of(report);
    let style = bench::Style { columns: line::COLUMNS, verbose: false };
    for device in &report.devices {
        let mut tables = String::new();
        bench::figures(&mut tables, &of_all, device, None, style);
        if !tables.is_empty() {
            *out += &format!("\nFIGURES OF {}{tables}", clip(&device.id.0, 16));
        }
    }
}

fn shown(subject: &Subject) -> String {
    clip(&subject.to_string(), 16)
}

/// The outcome as the judge read it: whatever is no plain pass has a finding.
pub(crate) fn believed(result: &CheckResult, judged: &VerdictRecord) -> Outcome {
    let of_it = |f: &&Finding| f.check.as_ref() == Some(&result.check) && f.subject == result.subject;
    judged.findings.iter().find(of_it).map_or(result.outcome, |finding| finding.outcome)
}

pub(crate) fn evidence(result: &CheckResult) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(result.coverage.iter().map(covered));
    parts.extend(result.regions.iter().filter_map(|rates| {
        let even = number(100.0 * rates.evenness()?, 0);
        Some(format!("{} by region within {even} %", clip(&rates.metric, 24)))
    }));
    if let Some(wrong) = &result.mismatches {
        parts.push(format!("{} wrong", wrong.count));
    }
    if let Some(canary) = result.canary {
        let strays =
            if canary.strays == 0 { String::new() } else { format!(" and {} strays", canary.strays) };
        parts.push(format!("canary {}/{}{strays}", canary.found, canary.planted));
    }
    parts.extend(result.digest.as_ref().map(|digest| format!("digest {}", clip(digest, 16))));
    // A figure and its unit stay together.
    parts.iter().map(|part| part.replace(' ', &NO_BREAK.to_string())).collect()
}

fn covered(coverage: &Coverage) -> String {
    let achieved = coverage.achieved.get();
    let quantity = clip(&coverage.quantity, 24);
    if let Some(what) = quantity.strip_suffix("_bytes") {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative by its type, printed only"
        )]
        let bytes = crate::Bytes(achieved as u64);
        format!("{bytes} {what}")
    } else if let Some(what) = quantity.strip_suffix("_fraction") {
        format!("{} % of {what}", number(100.0 * achieved, 1))
    } else {
        let one = quantity.strip_suffix('s').filter(|_| number(achieved, 0) == "1");
        format!("{} {}", number(achieved, 0), one.unwrap_or(&quantity))
    }
}

fn findings(out: &mut String, judged: &VerdictRecord) {
    let Some(more) = judged.findings.get(1..).filter(|more| !more.is_empty()) else { return };
    out.push_str("\nALSO FOUND\n");
    for finding in more {
        let label = format!("  {:<9}  ", finding.outcome.as_str());
        wrap(out, &label, 13, &format!("{} ({})", told(finding), clip(&finding.reason.code, 24)));
    }
}
