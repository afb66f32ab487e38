//! Who supervises workers keeps the report whole, whatever a worker does: workers are shell scripts here.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crew;
mod journal;
mod telemetry;

use report::plan::{Floor, Plan, Scope};
use report::{
    Backend, Bytes, CheckId, CheckResult, DeviceId, DeviceInfo, DeviceKind, NodeFacts, Origin, Outcome,
    Planned, Quantity, Report, SCHEMA, Subject, Tool, Verdict, VerdictRecord,
};

/// The checks of [`plan`], in order.
const CHECKS: [&str; 3] = ["digest", "fp32", "stream"];

/// Three checks that ask for a little coverage and end soon.
fn plan() -> Plan {
    let mut plan = Plan::built_in("quick-software").unwrap();
    plan.checks.retain(|check| check.scope == Scope::Device && CHECKS.contains(&check.id.as_str()));
    for check in &mut plan.checks {
        check.exact = false;
        check.canary = false;
        check.deadline_s = 2;
        check.limits.clear();
        check.floors = vec![Floor { quantity: "workgroups".into(), min: Quantity::new(1.0).unwrap() }];
    }
    plan
}

fn device(id: &str) -> DeviceInfo {
    DeviceInfo {
        id: DeviceId(id.to_owned()),
        backend: Backend::Vulkan,
        kind: DeviceKind::Cpu,
        name: "none".to_owned(),
        pci_id: None,
        address: None,
        uuid: None,
        driver: "none".to_owned(),
        api_version: None,
        memory_bytes: Bytes::mib(1),
        memory_budget_bytes: None,
        binding_bytes_max: Bytes::mib(1),
        timestamps: false,
        features: Vec::new(),
        units: None,
        subgroup_size: None,
        matrix_shapes: Vec::new(),
    }
}

/// A report of these devices on which nothing has run.
fn report(devices: &[&str]) -> Report {
    let plan = plan();
    let devices: Vec<_> = devices.iter().map(|id| device(id)).collect();
    let planned = plan.expand(&devices).map(|(check, subject)| Planned { check: check.id.clone(), subject });
    Report {
        schema: SCHEMA.to_owned(),
        run_id: "00".repeat(16),
        tool: Tool { version: "0".to_owned(), kernels_digest: "00".repeat(32) },
        origin: Origin::Measured,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        completed_at: None,
        verdict: VerdictRecord { verdict: Verdict::Healthy, findings: Vec::new() },
        plan_digest: plan.digest(),
        planned: planned.collect(),
        plan,
        devices,
        results: Vec::new(),
        counters: Vec::new(),
        node: NodeFacts::default(),
    }
}

fn id(check: &str) -> CheckId {
    CheckId::try_from(check).unwrap()
}

fn subject(device: &str) -> Subject {
    Subject::Device(DeviceId(device.to_owned()))
}

/// How the checks of a device ended.
fn ends(report: &Report, device: &str) -> Vec<(Outcome, String)> {
    let code = |r: &CheckResult| r.reason.as_ref().map(|reason| reason.code.clone()).unwrap_or_default();
    report.results.iter().filter(|r| r.subject == subject(device)).map(|r| (r.outcome, code(r))).collect()
}
