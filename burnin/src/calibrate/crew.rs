//! A calibration in worker processes: one checker with one class at a time, several at once.
//!
//! A calibration drives a driver for an hour with work that is wrong on purpose. Where the driver takes its process with
//! it, one cell is done again, not the hour; every such end stands in the document.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use report::{Backend, DeviceId, DeviceInfo};
use serde::{Deserialize, Serialize};

use super::checkers;
use super::class::Class;
use super::document::{Calibration, Death, Skipped};
use super::inject::Injector;
use super::matrix::{Bench, Counts, Extent};
use super::{Options, planned, summary};
use crate::clock::{Clock, MonotonicClock};
use crate::device;
use crate::worker::supervise::{Said, SuperviseError, Worker, describe};
use crate::worker::{Event, Job};

/// How long a worker may say nothing: far longer than the longest round.
const SILENCE: Duration = Duration::from_secs(120);
/// How long the end of a worker is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a part is tried.
const TRIES: u32 = 3;

/// What one worker does: a checker with a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Through what.
    pub backend: Backend,
    /// On which device.
    pub device: DeviceId,
    /// Name of the checker.
    pub checker: String,
    /// Faults of which class; none: how fast the checker is.
    pub class: Option<Class>,
    /// Injections.
    pub injections: u32,
    /// Rounds without a fault.
    pub clean_rounds: u64,
}

impl Part {
    fn of(options: &Options, target: &DeviceInfo) -> Vec<Self> {
        let able = options.checkers.iter().filter(|checker| checker.lacks(target).is_none());
        let classes = || options.classes.iter().copied().map(Some).chain([None]);
        let mut parts: Vec<_> = able
            .flat_map(|checker| classes().map(move |class| (checker.name().to_owned(), class)))
            .map(|(checker, class)| Self {
                backend: target.backend,
                device: target.id.clone(),
                checker,
                class,
                injections: options.injections,
                clean_rounds: 0,
            })
            .collect();
        let each = options.clean_rounds.div_ceil(parts.len().max(1) as u64);
        parts.iter_mut().for_each(|part| part.clean_rounds = each);
        parts
    }

    fn name(&self) -> String {
        self.class
            .map_or_else(|| format!("{} clean", self.checker), |class| format!("{} {class}", self.checker))
    }

    /// Does it, in this process; an error is for people. `alive` is called again and again.
    pub(crate) fn work(&self, alive: &mut dyn FnMut()) -> Result<Counts, String> {
        let all = checkers::all();
        let checker = all.iter().find(|checker| checker.name() == self.checker);
        let checker = *checker.ok_or_else(|| format!("there is no checker `{}`", self.checker))?;
        let (clock, planned) = (MonotonicClock::start(), planned());
        let device = device::open(self.backend, &self.device).map_err(|error| error.to_string())?;
        let mut bench = Bench { device: Injector::new(device), clock: &clock, planned: &planned };
        let classes: Vec<_> = self.class.into_iter().collect();
        let extent = Extent {
            classes: &classes,
            injections: self.injections,
            clean_rounds: self.clean_rounds,
            speed: self.class.is_none(),
        };
        let mut counts = Counts::default();
        bench
            .calibrate(checker, extent, &mut counts, &mut |_, _| alive())
            .map_err(|error| error.to_string())?;
        Ok(counts)
    }
}

/// Why a calibration has no end.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// A worker could not be had.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// The device refused.
    #[error("{0}: {1}")]
    Device(String, String),
    /// The workers of one part ended again and again.
    #[error("{part}: {TRIES} workers ended without an answer, the last with {how}")]
    Died {
        /// Of which.
        part: String,
        /// How the last one ended.
        how: String,
    },
}

/// A worker and what it does.
struct Busy {
    worker: Worker,
    part: usize,
    heard: Duration,
}

/// The workers of a calibration.
struct Crew<'a> {
    program: &'a PathBuf,
    parts: &'a [Part],
    sink: Sender<(usize, Said)>,
    /// By the number of their start.
    busy: BTreeMap<usize, Busy>,
    started: usize,
    waiting: VecDeque<usize>,
    done: Vec<Option<Counts>>,
    deaths: Vec<(usize, String)>,
}

/// Calibrates on this device, by so many workers at once.
pub fn run(
    program: &PathBuf,
    options: &Options,
    target: &DeviceInfo,
    jobs: usize,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Calibration, CrewError> {
    let clock = MonotonicClock::start();
    let start = clock.now();
    let mut calibration = summary(options, target.clone());
    let parts = Part::of(options, target);
    let (sink, events) = channel();
    let mut crew = Crew {
        program,
        parts: &parts,
        sink,
        busy: BTreeMap::new(),
        started: 0,
        waiting: (0..parts.len()).collect(),
        done: vec![None; parts.len()],
        deaths: Vec::new(),
    };
    loop {
        while crew.busy.len() < jobs.max(1)
            && let Some(part) = crew.waiting.pop_front()
        {
            let done = crew.done.iter().flatten().count();
            #[expect(clippy::cast_precision_loss, reason = "a share of a display")]
            progress(&parts[part].name(), done as f64 / parts.len() as f64);
            crew.start(part, clock.now())?;
        }
        if crew.busy.is_empty() {
            break;
        }
        match events.recv_timeout(Duration::from_secs(1)) {
            Ok((number, said)) => crew.hear(number, said, clock.now())?,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                crew.lose_patience(clock.now())?
            }
        }
    }
    let Crew { done, deaths, .. } = crew;
    let mut counts = Counts::default();
    done.into_iter().flatten().for_each(|part| counts.merge(part));
    counts.skipped.extend(options.checkers.iter().filter_map(|checker| {
        let reason = checker.lacks(target)?;
        Some(Skipped { checker: checker.name().to_owned(), reason })
    }));
    calibration.take(counts);
    calibration.deaths =
        deaths.into_iter().map(|(part, how)| Death { part: parts[part].name(), how }).collect();
    calibration.took_s = (clock.now() - start).as_secs_f64();
    Ok(calibration)
}

impl Crew<'_> {
    fn start(&mut self, part: usize, now: Duration) -> Result<(), SuperviseError> {
        let job = Job::Calibrate(self.parts[part].clone());
        let worker = Worker::start(self.program, &job, self.started, self.sink.clone())?;
        self.busy.insert(self.started, Busy { worker, part, heard: now });
        self.started += 1;
        Ok(())
    }

    fn hear(&mut self, number: usize, said: Said, now: Duration) -> Result<(), CrewError> {
        let Some(busy) = self.busy.get_mut(&number) else { return Ok(()) };
        let part = busy.part;
        busy.heard = now;
        match said {
            Said::Event(Event::Calibrated(Ok(counts))) => {
                self.done[part] = Some(*counts);
                self.busy.remove(&number);
                Ok(())
            }
            Said::Event(Event::Calibrated(Err(error))) => {
                Err(CrewError::Device(self.parts[part].name(), error))
            }
            Said::Event(_) => Ok(()),
            Said::Closed => {
                let how = describe(busy.worker.wait(PATIENCE));
                self.ended(number, how)
            }
        }
    }

    /// Ends workers that have said nothing for too long.
    fn lose_patience(&mut self, now: Duration) -> Result<(), CrewError> {
        let silent = self.busy.iter().find(|(_, busy)| now - busy.heard > SILENCE);
        let Some(number) = silent.map(|(number, _)| *number) else { return Ok(()) };
        self.ended(number, format!("no word for {} s", SILENCE.as_secs()))
    }

    /// A worker is gone without an answer: its part is tried again.
    fn ended(&mut self, number: usize, how: String) -> Result<(), CrewError> {
        let Some(Busy { part, .. }) = self.busy.remove(&number) else { return Ok(()) };
        let before = self.deaths.iter().filter(|(dead, _)| *dead == part).count();
        if before + 1 >= TRIES as usize {
            return Err(CrewError::Died { part: self.parts[part].name(), how });
        }
        self.deaths.push((part, how));
        self.waiting.push_back(part);
        Ok(())
    }
}
