//! The writer's connection, made anew with growing pauses when the database server is lost.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;

use super::engine::{DatabaseError, Engine, Location};
use super::schema;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A connection that may be away.
#[derive(Debug)]
pub(super) struct Link {
    location: Location,
    engine: Option<Box<dyn Engine>>,
    pause: Duration,
    again_at: Instant,
}

impl Link {
    pub(super) fn new(location: Location, engine: Box<dyn Engine>) -> Self {
        Self { location, engine: Some(engine), pause: PAUSE_MIN, again_at: Instant::now() }
    }

    /// The connection. If it was lost, a new one, for which nobody waits more often than the pauses allow.
    pub(super) fn engine(&mut self) -> Option<&dyn Engine> {
        if self.engine.is_none() && Instant::now() >= self.again_at {
            match schema::open_for_writing(&self.location, 0) {
                Ok(engine) => {
                    tracing::info!(database = %self.location, "the database is there again");
                    self.pause = PAUSE_MIN;
                    self.engine = Some(engine);
                }
                Err(error) => self.wait(&error),
            }
        }
        self.engine.as_deref()
    }

    /// The connection is of no use any more.
    pub(super) fn lost(&mut self, error: &DatabaseError) {
        self.engine = None;
        self.wait(error);
    }

    fn wait(&mut self, error: &(dyn Error + 'static)) {
        tracing::warn!(error, pause_ms = self.pause.as_millis(), "the database is not there");
        self.again_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}
