//! What the inventory knows, durably, in a SQLite file or a PostgreSQL database.
//!
//! All of a server's writes go through one thread ([`writer`]), which answers only after the commit is on disk.
//! [`enrol`] and [`accept`] are what it is asked to do; [`audit`] writes down who did what in the same transaction, as a
//! [`chain`]; [`verify`] reads all of it again, [`copy`] is backup and restore. [`read`] gives people and programs the record. `inventory token` writes from a process of its own. What they all ask the
//! database, and how, is in [`engine`].

mod engine;
mod schema;
mod link;
mod writer;
mod readers;
mod tx;
mod audit;
mod chain;
mod token;
mod enrol;
mod accept;
mod verify;
mod copy;
mod people;
mod site;
mod transfer;
pub mod read;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub use accept::Submission;
pub use audit::Entry;
pub use chain::{Broken, Head, NoHead};
pub use copy::{Copied, CopyError, Restored, backup, restore};
pub use engine::{DatabaseError, Location, LocationError};
pub use enrol::Enrolment;
pub use people::{
    Allocation, Change, ChangeError, Created, Facets, Filter, Heartbeats, KeyError, KeyRow, Order, Page,
    Readiness, WishChange, WishRow, create_key, label, revoke_key, wish,
};
pub use token::{IssuedToken, TTL_MAX, TokenError, issue};
pub use transfer::{TransferError, Transferred, transfer};
pub(crate) use tx::clean;
pub use verify::{Verified, Wrong, verify};

use crate::clock::Clock;
use crate::figures::Counters;
use crate::lifecycle::Policy;
use crate::limits::{Buckets, Rate};
use crate::refusal::{Code, Refusal};
use engine::values;
use link::Link;
use people::Uses;
use read::View;
use readers::Readers;
use report::wire::{EnrolResponse, ReportAck};
use writer::Writer;

/// Why the store cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database.
    #[error(
        "there is no inventory at `{path}`: start one with `inventory serve`, or name its directory with --data"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The database is of a later version.
    #[error(
        "`{database}` has schema version {found}, this version knows {known}: use the version of `inventory` that wrote it, or a later one"
    )]
    Newer {
        /// Which.
        database: String,
        /// Its version.
        found: usize,
        /// The latest known here.
        known: usize,
    },
    /// The database is of an earlier version, or empty.
    #[error(
        "`{database}` was made by an earlier version: start `inventory serve` once to bring it up to date"
    )]
    Older {
        /// Which.
        database: String,
    },
    /// The database is damaged.
    #[error("`{database}` is damaged ({detail}): stop, keep a copy of it, and restore a backup")]
    Damaged {
        /// Which.
        database: String,
        /// What was found.
        detail: String,
    },
    /// The database server does not keep what it says it keeps.
    #[error(
        "`{database}` runs with `{detail}`: a power failure would lose nodes that were acknowledged; correct its configuration"
    )]
    NotDurable {
        /// Which.
        database: String,
        /// The setting.
        detail: String,
    },
    /// The file cannot be made, or not written to.
    #[error("opening `{path}` for writing")]
    Make {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened or prepared.
    #[error("opening the database")]
    Open(#[source] DatabaseError),
    /// Writing failed.
    #[error("writing the database")]
    Write(#[source] DatabaseError),
    /// Reading failed.
    #[error("reading the database")]
    Read(#[source] DatabaseError),
    /// No connection became free.
    #[error("too many read the database at once: try again")]
    ReadersBusy,
    /// The thread that writes cannot be started.
    #[error("starting the thread that writes the database")]
    Thread(#[source] std::io::Error),
}

/// Bounds of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// How many writes may wait; more are refused as `overloaded`.
    pub queue: usize,
    /// How many writes one commit carries at most.
    pub batch: usize,
    /// Largest size of the file in pages of 4 KiB; 0 for no such bound.
    pub pages_max: u32,
    /// How many audit lines of one kind of refusal are written per second; the rest are counted.
    pub refusals: Rate,
    /// The times that the controller keeps.
    pub policy: Policy,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            queue: 1024,
            batch: 256,
            pages_max: 0,
            refusals: Rate { per_s: 1.0, burst: 500.0 },
            policy: Policy::default(),
        }
    }
}

/// The store of a running server. Clones share it.
#[derive(Clone)]
pub struct Store {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    meter: Arc<Buckets<Code>>,
    policy: Policy,
    heartbeats: Arc<Heartbeats>,
    uses: Arc<Uses>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("location", self.readers.location()).finish_non_exhaustive()
    }
}

/// What the signature of a report is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootSession {
    /// The node's key.
    pub public_key: [u8; 32],
    /// The nonce of the boot; absent if this boot is not enrolled.
    pub nonce: Option<String>,
}

impl Store {
    /// Opens the database, checks it, and starts the thread that writes it. Blocks on disk or network.
    pub fn open(
        location: impl Into<Location>,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let location = location.into();
        let engine = schema::open_for_writing(&location, options.pages_max)?;
        schema::check_health(engine.as_ref(), &location)?;
        let meter = Arc::new(Buckets::new(options.refusals, Code::ALL.len()));
        let link = Link::new(location.clone(), engine);
        let writer = Writer::spawn(link, options, clock, Arc::clone(&meter))?;
        Ok(Self {
            writer: Arc::new(writer),
            readers: Arc::new(Readers::new(location)),
            meter,
            policy: options.policy,
            heartbeats: Arc::default(),
            uses: Arc::default(),
            counters: Arc::default(),
        })
    }

    /// Lets a node in, or says why not.
    pub async fn enrol(&self, enrolment: Enrolment) -> Result<EnrolResponse, Refusal> {
        let (source, policy) = (enrolment.source.clone(), self.policy);
        self.submit(Some(source), move |tx: &tx::Tx<'_>| enrol::enrol(tx, &enrolment, &policy)).await
    }

    /// Stores a report whose signature was verified and whose verdict was computed here.
    pub async fn accept(&self, submission: Submission) -> Result<ReportAck, Refusal> {
        let (source, policy) = (submission.source.clone(), self.policy);
        self.submit(Some(source), move |tx: &tx::Tx<'_>| accept::accept(tx, &submission, &policy)).await
    }

    /// Writes the audit line of a refusal that has no transaction of its own, unless there were too many of its kind;
    /// then it is counted. Waits until the line is durable.
    pub async fn record_refusal(&self, source: &str, refusal: &Refusal) {
        self.counters.refused(refusal.code);
        if refusal.audited {
            return;
        }
        let Ok(dropped) = self.meter.take(refusal.code) else { return };
        let (entry, code) = (Entry::of_refusal(Some(source), refusal, dropped), refusal.code);
        let written = self.writer.submit(None, move |tx: &tx::Tx<'_>| Ok(tx.audit(&entry)?)).await;
        if written.is_err() {
            self.meter.count_dropped(code, dropped + 1);
        }
    }

    /// What to check a report's signature with; absent if there is no such node. Blocks on disk or network.
    pub fn boot_session(&self, node_id: &str, boot_id: &str) -> Result<Option<BootSession>, StoreError> {
        let sql = "SELECT n.public_key, b.nonce FROM nodes n
                   LEFT JOIN boots b ON b.node_id = n.id AND b.boot_id = ?2 WHERE n.id = ?1";
        self.readers.with(|engine| {
            engine.one(sql, values![node_id, boot_id], |row| {
                Ok(BootSession { public_key: row.get(0)?, nonce: row.get(1)? })
            })
        })
    }

    /// Shows the record of one moment; `read` runs again if the connection turns out to be lost. Blocks on disk or network.
    pub fn view<T>(&self, read: impl Fn(&View) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.readers.view(read)
    }

    /// The times that the controller keeps.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What nodes were heard of.
    pub fn heartbeats(&self) -> &Heartbeats {
        &self.heartbeats
    }

    /// What is counted while it runs.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Has a write done and waits until it is durable.
    async fn submit<T: Send + 'static>(
        &self,
        source: Option<String>,
        work: impl FnOnce(&tx::Tx<'_>) -> Result<T, tx::Fault> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _timed = self.counters.wait();
        self.writer.submit(source, work).await
    }

    /// Becomes `true` when the store stopped since a write failed. A dropped sender means the same.
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.writer.failed()
    }
}

impl From<StoreError> for Refusal {
    /// For one who asked something that had to be read.
    fn from(error: StoreError) -> Self {
        let cause: &dyn std::error::Error = &error;
        tracing::error!(error = cause, "the database could not be read");
        match error {
            StoreError::ReadersBusy | StoreError::Read(DatabaseError::Busy(_)) => {
                Code::Overloaded.because("too many read the database")
            }
            StoreError::Open(DatabaseError::Lost(_)) | StoreError::Read(DatabaseError::Lost(_)) => {
                Code::StoreUnreachable.into()
            }
            _ => Code::Internal.into(),
        }
    }
}
