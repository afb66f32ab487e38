//! A report as text for people on a terminal: verdict first, then what to do, then the figures. Pure; no colour.

use std::fmt::Write as _;

use crate::{CheckResult, DeviceKind, Origin, Outcome, Report, Subject, VerdictRecord};

/// The report as lines of at most about 100 columns, ending in a newline.
pub fn render(report: &Report, judged: &VerdictRecord) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = head(&mut out, report, judged);
    let _ = devices(&mut out, report);
    let _ = results(&mut out, report);
    let _ = findings(&mut out, judged);
    out
}

fn head(out: &mut String, report: &Report, judged: &VerdictRecord) -> std::fmt::Result {
    let verdict = judged.verdict.as_str().to_uppercase();
    let software = !report.devices.is_empty() && report.devices.iter().all(|d| d.kind == DeviceKind::Cpu);
    let on = match (report.devices.len(), software) {
        (0, _) => "no device was burned in".to_owned(),
        (n, true) => format!("{n} SOFTWARE DEVICE{}, NO GPU", if n == 1 { "" } else { "S" }),
        (n, false) => format!("{n} device{}", if n == 1 { "" } else { "s" }),
    };
    writeln!(out, "{verdict}  {on}  plan {}  run {}", report.plan.name, clean(&report.run_id))?;
    if let Origin::Planted(kind) = &report.origin {
        writeln!(out, "A DRILL: fault `{}` was planted on purpose", clean(kind))?;
    }
    if let Some(finding) = judged.findings.first() {
        let check = finding.check.as_ref().map_or_else(|| "report".to_owned(), ToString::to_string);
        writeln!(
            out,
            "  {} on {}: {}",
            check,
            clean(&finding.subject.to_string()),
            clean(&finding.reason.detail)
        )?;
        writeln!(out, "  {}: {}", finding.reason.code, finding.reason.action)?;
    }
    Ok(())
}

fn devices(out: &mut String, report: &Report) -> std::fmt::Result {
    for device in &report.devices {
        writeln!(
            out,
            "\n{}  {}  ({}, {} through {}, {})",
            device.id,
            clean(&device.name),
            device.kind,
            clean(&device.driver),
            device.backend,
            device.memory_bytes
        )?;
    }
    Ok(())
}

fn results(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "\n{:<10} {:<26} {:<14} {:>7}  evidence", "outcome", "check", "subject", "seconds")?;
    for result in &report.results {
        let word = if matches!(result.outcome, Outcome::Pass | Outcome::Skip) {
            result.outcome.as_str().to_owned()
        } else {
            result.outcome.as_str().to_uppercase()
        };
        let subject = match &result.subject {
            Subject::Node => "node".to_owned(),
            Subject::Device(id) => clean(&id.0),
        };
        let evidence = evidence(result).join(", ");
        writeln!(
            out,
            "{word:<10} {:<26} {subject:<14} {:>7.2}  {evidence}",
            result.check,
            result.took_s.get()
        )?;
        for note in &result.notes {
            writeln!(out, "{:<10} {}", "", clean(note))?;
        }
    }
    Ok(())
}

fn evidence(result: &CheckResult) -> Vec<String> {
    let mut parts = Vec::new();
    for m in &result.measurements {
        let share = if m.median.get() > 0.0 { 100.0 * m.worst.get() / m.median.get() } else { 0.0 };
        parts.push(format!("{} {} (worst {share:.0} %)", m.metric, m.unit.show(m.median.get())));
    }
    for c in &result.coverage {
        parts.push(match c.quantity.strip_suffix("_bytes") {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not negative by its type, printed only"
            )]
            Some(what) => format!("{} {what}", crate::Bytes(c.achieved.get() as u64)),
            None if c.quantity.ends_with("_fraction") => {
                format!("{:.1} % of memory", 100.0 * c.achieved.get())
            }
            None => format!("{} {}", c.achieved.get(), c.quantity),
        });
    }
    if let Some(wrong) = &result.mismatches {
        parts.push(format!("{} wrong", wrong.count));
    }
    if let Some(canary) = result.canary {
        parts.push(format!("canary {}/{}", canary.found, canary.planted));
    }
    parts.extend(result.digest.as_ref().map(|d| format!("digest {}", clean(d))));
    parts
}

fn findings(out: &mut String, judged: &VerdictRecord) -> std::fmt::Result {
    if judged.findings.len() > 1 {
        writeln!(out, "\nall findings")?;
        for finding in &judged.findings {
            let check = finding.check.as_ref().map_or_else(|| "report".to_owned(), ToString::to_string);
            writeln!(
                out,
                "  {:<10} {:<17} {check} on {}: {}",
                finding.outcome.as_str(),
                finding.reason.code,
                clean(&finding.subject.to_string()),
                clean(&finding.reason.detail)
            )?;
        }
    }
    Ok(())
}

/// Text from outside (a driver, the firmware) without control characters: they could move the cursor of a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
