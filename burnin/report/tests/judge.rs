//! The judge's algebra, and for each of its rules a planted fault that makes it speak.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reports/mod.rs"]
mod reports;

use std::collections::BTreeSet;

use proptest::prelude::*;
use report::judge::{ReasonCode, judge_bytes, review};
use report::{
    Canary, CheckResult, DeviceInfo, DeviceKind, Mismatch, Mismatches, Origin, Outcome, Planned, Report,
    Subject, Unit, Verdict, VerdictRecord, judge,
};
use reports::{FAULTS, device, healthy, id, measure, measurement, of, quantity, samples, with, write};

/// Verdict and first reason, for a healthy report with this change.
fn after(change: impl Fn(&mut Report)) -> (Verdict, String) {
    let mut report = healthy(1, 1.0);
    change(&mut report);
    let judged = judge(&report);
    (judged.verdict, judged.findings.first().map(|f| f.reason.code.clone()).unwrap_or_default())
}

#[track_caller]
fn assert_says(verdict: Verdict, code: ReasonCode, change: impl Fn(&mut Report)) {
    assert_eq!(after(change), (verdict, code.as_str().to_owned()));
}

// The rules of evidence.rs.

#[test]
fn a_healthy_report_is_healthy_without_a_finding() {
    assert_eq!(judge(&healthy(3, 1.0)), VerdictRecord { verdict: Verdict::Healthy, findings: vec![] });
}

#[test]
fn one_wrong_word_is_faulty_and_named_to_the_bit() {
    let first = Mismatch { byte_address: 0x40, expected: 0b0101, found: 0b0001, workgroup: 7, pass: 1 };
    let mut report = healthy(1, 1.0);
    of(&mut report, "memory").mismatches = Some(Mismatches { count: 1, bits: 4, first: vec![first] });
    let judged = judge(&report);
    assert_eq!(judged.verdict, Verdict::Faulty);
    let detail = &judged.findings[0].reason.detail;
    assert!(
        detail.contains("0x40") && detail.contains("(bit 2)") && detail.contains("workgroup 7"),
        "{detail}"
    );
}

#[test]
fn each_sign_of_a_wrong_answer_is_enough() {
    let first = Mismatch { byte_address: 0, expected: 3, found: 0, workgroup: 0, pass: 0 };
    for (count, bits, first) in [(1, 0, vec![]), (0, 1, vec![]), (0, 0, vec![first])] {
        let wrong = Mismatches { count, bits, first };
        assert_says(Verdict::Faulty, ReasonCode::Mismatch, |r| {
            of(r, "memory").mismatches = Some(wrong.clone())
        });
    }
}

#[test]
fn wrong_answers_count_even_where_the_check_broke_later_or_is_optional() {
    for check in ["memory", "optional", "doctor"] {
        assert_says(Verdict::Faulty, ReasonCode::Mismatch, |r| {
            of(r, check).mismatches = Some(Mismatches { count: 1, bits: 1, first: vec![] });
            of(r, check).outcome = Outcome::Error;
        });
    }
}

#[test]
fn a_stated_outcome_stays_with_its_reason() {
    for (outcome, verdict) in [
        (Outcome::Fail, Verdict::Faulty),
        (Outcome::Error, Verdict::Unknown),
        (Outcome::Skip, Verdict::Unknown),
        (Outcome::Untrusted, Verdict::Unknown),
        (Outcome::NotRun, Verdict::Unknown),
    ] {
        assert_says(verdict, ReasonCode::Hang, |r| {
            of(r, "memory").outcome = outcome;
            of(r, "memory").reason = Some(ReasonCode::Hang.because("600 s"));
        });
    }
}

#[test]
fn a_stated_outcome_without_reason_gets_one_that_fits() {
    assert_says(Verdict::Unknown, ReasonCode::NotRun, |r| of(r, "memory").outcome = Outcome::NotRun);
    assert_says(Verdict::Faulty, ReasonCode::EvidenceMissing, |r| of(r, "memory").outcome = Outcome::Fail);
    assert_says(Verdict::Degraded, ReasonCode::EvidenceMissing, |r| of(r, "stream").outcome = Outcome::Warn);
}

#[test]
fn answers_that_were_not_compared_are_no_pass() {
    assert_says(Verdict::Unknown, ReasonCode::EvidenceMissing, |r| of(r, "memory").mismatches = None);
}

#[test]
fn a_check_that_missed_its_planted_fault_is_untrusted() {
    let canary = |planted, found, strays| Some(Canary { planted, found, strays });
    for canary in [None, canary(0, 0, 0), canary(3, 2, 0), canary(3, 4, 0), canary(3, 3, 1)] {
        assert_says(Verdict::Unknown, ReasonCode::CanaryMissed, |r| of(r, "memory").canary = canary);
    }
}

#[test]
fn coverage_below_its_floor_is_untrusted_and_at_its_floor_is_not() {
    let cover = |bytes: f64| move |r: &mut Report| of(r, "memory").coverage[0].achieved = quantity(bytes);
    assert_says(Verdict::Unknown, ReasonCode::Coverage, cover(0.999e9));
    assert_says(Verdict::Unknown, ReasonCode::Coverage, cover(0.0));
    assert_eq!(after(cover(1.0e9)).0, Verdict::Healthy);
    assert_says(Verdict::Unknown, ReasonCode::Coverage, |r| of(r, "memory").coverage.clear());
    assert_says(Verdict::Unknown, ReasonCode::Coverage, |r| {
        let low = report::Coverage { quantity: "verified_bytes".into(), achieved: quantity(5.0) };
        of(r, "memory").coverage.push(low);
    });
}

#[test]
fn a_floor_of_zero_still_asks_for_something() {
    assert_says(Verdict::Unknown, ReasonCode::Coverage, |r| {
        r.plan.checks[1].floors[0].min = quantity(0.0);
        r.plan_digest = r.plan.digest();
        of(r, "memory").coverage[0].achieved = quantity(0.0);
    });
}

#[test]
fn a_check_without_any_floor_cannot_pass() {
    assert_says(Verdict::Unknown, ReasonCode::Coverage, |r| {
        r.plan.checks[0].floors.clear();
        r.plan_digest = r.plan.digest();
    });
}

#[test]
fn a_rate_needs_its_windows() {
    let code = ReasonCode::EvidenceMissing;
    let measured = |r: &mut Report, m| of(r, "stream").measurements = m;
    assert_says(Verdict::Unknown, code, |r| measured(r, vec![]));
    assert_says(Verdict::Unknown, code, |r| measured(r, vec![measurement("write", samples(5, 1.0))]));
    assert_says(Verdict::Unknown, code, |r| measured(r, vec![measurement("read", samples(5, 1.0)); 2]));
    assert_says(Verdict::Unknown, code, |r| measured(r, vec![measurement("read", samples(3, 1.0))]));
    assert_eq!(after(|r| measured(r, vec![measurement("read", samples(4, 1.0))])).0, Verdict::Healthy);
    assert_says(Verdict::Unknown, code, |r| measured(r, vec![measurement("read", vec![])]));
}

#[test]
fn figures_must_be_those_of_their_windows() {
    let code = ReasonCode::EvidenceMissing;
    let better = |m: report::Quantity| quantity(m.get() * 1.000_001);
    assert_says(Verdict::Unknown, code, |r| {
        let m = &mut of(r, "stream").measurements[0];
        m.median = better(m.median);
    });
    assert_says(Verdict::Unknown, code, |r| {
        let m = &mut of(r, "stream").measurements[0];
        m.worst = better(m.worst);
    });
    assert_says(Verdict::Unknown, code, |r| of(r, "stream").measurements[0].samples[1].work = quantity(0.0));
}

#[test]
fn a_device_that_has_a_clock_must_have_used_it_in_every_window() {
    let code = ReasonCode::EvidenceMissing;
    assert_says(Verdict::Unknown, code, |r| measure(r, |n, s| s.device_s = s.device_s.filter(|_| n != 0)));
    assert_says(Verdict::Unknown, code, |r| measure(r, |_, s| s.device_s = None));
    let without_clock = |r: &mut Report| {
        r.devices[0].timestamps = false;
        measure(r, |_, s| s.device_s = None);
    };
    assert_eq!(after(without_clock).0, Verdict::Healthy);
}

#[test]
fn windows_by_two_clocks_are_no_measurement_whatever_the_device_says_of_its_clock() {
    assert_says(Verdict::Unknown, ReasonCode::EvidenceMissing, |r| {
        r.devices[0].timestamps = false;
        measure(r, |n, s| s.device_s = s.device_s.filter(|_| n != 0));
    });
}

#[test]
fn clocks_that_disagree_make_a_rate_untrusted() {
    let apart = |share: f64| {
        move |r: &mut Report| {
            measure(r, |_, s| s.host_s = quantity(s.device_s.unwrap().get() / (1.0 - share)))
        }
    };
    assert_says(Verdict::Unknown, ReasonCode::ClocksDisagree, apart(0.06));
    assert_eq!(after(apart(0.04)).0, Verdict::Healthy);
    assert_says(Verdict::Unknown, ReasonCode::ClocksDisagree, |r| {
        measure(r, |_, s| s.host_s = quantity(0.0))
    });
}

#[test]
fn a_rate_below_its_limit_is_faulty_and_near_it_degraded() {
    let work = |work: f64| move |r: &mut Report| measure(r, |_, s| s.work = quantity(work));
    assert_says(Verdict::Faulty, ReasonCode::RateLow, work(1.0e10));
    assert_says(Verdict::Degraded, ReasonCode::RateNearLimit, work(3.0e10));
    assert_eq!(after(work(5.0e10)).0, Verdict::Healthy);
}

#[test]
fn a_rate_that_falls_for_three_windows_is_faulty_and_for_one_is_not() {
    let slow = |windows: std::ops::Range<usize>| {
        move |r: &mut Report| {
            of(r, "stream").measurements[0].samples = samples(9, 0.0);
            measure(r, |n, s| s.work = quantity(if windows.contains(&n) { 3e10 } else { 5e10 }));
        }
    };
    assert_says(Verdict::Faulty, ReasonCode::RateUnstable, slow(3..6));
    assert_eq!(after(slow(3..4)).0, Verdict::Healthy);
}

#[test]
fn a_warning_degrades_only_where_speed_is_asked() {
    let reason = || Some(ReasonCode::DriverError.because("slow to start"));
    let warn = |check: &'static str| {
        move |r: &mut Report| {
            of(r, check).outcome = Outcome::Warn;
            of(r, check).reason = reason();
        }
    };
    assert_says(Verdict::Degraded, ReasonCode::DriverError, warn("stream"));
    assert_says(Verdict::Healthy, ReasonCode::DriverError, warn("memory"));
}

// The rules of verdict.rs and whole.rs.

#[test]
fn an_optional_check_condemns_by_failing_only() {
    assert_says(Verdict::Healthy, ReasonCode::NotRun, |r| of(r, "optional").outcome = Outcome::NotRun);
    assert_says(Verdict::Faulty, ReasonCode::EvidenceMissing, |r| of(r, "optional").outcome = Outcome::Fail);
}

#[test]
fn a_failure_outweighs_everything_that_is_not_known() {
    assert_eq!(
        after(|r| {
            r.completed_at = None;
            of(r, "memory").outcome = Outcome::NotRun;
            of(r, "stream").outcome = Outcome::Fail;
        })
        .0,
        Verdict::Faulty
    );
}

#[test]
fn a_plan_that_asks_nothing_of_devices_proves_nothing() {
    for name in ["plan empty", "plan requires nothing", "plan asks nothing of devices"] {
        let fault = FAULTS.iter().find(|fault| fault.0 == name).unwrap();
        assert_says(Verdict::Unknown, ReasonCode::PlanEmpty, fault.1);
    }
}

#[test]
fn a_plan_that_is_not_the_one_named_is_refused() {
    assert_says(Verdict::Unknown, ReasonCode::PlanAltered, |r| r.plan.checks[2].limits[0].samples_min = 1);
    assert_says(Verdict::Unknown, ReasonCode::PlanAltered, |r| r.plan_digest.clear());
}

#[test]
fn a_drill_is_never_healthy() {
    assert_says(Verdict::Unknown, ReasonCode::Planted, |r| r.origin = Origin::Planted("hang".into()));
}

#[test]
fn an_interrupted_burn_in_is_never_healthy() {
    assert_says(Verdict::Unknown, ReasonCode::Interrupted, |r| r.completed_at = None);
}

#[test]
fn fewer_devices_than_planned_are_too_few_and_none_always_is() {
    for count_min in [0, 2] {
        assert_says(Verdict::Unknown, ReasonCode::TooFewDevices, |r| {
            r.plan.devices.count_min = count_min;
            r.plan_digest = r.plan.digest();
            if count_min == 0 {
                r.devices.clear();
                r.planned.retain(|p| p.subject == Subject::Node);
                r.results.retain(|x| x.subject == Subject::Node);
            }
        });
    }
}

#[test]
fn a_software_device_never_passes_as_a_gpu() {
    assert_says(Verdict::Unknown, ReasonCode::KindNotPlanned, |r| r.devices[0].kind = DeviceKind::Cpu);
    assert_says(Verdict::Unknown, ReasonCode::KindNotPlanned, |r| {
        r.plan.devices.kinds.push(DeviceKind::Other("npu".into()));
        r.plan_digest = r.plan.digest();
        r.devices[0].kind = DeviceKind::Other("npu".into());
    });
}

#[test]
fn plan_planned_checks_and_results_must_fit_one_to_one() {
    let code = ReasonCode::Incomplete;
    let cases: [fn(&mut Report); 8] = [
        |r| drop(r.results.pop()),
        |r| drop(r.planned.pop()),
        |r| r.results.push(r.results[1].clone()),
        |r| r.planned.push(r.planned[1].clone()),
        |r| r.results.push(CheckResult { check: id("extra"), ..r.results[0].clone() }),
        |r| r.planned.push(Planned { check: id("extra"), subject: Subject::Node }),
        |r| r.devices.push(device(9)),
        |r| r.devices.push(r.devices[0].clone()),
    ];
    for change in cases {
        assert_says(Verdict::Unknown, code, change);
    }
}

#[test]
fn the_check_that_is_missing_is_named() {
    let mut report = healthy(2, 1.0);
    report.results.remove(5);
    let detail = &judge(&report).findings[0].reason.detail;
    assert_eq!(detail, "the list of results lacks `stream` on 0000:02:00.0");
}

#[test]
fn a_plan_with_one_name_twice_does_not_hide_the_stricter_check() {
    let fault = FAULTS.iter().find(|fault| fault.0 == "plan names a check twice").unwrap();
    assert_says(Verdict::Unknown, ReasonCode::Incomplete, fault.1);
}

#[test]
fn a_small_report_that_asks_for_millions_of_pairs_is_judged_at_once() {
    let mut report = healthy(1, 1.0);
    report.devices =
        (0..3000).map(|n| DeviceInfo { id: report::DeviceId(n.to_string()), ..device(1) }).collect();
    let check = report.plan.checks[1].clone();
    report.plan.checks =
        (0..3000).map(|n| report::plan::PlannedCheck { id: id(&format!("c{n}")), ..check.clone() }).collect();
    assert_eq!(judge(&report).verdict, Verdict::Unknown);
}

#[test]
fn no_reader_is_more_hopeful_than_the_writer() {
    for (stated, seen) in [
        (Verdict::Healthy, Verdict::Healthy),
        (Verdict::Degraded, Verdict::Unknown),
        (Verdict::Unknown, Verdict::Unknown),
        (Verdict::Faulty, Verdict::Unknown),
    ] {
        let mut report = healthy(1, 1.0);
        report.verdict.verdict = stated;
        let judged = review(&report);
        assert_eq!(judged.verdict, seen);
        let code = ReasonCode::WriterDisagrees.as_str();
        assert_eq!(judged.findings.iter().any(|f| f.reason.code == code), stated != Verdict::Healthy);
    }
}

#[test]
fn a_degraded_report_whose_writer_saw_a_fault_is_unknown_and_a_good_word_counts_for_nothing() {
    let mut report = with(*FAULTS.iter().find(|fault| fault.0 == "performance warned").unwrap(), 1);
    assert_eq!(review(&report).verdict, Verdict::Degraded);
    report.verdict.verdict = Verdict::Faulty;
    assert_eq!(review(&report).verdict, Verdict::Unknown);
    report.verdict.verdict = Verdict::Healthy;
    assert_eq!(review(&report).verdict, Verdict::Degraded);
}

#[test]
fn bytes_that_are_no_report_are_unknown() {
    for bytes in [&b""[..], b"{}", b"null", b"\xff", br#"{"schema":"assay.report/1"}"#] {
        let judged = judge_bytes(bytes);
        assert_eq!(judged.verdict, Verdict::Unknown);
        assert_eq!(judged.findings[0].reason.code, ReasonCode::Unreadable.as_str());
    }
    let fault = FAULTS.iter().find(|fault| fault.0 == "another schema").unwrap();
    let judged = judge_bytes(&serde_json::to_vec(&with(*fault, 1)).unwrap());
    assert!(judged.findings[0].reason.detail.contains("assay.report/2"), "{judged:?}");
}

/// The codes that the judge's own source names are those that the faults of these tests bring out.
#[test]
fn every_reason_the_judge_can_give_is_given_by_some_fault() {
    let sources = [
        include_str!("../src/judge/evidence.rs"),
        include_str!("../src/judge/verdict.rs"),
        include_str!("../src/judge/whole.rs"),
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
