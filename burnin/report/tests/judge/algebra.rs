//! What holds for every report: the algebra of verdicts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use report::judge::{ReasonCode, judge_bytes, review};
use report::{CheckResult, Outcome, Report, Subject, Unit, Verdict, judge};

use super::reports::{FAULTS, healthy, id, with, write};

/// The codes that the judge's own source names are those that the faults of these tests bring out.
#[test]
fn every_reason_the_judge_can_give_is_given_by_some_fault() {
    let sources = [
        include_str!("../../src/judge/evidence.rs"),
        include_str!("../../src/judge/trust.rs"),
        include_str!("../../src/judge/verdict.rs"),
        include_str!("../../src/judge/whole.rs"),
    ];
    let named: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| source.split("ReasonCode::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap())
        .filter(|name| !name.is_empty())
        .map(|name| {
            ReasonCode::ALL.iter().find(|code| format!("{code:?}") == name).unwrap().as_str().to_owned()
        })
        .collect();
    let mut given: BTreeSet<String> = FAULTS
        .iter()
        .flat_map(|fault| {
            let report = with(*fault, 1);
            [judge(&report), judge_bytes(&serde_json::to_vec(&report).unwrap())]
        })
        .flat_map(|judged| judged.findings.into_iter().map(|finding| finding.reason.code))
        .collect();
    given.remove(ReasonCode::DriverError.as_str());
    let mut missing_evidence = healthy(1, 1.0);
    missing_evidence.verdict.verdict = Verdict::Unknown;
    given.extend(review(&missing_evidence).findings.into_iter().map(|finding| finding.reason.code));
    assert_eq!(given, named);
}

#[test]
fn a_number_that_is_none_cannot_be_written() {
    let text = serde_json::to_string(&healthy(1, 1.0)).unwrap();
    let took = r#""took_s":1.5"#;
    assert!(text.contains(took));
    for bad in ["-1.0", "1e999", "-1e999", "NaN", "Infinity", "null", "\"1\""] {
        let judged = judge_bytes(text.replacen(took, &format!(r#""took_s":{bad}"#), 1).as_bytes());
        assert_eq!(judged.findings[0].reason.code, ReasonCode::Unreadable.as_str(), "{bad}");
    }
    assert_eq!(Unit::BytesPerS.show(f64::MAX).find("inf"), None);
}

fn faulty_in(faults: &[usize], devices: usize, wobble: f64) -> Report {
    let mut report = healthy(devices, wobble);
    if let Some(fault) = faults.first() {
        FAULTS[*fault].1(&mut report);
    }
    write(&mut report);
    report
}

prop_compose! {
    fn any_report()(faults in prop::collection::vec(0..FAULTS.len(), 0..2), devices in 1usize..4, wobble in 0.0f64..40.0)
        -> Report { faulty_in(&faults, devices, wobble) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_results_and_planned_checks_changes_nothing(report in any_report(), seed: u64) {
        let mut shuffled = report.clone();
        let key = |n: usize| (n as u64 + 1).wrapping_mul(seed | 1).rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut order: Vec<_> = (0..report.results.len()).collect();
        order.sort_by_key(|n| key(*n));
        shuffled.results = order.iter().map(|n| report.results[*n].clone()).collect();
        shuffled.planned.reverse();
        // Two results for one pair keep their own findings; which stands first is all that may differ.
        let (mut one, mut other) = (review(&report), review(&shuffled));
        one.findings.sort_by_key(|f| format!("{f:?}"));
        other.findings.sort_by_key(|f| format!("{f:?}"));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn findings_of_a_report_without_repetitions_stand_in_one_order(devices in 2usize..4, seed: u64) {
        let mut report = healthy(devices, 1.0);
        for result in &mut report.results {
            result.outcome = Outcome::Error;
        }
        let mut shuffled = report.clone();
        let len = shuffled.results.len();
        shuffled.results.rotate_left(usize::try_from(seed % len as u64).unwrap());
        prop_assert_eq!(judge(&report), judge(&shuffled));
    }

    #[test]
    fn an_unknown_extra_check_never_improves(report in any_report(), passed: bool) {
        let before = judge(&report).verdict;
        let outcome = if passed { Outcome::Pass } else { Outcome::Error };
        let mut more = report;
        more.results.push(CheckResult::without_evidence(id("extra"), Subject::Node, outcome, None));
        let after = judge(&more).verdict;
        prop_assert!(after == before || after == Verdict::Unknown, "{before} became {after}");
        prop_assert_ne!(after, Verdict::Healthy);
    }

    #[test]
    fn a_fault_never_improves(report in any_report(), fault in 0..FAULTS.len()) {
        if judge(&report).verdict == Verdict::Healthy {
            let mut worse = report;
            FAULTS[fault].1(&mut worse);
            write(&mut worse);
            prop_assert_ne!(judge_bytes(&serde_json::to_vec(&worse).unwrap()).verdict, Verdict::Healthy);
        }
    }

    #[test]
    fn the_judge_is_pure_and_a_trip_through_json_changes_nothing(report in any_report()) {
        let bytes = serde_json::to_vec(&report).unwrap();
        prop_assert_eq!(judge_bytes(&bytes), judge_bytes(&bytes));
        if let Ok(copy) = Report::from_json(&bytes) {
            prop_assert_eq!(review(&copy), review(&report));
            prop_assert_eq!(serde_json::to_vec(&copy).unwrap(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_the_judge_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(judge_bytes(&bytes).verdict, Verdict::Unknown);
    }

    #[test]
    fn no_flipped_bytes_make_the_judge_panic(report in any_report(), flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut bytes = serde_json::to_vec(&report).unwrap();
        let len = bytes.len();
        for (place, value) in flips {
            bytes[place % len] = value;
        }
        let _ = judge_bytes(&bytes);
    }
}
