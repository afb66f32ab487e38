//! The report of a virtual node: all the evidence that its plan asks for, and the fault that its seed gave it, in such a
//! way that the judge finds it by itself.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use report::judge::{ReasonCode, summarize};
use report::plan::{Limit, PlannedCheck};
use report::{
    Backend, Bytes, Canary, CheckResult, Coverage, DeviceId, DeviceInfo, DeviceKind, Feature, Measurement,
    Mismatch, Mismatches, NodeFacts, Origin, Outcome, Plan, Planned, Quantity, Report, SCHEMA, Sample,
    Subject, Tool, Unit, Verdict, VerdictRecord, judge,
};

use super::machine::{Model, gpu_address, gpu_id};
use super::random::Seeded;

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// One GPU is held back: right answers, too slowly.
    Slow,
    /// A bit of one GPU's memory stays at one.
    StuckBit,
    /// One check found no fault that was planted for it, so that it cannot be believed.
    Blind,
}

impl Fault {
    /// What the judge makes of it.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::None => Verdict::Healthy,
            Self::Slow => Verdict::Degraded,
            Self::StuckBit => Verdict::Faulty,
            Self::Blind => Verdict::Unknown,
        }
    }
}

/// A report of one burn-in on that hardware, with so many of its GPUs burned in.
pub(super) fn report(
    (model, node): (&Model, NodeFacts),
    plan: &Plan,
    (gpus, fault): (u8, Fault),
    chance: &mut Seeded,
) -> Report {
    let devices: Vec<_> = (0..gpus).map(|number| device(model, number, chance)).collect();
    let sick = devices.get(usize::try_from(chance.draw() % u64::from(gpus.max(1))).unwrap_or_default());
    let sick = sick.map(|device| Subject::Device(device.id.clone()));
    let results: Vec<_> = plan
        .expand(&devices)
        .map(|(check, subject)| {
            let fault = if Some(&subject) == sick.as_ref() { fault } else { Fault::None };
            result(model, check, (subject, fault), chance)
        })
        .collect();
    let started_at = Timestamp::from_second(1_795_000_000).unwrap_or_default();
    let planned = results.iter().map(|r| Planned { check: r.check.clone(), subject: r.subject.clone() });
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        run_id: HEXLOWER.encode(&chance.bytes::<16>()),
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernels_digest: HEXLOWER.encode(&[0x5a; 32]),
        },
        origin: Origin::Measured,
        started_at,
        completed_at: Some(started_at),
        verdict: VerdictRecord { verdict: Verdict::Unknown, findings: Vec::new() },
        plan_digest: plan.digest(),
        planned: planned.collect(),
        plan: plan.clone(),
        devices,
        results,
        node,
    };
    // As `burnin` does: the writer judges too.
    report.verdict = judge(&report);
    report
}

fn device(model: &Model, number: u8, chance: &mut Seeded) -> DeviceInfo {
    let address = gpu_address(number);
    DeviceInfo {
        id: DeviceId(address.to_string()),
        backend: Backend::Vulkan,
        kind: DeviceKind::Discrete,
        name: model.gpu_name.to_owned(),
        pci_id: Some(gpu_id(model)),
        address: Some(address),
        uuid: Some(HEXLOWER.encode(&chance.bytes::<16>())),
        driver: model.vulkan_driver.to_owned(),
        api_version: Some("1.4.312".to_owned()),
        memory_bytes: model.gpu_memory,
        memory_budget_bytes: None,
        binding_bytes_max: Bytes::mib(4095),
        timestamps: true,
        features: vec![Feature::Float16, Feature::Float64, Feature::Int64, Feature::Matrix],
        units: None,
        subgroup_size: Some(model.subgroup_size),
        matrix_shapes: Vec::new(),
    }
}

fn result(
    model: &Model,
    check: &PlannedCheck,
    (subject, fault): (Subject, Fault),
    chance: &mut Seeded,
) -> CheckResult {
    let mut result = CheckResult::without_evidence(check.id.clone(), subject, Outcome::Pass, None);
    let covered = check.floors.iter();
    result.coverage =
        covered.map(|floor| Coverage { quantity: floor.quantity.clone(), achieved: floor.min }).collect();
    result.canary = check.canary.then_some(Canary { planted: 3, found: 3, strays: 0 });
    result.mismatches = check.exact.then(Mismatches::default);
    result.digest = check.exact.then(|| HEXLOWER.encode(&chance.bytes::<8>()));
    result.took_s = quantity(check.measure_s.get() * (1.0 + 0.1 * chance.share()));
    let slow = fault == Fault::Slow && check.id.as_str() == "fp32";
    result.measurements = check.limits.iter().map(|limit| measurement(model, limit, slow, chance)).collect();
    match (fault, check.id.as_str()) {
        (Fault::StuckBit, "memory-march") => {
            let wrong = stuck_bit(chance);
            result.outcome = Outcome::Fail;
            result.reason = Some(ReasonCode::Mismatch.because("1 wrong word"));
            result.mismatches =
                Some(Mismatches { count: 1, bits: wrong.expected ^ wrong.found, first: vec![wrong] });
        }
        (Fault::Blind, "digest") => result.canary = Some(Canary { planted: 3, found: 2, strays: 0 }),
        _ => {}
    }
    result
}

fn stuck_bit(chance: &mut Seeded) -> Mismatch {
    let bit = 1_u32 << (chance.draw() % 32);
    Mismatch { byte_address: chance.draw() % (64 << 30), expected: 0, found: bit, workgroup: 7, pass: 2 }
}

/// Windows with rates like 1/3, as clocks give them.
fn measurement(model: &Model, limit: &Limit, slow: bool, chance: &mut Seeded) -> Measurement {
    let (unit, sound) = match limit.metric.as_str() {
        "fp32" => (Unit::FlopPerS, model.flop_per_s),
        _ => (Unit::BytesPerS, model.bytes_per_s),
    };
    // Between the two bars of the limit: a warning.
    let near = f64::midpoint(limit.fail_below_per_s.get(), limit.warn_below_per_s.get());
    let per_s = if slow { near } else { sound * (0.97 + 0.02 * chance.share()) };
    let samples: Vec<_> = (0..limit.samples_min)
        .map(|_| {
            let seconds = 0.1 + 0.001 * chance.share();
            Sample {
                work: quantity((per_s * 0.1).round()),
                device_s: Some(quantity(seconds)),
                host_s: quantity(seconds * 1.003),
            }
        })
        .collect();
    let (median, worst) = summarize(&samples).unwrap_or_default();
    Measurement {
        metric: limit.metric.clone(),
        unit,
        median,
        worst,
        method: "windows of 0.1 s".to_owned(),
        warm_up: None,
        samples,
    }
}

/// All that is measured here is finite and not negative.
fn quantity(value: f64) -> Quantity {
    Quantity::new(value).unwrap_or_default()
}
