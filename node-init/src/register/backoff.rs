//! Retrying with full jitter: each wait is drawn evenly between nothing and a ceiling that doubles up to a cap, so that ten
//! thousand nodes that lost the inventory at one moment do not come back at one moment.

use std::time::Duration;

use crate::clock::Clock;

/// Ceiling of the first wait.
pub const BASE: Duration = Duration::from_millis(500);
/// Highest ceiling.
pub const CAP: Duration = Duration::from_secs(300);
/// A server may ask for a longer wait than [`CAP`], up to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Where chance comes from.
pub trait Random {
    /// A duration drawn evenly between zero and `ceiling`.
    fn up_to(&mut self, ceiling: Duration) -> Duration;
}

/// Chance from the operating system.
#[derive(Debug)]
pub struct Entropy;

impl Random for Entropy {
    fn up_to(&mut self, ceiling: Duration) -> Duration {
        // Without entropy the whole ceiling: late, never a stampede. 53 bits are what an `f64` holds.
        let draw = getrandom::u64().unwrap_or(u64::MAX) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "exact up to 53 bits")]
        ceiling.mul_f64(draw as f64 / (1_u64 << 53) as f64)
    }
}

/// How long to wait before attempt `attempt` + 2, that is after `attempt` failures beside this one.
///
/// With a `retry_after` from the server the wait is never shorter than that (up to [`RETRY_AFTER_MAX`]); the jitter then
/// comes on top as far as [`CAP`] leaves room, and at least up to [`BASE`].
pub fn wait(attempt: u32, retry_after: Option<Duration>, random: &mut dyn Random) -> Duration {
    let doubled = BASE.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
    let floor = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    let room = CAP.saturating_sub(floor).max(BASE);
    floor + random.up_to(doubled.min(CAP).min(room))
}

/// What came of one attempt.
#[derive(Debug)]
pub enum Attempt<T, E> {
    /// It succeeded.
    Done(T),
    /// It failed, and would again.
    Refused(E),
    /// It failed, and may succeed later.
    Again {
        /// Why.
        cause: E,
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
}

/// How retrying ended without success.
#[derive(Debug, PartialEq)]
pub enum Ended<E> {
    /// No use to try again.
    Refused(E),
    /// The patience was at its end; the last cause.
    GaveUp(E),
}

/// Tries until it succeeds, is refused, or the patience is at its end.
pub struct Retry<'a> {
    /// The clock to wait by.
    pub clock: &'a dyn Clock,
    /// Where the jitter comes from.
    pub random: &'a mut dyn Random,
    /// How long to go on with one request; for ever if absent.
    pub patience: Option<Duration>,
}

impl std::fmt::Debug for Retry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retry").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Retry<'_> {
    /// Makes attempts; `waiting` is told before each wait why and how long.
    pub fn run<T, E>(
        &mut self,
        mut attempt: impl FnMut() -> Attempt<T, E>,
        mut waiting: impl FnMut(&E, Duration),
    ) -> Result<T, Ended<E>> {
        let started = self.clock.now();
        for failures in 0_u32.. {
            let (cause, after) = match attempt() {
                Attempt::Done(value) => return Ok(value),
                Attempt::Refused(cause) => return Err(Ended::Refused(cause)),
                Attempt::Again { cause, after } => (cause, after),
            };
            let mut wait = wait(failures, after, self.random);
            if let Some(patience) = self.patience {
                // One last attempt when the patience ends, unless the server asked not to come before.
                let left = (started + patience).saturating_sub(self.clock.now());
                if left.is_zero() || after.is_some_and(|after| after > left) {
                    return Err(Ended::GaveUp(cause));
                }
                wait = wait.min(left);
            }
            waiting(&cause, wait);
            self.clock.sleep(wait);
        }
        unreachable!("2^32 failures take longer than the age of any node")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use proptest::prelude::*;

    /// Draws the given share of every ceiling.
    struct Share(f64);

    impl Random for Share {
        fn up_to(&mut self, ceiling: Duration) -> Duration {
            ceiling.mul_f64(self.0)
        }
    }

    #[test]
    fn the_ceiling_doubles_from_half_a_second_to_five_minutes() {
        let seconds: Vec<_> = (0..12).map(|n| wait(n, None, &mut Share(1.0)).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]);
        assert_eq!(wait(u32::MAX, None, &mut Share(1.0)), CAP);
        assert_eq!(wait(7, None, &mut Share(0.0)), Duration::ZERO);
    }

    #[test]
    fn it_waits_and_tries_until_it_succeeds() {
        let (clock, mut left, mut waits) = (Manual::default(), 3, Vec::new());
        let mut retry = Retry { clock: &clock, random: &mut Share(1.0), patience: None };
        let attempt = || {
            left -= 1;
            if left == 0 { Attempt::Done("ack") } else { Attempt::Again { cause: left, after: None } }
        };
        assert_eq!(retry.run(attempt, |cause, wait| waits.push((*cause, wait.as_millis()))), Ok("ack"));
        assert_eq!(waits, [(2, 500), (1, 1000)]);
        assert_eq!(clock.now(), Duration::from_millis(1500));
    }

    #[test]
    fn patience_bounds_all_waits_together() {
        let clock = Manual::default();
        let patience = Some(Duration::from_secs(10));
        let mut retry = Retry { clock: &clock, random: &mut Share(1.0), patience };
        let attempt = || Attempt::<(), _>::Again { cause: "down", after: None };
        assert_eq!(retry.run(attempt, |_, _| {}), Err(Ended::GaveUp("down")));
        assert_eq!(clock.now(), Duration::from_secs(10), "0.5 + 1 + 2 + 4, and 2.5 of 8");
        let attempt = || Attempt::<(), _>::Again { cause: "busy", after: Some(Duration::from_secs(11)) };
        assert_eq!(retry.run(attempt, |_, _| panic!("it waited")), Err(Ended::GaveUp("busy")));
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let clock = Manual::default();
        let mut retry = Retry { clock: &clock, random: &mut Share(1.0), patience: None };
        let ended = retry.run(|| Attempt::<(), _>::Refused("token_used"), |_, _| panic!("it waited"));
        assert_eq!((ended, clock.now()), (Err(Ended::Refused("token_used")), Duration::ZERO));
    }

    proptest! {
        #[test]
        fn a_wait_is_within_the_cap_and_never_below_what_the_server_asks(
            attempt: u32,
            after in proptest::option::of(0_u64..10_000),
            share in 0.0..=1.0,
        ) {
            let after = after.map(Duration::from_secs);
            let wait = wait(attempt, after, &mut Share(share));
            let floor = after.unwrap_or_default().min(RETRY_AFTER_MAX);
            prop_assert!(wait >= floor);
            prop_assert!(wait <= CAP.max(floor + BASE));
        }

        #[test]
        fn chance_stays_below_the_ceiling(milliseconds in 0_u64..400_000) {
            let ceiling = Duration::from_millis(milliseconds);
            prop_assert!(Entropy.up_to(ceiling) <= ceiling);
        }
    }
}
