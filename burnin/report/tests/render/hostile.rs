//! Reports by somebody who means harm: markup, escapes, huge figures, too much of everything.

use std::time::Instant;

use proptest::prelude::*;
use report::render::{Format, render};
use report::*;
use serde_json::Value;

use crate::reports::eight::eight_gpus;
use crate::reports::{healthy, quantity};

const MARKUP: &str =
    "\"><script>alert(1)</script><img src=x onerror=alert(1)>'\u{1b}[2J\u{202e}&lt;|`*]]><![CDATA[";

/// Puts a text into every place of a document that takes any text.
fn everywhere(value: &mut Value, text: &str) -> usize {
    match value {
        Value::String(place) => {
            let before = std::mem::replace(place, text.to_owned());
            // Names with a form of their own stay what they are.
            let formed = |key: &str| before.starts_with(key);
            let keep = before.is_empty() || formed("assay.report/1") || is_formed(&before);
            if keep {
                *place = before;
            }
            usize::from(!keep)
        }
        Value::Array(items) => items.iter_mut().map(|item| everywhere(item, text)).sum(),
        Value::Object(map) => map.values_mut().map(|item| everywhere(item, text)).sum(),
        _ => 0,
    }
}

/// Words of closed sets, addresses, times and names of checks: the report would not be read with another.
fn is_formed(text: &str) -> bool {
    let word = text.len() < 40
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.:".contains(&b));
    word || text.ends_with('Z') && text.contains('T')
}

fn hostile(text: &str) -> Report {
    let mut value = serde_json::to_value(eight_gpus(true)).unwrap();
    let places = everywhere(&mut value, text);
    assert!(places > 300, "{places}");
    // What looks like a word of ours and is free all the same.
    let mut report: Report = serde_json::from_value(value).unwrap();
    report.run_id = text.into();
    report.plan_digest = text.into();
    report.node.dmi.as_mut().unwrap().product_serial = Some(text.into());
    report.node.linux.as_mut().unwrap().hostname = Some(text.into());
    report.origin = Origin::Planted(text.into());
    for device in &mut report.devices {
        device.kind = DeviceKind::Other(text.into());
        device.uuid = Some(text.into());
    }
    for (number, result) in report.results.iter_mut().enumerate() {
        for measurement in &mut result.measurements {
            measurement.metric = format!("{number}{text}");
        }
        for coverage in &mut result.coverage {
            coverage.quantity = text.into();
        }
    }
    report
}

/// Tags of a page, each from `<` to `>`.
fn tags(page: &str) -> impl Iterator<Item = &str> {
    page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default())
}

fn assert_harmless(report: &Report, text: &str) {
    let page = render(report, Format::Html);
    let known = [
        "!DOCTYPE", "html", "head", "meta", "title", "style", "body", "header", "nav", "main", "footer",
        "section", "h1", "h2", "h3", "p", "a", "span", "strong", "small", "s", "br", "dl", "dt", "dd", "ul",
        "li", "time", "div", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "svg",
        "desc", "g", "path", "rect", "circle", "text",
    ];
    for tag in tags(&page) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
        assert!(known.contains(&name), "<{tag}> is none of ours");
        assert!(!tag.contains(" onerror=alert") || tag.matches('"').count() % 2 == 0, "{tag}");
        // Inside a tag quotes come in pairs: one from a report would end an attribute.
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
    }
    let document = render(report, Format::Junit);
    for tag in tags(&document) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
        let known = [
            "?xml",
            "testsuites",
            "testsuite",
            "testcase",
            "properties",
            "property",
            "failure",
            "error",
            "skipped",
            "system-out",
        ];
        assert!(known.contains(&name), "<{tag}> is none of ours");
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
    }
    let markdown = render(report, Format::Markdown);
    assert!(!markdown.contains('<'), "HTML in Markdown");
    for format in [Format::Html, Format::Markdown, Format::Csv, Format::Junit, Format::Text] {
        let shown = render(report, format);
        let moves =
            |c: char| (c.is_control() && !matches!(c, '\n' | '\r')) || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!shown.contains(moves), "{format} of {text:?} moves the cursor");
    }
}

#[test]
fn markup_in_any_text_stays_text() {
    assert_harmless(&hostile(MARKUP), MARKUP);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn no_text_whatever_becomes_markup(text in "[<>\"'&/a-z\\\\|`\u{0}-\u{1f}\u{202e} =;-]{1,60}|.{0,80}") {
        let text = format!("Z {text} <script> \" ");
        assert_harmless(&hostile(&text), &text);
    }
}

#[test]
fn a_formula_for_a_spreadsheet_is_a_text() {
    let mut report = healthy(1, 1.0);
    report.devices[0].name = "=HYPERLINK(\"http://example.org\",\"x\")".into();
    let table = render(&report, Format::Csv);
    assert!(table.contains("\"'=HYPERLINK(\"\"http://example.org\"\",\"\"x\"\")\""), "{table}");
}

#[test]
fn huge_figures_have_places_and_words() {
    let mut report = eight_gpus(true);
    for result in &mut report.results {
        result.took_s = quantity(f64::MAX);
        result.began_s = Some(quantity(f64::MAX));
        for coverage in &mut result.coverage {
            coverage.achieved = quantity(f64::MAX);
        }
        for measurement in &mut result.measurements {
            measurement.median = quantity(f64::MAX);
            measurement.worst = quantity(f64::MIN_POSITIVE);
            measurement.samples[0].work = quantity(f64::MAX);
            measurement.samples[1].host_s = quantity(f64::MAX);
        }
        for region in &mut result.regions {
            region.bytes_per_s[0] = quantity(f64::MAX);
        }
    }
    for device in &mut report.devices {
        device.memory_bytes = Bytes(u64::MAX);
    }
    for format in Format::ALL {
        let shown = render(&report, format);
        let long = shown.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
        assert!(
            format == Format::Json || format == Format::Csv || long <= 64,
            "{format} has a figure of {long} digits"
        );
        if format == Format::Html {
            assert!(
                !shown.contains("NaN") && !shown.contains("inf ") && !shown.contains("\"inf"),
                "a place that is none"
            );
        }
    }
}

#[test]
fn ten_thousand_devices_are_shown_in_bounded_time_and_space() {
    let mut report = healthy(1, 1.0);
    let (device, results, planned) =
        (report.devices[0].clone(), report.results.clone(), report.planned.clone());
    for number in 0..10_000u32 {
        let id = DeviceId(format!("gpu-{number}"));
        let of_it = Subject::Device(id.clone());
        report.devices.push(DeviceInfo { id, ..device.clone() });
        report
            .results
            .extend(results[1..].iter().map(|r| CheckResult { subject: of_it.clone(), ..r.clone() }));
        report.planned.extend(planned[1..].iter().map(|p| Planned { subject: of_it.clone(), ..p.clone() }));
    }
    #[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
    let began = Instant::now();
    for (format, most) in [(Format::Html, 1_500_000), (Format::Markdown, 400_000)] {
        let shown = render(&report, format);
        assert!(shown.len() < most, "{format}: {} bytes", shown.len());
        assert!(shown.contains("more devices are in report.json"), "{format} says what it leaves out");
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn a_truncated_report_is_no_report_and_the_place_is_told() {
    let whole = serde_json::to_vec(&eight_gpus(true)).unwrap();
    for share in [0, 1, 10, 50, 99] {
        let error = Report::from_json(&whole[..whole.len() * share / 100]).unwrap_err().to_string();
        assert!(error.contains("reading the report") && error.contains("column"), "{error}");
    }
    let deep = "[".repeat(100_000);
    let deep = format!("{{\"schema\": {deep}");
    let error = Report::from_json(deep.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("invalid type: sequence"), "{error}");
}
