//! Who is served when not all can be: a bound on the requests in work, with room kept for nodes that are nearly done, and a
//! wait for everybody else that grows while too many come and shrinks when they stop.
//!
//! Pure: time is told, so that the very rule of the server runs in simulated time too ([`crate::simulate::outage`]).

use std::time::Duration;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A node that was let in hands in its report: all of its burn-in would be for nothing.
    Finishing,
    /// A node wants in, or somebody asks: it can come again.
    New,
}

/// How much is served at once.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionLimits {
    /// Requests in work.
    pub in_work: usize,
    /// Those of them that only [`Class::Finishing`] can have.
    pub kept_for_finishing: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self { in_work: 256, kept_for_finishing: 64 }
    }
}

/// Shortest and longest wait that is asked for, in seconds.
pub const RETRY_AFTER_MIN_S: u32 = 2;
/// See [`RETRY_AFTER_MIN_S`].
pub const RETRY_AFTER_MAX_S: u32 = 64;
/// How often the wait is set anew.
const WINDOW: Duration = Duration::from_secs(1);

/// Too much is in work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it may be tried again.
    pub retry_after_s: u32,
}

/// The rule and its state.
#[derive(Clone, Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    in_work: usize,
    retry_after_s: u32,
    window: Duration,
    admitted: u32,
    refused: u32,
}

impl Admission {
    /// With nothing in work.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            in_work: 0,
            retry_after_s: RETRY_AFTER_MIN_S,
            window: Duration::ZERO,
            admitted: 0,
            refused: 0,
        }
    }

    /// Takes a request into work, or says when to come again. `now` counts from any fixed moment.
    pub fn enter(&mut self, class: Class, now: Duration) -> Result<(), Refused> {
        self.turn_window(now);
        let kept = match class {
            Class::Finishing => 0,
            Class::New => self.limits.kept_for_finishing,
        };
        if self.in_work + kept >= self.limits.in_work {
            return Err(self.refuse(now));
        }
        self.in_work += 1;
        self.admitted = self.admitted.saturating_add(1);
        Ok(())
    }

    /// Counts a refusal that another bound made (a connection that was not taken, a full queue), and says when to come
    /// again.
    pub fn refuse(&mut self, now: Duration) -> Refused {
        self.turn_window(now);
        self.refused = self.refused.saturating_add(1);
        Refused { retry_after_s: self.retry_after_s }
    }

    /// A request is answered.
    pub fn leave(&mut self) {
        self.in_work = self.in_work.saturating_sub(1);
    }

    /// Requests in work.
    pub fn in_work(&self) -> usize {
        self.in_work
    }

    /// Twice the wait while more are refused than served: who is told to wait comes back, so that only a longer wait thins
    /// them out. Half of it after a time without a refusal.
    fn turn_window(&mut self, now: Duration) {
        let windows = now.saturating_sub(self.window).as_secs() / WINDOW.as_secs();
        if windows == 0 {
            return;
        }
        if self.refused > self.admitted {
            self.retry_after_s = (2 * self.retry_after_s).min(RETRY_AFTER_MAX_S);
        } else if self.refused == 0 {
            self.retry_after_s /= 2;
        }
        // Times in which nobody came at all are without refusals too.
        self.retry_after_s >>= u32::try_from(windows - 1).unwrap_or(u32::MAX).min(16);
        self.retry_after_s = self.retry_after_s.max(RETRY_AFTER_MIN_S);
        self.window += WINDOW * u32::try_from(windows).unwrap_or(u32::MAX);
        (self.admitted, self.refused) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(AdmissionLimits { in_work: 8, kept_for_finishing: 2 })
    }

    const START: Duration = Duration::from_secs(1000);

    #[test]
    fn who_is_nearly_done_finds_room_that_others_do_not() {
        let mut admission = admission();
        for _ in 0..6 {
            admission.enter(Class::New, START).unwrap();
        }
        assert!(admission.enter(Class::New, START).is_err());
        admission.enter(Class::Finishing, START).unwrap();
        admission.enter(Class::Finishing, START).unwrap();
        assert!(admission.enter(Class::Finishing, START).is_err());
        admission.leave();
        assert!(admission.enter(Class::New, START).is_err());
        admission.enter(Class::Finishing, START).unwrap();
        assert_eq!(admission.in_work(), 8);
    }

    #[test]
    fn the_wait_doubles_while_most_are_refused_and_goes_back_when_they_stop() {
        let mut admission = admission();
        let mut waits = Vec::new();
        let mut now = START;
        for _ in 0..7 {
            while admission.enter(Class::New, now).is_ok() {}
            (0..10).for_each(|_| waits.push(admission.refuse(now).retry_after_s));
            (0..6).for_each(|_| admission.leave());
            now += WINDOW;
        }
        waits.dedup();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64]);
        admission.enter(Class::New, now).unwrap();
        assert_eq!(admission.refuse(now + WINDOW).retry_after_s, 32);
        assert_eq!(admission.refuse(now + 60 * WINDOW).retry_after_s, RETRY_AFTER_MIN_S);
    }

    #[test]
    fn a_few_refusals_among_many_do_not_lengthen_the_wait() {
        let mut admission = admission();
        for second in 0..10 {
            let now = START + WINDOW * second;
            for _ in 0..20 {
                admission.enter(Class::New, now).unwrap();
                admission.leave();
            }
            assert_eq!(admission.refuse(now).retry_after_s, RETRY_AFTER_MIN_S);
        }
    }
}
