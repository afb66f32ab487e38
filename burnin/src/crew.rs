//! All workers of a run at once, one a device, each with its deadlines.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use report::judge::{ReasonCode, settle_on_device};
use report::plan::{PlannedCheck, Scope};
use report::{CheckId, CheckResult, DeviceId, DeviceKind, Outcome, Quantity, Reason, Subject};

use crate::clock::Clock;
use crate::journal::{Journal, JournalError};
use crate::progress::Watch;
use crate::telemetry::Sampler;
use crate::worker::supervise::{Said, Worker, describe};
use crate::worker::{Burn, Event, Job};

/// How often deadlines and interruption are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a worker may take to end after its last word.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How long a worker may take to open its device, before its first check begins.
const OPEN_DEADLINE: Duration = Duration::from_secs(30);

/// The workers and what they say.
#[derive(Debug)]
pub struct Crew {
    members: Vec<Member>,
    sampler: Option<Sampler>,
    said: Receiver<(usize, Said)>,
}

/// One device's worker, and where it stands.
#[derive(Debug)]
struct Member {
    device: DeviceId,
    /// Checks that are not over, in order.
    open: Vec<PlannedCheck>,
    /// Absent when it is over.
    worker: Option<Worker>,
    /// When what it does now began.
    since: Duration,
    /// Has the first of `open` begun?
    started: bool,
    /// Did the last check that is over end in a way after which a worker gives its device up?
    broken: bool,
}

impl Crew {
    /// Starts a worker for each burn-in. One that does not start is a member without a worker.
    pub fn start(program: &PathBuf, burns: Vec<Burn>, clock: &dyn Clock) -> Self {
        let (sink, said) = channel();
        let members = burns.into_iter().enumerate().map(|(tag, burn)| {
            let open =
                burn.plan.checks.iter().filter(|check| check.scope == Scope::Device).cloned().collect();
            let device = burn.device.clone();
            let worker = Worker::start(program, &Job::Burn(burn), tag, sink.clone());
            let worker = worker.inspect_err(|error| tracing::error!(%error, %device, "no worker")).ok();
            Member { device, open, worker, since: clock.now(), started: false, broken: false }
        });
        Self { members: members.collect(), sampler: None, said }
    }

    /// With telemetry beside every check.
    pub fn with_sampler(self, sampler: Sampler) -> Self {
        Self { sampler: Some(sampler), ..self }
    }

    /// Listens until every worker is over; results go to journal and watch. `false` if it was interrupted.
    pub fn work(
        mut self,
        clock: &dyn Clock,
        watch: &mut dyn Watch,
        interrupted: &AtomicBool,
        journal: &mut Journal,
    ) -> Result<bool, JournalError> {
        let mut desk = Desk { watch, journal, sampler: self.sampler.take() };
        for member in self.members.iter_mut().filter(|member| member.worker.is_none()) {
            let reason = ReasonCode::WorkerCrashed.because("the worker process could not be started");
            member.give_up(Outcome::Error, reason, clock, &mut desk)?;
        }
        while self.members.iter().any(|member| member.worker.is_some()) {
            if interrupted.load(Ordering::Relaxed) {
                // All at once, then one after the other: a worker that does not end must not keep the others alive.
                self.members
                    .iter_mut()
                    .filter_map(|member| member.worker.as_mut())
                    .for_each(Worker::send_kill);
                for member in &mut self.members {
                    member.stop(clock, &mut desk)?;
                }
                return Ok(false);
            }
            match self.said.recv_timeout(TICK) {
                Ok((tag, said)) => self.members[tag].hear(said, clock, &mut desk)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for member in &mut self.members {
                member.keep_deadline(clock, &mut desk)?;
            }
            desk.keep_sampler(clock);
        }
        Ok(true)
    }
}

/// Where results go.
struct Desk<'a> {
    watch: &'a mut dyn Watch,
    journal: &'a mut Journal,
    sampler: Option<Sampler>,
}

impl Desk<'_> {
    fn keep_sampler(&mut self, clock: &dyn Clock) {
        if let Some(why) = self.sampler.as_mut().and_then(|sampler| sampler.keep(clock.now())) {
            self.watch.note(&format!("telemetry: {why}"));
        }
    }

    /// Puts beside a result of a GPU what the sampler heard since its check began. What a worker says about it does not
    /// count: it drives the device, and may be as broken.
    fn add_telemetry(&mut self, device: &DeviceId, result: &mut CheckResult) {
        result.telemetry = None;
        let Some(sampler) = &mut self.sampler else { return };
        let software = |info: &report::DeviceInfo| info.id == *device && info.kind == DeviceKind::Cpu;
        match sampler.take(device) {
            Ok(telemetry) => result.telemetry = Some(telemetry),
            Err(_) if self.journal.report().devices.iter().any(software) => {}
            Err(why) => result.notes.push(format!("no telemetry: {why}")),
        }
    }

    /// Files a result as far as its evidence carries it: a worker that drives a broken device may say anything.
    fn file(&mut self, mut result: CheckResult) -> Result<(), JournalError> {
        let report = self.journal.report();
        let device = report.devices.iter().find(|d| Subject::Device(d.id.clone()) == result.subject);
        if let Some(planned) = report.plan.check_on(&result.check, device) {
            (result.outcome, result.reason) = settle_on_device(device, &planned, &result);
        }
        self.watch.finished(&result);
        self.journal.record(result)
    }
}

fn seconds(time: Duration) -> Option<Quantity> {
    Quantity::new(time.as_secs_f64()).ok()
}

impl Member {
    /// Is this the check that is under way, or the next if none is?
    fn is_first(&self, check: &CheckId) -> bool {
        self.open.first().is_some_and(|open| open.id == *check)
    }

    /// Checks begin and end one after the other, on the worker's own device. What does not fit is not heard: it would
    /// overwrite another device's result, or put a deadline off.
    fn hear(&mut self, said: Said, clock: &dyn Clock, desk: &mut Desk<'_>) -> Result<(), JournalError> {
        if self.worker.is_none() {
            // Words of a worker that was killed meanwhile.
            return Ok(());
        }
        match said {
            Said::Event(Event::Started(check)) if !self.started && self.is_first(&check) => {
                self.since = clock.now();
                self.started = true;
                desk.watch.started(&self.device, &check);
                if let Some(sampler) = &mut desk.sampler {
                    sampler.begin(&self.device);
                }
                Ok(())
            }
            Said::Event(Event::Progress(check, share)) if self.started && self.is_first(&check) => {
                desk.watch.progress(&self.device, &check, share);
                Ok(())
            }
            Said::Event(Event::Finished(mut result))
                if self.started
                    && self.is_first(&result.check)
                    && result.subject == Subject::Device(self.device.clone()) =>
            {
                result.began_s = seconds(self.since);
                self.since = clock.now();
                self.started = false;
                self.broken = matches!(result.outcome, Outcome::Fail | Outcome::Error);
                self.open.remove(0);
                desk.add_telemetry(&self.device, &mut result);
                desk.file(*result)
            }
            Said::Event(_) => {
                tracing::warn!(device = %self.device, "the worker says what it was not asked for");
                Ok(())
            }
            Said::Closed => self.closed(clock, desk),
        }
    }

    /// The worker said its last word: all is done, or a device was given up, or the worker died.
    fn closed(&mut self, clock: &dyn Clock, desk: &mut Desk<'_>) -> Result<(), JournalError> {
        // It said its last word before it is over: closing a driver takes a while.
        let status =
            self.worker.take().and_then(|mut worker| worker.wait(END_PATIENCE).or_else(|| worker.kill()));
        if self.open.is_empty() {
            return Ok(());
        }
        if self.broken && status.is_some_and(|status| status.success()) {
            let reason = ReasonCode::Blocked.because("the device was given up after the check before");
            return self.block(&reason, desk);
        }
        let during = if self.started { "during this check" } else { "before this check began" };
        let detail = format!("the worker process ended {during}: {}", describe(status));
        self.give_up(Outcome::Error, ReasonCode::WorkerCrashed.because(detail), clock, desk)
    }

    fn keep_deadline(&mut self, clock: &dyn Clock, desk: &mut Desk<'_>) -> Result<(), JournalError> {
        let limit = match self.open.first() {
            Some(check) if self.started => Duration::from_secs(u64::from(check.deadline_s)),
            _ => OPEN_DEADLINE,
        };
        if self.worker.is_none() || clock.now() - self.since <= limit {
            return Ok(());
        }
        let killed = self.worker.take().and_then(|mut worker| worker.kill());
        let (code, end) = match killed {
            Some(_) => (ReasonCode::Hang, "its worker was killed"),
            None => (ReasonCode::WorkerUnkillable, "its worker cannot be killed"),
        };
        let doing = if self.started { "the check was not over" } else { "the check did not begin" };
        let reason = code.because(format!("{doing} after {} s; {end}", limit.as_secs()));
        self.give_up(Outcome::Fail, reason, clock, desk)
    }

    /// Interrupted: what is under way and what is left are `not_run`.
    fn stop(&mut self, clock: &dyn Clock, desk: &mut Desk<'_>) -> Result<(), JournalError> {
        if let Some(mut worker) = self.worker.take() {
            worker.kill();
        }
        let reason = ReasonCode::Interrupted.because("the burn-in was interrupted");
        if self.open.is_empty() {
            return Ok(());
        }
        self.give_up(Outcome::NotRun, reason.clone(), clock, desk)
    }

    /// The first open check ends so; those after it are blocked.
    fn give_up(
        &mut self,
        outcome: Outcome,
        reason: Reason,
        clock: &dyn Clock,
        desk: &mut Desk<'_>,
    ) -> Result<(), JournalError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let check = self.open.remove(0);
        let subject = Subject::Device(self.device.clone());
        let rest = ReasonCode::Blocked.because(format!("`{}` ended with {}", check.id, reason.code));
        let mut result = CheckResult::without_evidence(check.id, subject, outcome, Some(reason));
        result.took_s = Quantity::new((clock.now() - self.since).as_secs_f64()).unwrap_or_default();
        if self.started {
            result.began_s = seconds(self.since);
            // What a device was doing when it hung.
            desk.add_telemetry(&self.device, &mut result);
        }
        desk.file(result)?;
        self.block(&rest, desk)
    }

    fn block(&mut self, reason: &Reason, desk: &mut Desk<'_>) -> Result<(), JournalError> {
        for check in self.open.drain(..) {
            let subject = Subject::Device(self.device.clone());
            desk.file(CheckResult::without_evidence(
                check.id,
                subject,
                Outcome::NotRun,
                Some(reason.clone()),
            ))?;
        }
        Ok(())
    }
}
