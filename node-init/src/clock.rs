//! Time as a seam, so that back-off is tested without sleeping.

use std::time::{Duration, Instant};

/// A clock that never goes back, and a way to wait by it.
pub trait Clock {
    /// Time since some moment in the past.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// The machine's monotonic clock.
#[derive(Debug)]
pub struct Monotonic {
    start: Instant,
    /// What it said at the start.
    offset: Duration,
}

impl Monotonic {
    /// Starts at zero now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else takes")]
    pub fn start() -> Self {
        Self { start: Instant::now(), offset: Duration::ZERO }
    }

    /// Goes on where another clock stands, for another thread.
    pub fn going_on(other: &dyn Clock) -> Self {
        Self { offset: other.now(), ..Self::start() }
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        self.offset + self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else takes")]
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that only moves when somebody sleeps by it.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Manual(std::cell::Cell<Duration>);

#[cfg(test)]
impl Clock for Manual {
    fn now(&self) -> Duration {
        self.0.get()
    }

    fn sleep(&self, duration: Duration) {
        self.0.set(self.0.get() + duration);
    }
}
