//! Reports as people see them. `UPDATE_GOLDEN=1 cargo test -p report --test golden` writes the files anew; without it
//! each is compared.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reports/mod.rs"]
mod reports;

use std::path::PathBuf;

use report::judge::{ReasonCode, review};
use report::plan::PlannedCheck;
use report::*;
use reports::{healthy, id, measurement, of, quantity, samples, write};

/// A report by one of the built-in plans, with what a run of it would show.
fn by_plan(name: &str, devices: Vec<DeviceInfo>) -> Report {
    let plan = Plan::built_in(name).unwrap();
    let results: Vec<_> = plan.expand(&devices).map(|(check, subject)| shown(check, subject)).collect();
    let planned = results.iter().map(|r| Planned { check: r.check.clone(), subject: r.subject.clone() });
    let mut report = Report {
        plan_digest: plan.digest(),
        planned: planned.collect(),
        plan,
        devices,
        results,
        ..healthy(1, 1.0)
    };
    write(&mut report);
    report
}

fn shown(check: &PlannedCheck, subject: Subject) -> CheckResult {
    let mut result = CheckResult::without_evidence(check.id.clone(), subject, Outcome::Pass, None);
    let covered = |quantity: &str, achieved| Coverage { quantity: quantity.into(), achieved };
    result.coverage = check.floors.iter().map(|f| covered(&f.quantity, f.min)).collect();
    result.canary = check.canary.then_some(Canary { planted: 3, found: 3, strays: 0 });
    result.mismatches = check.exact.then(Mismatches::default);
    result.digest = (check.id.as_str() == "digest").then(|| "85ebca6b0f3c9a1e".into());
    let rates = |count| {
        let mut windows = samples(count, 1.0);
        windows.iter_mut().for_each(|w| w.work = quantity(w.work.get() * 14.0));
        windows
    };
    result.measurements = check.limits.iter().map(|l| measurement(&l.metric, rates(10))).collect();
    for m in result.measurements.iter_mut().filter(|m| m.metric == "fp32") {
        m.unit = Unit::FlopPerS;
        m.samples.iter_mut().for_each(|w| w.work = quantity(w.work.get() * 18.0));
        *m = Measurement { unit: Unit::FlopPerS, ..measurement("fp32", m.samples.clone()) };
    }
    result.took_s = quantity(1.25);
    result
}

fn gpu(number: usize) -> DeviceInfo {
    DeviceInfo {
        name: "NVIDIA H100 80GB HBM3".into(),
        driver: "NVIDIA 580.95.05".into(),
        ..reports::device(number)
    }
}

fn software() -> DeviceInfo {
    DeviceInfo {
        id: DeviceId("vulkan-0".into()),
        kind: DeviceKind::Cpu,
        name: "llvmpipe (LLVM 15.0.6, 256 bits)".into(),
        pci_id: None,
        address: None,
        driver: "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)".into(),
        memory_bytes: Bytes(4 << 30),
        ..reports::device(1)
    }
}

/// Compares report and text with the files of that name, or writes them.
#[track_caller]
fn assert_golden(name: &str, report: &Report) {
    let text = text::render(report, &review(report));
    for (line, columns) in text.lines().map(|line| (line, line.chars().count())) {
        assert!(columns <= 100, "{columns} columns: {line}");
    }
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    let json = serde_json::to_string_pretty(report).unwrap() + "\n";
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (ending, found) in [("txt", text), ("json", json)] {
        let path = folder.join(format!("{name}.{ending}"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap();
        assert!(
            found == wanted,
            "{name}.{ending} differs; look, then UPDATE_GOLDEN=1.\nwanted:\n{wanted}\nfound:\n{found}"
        );
    }
    let copy = Report::from_json(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap();
    assert_eq!(copy, *report, "the file reads back as the report");
}

#[test]
fn a_healthy_software_device() {
    let report = by_plan("quick-software", vec![software()]);
    assert_eq!(report.verdict.verdict, Verdict::Healthy, "{:?}", report.verdict);
    assert_golden("healthy-software", &report);
}

#[test]
fn a_faulty_gpu_of_two() {
    let mut report = by_plan("quick", vec![gpu(0x3b), gpu(0x5e)]);
    let bad = report.results.iter_mut().filter(|r| r.check == id("memory-own-address")).nth(1).unwrap();
    let first = Mismatch {
        byte_address: 0x0003_8f21_4c40,
        expected: 0x9e37_79b9,
        found: 0x9e37_79bd,
        workgroup: 18_204,
        pass: 1,
    };
    bad.mismatches = Some(Mismatches { count: 1, bits: 4, first: vec![first] });
    let slow = report.results.iter_mut().filter(|r| r.check == id("stream")).nth(1).unwrap();
    slow.measurements[0].samples.iter_mut().for_each(|w| w.work = quantity(w.work.get() * 0.04));
    slow.measurements[0] = measurement("read", slow.measurements[0].samples.clone());
    write(&mut report);
    assert_eq!(report.verdict.verdict, Verdict::Faulty);
    assert_golden("faulty-mismatch", &report);
}

#[test]
fn no_gpu() {
    let mut report = by_plan("quick", vec![]);
    let doctor = of(&mut report, "doctor");
    doctor.outcome = Outcome::Error;
    doctor.reason =
        Some(ReasonCode::NoGpu.because("PCI shows no display controller or accelerator of a known maker"));
    doctor.coverage[0].achieved = quantity(0.0);
    write(&mut report);
    assert_eq!(report.verdict.verdict, Verdict::Unknown);
    assert_golden("unknown-no-gpu", &report);
}

#[test]
fn interrupted() {
    let mut report = by_plan("quick", vec![gpu(0x3b)]);
    report.completed_at = None;
    for result in report.results.iter_mut().skip(3) {
        let reason = Some(ReasonCode::Interrupted.because("the operator pressed Ctrl-C"));
        *result = CheckResult::without_evidence(
            result.check.clone(),
            result.subject.clone(),
            Outcome::NotRun,
            reason,
        );
    }
    write(&mut report);
    assert_golden("unknown-interrupted", &report);
}

#[test]
fn hostile_words_neither_move_the_cursor_nor_break_the_columns() {
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nHEALTHY\u{202e}\u{200b}".repeat(9);
    let mut report = by_plan("quick", vec![DeviceInfo { id: DeviceId(hostile.clone()), ..gpu(1) }]);
    report.plan.name.clone_from(&hostile);
    report.run_id.clone_from(&hostile);
    report.origin = Origin::Planted(hostile.clone());
    report.devices[0].name.clone_from(&hostile);
    report.devices[0].driver.clone_from(&hostile);
    report.devices[0].kind = DeviceKind::Other(hostile.clone());
    report.devices[0].memory_bytes = Bytes(u64::MAX);
    for result in &mut report.results {
        result.notes.push(hostile.clone());
        result.digest = Some(hostile.clone());
        result.took_s = quantity(f64::MAX);
        result.coverage = vec![Coverage { quantity: hostile.clone(), achieved: quantity(f64::MAX) }];
        result.outcome = Outcome::Error;
        let words = || hostile.clone();
        result.reason = Some(Reason { code: words(), detail: words(), action: words() });
        for m in &mut result.measurements {
            m.metric.clone_from(&hostile);
            m.median = quantity(f64::MIN_POSITIVE);
            m.worst = quantity(f64::MAX);
        }
    }
    assert_golden("hostile", &report);
}
