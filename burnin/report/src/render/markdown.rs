//! Markdown (CommonMark with GitHub's tables), for an issue or a wiki.

use std::fmt::Write as _;

use super::view::{Device, ROWS_MAX, View, evidence, percent, shown, subject};
use crate::Origin;
use crate::text::line::{clean, clip, number};

pub(super) fn document(view: &View<'_>) -> String {
    let mut out = format!("# {}: {}\n\n", view.judged.verdict.as_str().to_uppercase(), plain(&view.node()));
    if let Origin::Planted(kind) = &view.report.origin {
        let _ = writeln!(out, "**Drill:** fault “{}” was planted on purpose.\n", plain(&shown(kind)));
    }
    let _ = writeln!(out, "**Why:** {}  ", plain(&view.why()));
    let _ = writeln!(out, "**Do:** {}\n", plain(&view.action()));
    let took =
        view.took_s().map_or_else(|| "not completed".to_owned(), |took| format!("{} s", number(took, 1)));
    let _ = writeln!(
        out,
        "{}, plan {}, run {}, {}, {took}\n",
        plain(&view.subject()),
        plain(&clip(&view.report.plan.name, 24)),
        plain(&clip(&view.report.run_id, 32)),
        view.report.started_at,
    );
    findings(&mut out, view);
    for device in view.detailed() {
        of_device(&mut out, view, device);
    }
    if view.left_out() > 0 {
        let _ = writeln!(out, "{} more devices are in report.json.\n", view.left_out());
    }
    proof(&mut out, view);
    origin(&mut out, view);
    out
}

fn findings(out: &mut String, view: &View<'_>) {
    let rows = view.judged.findings.iter().take(ROWS_MAX).map(|finding| {
        let check = finding.check.as_ref().map_or("the report", |check| check.as_str());
        vec![
            finding.outcome.to_string(),
            check.to_owned(),
            subject(&finding.subject),
            clip(&finding.reason.detail, 400),
            clip(&finding.reason.code, 24),
            shown(&finding.reason.action),
        ]
    });
    table(
        out,
        "What was found",
        &["Outcome", "Check", "On", "What was found", "Code", "What to do"],
        rows.collect(),
    );
}

fn of_device(out: &mut String, view: &View<'_>, device: &Device<'_>) {
    let info = device.info;
    let title = format!("{} {}", clip(&info.id.0, 24), clip(&info.name, 60));
    let figures = device.figures.iter().take(ROWS_MAX).map(|figure| {
        vec![
            figure.metric(),
            figure.value(),
            figure.spread(),
            figure.worst(),
            percent(figure.rate().and_then(|rate| rate.of_peak())),
            percent(figure.of_peers),
            figure.answers(),
        ]
    });
    let titles = ["Figure", "Value", "Spread", "Worst", "Of peak", "Of peers", "Answers"];
    table(out, &title, &titles, figures.collect());
    let checks = device.results.iter().take(ROWS_MAX).map(|result| {
        let took = format!("{} s", number(result.took_s.get(), 2));
        vec![view.outcome(result).to_string(), result.check.to_string(), took, evidence(result)]
    });
    table(
        out,
        &format!("Checks of {}", clip(&info.id.0, 24)),
        &["Outcome", "Check", "Took", "Evidence"],
        checks.collect(),
    );
}

fn proof(out: &mut String, view: &View<'_>) {
    let untested =
        view.untested.iter().map(|one| vec![one.what.clone(), one.subject.clone(), one.why.clone()]);
    table(out, "What was not tested", &["What", "On", "Why not"], untested.collect());
    let bounds = view.silence.errors.iter().map(|bound| {
        let below = match bound.below {
            Some(below) => format!("fewer than {below:.1e} of all bits are wrong (95 %, rule of three)"),
            None => "no bound".to_owned(),
        };
        vec![clip(&bound.device.0, 24), format!("{:.2e}", bound.bits), bound.wrong_words.to_string(), below]
    });
    table(
        out,
        "How sure the silence is",
        &["Device", "Bits compared", "Wrong words", "Bound"],
        bounds.collect(),
    );
}

fn origin(out: &mut String, view: &View<'_>) {
    let report = view.report;
    let mut rows = vec![
        vec!["plan's digest".to_owned(), shown(&report.plan_digest)],
        vec!["burnin".to_owned(), shown(&report.tool.version)],
        vec!["kernels' digest".to_owned(), shown(&report.tool.kernels_digest)],
        vec!["schema".to_owned(), shown(&report.schema)],
    ];
    rows.extend(
        view.devices.iter().take(ROWS_MAX).map(|d| vec![clip(&d.info.id.0, 24), clip(&d.info.driver, 80)]),
    );
    table(out, "Where this comes from", &["What", "Which"], rows);
}

/// A heading and a table; nothing where there are no rows.
fn table(out: &mut String, heading: &str, titles: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "## {}\n\n| {} |", plain(heading), titles.join(" | "));
    let _ = writeln!(out, "|{}", " --- |".repeat(titles.len()));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| plain(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

/// Text that stands for itself: no character of it is markup, of Markdown or of the HTML that Markdown lets through.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // Addresses that a renderer would make links of by itself.
            ':' | '@' => {
                out.push(c);
                out.push('\u{2060}');
            }
            c => out.push(c),
        }
    }
    out
}
