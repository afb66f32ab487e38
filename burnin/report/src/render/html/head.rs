//! The first lines: the verdict with its reason and what to do, and what it is about.

use maud::{Markup, html};

use super::super::view::{View, shown};
use crate::text::line::number;
use crate::{Origin, Outcome, Verdict};

pub(super) fn title(view: &View<'_>) -> String {
    format!("{}: {} · Assay", view.judged.verdict.as_str(), view.node())
}

pub(super) fn banner(view: &View<'_>) -> Markup {
    let verdict = view.judged.verdict;
    let sign = match verdict {
        Verdict::Healthy => "✓",
        Verdict::Degraded => "▲",
        Verdict::Faulty => "✕",
        Verdict::Unknown => "?",
    };
    html! {
        header class={ "verdict " (verdict.as_str()) } {
            p class="kicker" { "Burn-in report · " (view.node()) " · " (view.subject()) }
            h1 { span class="sign" aria-hidden="true" { (sign) } " " (verdict.as_str()) }
            @if let Origin::Planted(kind) = &view.report.origin {
                p class="drill" { strong { "Drill. " } "Fault “" (shown(kind)) "” was planted on purpose: this says nothing about the node." }
            }
            dl class="why" {
                dt { "Why" } dd { (view.why()) }
                dt { "Do" } dd { (view.action()) }
            }
            (facts(view))
        }
    }
}

fn facts(view: &View<'_>) -> Markup {
    let report = view.report;
    let results = || report.results.iter().map(|result| view.outcome(result));
    let count = |wanted: &[Outcome]| results().filter(|outcome| wanted.contains(outcome)).count();
    let open = count(&[Outcome::Error, Outcome::Untrusted, Outcome::NotRun]);
    html! {
        ul class="facts" {
            li { strong { (view.devices.len()) } " device" @if view.devices.len() != 1 { "s" } }
            li { strong { (report.results.len()) } " checks: "
                (count(&[Outcome::Pass])) " pass, " (count(&[Outcome::Warn])) " warn, " (count(&[Outcome::Fail])) " fail, "
                (open) " open, " (count(&[Outcome::Skip])) " skipped" }
            li { "plan " strong { (shown(&report.plan.name)) } }
            li { time datetime=(report.started_at.to_string()) { (report.started_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()) }
                @if let Some(took) = view.took_s() { ", " (number(took, 1)) " s" } @else { ", not completed" } }
            @if let Some(work) = view.accounting() { li { (work) } }
        }
    }
}
