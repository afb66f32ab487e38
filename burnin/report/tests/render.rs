//! Reports as pages, tables and documents: what stands in them, how long they are, and that no text of a report ever
//! becomes markup. `UPDATE_GOLDEN=1 cargo test -p report --test render` writes the golden files anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reports/mod.rs"]
mod reports;

#[path = "render/golden.rs"]
mod golden;
#[path = "render/hostile.rs"]
mod hostile;
#[path = "render/schema.rs"]
mod schema;

use report::render::{Format, render};
use report::{Report, Verdict};
use reports::eight::eight_gpus;
use reports::{FAULTS, with};

fn html(report: &Report) -> String {
    render(report, Format::Html)
}

#[test]
fn the_page_of_a_sick_node_says_what_is_wrong_with_which_device_and_what_to_do() {
    let report = eight_gpus(true);
    assert_eq!(report.verdict.verdict, Verdict::Faulty, "{:?}", report.verdict);
    let page = html(&report);
    for words in [
        "<h1><span class=\"sign\" aria-hidden=\"true\">✕</span> faulty</h1>",
        "gpu-017",
        "41 wrong words",
        "DATA-MISMATCH",
        "take the device out of service",
        "8.00 KiB or multiples",
        "1 of 32 bits were wrong",
        "sw-thermal-slowdown",
        "corrected BadTLP",
        "+1432",
        "texture, raster, ray-tracing and video units",
        "no check of this version copies between devices",
        "bits are wrong",
        "NVIDIA 580.95.05",
        "2.7.4",
    ] {
        assert!(page.contains(words), "the page lacks `{words}`");
    }
    assert!(page.len() < 1_000_000, "{} bytes: too large to mail", page.len());
}

#[test]
fn the_page_of_a_healthy_node_says_so_and_keeps_quiet_about_nothing() {
    let report = eight_gpus(false);
    assert_eq!(report.verdict.verdict, Verdict::Healthy, "{:?}", report.verdict);
    let page = html(&report);
    assert!(page.contains("nothing: the node may take work") && page.contains("What was not tested"));
    assert!(!page.contains("Anatomy of errors"), "a part without contents is left out");
    assert!(page.contains("fewer than <strong>"), "the bound of wrong answers");
}

#[test]
fn nothing_is_fetched_run_or_linked_to_from_outside() {
    let page = html(&eight_gpus(true));
    for forbidden in
        ["<script", "<iframe", "<img", "<object", "<link", "<form", "javascript:", "http:", "https:", " on"]
    {
        // ` on` would begin an attribute that runs code; as a word of a sentence it is followed by a space.
        let found = page.match_indices(forbidden).any(|(at, _)| {
            forbidden != " on"
                || page[at + 3..]
                    .split(['=', ' ', '<'])
                    .next()
                    .is_some_and(|word| !word.is_empty() && page[at + 3 + word.len()..].starts_with('='))
        });
        assert!(!found, "`{forbidden}`");
    }
    assert!(page.contains(
        "content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\""
    ));
    let targets = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    for target in targets {
        assert!(
            page.contains(&format!("id=\"{}\"", target.strip_prefix('#').unwrap())),
            "{target} leads nowhere"
        );
    }
}

#[test]
fn every_way_to_be_unhealthy_can_be_shown_in_every_format() {
    for fault in FAULTS {
        let report = with(*fault, 2);
        for format in Format::ALL {
            let text = render(&report, format);
            assert!(text.ends_with('\n') || format == Format::Html, "{} as {format}", fault.0);
            let verdict = report::judge::review(&report).verdict;
            assert!(
                text.to_lowercase().contains(verdict.as_str()) || format == Format::Csv,
                "{} as {format}",
                fault.0
            );
        }
    }
}

#[test]
fn a_check_that_failed_is_a_failure_for_who_collects_tests_and_one_that_did_not_run_no_pass() {
    let document = render(&eight_gpus(true), Format::Junit);
    assert!(
        document.contains("name=\"memory-march\"") && document.contains("<failure type=\"DATA-MISMATCH\"")
    );
    assert!(document.contains("<failure type=\"faulty\""));
    let mut open = eight_gpus(false);
    open.results[5].outcome = report::Outcome::NotRun;
    let document = render(&open, Format::Junit);
    assert!(document.contains("<error type=\"NOT-RUN\"") && document.contains("<error type=\"unknown\""));
    assert_eq!(render(&eight_gpus(false), Format::Junit).matches("<failure").count(), 0);
}

#[test]
fn figures_leave_for_other_programs_in_base_units_one_a_line() {
    let table = render(&eight_gpus(true), Format::Csv);
    let rows: Vec<_> = table.lines().collect();
    // 17 rates and one latency of each of eight devices, below the titles.
    assert_eq!(rows.len(), 1 + 8 * 18, "{}", rows.len());
    let columns = rows[0].split(',').count();
    let read = rows.iter().find(|row| row.contains(",read,bytes_per_s,")).unwrap();
    assert!(read.contains(",fp32") || read.split(',').count() == columns, "{read}");
}

#[test]
fn a_slow_device_is_pointed_at_beside_its_peers() {
    let page = html(&eight_gpus(true));
    let hot = page.find("0000:4c:00.0</span><br>").unwrap();
    let row = &page[hot..hot + page[hot..].find("</tr>").unwrap()];
    assert!(row.contains("low") && row.contains("sw-thermal-slowdown"), "{row}");
    let cool = page.find("0000:3b:00.0</span><br>").unwrap();
    let row = &page[cool..cool + page[cool..].find("</tr>").unwrap()];
    assert!(!row.contains("low") && row.contains("none"), "{row}");
}
