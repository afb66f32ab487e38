//! The page and the documents of one small report, byte by byte. Plots are in it: whoever changes one looks at it.

use std::path::PathBuf;

use report::Report;
use report::render::{Format, render};

#[test]
fn a_report_looks_as_it_was_looked_at() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let report = crate::reports::eight::eight_gpus(true);
    // One device of the eight, the one with the bad bit: every plot is in its page.
    let report = one_device(report, "0000:ab:00.0");
    for (format, name) in [
        (Format::Html, "sick-gpu.html"),
        (Format::Markdown, "sick-gpu.md"),
        (Format::Csv, "sick-gpu.csv"),
        (Format::Junit, "sick-gpu.xml"),
    ] {
        let found = render(&report, format);
        assert_eq!(found, render(&report, format), "the same bytes for the same report");
        let path = folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        let line = found.split('>').zip(wanted.split('>')).position(|(found, wanted)| found != wanted);
        assert!(
            found == wanted,
            "{name} differs from element {line:?} on: look at it in a browser, then UPDATE_GOLDEN=1"
        );
    }
}

fn one_device(mut report: Report, id: &str) -> Report {
    let kept = |subject: &report::Subject| match subject {
        report::Subject::Node => true,
        report::Subject::Device(device) => device.0 == id,
    };
    report.devices.retain(|device| device.id.0 == id);
    report.results.retain(|result| kept(&result.subject));
    report.planned.retain(|planned| kept(&planned.subject));
    report.counters.retain(|counter| counter.device.0 == id);
    report.verdict = report::judge(&report);
    report
}
