//! The one thread that writes. It takes all writes that wait, up to a bound, commits them as one transaction, and answers
//! only then. A commit that fails is never repeated: after a failed fsync nobody knows what the disk holds, so the store
//! stops, and the server with it. A database server that is lost is another matter: its disk is its own, nothing of the
//! batch is acknowledged, clients try again, and what was written after all is found by their requests' being the same.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::{oneshot, watch};

use super::engine::{Answer, DatabaseError, Engine};
use super::link::Link;
use super::tx::{Fault, Tx};
use super::{StoreError, StoreOptions};
use crate::clock::Clock;
use crate::limits::Buckets;
use crate::refusal::{Code, Refusal};

/// Writes between two rounds of tidying, which for SQLite is a checkpoint of the write-ahead log: with reports of 20 KB that
/// log stays in the tens of megabytes, however many writes share a commit.
const TIDY_EVERY: usize = 1024;

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
    /// The database server is not there; nothing was written.
    Down,
    /// It went away meanwhile; whether the transaction is on its disk is not known.
    Unknown,
}

/// One write and the one who waits for it.
trait Job: Send {
    /// Does it inside the batch's transaction. An error means that nothing of it may stay.
    fn apply(&mut self, tx: &Tx<'_>) -> Answer<()>;
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
    fn apply(&mut self, tx: &Tx<'_>) -> Answer<()> {
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
            End::Down => Err(Code::StoreUnreachable.because("nothing was written")),
            End::Unknown => Err(Code::StoreUnreachable.because("it may have been written")),
        };
        // Whoever asked may have gone away; what is stored stays stored.
        let _ = self.reply.send(outcome);
    }
}

impl Writer {
    pub(super) fn spawn(
        link: Link,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        meter: Arc<Buckets<Code>>,
    ) -> Result<Self, StoreError> {
        let (sender, jobs) = sync_channel(options.queue);
        let (failing, failed) = watch::channel(false);
        let body = move || {
            let mut batches = Batches { link, jobs, clock, meter, batch_max: options.batch.max(1) };
            // A panic in here is a bug of ours; what it left half done was rolled back with its transaction.
            match catch_unwind(AssertUnwindSafe(|| batches.run())) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error: &dyn Error = &error;
                    tracing::error!(
                        error,
                        "writing the database failed: the store stops, nothing more is acknowledged"
                    );
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
    link: Link,
    jobs: Receiver<Box<dyn Job>>,
    clock: Arc<dyn Clock>,
    meter: Arc<Buckets<Code>>,
    batch_max: usize,
}

impl Batches {
    /// Until nobody can send any more, or the disk fails.
    fn run(&mut self) -> Answer<()> {
        let mut written = 0;
        while let Ok(first) = self.jobs.recv() {
            let mut batch = vec![first];
            batch.extend(self.jobs.try_iter().take(self.batch_max - 1));
            let end = self.settle(&mut batch)?;
            written += batch.len();
            for job in batch {
                job.answer(end);
            }
            if written >= TIDY_EVERY {
                written = 0;
                self.tidy(|engine| engine.tidy())?;
            }
        }
        self.tidy(|engine| engine.finish())
    }

    /// One transaction for the whole batch. An error is final: none of the batch may be acknowledged.
    fn settle(&mut self, batch: &mut [Box<dyn Job>]) -> Answer<End> {
        let Some(engine) = self.link.engine() else { return Ok(End::Down) };
        match commit(engine, batch, self.clock.as_ref(), &self.meter) {
            Ok(()) => Ok(End::Committed),
            Err(DatabaseError::Busy(_)) if engine.rollback().is_ok() => Ok(End::Busy),
            Err(error @ (DatabaseError::Lost(_) | DatabaseError::Busy(_))) => {
                self.link.lost(&error);
                Ok(End::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    fn tidy(&mut self, how: impl Fn(&dyn Engine) -> Answer<()>) -> Answer<()> {
        let Some(engine) = self.link.engine() else { return Ok(()) };
        match how(engine) {
            Err(error @ DatabaseError::Lost(_)) => {
                self.link.lost(&error);
                Ok(())
            }
            tidied => tidied,
        }
    }
}

fn commit(
    engine: &dyn Engine,
    batch: &mut [Box<dyn Job>],
    clock: &dyn Clock,
    meter: &Buckets<Code>,
) -> Answer<()> {
    engine.begin_write()?;
    // The audit's last line, once one of the batch has looked it up.
    let mut head = None;
    for job in batch.iter_mut() {
        engine.savepoint()?;
        let tx = Tx::new(engine, clock, meter).after(head);
        match job.apply(&tx) {
            Ok(()) => {
                engine.release()?;
                head = tx.audit_head();
            }
            Err(error) if error.is_about_this_job_only() => {
                let error: &dyn Error = &error;
                tracing::error!(error, "a write was rolled back");
                engine.undo()?;
            }
            Err(error) => return Err(error),
        }
    }
    engine.commit()
}
