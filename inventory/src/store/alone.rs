//! One write by a process of its own, beside a running server: `inventory token` and what operators decide.

use super::StoreError;
use super::engine::{DatabaseError, Location};
use super::schema;
use super::tx::Tx;
use crate::clock::Clock;
use crate::limits::{Buckets, Rate};

/// Runs `work` in a transaction, which is durable when this returns well, and undone if it does not.
pub(super) fn write<T, E: From<StoreError>>(
    location: &Location,
    clock: &dyn Clock,
    work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let engine = schema::open_for_writing(location, 0)?;
    let failed = |error: DatabaseError| E::from(StoreError::Write(error));
    engine.begin_write().map_err(failed)?;
    // Nothing is refused here that would have to be counted.
    let meter = Buckets::new(Rate { per_s: 0.0, burst: 0.0 }, 0);
    let done = work(&Tx::new(engine.as_ref(), clock, &meter))?;
    engine.commit().map_err(failed)?;
    Ok(done)
}
