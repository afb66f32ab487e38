//! The rules by which the evidence of one check becomes its outcome: each with a planted fault that makes it speak.

use report::judge::ReasonCode;
use report::{Canary, Mismatch, Mismatches, Outcome, Report, Verdict, VerdictRecord, judge};

use super::reports::{healthy, measure, measurement, of, quantity, samples};
use super::{after, assert_says};

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
