//! One page for a browser and for paper: no script, nothing fetched, and a policy in its head that forbids both. The
//! template engine escapes whatever is put in; only the style is written as it is, and it is a constant.

mod head;
mod findings;
mod figures;
mod time;
mod shape;
mod anatomy;
mod proof;
mod origin;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::view::{ROWS_MAX, View};
use crate::Outcome;

/// What the page may do: show its own style, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("style.css");

/// A part of the page: where it is, its name, what it shows; a part without contents is left out.
type Part = (&'static str, &'static str, Option<Markup>);

/// The page.
pub(super) fn page(view: &View<'_>) -> String {
    let parts: [Part; 12] = [
        ("findings", "What was found", findings::findings(view)),
        ("devices", "Devices", figures::overview(view)),
        ("figures", "Every figure", figures::every(view)),
        ("time", "Over time", time::timelines(view)),
        ("roofline", "Roofline", shape::roofline(view)),
        ("regions", "Memory regions and compute units", shape::regions(view)),
        ("anatomy", "Anatomy of errors", anatomy::anatomy(view)),
        ("counters", "Counters before and after", proof::counters(view)),
        ("checks", "Every check", proof::checks(view)),
        ("untested", "What was not tested", proof::untested(view)),
        ("silence", "How sure the silence is", proof::silence(view)),
        ("origin", "Where this comes from", origin::origin(view)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (head::title(view)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head::banner(view))
                nav aria-label="Parts of the report" {
                    @for (id, name, part) in &parts {
                        @if part.is_some() { a href={ "#" (id) } { (name) } }
                    }
                }
                main {
                    @for (id, name, part) in &parts {
                        @if let Some(part) = part {
                            section id=(id) aria-labelledby={ (id) "-h" } {
                                h2 id={ (id) "-h" } { (name) }
                                (part)
                            }
                        }
                    }
                }
                footer { p { "Made by burnin from report.json alone; “burnin judge” on that file comes to the same verdict." } }
            }
        }
    };
    page.into_string()
}

/// The word for an outcome, with a sign that does not need a colour.
fn badge(outcome: Outcome) -> Markup {
    let (class, sign) = match outcome {
        Outcome::Pass => ("pass", "✓"),
        Outcome::Warn => ("warn", "▲"),
        Outcome::Fail => ("fail", "✕"),
        Outcome::Skip => ("skip", "–"),
        Outcome::Error => ("error", "!"),
        Outcome::Untrusted => ("untrusted", "?"),
        Outcome::NotRun => ("notrun", "○"),
    };
    html! { span class={ "badge " (class) } { span aria-hidden="true" { (sign) } " " (outcome.as_str().replace('_', " ")) } }
}

/// A table with its titles, which scrolls by itself where the screen is narrow.
fn table(name: &str, titles: &[&str], rows: &Markup) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label={ "Table: " (name) } {
            table {
                thead { tr { @for title in titles { th scope="col" { (title) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// That rows were left out, where they were.
fn left_out(all: usize, what: &str) -> Markup {
    html! {
        @if all > ROWS_MAX { p class="note" { (all - ROWS_MAX) " more " (what) " are in report.json." } }
    }
}

/// A wide plot, which scrolls by itself where the screen is narrow.
fn wide(name: &str, plot: &Markup) -> Markup {
    html! { div class="scroll" tabindex="0" role="region" aria-label={ "Plot: " (name) } { (plot) } }
}
