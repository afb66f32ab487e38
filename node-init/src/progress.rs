//! How far the boot is: shared by what works, what watches over it, and what speaks when it dies.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::phase::Phase;
use crate::power::Power;
use crate::register;
use crate::system::System;

/// How long a phase may take that names no time of its own.
pub const PHASE_MAX: Duration = Duration::from_secs(300);

/// The state of a boot.
#[derive(Debug)]
pub struct Progress {
    system: Arc<dyn System>,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// Since the kernel's start; after it, nothing has happened for too long.
    deadline: Option<Duration>,
    on_failure: Power,
    /// What was reached, and when since the kernel's start.
    reached: Vec<(&'static str, Duration)>,
}

impl Progress {
    /// At the start of init.
    pub fn begin(system: Arc<dyn System>) -> Self {
        let now = Now { phase: Phase::Mount, deadline: None, on_failure: Power::Hold, reached: Vec::new() };
        let this = Self { system, now: Mutex::new(now) };
        this.reach("init");
        this
    }

    /// Whoever died with the lock: what it guards is whole after every statement.
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clock(&self) -> Duration {
        self.system.since_boot().unwrap_or_default()
    }

    /// A phase begins; the next word comes `within` a time.
    pub fn enter(&self, phase: Phase, within: Duration) {
        let clock = self.clock();
        let mut now = self.now();
        now.phase = phase;
        now.deadline = Some(clock + within);
        now.reached.push((phase.name(), clock));
    }

    /// From now on nothing needs to happen.
    pub fn rest(&self) {
        self.now().deadline = None;
    }

    fn reach(&self, milestone: &'static str) {
        let clock = self.clock();
        self.now().reached.push((milestone, clock));
    }

    /// What to do if this fails.
    pub fn set_policy(&self, on_failure: Power) {
        self.now().on_failure = on_failure;
    }

    /// See [`Progress::set_policy`].
    pub fn policy(&self) -> Power {
        self.now().on_failure
    }

    /// The phase that runs.
    pub fn phase(&self) -> Phase {
        self.now().phase
    }

    /// By how much the deadline has passed; `None` while it has not.
    pub fn overdue(&self) -> Option<Duration> {
        let clock = self.clock();
        self.now().deadline.and_then(|deadline| clock.checked_sub(deadline))
    }

    /// What was reached, each with its time since the kernel's start.
    pub fn reached(&self) -> Vec<(&'static str, Duration)> {
        self.now().reached.clone()
    }

    /// The same on one line, in seconds.
    pub fn table(&self) -> String {
        let mut text = String::from("times since kernel start");
        for (name, time) in self.reached() {
            // Writing to a String cannot fail.
            let _ = write!(text, " {name} {:.2} s,", time.as_secs_f64());
        }
        text.trim_end_matches(',').to_owned()
    }
}

impl register::Progress for Progress {
    fn reached(&self, milestone: &'static str) {
        self.reach(milestone);
    }

    fn expect_within(&self, time: Duration) {
        let clock = self.clock();
        self.now().deadline = Some(clock + time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::Progress as _;
    use crate::system::recorder::Recorder;

    #[test]
    fn a_deadline_passes_unless_something_happens() {
        // Its clock moves by a millisecond with each call.
        let progress = Progress::begin(Arc::new(Recorder::machine()));
        assert_eq!(progress.overdue(), None);
        progress.enter(Phase::Modules, Duration::from_millis(2));
        assert_eq!(progress.overdue(), None);
        progress.expect_within(Duration::from_millis(3));
        assert_eq!((progress.overdue(), progress.overdue()), (None, None));
        assert!(progress.overdue().is_some());
        progress.rest();
        assert_eq!((progress.overdue(), progress.phase()), (None, Phase::Modules));
        assert_eq!(progress.table(), "times since kernel start init 0.00 s, modules 0.00 s");
    }
}
