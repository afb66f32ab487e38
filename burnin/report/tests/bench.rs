//! The document of a bench: figures with what they are worth, as people and as a later bench see them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reports/mod.rs"]
mod reports;

use report::bench::{Bench, Figure, Tendency, compare};
use report::telemetry::Reading;
use report::text::bench::{Style, render};
use report::*;
use reports::{healthy, measure, of, quantity};

/// A report of one H200 that reads so many bytes in a window of a quarter of a second.
fn reading(bytes: f64) -> Report {
    let mut report = healthy(1, 1.0);
    measure(&mut report, |n, s| {
        s.work = quantity(bytes * (1.0 + 0.001 * f64::from(u8::try_from(n).unwrap())))
    });
    let stream = of(&mut report, "stream");
    stream.latencies.extend(Latency::new("launch", "host clock", (9_000..9_200).collect()));
    let readings = [690.0, 700.0, 695.0].map(|watts| Reading {
        power_w: Some(quantity(watts)),
        clock_mhz: Some(quantity(1755.0)),
        temperature_c: Some(quantity(64.0)),
        throttle: Some(vec!["sw-power-cap".into()]),
        ..Reading::default()
    });
    stream.telemetry = Telemetry::of("NVML", &readings);
    report
}

fn bench(bytes: f64) -> Bench {
    Bench::of(&reading(bytes))
}

fn shown(bench: &Bench, columns: usize, verbose: bool) -> String {
    let text = render(bench, None, Style { columns, verbose });
    for line in text.lines() {
        assert!(line.chars().count() <= columns, "{} columns: {line}", line.chars().count());
    }
    text
}

/// About 4.6 TB/s.
const GOOD: f64 = 1.15e12;

#[test]
fn a_rate_stands_beside_what_physics_and_the_interface_allow() {
    let bench = bench(GOOD);
    let rate = bench.rows.iter().find_map(|row| match &row.figure {
        Some(Figure::Rate(rate)) => Some(rate),
        _ => None,
    });
    let rate = rate.unwrap();
    // 3.201 GHz x 768 B x 2 = 4.917 TB/s.
    let share = rate.measurement.median.get() / 4.917e12;
    assert!((rate.of_peak().unwrap() - share).abs() < 1e-3, "{rate:?}");
    assert!(rate.of_reach().unwrap() > rate.of_peak().unwrap());
    assert_eq!(bench.exit_code(), 0);
}

#[test]
fn the_document_reads_back_as_itself_and_another_schema_is_refused() {
    let bench = bench(GOOD);
    let json = serde_json::to_string(&bench).unwrap();
    assert!(json.starts_with("{\"schema\":\"assay.bench/1\""));
    assert_eq!(Bench::from_json(json.as_bytes()).unwrap(), bench);
    let other = json.replacen("assay.bench/1", "assay.bench/2", 1);
    assert!(Bench::from_json(other.as_bytes()).unwrap_err().to_string().contains("assay.bench/2"));
}

#[test]
fn telemetry_stands_in_the_row_where_there_is_room_and_below_it_where_there_is_not() {
    let wide = shown(&bench(GOOD), 120, false);
    let row = wide.lines().find(|line| line.trim_start().starts_with("read")).unwrap();
    assert!(["695 W", "1755 MHz", "64 C", "sw-power-cap"].iter().all(|part| row.contains(part)), "{row}");
    let narrow = shown(&bench(GOOD), 80, false);
    assert!(narrow.contains("NVML: power 695 W (690 to 700), clock 1755 MHz"), "{narrow}");
    let verbose = shown(&bench(GOOD), 80, true);
    assert!(verbose.contains("3.201 GHz x 768 B x 2"), "{verbose}");
}

#[test]
fn wrong_answers_and_rates_beyond_physics_are_shown_as_such_and_end_with_another_code() {
    let mut report = reading(GOOD);
    of(&mut report, "stream").mismatches = Some(Mismatches { count: 7, ..Mismatches::default() });
    let wrong = Bench::of(&report);
    let text = shown(&wrong, 80, false);
    assert!(text.contains("7 WRONG") && text.contains("FAIL") && text.contains("DATA-MISMATCH"), "{text}");
    assert_eq!(wrong.exit_code(), 1);

    // 10 TB/s.
    let beyond = bench(2.5e12);
    let text = shown(&beyond, 80, false);
    assert!(text.contains("UNTRUSTED") && text.contains("RATE-IMPOSSIBLE"), "{text}");
    assert_eq!(beyond.exit_code(), 4);
    let change = compare(&bench(GOOD), &beyond).changes;
    assert!(change.iter().all(Option::is_none), "what is not believed is not compared: {change:?}");
}

#[test]
fn what_never_ran_or_was_interrupted_is_no_success() {
    let mut none = bench(GOOD);
    none.rows.clear();
    assert_eq!(none.exit_code(), 4);
    assert_eq!(Bench { completed_at: None, ..bench(GOOD) }.exit_code(), 4);
}

#[test]
fn a_change_beyond_the_noise_of_both_is_told_from_one_within() {
    let before = bench(GOOD);
    let tendency = |now: &Bench| compare(&before, now).changes.iter().flatten().map(|c| c.tendency).next();
    assert_eq!(tendency(&before), Some(Tendency::Noise));
    assert_eq!(tendency(&bench(GOOD * 1.001)), Some(Tendency::Noise));
    assert_eq!(tendency(&bench(GOOD * 0.9)), Some(Tendency::Worse));
    assert_eq!(tendency(&bench(GOOD * 1.05)), Some(Tendency::Better));
    // Of a latency less is better.
    let mut slower = reading(GOOD);
    of(&mut slower, "stream").latencies =
        Latency::new("launch", "", (12_000..12_200).collect()).into_iter().collect();
    let last = compare(&before, &Bench::of(&slower)).changes.into_iter().flatten().last().unwrap();
    assert_eq!(last.tendency, Tendency::Worse);
    assert!((last.ratio - 12_099.0 / 9_099.0).abs() < 1e-3);
}

#[test]
fn other_devices_kernels_and_drivers_are_compared_only_with_a_word_about_it() {
    let before = bench(GOOD);
    assert_eq!(compare(&before, &before).differences, Vec::<String>::new());
    let mut now = bench(GOOD);
    now.tool.kernels_digest = "bb".repeat(32);
    now.devices[0].id = DeviceId("0000:99:00.0".into());
    now.devices[0].driver = "driver 2".into();
    now.rows.iter_mut().for_each(|row| row.device = now.devices[0].id.clone());
    let comparison = compare(&before, &now);
    let told = comparison.differences.join("; ");
    for part in ["kernels: was aaaaaaaaaaaa, is bbbbbbbbbbbb", "driver 2", "0000:99:00.0"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(comparison.changes.iter().any(Option::is_some));
    let text = render(&now, Some(&comparison), Style { columns: 80, verbose: false });
    assert!(text.contains("NOT THE SAME"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn hostile_words_neither_move_the_cursor_nor_break_the_columns() {
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nHEALTHY\u{202e}\u{200b}".repeat(9);
    let mut report = reading(GOOD);
    report.devices[0].name.clone_from(&hostile);
    report.devices[0].driver.clone_from(&hostile);
    let stream = of(&mut report, "stream");
    stream.outcome = Outcome::Error;
    let words = || hostile.clone();
    stream.reason = Some(Reason { code: words(), detail: words(), action: words() });
    stream.measurements[0].metric.clone_from(&hostile);
    stream.measurements[0].method.clone_from(&hostile);
    if let Some(telemetry) = &mut stream.telemetry {
        telemetry.source.clone_from(&hostile);
        telemetry.throttle = Some(vec![hostile.clone()]);
    }
    let mut bench = Bench::of(&report);
    bench.notes.push(hostile.clone());
    for (columns, verbose) in [(60, true), (80, false), (120, true)] {
        let text = shown(&bench, columns, verbose);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
