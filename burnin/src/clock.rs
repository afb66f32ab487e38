//! Time as a seam: windows and deadlines are tested without sleeping.

use std::time::{Duration, Instant};

/// A monotonic clock.
pub trait Clock {
    /// Time since an arbitrary start.
    fn now(&self) -> Duration;

    /// Comes back when so much time has passed.
    fn wait(&self, time: Duration) {
        let end = self.now() + time;
        while let Some(left) = end.checked_sub(self.now()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
    }
}

/// The machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "the one place where the real clock is read")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}
