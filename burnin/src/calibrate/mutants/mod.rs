//! Mutants: kernels that compute something else, to see that the checker of the unit notices.
//!
//! Every small change of the SPIR-V ([`mutate`]) runs on the device, in a worker process, since a wrong kernel may hang or
//! crash the driver: that counts as noticed, told apart. A mutant that no round and no canary notices is *equivalent* if the
//! change is in code that only a planted fault runs ([`hook`]), else it has *survived*: a hole in the checker.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use kernels::Kernel;
use report::{Backend, DeviceId};
use serde::{Deserialize, Serialize};

use super::document::{Fate, Mutant, Mutants};
use crate::worker::supervise::{Said, SuperviseError, Worker, describe};
use crate::worker::{Event, Job};

pub mod hook;
mod clobber;
pub mod mutate;
pub mod spirv;
pub mod trial;

/// How long a mutant may take.
pub const MUTANT_DEADLINE_MS: u32 = 8000;
/// How long a worker may take to open its device.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// What a worker is to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trials {
    /// Through what.
    pub backend: Backend,
    /// On which device.
    pub device: DeviceId,
    /// Mutants of which kernel.
    pub kernel: String,
    /// From which on.
    pub from: u32,
    /// Every how-manieth.
    pub step: u32,
    /// How long one may take; kept from outside.
    pub deadline_ms: u32,
}

/// What a worker says about a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// This one comes next.
    Trying(u32),
    /// What became of it.
    Fate(u32, Fate),
}

/// How many mutants of a kernel there are.
pub fn changes(kernel: &Kernel) -> Vec<String> {
    let module = spirv::Module::parse(kernel.spirv);
    let all = module.map(|module| mutate::all(&module)).unwrap_or_default();
    all.into_iter().map(|mutation| mutation.change).collect()
}

/// Tries every `step`th mutant of a kernel.
pub fn run(
    program: &PathBuf,
    trials: &Trials,
    kernel: &Kernel,
    progress: &mut dyn FnMut(&str, f64),
    mutants: &mut Mutants,
) -> Result<(), SuperviseError> {
    let changes = changes(kernel);
    let end = u32::try_from(changes.len()).unwrap_or(u32::MAX);
    let mut fates = BTreeMap::new();
    let mut next = trials.from;
    while next < end {
        let trials = Trials { from: next, ..trials.clone() };
        next = listen(program, &trials, &mut fates, &mut |number| {
            progress(&format!("mutants of {}", trials.kernel), f64::from(number) / f64::from(end));
        })?;
    }
    mutants.tried.extend(fates.into_iter().map(|(number, fate)| Mutant {
        kernel: kernel.name.to_owned(),
        number,
        change: changes[number as usize].clone(),
        fate,
    }));
    Ok(())
}

/// One worker, until it is done, dies or hangs; the number of the mutant to go on with.
fn listen(
    program: &PathBuf,
    trials: &Trials,
    fates: &mut BTreeMap<u32, Fate>,
    progress: &mut dyn FnMut(u32),
) -> Result<u32, SuperviseError> {
    let (sink, events) = channel();
    let mut worker = Worker::start(program, &Job::Mutants(trials.clone()), 0, sink)?;
    let (mut trying, mut next) = (None, trials.from);
    loop {
        let deadline = match trying {
            Some(_) => Duration::from_millis(u64::from(trials.deadline_ms)),
            None => START_DEADLINE,
        };
        let fate = match events.recv_timeout(deadline) {
            Ok((_, Said::Event(Event::Mutant(Tried::Trying(number))))) => {
                progress(number);
                trying = Some(number);
                continue;
            }
            Ok((_, Said::Event(Event::Mutant(Tried::Fate(number, fate))))) => {
                fates.insert(number, fate);
                trying = None;
                next = number + trials.step;
                continue;
            }
            Ok((_, Said::Event(_))) => continue,
            Err(RecvTimeoutError::Timeout) => {
                worker.kill();
                Fate::Hung
            }
            Ok((_, Said::Closed)) | Err(RecvTimeoutError::Disconnected) => {
                Fate::Crashed(describe(worker.wait(Duration::from_secs(5))))
            }
        };
        // It ended between two mutants: it is done, or its device was not sound any more.
        let Some(number) = trying else {
            let stuck = next == trials.from && matches!(fate, Fate::Hung | Fate::Crashed(_));
            let ended = SuperviseError::Ended(format!("before the first mutant of {}", trials.kernel));
            return if stuck { Err(ended) } else { Ok(next) };
        };
        fates.insert(number, fate);
        return Ok(number + trials.step);
    }
}
