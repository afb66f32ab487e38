//! Wrong answers taken apart: which bits, which way, where, how far apart, and whether a further look saw them again.

use maud::{Markup, html};

use super::super::svg::{Bars, Caption, Stack};
use super::super::view::{View, subject};
use super::table;
use crate::text::line::{clip, number};
use crate::{Anatomy, CheckResult, Mismatches, PassErrors};

/// Checks that are taken apart, and wrong words of each that are listed, at most.
const CHECKS_MAX: usize = 24;
const WORDS_MAX: usize = 16;

pub(super) fn anatomy(view: &View<'_>) -> Option<Markup> {
    let wrong = |result: &&CheckResult| {
        result.anatomy.is_some() || result.mismatches.as_ref().is_some_and(|wrong| wrong.count > 0)
    };
    let sick: Vec<_> = view.report.results.iter().filter(wrong).collect();
    (!sick.is_empty()).then(|| html! {
        @for result in sick.iter().take(CHECKS_MAX) {
            h3 { (result.check) " on " span class="id" { (subject(&result.subject)) } }
            @if let Some(anatomy) = &result.anatomy { (taken_apart(anatomy)) }
            @if let Some(wrong) = &result.mismatches { (words(&format!("wrong words of {} on {}", result.check, subject(&result.subject)), wrong)) }
        }
        @if sick.len() > CHECKS_MAX { p class="note" { (sick.len() - CHECKS_MAX) " more checks with wrong answers are in report.json." } }
    })
}

fn taken_apart(anatomy: &Anatomy) -> Markup {
    html! {
        div class="plots" { (bits(anatomy)) (regions(anatomy)) }
        dl class="pairs" {
            dt { "Wrong words" } dd { (anatomy.words) ", " (anatomy.recorded) " looked at" }
            dt { "Distance between them" } dd { @match anatomy.period_bytes { Some(bytes) => { (bytes) " or multiples: the stride of a channel, a bank or a lane" }, None => "no common one" } }
            dt { "Looked at again" } dd { (anatomy.stored) " stored, " (anatomy.transport) " lost or bent in transport, " (anatomy.unsteady) " unsteady" }
            dt { "In passes" } dd { (clip(&anatomy.passes.iter().take(8).map(pass).collect::<Vec<_>>().join(", "), 300)) }
        }
    }
}

fn pass(errors: &PassErrors) -> String {
    format!("{} in pass {} ({})", errors.words, errors.pass, errors.what)
}

fn bits(anatomy: &Anatomy) -> Markup {
    let figures = |of: fn(&crate::BitErrors) -> u64| {
        let mut figures = vec![0.0; 32];
        for bit in &anatomy.bits {
            if let Some(figure) = figures.get_mut(bit.bit as usize) {
                *figure += of(bit) as f64;
            }
        }
        figures
    };
    let (set, cleared) = (figures(|bit| bit.set), figures(|bit| bit.cleared));
    let hit = set.iter().zip(&cleared).filter(|(set, cleared)| *set + *cleared > 0.0).count();
    let sum = |figures: &[f64]| number(figures.iter().sum(), 0);
    Bars {
        caption: Caption {
            title: "wrong bits by number and direction".to_owned(),
            says: format!(
                "{hit} of 32 bits were wrong: {} times 1 for 0, {} times 0 for 1.",
                sum(&set),
                sum(&cleared)
            ),
        },
        x_label: "bit of the word".to_owned(),
        y_label: "wrong".to_owned(),
        stacks: vec![
            Stack { name: "0 read as 1", figures: set },
            Stack { name: "1 read as 0", figures: cleared },
        ],
        mark: None,
    }
    .draw()
}

fn regions(anatomy: &Anatomy) -> Markup {
    let figures: Vec<_> = anatomy.regions.iter().take(4096).map(|words| *words as f64).collect();
    Bars {
        caption: Caption {
            title: "wrong words by region of the memory".to_owned(),
            says: format!(
                "{} of {} regions of {} have wrong words.",
                anatomy.regions_hit(),
                figures.len(),
                anatomy.region_bytes
            ),
        },
        x_label: format!("region of {}", anatomy.region_bytes),
        y_label: format!("wrong words · {} of {} regions", anatomy.regions_hit(), figures.len()),
        stacks: vec![Stack { name: "", figures }],
        mark: None,
    }
    .draw()
}

fn words(name: &str, wrong: &Mismatches) -> Markup {
    let rows = html! {
        @for word in wrong.first.iter().take(WORDS_MAX) {
            @let bits = word.expected ^ word.found;
            tr {
                td class="id" { (format!("{:#014x}", word.byte_address)) }
                td class="id" { (format!("{:#010x}", word.expected)) }
                td class="id" { (format!("{:#010x}", word.found)) }
                td class="id" { (format!("{bits:#010x}")) }
                td class="number" { @if bits.count_ones() == 1 { "bit " (bits.trailing_zeros()) } @else { (bits.count_ones()) " bits" } }
                td class="number" { (word.workgroup) }
                td class="number" { (word.pass) }
            }
        }
    };
    let titles = ["Byte address", "Expected", "Found", "Differs in", "Which", "Workgroup", "Pass"];
    html! {
        @if !wrong.first.is_empty() {
            (table(name, &titles, &rows))
            p class="note" { "The first " (wrong.first.len().min(WORDS_MAX)) " of " (wrong.count) " wrong words." }
        }
    }
}
