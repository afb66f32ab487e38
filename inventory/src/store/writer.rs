//! The one thread that writes. It takes all writes that wait, up to a bound, commits them as one transaction, and answers
//! only then. A commit that fails is never repeated: after a failed fsync nobody knows what the disk holds, so the store
//! stops, and the server with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};

use super::tx::{Fault, Tx};
use super::{StoreError, StoreOptions};
use crate::clock::Clock;
use crate::limits::Buckets;
use crate::refusal::{Code, Refusal};

/// Commits between two checkpoints of the write-ahead log.
const CHECKPOINT_EVERY: u32 = 256;

/// Hands writes to the thread.
pub(super) struct Writer {
    jobs: Option<SyncSender<Box<dyn Job>>>,
    failed: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How the transaction of a write ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is on disk.
    Committed,
    /// Another process held the database too long; nothing was written.
    Busy,
}

/// One write and the one who waits for it.
trait Job: Send {
    /// Does it inside the batch's transaction. An error means that nothing of it may stay.
    fn apply(&mut self, tx: &Tx<'_>) -> rusqlite::Result<()>;
    /// Tells the one who waits.
    fn answer(self: Box<Self>, end: End);
}

struct Pending<T, W> {
    source: Option<String>,
    work: Option<W>,
    outcome: Result<T, Refusal>,
    reply: oneshot::Sender<Result<T, Refusal>>,
}

impl<T: Send, W: FnOnce(&Tx<'_>) -> Result<T, Fault> + Send> Job for Pending<T, W> {
    fn apply(&mut self, tx: &Tx<'_>) -> rusqlite::Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        match work(tx) {
            Ok(value) => self.outcome = Ok(value),
            Err(Fault::Database(error)) => return Err(error),
            Err(Fault::Refused(refusal)) => {
                tx.audit_refusal(self.source.as_deref(), &refusal)?;
                self.outcome = Err(Refusal { audited: true, ..refusal });
            }
        }
        Ok(())
    }

    fn answer(self: Box<Self>, end: End) {
        let outcome = match end {
            End::Committed => self.outcome,
            End::Busy => Err(Code::Overloaded.because("another process holds the database")),
        };
        // Whoever asked may have gone away; what is stored stays stored.
        let _ = self.reply.send(outcome);
    }
}

impl Writer {
    pub(super) fn spawn(
        connection: Connection,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        meter: Arc<Buckets<Code>>,
    ) -> Result<Self, StoreError> {
        let (sender, jobs) = sync_channel(options.queue);
        let (failing, failed) = watch::channel(false);
        let body = move || {
            let mut batches = Batches { connection, jobs, clock, meter, batch_max: options.batch.max(1) };
            // A panic in here is a bug of ours; what it left half done was rolled back with its transaction.
            match catch_unwind(AssertUnwindSafe(|| batches.run())) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "writing the database failed: the store stops, nothing more is acknowledged");
                    failing.send_replace(true);
                }
                Err(_) => {
                    tracing::error!(
                        "the writing thread panicked: the store stops, nothing more is acknowledged"
                    );
                    failing.send_replace(true);
                }
            }
        };
        let thread =
            thread::Builder::new().name("store".to_owned()).spawn(body).map_err(StoreError::Thread)?;
        Ok(Self { jobs: Some(sender), failed, thread: Mutex::new(Some(thread)) })
    }

    /// Has a write done and waits until it is durable.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        source: Option<String>,
        work: impl FnOnce(&Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let outcome = Err(Refusal::from(Code::Internal));
        let job = Box::new(Pending { source, work: Some(work), outcome, reply });
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => return Err(Code::Overloaded.because("too many writes wait")),
            Some(Err(TrySendError::Disconnected(_))) | None => return Err(Code::StoreStopped.into()),
        }
        // No answer means that the thread ended before the commit was known to be on disk.
        answer.await.unwrap_or_else(|_| Err(Code::StoreStopped.into()))
    }

    pub(super) fn failed(&self) -> watch::Receiver<bool> {
        self.failed.clone()
    }
}

impl Drop for Writer {
    /// Lets the thread finish what waits.
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Batches {
    connection: Connection,
    jobs: Receiver<Box<dyn Job>>,
    clock: Arc<dyn Clock>,
    meter: Arc<Buckets<Code>>,
    batch_max: usize,
}

impl Batches {
    /// Until nobody can send any more, or the disk fails.
    fn run(&mut self) -> rusqlite::Result<()> {
        let mut commits = 0u32;
        while let Ok(first) = self.jobs.recv() {
            let mut batch = vec![first];
            batch.extend(self.jobs.try_iter().take(self.batch_max - 1));
            let end = self.commit(&mut batch)?;
            for job in batch {
                job.answer(end);
            }
            commits += 1;
            if commits.is_multiple_of(CHECKPOINT_EVERY) {
                self.checkpoint()?;
            }
        }
        self.checkpoint()
    }

    /// One transaction for the whole batch. An error is final: none of the batch may be acknowledged.
    fn commit(&self, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<End> {
        match self.connection.execute_batch("BEGIN IMMEDIATE") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => return Ok(End::Busy),
            begun => begun?,
        }
        for job in batch.iter_mut() {
            self.connection.execute_batch("SAVEPOINT job")?;
            let tx = Tx::new(&self.connection, self.clock.as_ref(), &self.meter);
            match job.apply(&tx) {
                Ok(()) => self.connection.execute_batch("RELEASE job")?,
                Err(error) if is_about_this_job_only(&error) => {
                    tracing::error!(%error, "a write was rolled back");
                    self.connection.execute_batch("ROLLBACK TO job; RELEASE job")?;
                }
                Err(error) => return Err(error),
            }
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(End::Committed)
    }

    /// Moves the log into the file. SQLite says here what its own automatic checkpoints keep to themselves.
    fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }
}

/// Did the job ask for something impossible, while file and disk are well?
fn is_about_this_job_only(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => {
            matches!(code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
        }
        // Of rusqlite itself: a value that does not convert.
        None => true,
    }
}
