//! The worker's side: take a job, do it, say each result as soon as it is there.

use std::io::{BufRead, Write};

use report::judge::{ReasonCode, settle};
use report::plan::{Class, PlannedCheck, Scope};
use report::{Backend, Bytes, CheckId, CheckResult, DeviceId, Outcome, Quantity, Reason, Subject};

use super::{Again, Burn, Event, Job};
use crate::calibrate::mutants::trial;
use crate::catalogue;
use crate::chains::{Replayed, replay};
use crate::clock::{Clock, MonotonicClock};
use crate::device::faulty::{Fault, Faulty};
use crate::device::metered::Metered;
use crate::device::{self, Device, DeviceError};
use crate::session::Session;

/// Why a worker ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The job is not one.
    #[error("reading the job from standard input")]
    Job(#[source] serde_json::Error),
    /// Nobody listens any more.
    #[error("talking to the parent process")]
    Parent(#[source] std::io::Error),
}

/// Does the job that stands on `input`, and says what comes of it on `output`.
pub fn serve(input: &mut dyn BufRead, output: &mut dyn Write) -> Result<(), ServeError> {
    // A worker must not outlive its parent: nobody would keep its deadlines.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let mut line = String::new();
    input.read_line(&mut line).map_err(ServeError::Parent)?;
    match serde_json::from_str(&line).map_err(ServeError::Job)? {
        Job::List { backend } => {
            let listed = device::list(backend).map_err(|error| error.to_string());
            say(output, &Event::Listed(listed))
        }
        Job::Burn(burn) => run(&burn, output),
        Job::Replay(again) => say(output, &Event::Replayed(run_again(&again).map(Box::new))),
        Job::Mutants(trials) => {
            let tried = trial::run(&trials, &mut |tried| say(output, &Event::Mutant(tried)))?;
            if let Err(error) = tried {
                tracing::error!(%error, "no kernel could be tried");
            }
            Ok(())
        }
        Job::Calibrate(part) => {
            // Where nobody listens any more, the last word fails too.
            let counts = part.work(&mut || drop(say(output, &Event::Calibrating)));
            say(output, &Event::Calibrated(counts.map(Box::new)))
        }
    }
}

fn say(output: &mut dyn Write, event: &Event) -> Result<(), ServeError> {
    let mut line = serde_json::to_vec(event).map_err(ServeError::Job)?;
    line.push(b'\n');
    output.write_all(&line).and_then(|()| output.flush()).map_err(ServeError::Parent)
}

fn run(burn: &Burn, output: &mut dyn Write) -> Result<(), ServeError> {
    let clock = MonotonicClock::start();
    let mut planned = burn.plan.checks.iter().filter(|check| check.scope == Scope::Device);
    let mut device = match open(burn.backend, &burn.device, burn.fault) {
        Ok(device) => device,
        Err(error) => {
            // The first check says why; the parent marks the others as blocked.
            let Some(first) = planned.next() else { return Ok(()) };
            say(output, &Event::Started(first.id.clone()))?;
            let result = CheckResult::without_evidence(
                first.id.clone(),
                Subject::Device(burn.device.clone()),
                outcome_of(&error),
                Some(reason_of(&error)),
            );
            return say(output, &Event::Finished(Box::new(result)));
        }
    };
    for check in planned {
        say(output, &Event::Started(check.id.clone()))?;
        let before = device.fired();
        let (mut result, dead) = run_check(burn, check, device.seen(), &clock, output);
        if let (Some(fault), arrived @ 1..) = (burn.fault, device.fired() - before) {
            // A drill whose fault did not arrive proves nothing.
            result.notes.push(format!("drill: `{fault}` arrived, count {arrived}"));
        }
        say(output, &Event::Finished(Box::new(result)))?;
        if dead {
            break;
        }
    }
    Ok(())
}

/// Runs a tile again and again; an error is for people.
fn run_again(again: &Again) -> Result<Replayed, String> {
    let Again { tile, times, seconds, fault } = again;
    let recipe = catalogue::recipe(tile)?;
    let planned = PlannedCheck {
        id: CheckId::try_from(tile.check.as_str()).map_err(|error| error.to_string())?,
        scope: Scope::Device,
        required: false,
        class: Class::Correctness,
        exact: true,
        canary: false,
        deadline_s: 0,
        measure_s: *seconds,
        memory_fraction: Quantity::ZERO,
        memory_max_bytes: Bytes(0),
        floors: Vec::new(),
        limits: Vec::new(),
    };
    let clock = MonotonicClock::start();
    let mut device = open(tile.backend, &tile.device, *fault).map_err(|error| error.to_string())?;
    let mut progress = |_| ();
    let mut session = Session {
        device: device.seen(),
        clock: &clock,
        planned: &planned,
        host_available: None,
        progress: &mut progress,
    };
    replay(&mut session, recipe, tile, (*times, seconds.get())).map_err(|error| error.to_string())
}

/// A device as it is, or with a fault.
enum Driven {
    Plain(Box<dyn Device>),
    Drill(Faulty<Box<dyn Device>>),
}

impl Driven {
    fn seen(&mut self) -> &mut dyn Device {
        match self {
            Self::Plain(device) => device,
            Self::Drill(device) => device,
        }
    }

    fn fired(&self) -> u32 {
        match self {
            Self::Plain(_) => 0,
            Self::Drill(device) => device.fired(),
        }
    }
}

fn open(backend: Backend, id: &DeviceId, fault: Option<Fault>) -> Result<Driven, DeviceError> {
    if fault == Some(Fault::MissingDevice) {
        return Err(DeviceError::Missing { id: id.0.clone() });
    }
    let device = device::open(backend, id)?;
    Ok(match fault {
        Some(fault) => Driven::Drill(Faulty::new(device, fault)),
        None => Driven::Plain(device),
    })
}

/// One check, judged by its evidence; and whether the device is dead after it.
fn run_check(
    burn: &Burn,
    planned: &PlannedCheck,
    device: &mut dyn Device,
    clock: &dyn Clock,
    output: &mut dyn Write,
) -> (CheckResult, bool) {
    let start = clock.now();
    let planned = &burn.plan.check_on(&planned.id, Some(device.info())).unwrap_or_else(|| planned.clone());
    let subject = Subject::Device(burn.device.clone());
    let mut progress = |share: f64| {
        // A parent that is gone kills this process; a line that is lost is only a display.
        let _ = say(output, &Event::Progress(planned.id.clone(), share));
    };
    let mut metered = Metered::new(device, clock);
    let mut session = Session {
        device: &mut metered,
        clock,
        planned,
        host_available: burn.host_available,
        progress: &mut progress,
    };
    let done = match catalogue::find(planned.id.as_str()) {
        Some(check) => check.run_on(&mut session),
        None => {
            let detail = format!("this version has no check `{}`", planned.id);
            let reason = Some(ReasonCode::NotRun.because(detail));
            return (
                CheckResult::without_evidence(planned.id.clone(), subject, Outcome::NotRun, reason),
                false,
            );
        }
    };
    let dead = matches!(
        done,
        Err(DeviceError::TimedOut { .. } | DeviceError::Lost { .. } | DeviceError::Missing { .. })
    );
    let mut result = done.unwrap_or_else(|error| {
        CheckResult::without_evidence(
            planned.id.clone(),
            subject,
            outcome_of(&error),
            Some(reason_of(&error)),
        )
    });
    result.took_s = Quantity::new((clock.now() - start).as_secs_f64()).unwrap_or_default();
    result.device_s = Quantity::new(metered.worked().as_secs_f64()).ok();
    (result.outcome, result.reason) = settle(planned, &result);
    (result, dead)
}

/// A device that hangs, is lost or is gone is at fault; anything else says nothing about the device.
fn outcome_of(error: &DeviceError) -> Outcome {
    match error {
        DeviceError::TimedOut { .. } | DeviceError::Lost { .. } | DeviceError::Missing { .. } => {
            Outcome::Fail
        }
        DeviceError::OutOfMemory { .. } | DeviceError::Driver { .. } => Outcome::Error,
    }
}

fn reason_of(error: &DeviceError) -> Reason {
    let code = match error {
        DeviceError::TimedOut { .. } => ReasonCode::Hang,
        DeviceError::Lost { .. } => ReasonCode::Lost,
        DeviceError::Missing { .. } => ReasonCode::Missing,
        DeviceError::OutOfMemory { .. } | DeviceError::Driver { .. } => ReasonCode::DriverError,
    };
    code.because(error.to_string())
}
