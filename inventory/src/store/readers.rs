//! Connections for reading, used again and again: a bounded number, so that replicas do not use up a server's.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::engine::{Answer, DatabaseError, Engine, Location};
use super::read::View;
use super::{StoreError, schema};

/// At once. Reading is short, and waits for the same disk or processors.
const READERS_MAX: usize = 8;
/// Longest wait for one of them.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A pool.
#[derive(Debug)]
pub(super) struct Readers {
    location: Location,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Box<dyn Engine>>,
    lent: usize,
}

/// One reader's place in the pool; given back whatever happens.
struct Place<'a>(&'a Readers);

impl Readers {
    pub(super) fn new(location: Location) -> Self {
        Self { location, state: Mutex::default(), returned: Condvar::new() }
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Asks once. If a connection from the pool turns out to be lost, asks again with a new one.
    pub(super) fn with<T>(&self, read: impl Fn(&dyn Engine) -> Answer<T>) -> Result<T, StoreError> {
        let (place, idle) = self.take()?;
        if let Some(engine) = idle {
            match read(engine.as_ref()) {
                Ok(found) => {
                    place.put_back(engine);
                    return Ok(found);
                }
                Err(DatabaseError::Lost(_)) => {}
                Err(error) => return Err(StoreError::Read(error)),
            }
        }
        let engine = schema::open_for_reading(&self.location)?;
        let found = read(engine.as_ref()).map_err(StoreError::Read)?;
        place.put_back(engine);
        Ok(found)
    }

    /// Shows the database of one moment.
    pub(super) fn view<T>(&self, read: impl Fn(&View) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (place, mut idle) = self.take()?;
        loop {
            let pooled = idle.is_some();
            let engine = idle.take().map_or_else(|| schema::open_for_reading(&self.location), Ok)?;
            let view = View::of(engine)?;
            match read(&view) {
                Err(StoreError::Read(DatabaseError::Lost(_))) if pooled => {}
                found => {
                    if let (Ok(_), Ok(engine)) = (&found, view.into_engine()) {
                        place.put_back(engine);
                    }
                    return found;
                }
            }
        }
    }

    /// A place in the pool, with a connection if one is idle.
    fn take(&self) -> Result<(Place<'_>, Option<Box<dyn Engine>>), StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.returned.wait_timeout_while(state, WAIT_MAX, |state| state.lent >= READERS_MAX);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(StoreError::ReadersBusy);
        }
        state.lent += 1;
        let idle = state.idle.pop();
        drop(state);
        Ok((Place(self), idle))
    }
}

impl Place<'_> {
    fn put_back(self, engine: Box<dyn Engine>) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).idle.push(engine);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).lent -= 1;
        self.0.returned.notify_one();
    }
}
