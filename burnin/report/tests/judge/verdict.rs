//! The rules by which outcomes become a verdict, and what keeps a report from being whole.

use report::judge::{ReasonCode, judge_bytes, review};
use report::{
    CheckResult, DeviceInfo, DeviceKind, Origin, Outcome, Planned, Report, Subject, Verdict, judge,
};

use super::reports::{FAULTS, device, healthy, id, of, with};
use super::{after, assert_says};

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

/// A histogram in which the units of these numbers did so many workgroups.
fn worked(units: &[(u32, u64)]) -> report::UnitHistogram {
    let load = |(unit, workgroups): &(u32, u64)| report::UnitLoad {
        unit: *unit,
        workgroups: *workgroups,
        mismatches: 0,
        median_ticks: 1,
    };
    report::UnitHistogram { units: units.iter().map(load).collect() }
}

#[test]
fn a_compute_unit_that_did_nothing_is_a_finding_where_the_device_tells_how_many_it_has() {
    // Too few, one that did nothing, one that is listed twice.
    let faults = [&[(0, 9), (2, 9)][..], &[(0, 9), (1, 0), (2, 9)], &[(0, 9), (2, 9), (2, 9)]];
    for seen in faults {
        assert_says(Verdict::Unknown, ReasonCode::UnitsUnseen, |r| {
            r.devices[0].units = Some(3);
            of(r, "memory").units = Some(worked(seen));
        });
    }
    let verdict = |units, seen: &[(u32, u64)]| {
        let mut report = healthy(1, 1.0);
        report.devices[0].units = units;
        of(&mut report, "memory").units = Some(worked(seen));
        judge(&report).verdict
    };
    assert_eq!(verdict(Some(3), &[(0, 9), (1, 9), (2, 9)]), Verdict::Healthy);
    // A driver that does not tell how many there are leaves nothing to compare with.
    assert_eq!(verdict(None, &[(0, 9)]), Verdict::Healthy);
}
