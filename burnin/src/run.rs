//! The pipeline: discover, list, plan, check, burn in, judge, report.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use report::{Backend, NodeFacts, Origin, Plan, Planned, Report, SCHEMA, Tool, Verdict, VerdictRecord};

use crate::check::doctor;
use crate::clock::Clock;
use crate::counters;
use crate::crew::Crew;
use crate::device::faulty::Fault;
use crate::journal::{Journal, JournalError};
use crate::progress::Watch;
use crate::telemetry::{self, Sampler};
use crate::worker::{Burn, Job, supervise};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The plan.
    pub plan: Plan,
    /// Through what devices are driven.
    pub backend: Backend,
    /// Folder for the report.
    pub out: PathBuf,
    /// A fault to plant: a drill.
    pub fault: Option<Fault>,
    /// The program to start as worker: this one.
    pub program: PathBuf,
}

/// How long listing the devices may take: loading a driver takes seconds, a hang for ever.
const LIST_DEADLINE: Duration = Duration::from_secs(30);

/// Runs a plan on this node. The report lies in `options.out` when this returns, and after every check before.
pub fn run(
    options: &Options,
    clock: &dyn Clock,
    watch: &mut dyn Watch,
    interrupted: &AtomicBool,
) -> Result<Report, JournalError> {
    let started_at = Timestamp::now();
    let facts = discover::collect(&discover::Root::machine());
    let listed = list(options);
    let begun = begin(options, facts, doctor::select(&options.plan, &listed));
    let mut journal = Journal::begin(&options.out, Report { started_at, ..begun })?;

    for planned in journal.report().planned.clone().iter().filter(|p| p.check.as_str() == "doctor") {
        let start = clock.now();
        let mut result =
            doctor::examine(planned.check.clone(), &options.plan, &journal.report().node, &listed);
        if let Some(check) = options.plan.check(&planned.check) {
            (result.outcome, result.reason) = report::judge::settle(check, &result);
        }
        result.took_s = report::Quantity::new((clock.now() - start).as_secs_f64()).unwrap_or_default();
        watch.finished(&result);
        journal.record(result)?;
    }
    burn_in(options, journal, clock, watch, interrupted)
}

/// The devices of the backend, asked of a worker.
pub(crate) fn list(options: &Options) -> doctor::Listed {
    supervise::list(&options.program, &Job::List { backend: options.backend }, LIST_DEADLINE)
}

/// Runs a plan on these devices and keeps no report.
pub(crate) fn run_on(
    options: &Options,
    devices: Vec<report::DeviceInfo>,
    clock: &dyn Clock,
    watch: &mut dyn Watch,
    interrupted: &AtomicBool,
) -> Result<Report, JournalError> {
    let facts = discover::collect(&discover::Root::machine());
    let journal = Journal::in_memory(begin(options, facts, devices));
    burn_in(options, journal, clock, watch, interrupted)
}

/// Runs the checks of all devices that the journal names.
fn burn_in(
    options: &Options,
    mut journal: Journal,
    clock: &dyn Clock,
    watch: &mut dyn Watch,
    interrupted: &AtomicBool,
) -> Result<Report, JournalError> {
    let report = journal.report();
    let host_available = report.node.memory.as_ref().and_then(|memory| memory.available_bytes);
    let burns = report.devices.iter().map(|device| Burn {
        backend: options.backend,
        device: device.id.clone(),
        plan: report.plan.clone(),
        host_available,
        fault: options.fault,
    });
    let sampler = Sampler::start(&options.program, &report.devices, telemetry::PATIENCE);
    if let Some(why) = sampler.silence() {
        watch.note(&format!("telemetry: none, {why}"));
    }
    let root = discover::Root::machine();
    let before = counters::read(&root, &report.devices, &report.node);
    let crew = Crew::start(&options.program, burns.collect(), clock).with_sampler(sampler);
    let done = crew.work(clock, watch, interrupted, &mut journal)?;
    let after = counters::read(&root, &journal.report().devices, &journal.report().node);
    journal.count(counters::compare(before, &after));
    let completed = (done && !interrupted.load(Ordering::Relaxed)).then(Timestamp::now);
    journal.close(completed)
}

fn begin(options: &Options, node: NodeFacts, devices: Vec<report::DeviceInfo>) -> Report {
    let planned =
        options.plan.expand(&devices).map(|(check, subject)| Planned { check: check.id.clone(), subject });
    let planned = planned.collect();
    Report {
        schema: SCHEMA.to_owned(),
        run_id: run_id(),
        tool: Tool { version: env!("CARGO_PKG_VERSION").to_owned(), kernels_digest: kernels_digest() },
        origin: options.fault.map_or(Origin::Measured, |fault| Origin::Planted(fault.to_string())),
        started_at: Timestamp::now(),
        completed_at: None,
        // The journal judges at every flush; until then nothing is known.
        verdict: VerdictRecord { verdict: Verdict::Unknown, findings: Vec::new() },
        plan: options.plan.clone(),
        plan_digest: options.plan.digest(),
        devices,
        planned,
        results: Vec::new(),
        counters: Vec::new(),
        node,
    }
}

/// Random, so that two runs never share one.
fn run_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Without a source of randomness the time must do; a run id names, it protects nothing.
        bytes = Timestamp::now().as_nanosecond().to_le_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 over the names, SPIR-V and WGSL of all kernels.
pub fn kernels_digest() -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for kernel in kernels::all() {
        for part in [kernel.name.as_bytes(), kernel.spirv, kernel.wgsl.unwrap_or_default().as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
