//! The pipeline of a bench: list, choose devices, make the plan, run it as any other, and read the figures off its report.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use report::bench::{Bench, PlanBenchError, plan};
use report::plan::PlanError;
use report::{Backend, CheckId, DeviceId, DeviceInfo, DeviceKind, Plan, Quantity};

use crate::check::doctor;
use crate::clock::Clock;
use crate::device::faulty::Fault;
use crate::journal::JournalError;
use crate::progress::Watch;
use crate::run::{self, Options};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Through what devices are driven.
    pub backend: Backend,
    /// Which devices; none named are those that a burn-in would choose.
    pub devices: Vec<DeviceId>,
    /// Which checks; none named are those about speed.
    pub only: Vec<CheckId>,
    /// How long each measures; absent: as long as in a burn-in.
    pub seconds: Option<Quantity>,
    /// A fault to plant: a drill.
    pub fault: Option<Fault>,
    /// The program to start as worker: this one.
    pub program: PathBuf,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The devices cannot be listed.
    #[error("listing devices: {0}")]
    List(String),
    /// There is nothing to measure.
    #[error(
        "no device shows: install a driver (Debian: mesa-vulkan-drivers for a software device), see `burnin list`"
    )]
    NoDevice,
    /// A device was named that is not there.
    #[error("there is no device `{id}`: there are {known}")]
    UnknownDevice {
        /// The name.
        id: DeviceId,
        /// The names there are.
        known: String,
    },
    /// A check was named that is not there.
    #[error(transparent)]
    UnknownCheck(#[from] PlanBenchError),
    /// A plan that is built in cannot be had.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The journal, which is not kept, failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Measures, and gives the figures.
pub fn bench(
    wanted: &Wanted,
    clock: &dyn Clock,
    watch: &mut dyn Watch,
    interrupted: &AtomicBool,
) -> Result<Bench, BenchError> {
    let mut options = Options {
        plan: Plan::built_in(FOR_GPUS)?,
        backend: wanted.backend,
        out: PathBuf::new(),
        fault: wanted.fault,
        program: wanted.program.clone(),
    };
    let listed = run::list(&options);
    let devices = choose(&options.plan, &listed, &wanted.devices)?;
    if devices.is_empty() {
        return Err(BenchError::NoDevice);
    }
    let software = devices.iter().all(|device| device.kind == DeviceKind::Cpu);
    let base = Plan::built_in(if software { FOR_SOFTWARE } else { FOR_GPUS })?;
    options.plan = plan(&base, &devices, &wanted.only, wanted.seconds)?;
    let report = run::run_on(&options, devices, clock, watch, interrupted)?;
    Ok(Bench::of(&report))
}

/// The plans of which a bench is made.
const FOR_GPUS: &str = "quick";
const FOR_SOFTWARE: &str = "quick-software";

fn choose(plan: &Plan, listed: &doctor::Listed, ids: &[DeviceId]) -> Result<Vec<DeviceInfo>, BenchError> {
    let all = listed.as_ref().map_err(|message| BenchError::List(message.clone()))?;
    if all.is_empty() {
        return Err(BenchError::NoDevice);
    }
    if let Some(id) = ids.iter().find(|id| !all.iter().any(|device| device.id == **id)) {
        let known = all.iter().map(|device| format!("`{}`", device.id)).collect::<Vec<_>>().join(", ");
        return Err(BenchError::UnknownDevice { id: id.clone(), known });
    }
    Ok(match ids {
        [] => doctor::select(plan, listed),
        ids => all.iter().filter(|device| ids.contains(&device.id)).cloned().collect(),
    })
}
