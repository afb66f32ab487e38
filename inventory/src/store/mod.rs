//! What the inventory knows, durably, in one SQLite file.
//!
//! All of the server's writes go through one thread ([`writer`]), which answers only after the commit is on disk.
//! [`enrol`] and [`accept`] are what it is asked to do; [`audit`] writes down who did what in the same transaction;
//! [`read`] gives people and programs the record. `inventory token` writes from a process of its own.

mod schema;
mod writer;
mod tx;
mod audit;
mod token;
mod enrol;
mod accept;
pub mod read;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;

pub use accept::Submission;
pub use audit::Entry;
pub use enrol::Enrolment;
pub use token::{IssuedToken, TTL_MAX, TokenError, issue};
pub(crate) use tx::clean;

use crate::clock::Clock;
use crate::limits::{Buckets, Rate};
use crate::refusal::{Code, Refusal};
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
    /// The file is of a later version.
    #[error(
        "`{path}` has schema version {found}, this version knows {known}: use the version of `inventory` that wrote it, or a later one"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The latest known here.
        known: usize,
    },
    /// The file is of an earlier version, or empty.
    #[error("`{path}` was made by an earlier version: start `inventory serve` once to bring it up to date")]
    Older {
        /// Which file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("`{path}` is damaged ({detail}): stop, keep a copy of it, and restore a backup")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite found.
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
    /// The file cannot be opened or prepared.
    #[error("opening the database")]
    Open(#[source] rusqlite::Error),
    /// Reading failed.
    #[error("reading the database")]
    Read(#[source] rusqlite::Error),
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
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { queue: 1024, batch: 256, pages_max: 0, refusals: Rate { per_s: 1.0, burst: 500.0 } }
    }
}

/// The store of a running server. Clones share it.
#[derive(Clone)]
pub struct Store {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    meter: Arc<Buckets<Code>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.readers.path).finish_non_exhaustive()
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
    /// Opens the file, checks it, and starts the thread that writes it.
    pub fn open(path: &Path, options: StoreOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let connection = schema::open_for_writing(path)?;
        schema::check_for_damage(&connection, path)?;
        if options.pages_max > 0 {
            connection.pragma_update(None, "max_page_count", options.pages_max).map_err(StoreError::Open)?;
        }
        let meter = Arc::new(Buckets::new(options.refusals, Code::ALL.len()));
        let writer = Writer::spawn(connection, options, clock, Arc::clone(&meter))?;
        let readers = Arc::new(Readers { path: path.to_owned(), idle: Mutex::new(Vec::new()) });
        Ok(Self { writer: Arc::new(writer), readers, meter })
    }

    /// Lets a node in, or says why not.
    pub async fn enrol(&self, enrolment: Enrolment) -> Result<EnrolResponse, Refusal> {
        let (source, work) = (enrolment.source.clone(), move |tx: &tx::Tx<'_>| enrol::enrol(tx, &enrolment));
        self.writer.submit(Some(source), work).await
    }

    /// Stores a report whose signature was verified and whose verdict was computed here.
    pub async fn accept(&self, submission: Submission) -> Result<ReportAck, Refusal> {
        let (source, work) =
            (submission.source.clone(), move |tx: &tx::Tx<'_>| accept::accept(tx, &submission));
        self.writer.submit(Some(source), work).await
    }

    /// Writes the audit line of a refusal that has no transaction of its own, unless there were too many of its kind;
    /// then it is counted. Waits until the line is durable.
    pub async fn record_refusal(&self, source: &str, refusal: &Refusal) {
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

    /// What to check a report's signature with; absent if there is no such node. Blocks on the disk.
    pub fn boot_session(&self, node_id: &str, boot_id: &str) -> Result<Option<BootSession>, StoreError> {
        self.readers.with(|connection| {
            let session = connection.prepare_cached(
                "SELECT n.public_key, b.nonce FROM nodes n
                 LEFT JOIN boots b ON b.node_id = n.id AND b.boot_id = ?2 WHERE n.id = ?1",
            )?;
            let mut session = session;
            session
                .query_row((node_id, boot_id), |row| {
                    Ok(BootSession { public_key: row.get(0)?, nonce: row.get(1)? })
                })
                .optional()
        })
    }

    /// Becomes `true` when the store stopped since a write failed. A dropped sender means the same.
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.writer.failed()
    }
}

/// Connections for reading, used again and again.
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Connections kept open while nobody uses them.
    const IDLE_MAX: usize = 8;

    fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_for_reading(&self.path)?,
        };
        let found = read(&connection).map_err(StoreError::Read)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Self::IDLE_MAX {
            idle.push(connection);
        }
        Ok(found)
    }
}

/// A time from the database.
fn timestamp(at_ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(at_ms).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, at_ms))
}
