//! A bound on what TLS handshakes may cost. Anybody who reaches the port can ask for one, and it is the most expensive thing
//! that a stranger can ask for; so those of strangers have a share of the processors, and what does not fit is closed before
//! any of it was computed. Nodes that are nearly done always have time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Bounds on handshakes.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeLimits {
    /// Processor seconds a second that they may take, all together.
    pub processors: f64,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of processors")]
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
        Self { processors: 0.5 * processors }
    }
}

/// Processor time that can be saved up, in seconds at the full share.
const SAVED_MAX_S: f64 = 0.5;
/// There is no time for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoTime;

/// The share and what is left of it.
#[derive(Debug)]
pub(super) struct Handshakes {
    limits: HandshakeLimits,
    budget: Mutex<Budget>,
}

/// Processor time, filled up by time; a handshake that is in work may overdraw it.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left_s: f64,
    at: Instant,
}

impl Handshakes {
    pub(super) fn new(limits: HandshakeLimits) -> Self {
        let budget = Budget { left_s: SAVED_MAX_S * limits.processors, at: Instant::now() };
        Self { limits, budget: Mutex::new(budget) }
    }

    /// Does a handshake if there is time for it.
    pub(super) async fn run<T>(
        &self,
        finishing: bool,
        handshake: impl Future<Output = T>,
    ) -> Result<T, NoTime> {
        if !finishing && !self.has_time() {
            return Err(NoTime);
        }
        let mut handshake = pin!(handshake);
        let outcome = poll_fn(|context| {
            let begun = Instant::now();
            let polled = handshake.as_mut().poll(context);
            self.spend(begun.elapsed());
            polled
        });
        Ok(outcome.await)
    }

    fn has_time(&self) -> bool {
        self.budget_at(Instant::now()).left_s > 0.0
    }

    fn spend(&self, time: Duration) {
        self.budget_at(Instant::now()).left_s -= time.as_secs_f64();
    }

    /// Filled up to now.
    fn budget_at(&self, now: Instant) -> MutexGuard<'_, Budget> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(budget.at).as_secs_f64();
        let share = self.limits.processors;
        // Never deeper in debt than it could be in credit: a clock that jumps must not close the port for long.
        let most = SAVED_MAX_S * share;
        budget.left_s = (budget.left_s + passed * share).clamp(-most, most);
        budget.at = now.max(budget.at);
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshakes(processors: f64) -> Handshakes {
        Handshakes::new(HandshakeLimits { processors })
    }

    #[tokio::test]
    async fn without_time_strangers_are_closed_and_nodes_that_are_nearly_done_are_not() {
        let handshakes = handshakes(1e-6);
        assert_eq!(handshakes.run(false, async { 7 }).await, Ok(7));
        handshakes.spend(Duration::from_secs(1));
        assert_eq!(handshakes.run(false, async { 7 }).await, Err(NoTime));
        assert_eq!(handshakes.run(true, async { 7 }).await, Ok(7));
    }

    #[test]
    fn time_comes_back_at_the_share_and_no_debt_lasts() {
        let handshakes = handshakes(0.5);
        let now = Instant::now();
        let left_s = |after_s: f64| handshakes.budget_at(now + Duration::from_secs_f64(after_s)).left_s;
        handshakes.spend(Duration::from_secs(1000));
        let debt = left_s(0.0);
        assert!((debt + 0.25).abs() < 0.01, "{debt}");
        let (later, full) = (left_s(0.2), left_s(100.0));
        assert!((later - debt - 0.1).abs() < 0.01, "{later}");
        assert!((full - 0.25).abs() < 1e-9, "{full}");
    }
}
