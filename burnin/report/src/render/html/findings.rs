//! Everything that keeps the verdict from being better, the gravest first.

use maud::{Markup, html};

use super::super::view::{ROWS_MAX, View, shown, subject};
use super::{badge, left_out, table};
use crate::text::line::clip;

pub(super) fn findings(view: &View<'_>) -> Option<Markup> {
    let findings = &view.judged.findings;
    let rows = html! {
        @for finding in findings.iter().take(ROWS_MAX) {
            tr {
                td { (badge(finding.outcome)) }
                td { @match &finding.check { Some(check) => (check), None => "the report" } }
                td class="id" { (subject(&finding.subject)) }
                td class="text" { (clip(&finding.reason.detail, 600)) }
                td class="code" { (clip(&finding.reason.code, 24)) }
                td class="text" { (shown(&finding.reason.action)) }
            }
        }
    };
    let titles = ["Outcome", "Check", "On", "What was found", "Code", "What to do"];
    (!findings.is_empty())
        .then(|| html! { (table("findings", &titles, &rows)) (left_out(findings.len(), "findings")) })
}
