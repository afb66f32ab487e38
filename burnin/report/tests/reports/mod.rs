//! Reports for the tests of the judge: a healthy one, and every way in which one can be unhealthy.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod eight;

use report::judge::{ReasonCode, settle, summarize};
use report::node::{Collector, CollectorStatus};
use report::plan::{PlannedCheck, Scope};
use report::*;

/// A small plan with each kind of demand: about the node and about devices, exact, with canary, with limits, optional.
const PLAN: &str = r#"
name = "small"
summary = "Each kind of demand once"
[devices]
kinds = ["discrete", "integrated"]
count_min = 1
[[checks]]
id = "doctor"
scope = "node"
required = true
class = "correctness"
exact = false
canary = false
deadline_s = 30
floors = [{ quantity = "devices", min = 1.0 }]
[[checks]]
id = "memory"
scope = "device"
required = true
class = "correctness"
exact = true
canary = true
deadline_s = 60
floors = [{ quantity = "verified_bytes", min = 1.0e9 }, { quantity = "memory_fraction", min = 0.9 }]
[[checks]]
id = "stream"
scope = "device"
required = true
class = "performance"
exact = true
canary = true
deadline_s = 60
floors = [{ quantity = "compared_bytes", min = 1.0e9 }]
[[checks.limits]]
metric = "read"
fail_below_per_s = 5.0e10
warn_below_per_s = 1.5e11
worst_to_median_min = 0.8
clock_tolerance = 0.05
samples_min = 4
source = "test"
[[checks]]
id = "optional"
scope = "device"
required = false
class = "correctness"
exact = true
canary = false
deadline_s = 60
floors = [{ quantity = "workgroups", min = 16.0 }]
"#;

pub(crate) fn plan() -> Plan {
    serde_json::from_value(toml_to_json(PLAN)).unwrap()
}

fn toml_to_json(text: &str) -> serde_json::Value {
    toml::from_str(text).unwrap()
}

pub(crate) fn id(text: &str) -> CheckId {
    CheckId::try_from(text).unwrap()
}

pub(crate) fn quantity(value: f64) -> Quantity {
    Quantity::new(value).unwrap()
}

pub(crate) fn device(number: usize) -> DeviceInfo {
    DeviceInfo {
        id: DeviceId(format!("0000:{number:02x}:00.0")),
        backend: Backend::Vulkan,
        kind: DeviceKind::Discrete,
        name: "Accelerator 9000".into(),
        pci_id: Some(PciId { vendor: 0x10de, device: 0x2335 }),
        address: format!("0000:{number:02x}:00.0").parse().ok(),
        uuid: None,
        driver: "driver 1.2".into(),
        api_version: Some("1.3.230".into()),
        memory_bytes: Bytes(80 << 30),
        memory_budget_bytes: None,
        binding_bytes_max: Bytes(4 << 30),
        timestamps: true,
        features: Vec::new(),
        units: None,
        subgroup_size: None,
        matrix_shapes: Vec::new(),
    }
}

/// Windows of about 2e11 work per second; `wobble` gives each report other figures.
pub(crate) fn samples(count: usize, wobble: f64) -> Vec<Sample> {
    (0..count)
        .map(|n| {
            let seconds = 0.25 + 0.001 * wobble * f64::from(u8::try_from(n % 5).unwrap());
            Sample {
                work: quantity(5e10 + 1e7 * wobble),
                device_s: Some(quantity(seconds)),
                host_s: quantity(seconds * 1.002),
            }
        })
        .collect()
}

pub(crate) fn measurement(metric: &str, samples: Vec<Sample>) -> Measurement {
    let (median, worst) = summarize(&samples).unwrap_or_default();
    Measurement {
        metric: metric.into(),
        unit: Unit::BytesPerS,
        median,
        worst,
        method: "grid of 16".into(),
        warm_up: None,
        samples,
    }
}

fn result(check: &PlannedCheck, subject: Subject, wobble: f64) -> CheckResult {
    let mut result = CheckResult::without_evidence(check.id.clone(), subject, Outcome::Pass, None);
    result.coverage = check
        .floors
        .iter()
        .map(|f| Coverage { quantity: f.quantity.clone(), achieved: quantity(f.min.get() * 1.0625) })
        .collect();
    result.canary = check.canary.then_some(Canary { planted: 3, found: 3, strays: 0 });
    result.mismatches = check.exact.then(Mismatches::default);
    result.digest = check.exact.then(|| "0123456789abcdef".into());
    result.measurements = check.limits.iter().map(|l| measurement(&l.metric, samples(5, wobble))).collect();
    result.notes = vec!["fma is fused".into()];
    result.took_s = quantity(0.5 + wobble);
    result
}

/// A healthy report of so many devices.
pub(crate) fn healthy(devices: usize, wobble: f64) -> Report {
    let devices: Vec<_> = (1..=devices).map(device).collect();
    let plan = plan();
    let mut report = Report {
        schema: SCHEMA.into(),
        run_id: "00112233445566778899aabbccddeeff".into(),
        tool: Tool { version: "0.1.0".into(), kernels_digest: "aa".repeat(32) },
        origin: Origin::Measured,
        started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        completed_at: Some("2026-01-02T03:06:05Z".parse().unwrap()),
        verdict: VerdictRecord { verdict: Verdict::Unknown, findings: vec![] },
        planned: vec![],
        results: plan.expand(&devices).map(|(check, subject)| result(check, subject, wobble)).collect(),
        counters: Vec::new(),
        plan_digest: plan.digest(),
        plan,
        devices,
        node: NodeFacts {
            collectors: vec![Collector {
                name: "pci".into(),
                status: CollectorStatus::Ok,
                detail: None,
                milliseconds: 3,
            }],
            ..NodeFacts::default()
        },
    };
    report.planned = report
        .results
        .iter()
        .map(|r| Planned { check: r.check.clone(), subject: r.subject.clone() })
        .collect();
    write(&mut report);
    report
}

/// States outcomes and verdict as an honest writer does: what the evidence carries.
pub(crate) fn write(report: &mut Report) {
    for result in &mut report.results {
        if let Some(planned) = report.plan.check(&result.check) {
            let (outcome, reason) = settle(planned, result);
            result.outcome = outcome;
            result.reason = reason;
        }
    }
    report.verdict = judge(report);
}

/// The first result of that check.
pub(crate) fn of<'a>(report: &'a mut Report, check: &str) -> &'a mut CheckResult {
    report.results.iter_mut().find(|r| r.check.as_str() == check).unwrap()
}

/// Puts other windows in, with the figures that they give.
pub(crate) fn measure(report: &mut Report, change: impl Fn(usize, &mut Sample)) {
    let m = &mut of(report, "stream").measurements[0];
    m.samples.iter_mut().enumerate().for_each(|(n, sample)| change(n, sample));
    *m = measurement("read", m.samples.clone());
}

fn replan(report: &mut Report, change: impl Fn(&mut Plan)) {
    change(&mut report.plan);
    report.plan_digest = report.plan.digest();
}

fn without_device_checks(report: &mut Report) {
    replan(report, |plan| plan.checks.retain(|c| c.scope == Scope::Node));
    report.planned.retain(|p| p.subject == Subject::Node);
    report.results.retain(|r| r.subject == Subject::Node);
}

pub(crate) type Fault = (&'static str, fn(&mut Report));

/// Every way in which a report can be unhealthy, with a name. Each alone makes a healthy report not healthy.
pub(crate) const FAULTS: &[Fault] = &[
    ("compute unit unseen", |r| {
        r.devices[0].units = Some(2);
        let load = report::UnitLoad { unit: 0, workgroups: 9, mismatches: 0, median_ticks: 1 };
        of(r, "memory").units = Some(report::UnitHistogram { units: vec![load] });
    }),
    ("failed", |r| state(r, "memory", Outcome::Fail)),
    ("optional check failed", |r| state(r, "optional", Outcome::Fail)),
    ("performance warned", |r| state(r, "stream", Outcome::Warn)),
    ("error", |r| state(r, "stream", Outcome::Error)),
    ("untrusted", |r| state(r, "doctor", Outcome::Untrusted)),
    ("skipped", |r| state(r, "memory", Outcome::Skip)),
    ("not run", |r| state(r, "memory", Outcome::NotRun)),
    ("not run, no reason", |r| {
        let old = of(r, "memory");
        *old = CheckResult::without_evidence(old.check.clone(), old.subject.clone(), Outcome::NotRun, None);
    }),
    ("mismatch", |r| {
        let first = Mismatch { byte_address: 64, expected: 1, found: 3, workgroup: 5, pass: 0 };
        of(r, "memory").mismatches = Some(Mismatches { count: 1, bits: 2, first: vec![first] });
    }),
    ("mismatch of an optional check", |r| {
        of(r, "optional").mismatches = Some(Mismatches { count: 1, bits: 2, first: vec![] });
    }),
    ("mismatch, only counted", |r| {
        of(r, "memory").mismatches = Some(Mismatches { count: 7, bits: 0, first: vec![] });
    }),
    ("mismatch where none is looked for", |r| {
        of(r, "doctor").mismatches = Some(Mismatches { count: 7, bits: 1, first: vec![] });
    }),
    ("answers not compared", |r| of(r, "memory").mismatches = None),
    ("canary missed", |r| of(r, "memory").canary = Some(Canary { planted: 3, found: 2, strays: 0 })),
    ("canary found too often", |r| of(r, "memory").canary = Some(Canary { planted: 3, found: 4, strays: 0 })),
    ("strays", |r| of(r, "memory").canary = Some(Canary { planted: 3, found: 3, strays: 1 })),
    ("no canary planted", |r| of(r, "memory").canary = Some(Canary { planted: 0, found: 0, strays: 0 })),
    ("no canary", |r| of(r, "memory").canary = None),
    ("coverage low", |r| of(r, "memory").coverage[0].achieved = quantity(9e8)),
    ("coverage absent", |r| {
        of(r, "memory").coverage.pop();
    }),
    ("coverage of two minds", |r| {
        let low = Coverage { quantity: "verified_bytes".into(), achieved: quantity(1.0) };
        of(r, "memory").coverage.push(low);
    }),
    ("no floor asked", |r| replan(r, |plan| plan.checks[1].floors.clear())),
    ("rate low", |r| measure(r, |_, s| s.work = quantity(1e9))),
    ("rate near its limit", |r| measure(r, |_, s| s.work = quantity(3e10))),
    ("rate unstable", |r| {
        measure(r, |n, s| s.work = quantity(if n < 3 { 2e10 } else { 5e10 }));
        let m = &mut of(r, "stream").measurements[0];
        m.samples.extend(samples(6, 1.0));
        *m = measurement("read", m.samples.clone());
    }),
    ("rate not measured", |r| of(r, "stream").measurements.clear()),
    ("rate measured twice", |r| {
        let again = measurement("read", samples(5, 0.0));
        measure(r, |_, s| s.work = quantity(1e9));
        of(r, "stream").measurements.insert(0, again);
    }),
    ("too few windows", |r| of(r, "stream").measurements[0] = measurement("read", samples(3, 0.0))),
    ("window without work", |r| of(r, "stream").measurements[0].samples[2].work = quantity(0.0)),
    ("figures of other windows", |r| of(r, "stream").measurements[0].worst = quantity(1.9e11)),
    ("rate beyond physics", |r| {
        // The device is an H200, which does not read 10 TB/s.
        measure(r, |_, s| s.work = quantity(2.5e12));
    }),
    ("latency of other samples", |r| {
        let latency = Latency::new("launch", "host clock", vec![5; 9]).unwrap();
        of(r, "stream").latencies = vec![Latency { median_ns: 4, ..latency }];
    }),
    ("clocks apart", |r| measure(r, |_, s| s.host_s = quantity(s.host_s.get() * 1.2))),
    ("clocks apart in most windows", |r| {
        measure(r, |n, s| s.host_s = quantity(s.host_s.get() * if n < 2 { 1.0 } else { 1.2 }));
    }),
    ("one window without device time", |r| {
        measure(r, |n, s| s.device_s = s.device_s.filter(|_| n != 1));
    }),
    ("device clock not used", |r| measure(r, |_, s| s.device_s = None)),
    ("interrupted", |r| r.completed_at = None),
    ("planted", |r| r.origin = Origin::Planted("flip".into())),
    ("kind not planned", |r| r.devices[0].kind = DeviceKind::Cpu),
    ("kind unknown", |r| r.devices[0].kind = DeviceKind::Other("discrete2".into())),
    ("too few devices", |r| replan(r, |plan| plan.devices.count_min = 9)),
    ("no devices", |r| {
        r.devices.clear();
        r.planned.retain(|p| p.subject == Subject::Node);
        r.results.retain(|x| x.subject == Subject::Node);
    }),
    ("device with no result", |r| r.devices.push(device(77))),
    ("device of a wrong kind beside", |r| {
        r.devices.push(DeviceInfo { kind: DeviceKind::Cpu, ..device(77) });
    }),
    ("two devices of one id", |r| r.devices.push(r.devices[0].clone())),
    ("result missing", |r| {
        r.results.pop();
    }),
    ("result and its planning missing", |r| {
        r.results.pop();
        r.planned.pop();
    }),
    ("result twice", |r| r.results.push(r.results[0].clone())),
    ("result twice, once failed", |r| {
        let again = r.results[0].clone();
        r.results.push(CheckResult { outcome: Outcome::Fail, ..again });
    }),
    ("stray result", |r| {
        let stray = CheckResult { check: id("extra"), ..r.results[0].clone() };
        r.results.push(stray);
    }),
    ("stray planned check", |r| r.planned.push(Planned { check: id("extra"), subject: Subject::Node })),
    ("planned check missing", |r| {
        r.planned.pop();
    }),
    ("plan empty", |r| {
        replan(r, |plan| plan.checks.clear());
        r.planned.clear();
        r.results.clear();
    }),
    ("plan requires nothing", |r| replan(r, |plan| plan.checks.iter_mut().for_each(|c| c.required = false))),
    ("plan asks nothing of devices", without_device_checks),
    ("plan asks nothing of devices, and one is wrong", |r| {
        without_device_checks(r);
        r.devices.push(DeviceInfo { kind: DeviceKind::Cpu, ..device(77) });
    }),
    ("plan names a check twice", |r| {
        replan(r, |plan| {
            let lax = PlannedCheck { scope: Scope::Device, ..plan.checks[0].clone() };
            plan.checks.insert(0, lax);
        });
        for device in r.devices.clone() {
            let subject = Subject::Device(device.id);
            r.planned.push(Planned { check: id("doctor"), subject: subject.clone() });
            let again = CheckResult { subject, ..of(r, "doctor").clone() };
            r.results.push(again);
        }
    }),
    ("plan altered", |r| {
        r.plan.checks[1].floors.iter_mut().for_each(|floor| floor.min = quantity(1.0));
        r.plan.checks[1].deadline_s = 1;
    }),
    ("plan altered by an addition", |r| {
        let more = PlannedCheck { id: id("extra"), ..r.plan.checks[1].clone() };
        r.plan.checks.push(more);
    }),
    ("plan digest of another plan", |r| r.plan_digest = "bb".repeat(32)),
    ("another schema", |r| r.schema = "assay.report/2".into()),
];

fn state(report: &mut Report, check: &str, outcome: Outcome) {
    let result = of(report, check);
    result.outcome = outcome;
    result.reason = Some(ReasonCode::DriverError.because("planted by a test"));
}

/// A healthy report with that fault, written by an honest writer.
pub(crate) fn with(fault: Fault, devices: usize) -> Report {
    let mut report = healthy(devices, 1.0);
    fault.1(&mut report);
    write(&mut report);
    report
}
