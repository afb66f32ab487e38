//! Absence never helps: deleting, cutting short or zeroing any part of a report never turns another verdict into
//! `healthy`.
//!
//! Three writers are tried. The *honest* one states outcomes and verdict as its evidence carries them: against it the
//! rule holds for every mutation, any number of them. The *careless* one states outcomes honestly and calls every node
//! healthy; the *liar* calls every check passed as well. Nobody can keep the rule for those two in full: where bad
//! evidence is an addition to a report that would be healthy without it, taking it away leaves a healthy report. What
//! can be taken away so is listed here, and nothing else may be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reports/mod.rs"]
mod reports;
#[path = "reports/mutation.rs"]
mod mutation;

use std::cell::Cell;
use std::collections::BTreeSet;

use mutation::{Mutation, all, apply, choose, nth, size};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use report::judge::judge_bytes;
use report::{Outcome, Report, Verdict};
use reports::{FAULTS, Fault, healthy, with, write};
use serde_json::Value;

fn is_healthy(bytes: &[u8]) -> bool {
    judge_bytes(bytes).verdict == Verdict::Healthy
}

fn careless(fault: Fault) -> Report {
    let mut report = with(fault, 1);
    report.verdict.verdict = Verdict::Healthy;
    report
}

fn liar(fault: Fault) -> Report {
    let mut report = healthy(1, 1.0);
    fault.1(&mut report);
    report.verdict.verdict = Verdict::Healthy;
    report
}

/// Tries every mutation of every node and tells which made the report healthy, as `path: kind of mutation`.
fn escapes(report: &Report) -> (usize, BTreeSet<String>) {
    let mut document = serde_json::to_value(report).unwrap();
    let (mut tried, mut found) = (0, BTreeSet::new());
    for number in 0..size(&document) {
        for mutation in all(nth(&mut document, &mut { number }, &mut String::new()).unwrap()) {
            let mut path = String::new();
            let node = nth(&mut document, &mut { number }, &mut path).unwrap();
            let changed = apply(mutation, node);
            let kept = std::mem::replace(node, changed);
            tried += 1;
            if is_healthy(&serde_json::to_vec(&document).unwrap()) {
                found.insert(format!("{path}: {}", name(mutation, &kept)));
            }
            *nth(&mut document, &mut { number }, &mut String::new()).unwrap() = kept;
        }
    }
    (tried, found)
}

fn name(mutation: Mutation, node: &Value) -> String {
    match (mutation, node) {
        (Mutation::Lose(which), Value::Object(map)) => format!("lose {}", map.keys().nth(which).unwrap()),
        (Mutation::Lose(_), _) => "lose an item".into(),
        (Mutation::Cut(_), _) => "cut".into(),
        (Mutation::Zero(_), _) => "zero".into(),
    }
}

#[test]
fn every_fault_alone_makes_a_healthy_report_not_healthy() {
    assert_eq!(judge_bytes(&serde_json::to_vec(&healthy(2, 1.0)).unwrap()).findings, []);
    for fault in FAULTS {
        assert!(!is_healthy(&serde_json::to_vec(&with(*fault, 2)).unwrap()), "{}", fault.0);
        assert!(!is_healthy(&serde_json::to_vec(&careless(*fault)).unwrap()), "careless: {}", fault.0);
        assert!(!is_healthy(&serde_json::to_vec(&liar(*fault)).unwrap()), "liar: {}", fault.0);
    }
}

#[test]
fn no_mutation_anywhere_helps_a_report_of_an_honest_writer() {
    let mut cases = 0;
    for fault in FAULTS {
        let (tried, found) = escapes(&with(*fault, 1));
        assert!(found.is_empty(), "{}: {found:?}", fault.0);
        cases += tried;
    }
    println!("{cases} mutations of {} kinds of report", FAULTS.len());
    assert!(cases > 50_000);
}

/// Each of these made the first judge say `healthy`: it took no notice of the writer's verdict.
#[test]
fn a_stray_that_is_taken_away_does_not_make_an_honest_report_healthy() {
    let mut report = with(fault("stray result"), 1);
    report.results.pop();
    assert_eq!(verdict(&report), Verdict::Unknown);

    let mut report = with(fault("stray planned check"), 1);
    report.planned.pop();
    assert_eq!(verdict(&report), Verdict::Unknown);

    let mut report = with(fault("result twice, once failed"), 1);
    assert_eq!(verdict(&report), Verdict::Faulty);
    report.results.pop();
    assert_eq!(verdict(&report), Verdict::Unknown);
}

#[test]
fn a_device_that_is_taken_away_does_not_make_an_honest_report_healthy() {
    for name in ["device with no result", "device of a wrong kind beside", "two devices of one id"] {
        let mut report = with(fault(name), 1);
        report.devices.pop();
        assert_eq!(verdict(&report), Verdict::Unknown, "{name}");
    }
}

#[test]
fn an_addition_to_the_plan_that_is_taken_away_does_not_make_an_honest_report_healthy() {
    let mut report = with(fault("plan altered by an addition"), 1);
    report.plan.checks.pop();
    assert_eq!(verdict(&report), Verdict::Unknown);
}

/// With checks of the node only, a device of a wrong kind could leave the report without being missed.
#[test]
fn a_device_of_whom_nothing_is_asked_cannot_leave_even_a_careless_report() {
    let mut report = careless(fault("plan asks nothing of devices, and one is wrong"));
    report.devices.pop();
    assert_eq!(verdict(&report), Verdict::Unknown);
}

/// The device's time of one bad window was all that told of clocks apart.
#[test]
fn a_device_time_that_is_taken_away_does_not_help_even_a_liar() {
    let mut report = liar(fault("clocks apart in most windows"));
    report.results.iter_mut().flat_map(|r| &mut r.measurements).for_each(|m| m.samples[3].device_s = None);
    assert_eq!(verdict(&report), Verdict::Unknown);
}

fn fault(name: &str) -> Fault {
    *FAULTS.iter().find(|fault| fault.0 == name).unwrap()
}

fn verdict(report: &Report) -> Verdict {
    judge_bytes(&serde_json::to_vec(report).unwrap()).verdict
}

#[test]
fn no_cut_of_the_bytes_helps() {
    for fault in FAULTS {
        let bytes = serde_json::to_vec(&with(*fault, 1)).unwrap();
        let step = if fault.0 == "failed" { 1 } else { 61 };
        assert!((0..bytes.len()).step_by(step).all(|length| !is_healthy(&bytes[..length])), "{}", fault.0);
    }
}

/// Additions to a report that would be healthy without them. Without the writer's verdict nothing tells that they were
/// ever there. (`discrete2` is a kind that this test invented so that it begins with a known one.)
const TAKEN_FROM_THE_CARELESS: &[(&str, &[&str])] = &[
    ("device clock not used", &[".devices[].timestamps: zero"]),
    ("kind unknown", &[".devices[].kind: cut"]),
    ("device with no result", &[".devices: cut", ".devices: lose an item"]),
    ("device of a wrong kind beside", &[".devices: cut", ".devices: lose an item"]),
    ("two devices of one id", &[".devices: cut", ".devices: lose an item"]),
    ("result twice", &[".results: cut", ".results: lose an item"]),
    ("result twice, once failed", &[".results: cut", ".results: lose an item"]),
    ("stray result", &[".results: cut", ".results: lose an item"]),
    ("stray planned check", &[".planned: cut", ".planned: lose an item"]),
    ("plan altered by an addition", &[".plan.checks: cut", ".plan.checks: lose an item"]),
    // What is beyond physics is known of a model by its PCI number.
    (
        "rate beyond physics",
        &[".devices[].pci_id: cut", ".devices[].pci_id: zero", ".devices[]: lose pci_id"],
    ),
    // Not every driver tells its compute units, and not every check counts them.
    (
        "compute unit unseen",
        &[
            ".devices[].units: zero",
            ".devices[]: lose units",
            ".results[].units: zero",
            ".results[]: lose units",
        ],
    ),
];

/// What more there is where the stated outcome is a lie too: bad evidence beside good.
const TAKEN_FROM_A_LIAR: &[(&str, &[&str])] = &[
    ("mismatch of an optional check", &[".results[].mismatches: zero", ".results[]: lose mismatches"]),
    ("mismatch, only counted", &[".results[].mismatches.count: zero"]),
    ("mismatch where none is looked for", &[".results[].mismatches: zero", ".results[]: lose mismatches"]),
    ("strays", &[".results[].canary.strays: zero"]),
    (
        "latency of other samples",
        &[
            ".results[].latencies: cut",
            ".results[].latencies: lose an item",
            ".results[].latencies: zero",
            ".results[]: lose latencies",
        ],
    ),
    (
        "coverage of two minds",
        &[
            ".results[].coverage: cut",
            ".results[].coverage: lose an item",
            ".results[].coverage[].quantity: cut",
            ".results[].coverage[].quantity: zero",
        ],
    ),
    (
        "rate measured twice",
        &[
            ".results[].measurements: cut",
            ".results[].measurements: lose an item",
            ".results[].measurements[].metric: cut",
            ".results[].measurements[].metric: zero",
        ],
    ),
];

fn assert_only_these_escape(writer: fn(Fault) -> Report, known: &[&[(&str, &[&str])]]) {
    for fault in FAULTS {
        let known = known.iter().flat_map(|list| list.iter().filter(|(name, _)| *name == fault.0));
        let known: BTreeSet<_> = known.flat_map(|(_, paths)| paths.iter().map(ToString::to_string)).collect();
        assert_eq!(escapes(&writer(*fault)).1, known, "{}", fault.0);
    }
}

#[test]
fn what_can_be_taken_from_a_careless_writer_is_known() {
    assert_only_these_escape(careless, &[TAKEN_FROM_THE_CARELESS]);
}

#[test]
fn what_can_be_taken_from_a_liar_is_known() {
    assert_only_these_escape(liar, &[TAKEN_FROM_THE_CARELESS, TAKEN_FROM_A_LIAR]);
}

/// How one generated report is made and harmed.
#[derive(Clone, Debug)]
struct Case {
    devices: usize,
    wobble: f64,
    faults: Vec<usize>,
    /// Stated outcomes that replace those of the evidence: place, and which.
    stated: Vec<(usize, usize)>,
    harms: Vec<Harm>,
}

#[derive(Clone, Debug)]
enum Harm {
    /// Mutations of the document, one after the other: number of the node, number of the mutation.
    Document(Vec<(usize, usize)>),
    /// The bytes end early.
    CutBytes(usize),
    /// So many bytes from there become this one.
    FillBytes(usize, usize, u8),
}

fn harm(mutations: usize) -> impl Strategy<Value = Harm> {
    let step = (any::<usize>(), any::<usize>());
    prop_oneof![
        8 => prop::collection::vec(step, mutations).prop_map(Harm::Document),
        1 => any::<usize>().prop_map(Harm::CutBytes),
        1 => (any::<usize>(), 1usize..200, prop_oneof![Just(0), Just(b'0'), Just(b' ')])
            .prop_map(|(start, length, byte)| Harm::FillBytes(start, length, byte)),
    ]
}

fn case(mutations: usize) -> impl Strategy<Value = Case> {
    (
        1usize..4,
        0.0f64..40.0,
        prop::collection::vec(0..FAULTS.len(), 0..4),
        prop::collection::vec((any::<usize>(), 0usize..7), 0..2),
        prop::collection::vec(harm(mutations), 12),
    )
        .prop_map(|(devices, wobble, faults, stated, harms)| Case {
            devices,
            wobble,
            faults,
            stated,
            harms,
        })
}

const OUTCOMES: [Outcome; 7] = [
    Outcome::Pass,
    Outcome::Warn,
    Outcome::Fail,
    Outcome::Skip,
    Outcome::Error,
    Outcome::Untrusted,
    Outcome::NotRun,
];

fn build(case: &Case) -> Report {
    let mut report = healthy(case.devices, case.wobble);
    for (place, outcome) in &case.stated {
        let place = place % report.results.len();
        report.results[place].outcome = OUTCOMES[*outcome];
    }
    for fault in &case.faults {
        // Some faults need what another has taken away.
        if can_take_more(&report) {
            FAULTS[*fault].1(&mut report);
        }
    }
    write(&mut report);
    report
}

fn can_take_more(report: &Report) -> bool {
    let has = |check: &str| report.results.iter().find(|r| r.check.as_str() == check);
    !report.devices.is_empty()
        && report.plan.checks.len() >= 4
        && has("doctor").is_some()
        && has("optional").is_some()
        && has("memory").is_some_and(|r| !r.coverage.is_empty())
        && has("stream").is_some_and(|r| r.measurements.iter().any(|m| m.samples.len() >= 3))
}

fn suffer(document: &Value, harm: &Harm) -> Vec<u8> {
    match harm {
        Harm::Document(steps) => {
            let mut document = document.clone();
            for (number, which) in steps {
                let number = number % size(&document);
                let node = nth(&mut document, &mut { number }, &mut String::new()).unwrap();
                *node = apply(choose(node, *which), node);
            }
            serde_json::to_vec(&document).unwrap()
        }
        Harm::CutBytes(length) => {
            let mut bytes = serde_json::to_vec(document).unwrap();
            bytes.truncate(length % bytes.len());
            bytes
        }
        Harm::FillBytes(start, length, byte) => {
            let mut bytes = serde_json::to_vec(document).unwrap();
            let start = start % bytes.len();
            let end = (start + length).min(bytes.len());
            bytes[start..end].fill(*byte);
            bytes
        }
    }
}

fn try_cases(reports: u32, mutations: usize, write_down: fn(&Case) -> Report) -> usize {
    let tried = Cell::new(0);
    let config = Config { cases: reports, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&case(mutations), |case| {
        let report = write_down(&case);
        let document = serde_json::to_value(&report).unwrap();
        if is_healthy(&serde_json::to_vec(&document).unwrap()) {
            return Ok(());
        }
        for harm in &case.harms {
            tried.set(tried.get() + 1);
            prop_assert!(!is_healthy(&suffer(&document, harm)), "{harm:?} helped");
        }
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
    tried.get()
}

#[test]
fn no_single_harm_helps() {
    let tried = try_cases(10_500, 1, build);
    println!("{tried} cases");
    assert!(tried >= 100_000, "only {tried} of the cases were not healthy to begin with");
}

#[test]
fn no_two_harms_together_help() {
    let tried = try_cases(3_000, 2, build);
    println!("{tried} cases");
    assert!(tried >= 25_000);
}

/// Here nothing but outcomes, evidence and the lists that must fit each other stands in the way.
#[test]
fn no_single_harm_helps_a_careless_writer_who_added_nothing() {
    let tried = try_cases(3_000, 1, |case| {
        let mut case = case.clone();
        case.faults
            .retain(|fault| !TAKEN_FROM_THE_CARELESS.iter().any(|(name, _)| *name == FAULTS[*fault].0));
        let mut report = build(&case);
        report.verdict.verdict = Verdict::Healthy;
        report
    });
    println!("{tried} cases");
    assert!(tried >= 20_000);
}
