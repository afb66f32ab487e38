//! What a verdict rests on: counters, evidence of every check, what was not tested, and what the silence proves.

use maud::{Markup, html};

use super::super::view::{ROWS_MAX, View, evidence, percent, shown};
use super::super::{ErrorBound, Slowdown};
use super::{badge, left_out, table};
use crate::text::line::{clip, number};

pub(super) fn counters(view: &View<'_>) -> Option<Markup> {
    let counters = &view.report.counters;
    let (moved, still): (Vec<_>, Vec<_>) =
        counters.iter().partition(|counter| counter.after != counter.before);
    let rows = html! {
        @for counter in moved.iter().take(ROWS_MAX) {
            tr {
                td class="id" { (clip(&counter.device.0, 24)) }
                td { (clip(&counter.place, 48)) }
                td { (clip(&counter.name, 48)) }
                td class="number" { (counter.before) }
                td class="number" { (counter.after) }
                td class="number" { strong class="low" {
                    @match counter.after.checked_sub(counter.before) { Some(more) => { "+" (more) }, None => "was set back" }
                } }
            }
        }
    };
    (!counters.is_empty()).then(|| html! {
        p { (counters.len()) " counters were read before the first check and after the last: " (moved.len()) " moved, " (still.len()) " did not." }
        @if !moved.is_empty() { (table("counters that moved", &["Device", "Kept by", "Counts", "Before", "After", "Change"], &rows)) (left_out(moved.len(), "counters")) }
    })
}

pub(super) fn checks(view: &View<'_>) -> Option<Markup> {
    let rows = |results: &[&crate::CheckResult]| {
        html! {
            @for result in results.iter().take(ROWS_MAX) {
                tr {
                    td { (badge(view.outcome(result))) }
                    th scope="row" { (result.check) }
                    td class="number" { (number(result.took_s.get(), 2)) " s" }
                    td class="text" {
                        (evidence(result))
                        @for note in result.notes.iter().take(8) { br; small { (shown(note)) } }
                    }
                }
            }
        }
    };
    let titles = ["Outcome", "Check", "Took", "Evidence"];
    Some(html! {
        @if !view.of_node.is_empty() { h3 { "The node" } (table("checks of the node", &titles, &rows(&view.of_node))) }
        @for device in view.detailed() {
            details open[view.devices.len() == 1] {
                summary { strong class="id" { (clip(&device.info.id.0, 24)) } " · " (device.results.len()) " checks · worst " (badge(device.worst)) }
                (table(&format!("checks of {}", clip(&device.info.id.0, 24)), &titles, &rows(&device.results)))
            }
        }
        @if view.left_out() > 0 { p class="note" { "The checks of " (view.left_out()) " more devices are in report.json." } }
        p class="note" { "A canary is a fault that the check planted itself, to see that it finds it; “canary 3/3” is three planted and three found." }
    })
}

pub(super) fn untested(view: &View<'_>) -> Option<Markup> {
    let rows = html! {
        @for untested in &view.untested {
            tr { th scope="row" { (untested.what) } td class="id" { (untested.subject) } td class="text" { (untested.why) } }
        }
    };
    (!view.untested.is_empty()).then(|| table("what was not tested", &["What", "On", "Why not"], &rows))
}

pub(super) fn silence(view: &View<'_>) -> Option<Markup> {
    let silence = &view.silence;
    (!silence.errors.is_empty()).then(|| html! {
        h3 { "Wrong answers" }
        (errors(&silence.errors))
        p class="note" { "With no error among N bits, fewer than 3/N of all bits are wrong, with 95 % confidence (rule of three; Hanley and Lippman-Hand, 1983). N counts what checks compared by bytes; other exact checks come on top." }
        @if !silence.slowdowns.is_empty() {
            h3 { "Slowness" }
            details open[view.devices.len() == 1] {
                summary { (silence.slowdowns.len()) " figures: the smallest fall that would have been noticed" }
                (slowdowns(&silence.slowdowns))
            }
            p class="note" { "Seen from: the smallest fall over three windows that stands out of the noise with 95 % probability, at 5 % false alarms over all windows: (z(1 − 0.05/m) + z(0.95)) · 1.4826 MAD / √3. The plan's own limits, which the verdict goes by, stand beside it." }
        }
    })
}

fn errors(bounds: &[ErrorBound]) -> Markup {
    let rows = html! {
        @for bound in bounds.iter().take(ROWS_MAX) {
            tr {
                th scope="row" class="id" { (clip(&bound.device.0, 24)) }
                td class="number" { (format!("{:.2e}", bound.bits)) }
                td class="number" { (bound.wrong_words) }
                td { @match bound.below {
                    Some(below) => { "fewer than " strong { (format!("{below:.1e}")) } " of all bits are wrong" },
                    None if bound.wrong_words > 0 => "wrong answers were found: no bound",
                    None => "nothing was compared by bytes: no bound",
                } }
            }
        }
    };
    table("bounds of wrong answers", &["Device", "Bits compared", "Wrong words", "Bound"], &rows)
}

fn slowdowns(all: &[Slowdown]) -> Markup {
    let rows = html! {
        @for one in all.iter().take(ROWS_MAX) {
            tr {
                td class="id" { (clip(&one.device.0, 24)) }
                th scope="row" { (clip(&one.metric, 32)) }
                td class="number" { (one.windows) }
                td class="number" { (number(one.stretch_s, 2)) " s" }
                td class="number" { (percent(Some(one.visible))) }
                td class="number" { (percent(one.fails_dip)) }
                td class="number" { (percent(one.fails_level)) }
            }
        }
    };
    let titles = [
        "Device",
        "Figure",
        "Windows",
        "Fall of",
        "Seen from",
        "Plan fails a fall from",
        "Plan fails a level lower by",
    ];
    html! { (table("smallest falls", &titles, &rows)) (left_out(all.len(), "figures")) }
}
