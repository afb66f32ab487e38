//! What a node remembers between attempts to register: the next sequence number of this boot, and the report that was
//! written and not yet acknowledged.
//!
//! A sequence number belongs to the bytes of one report from the moment that they are recorded here; the record is on the
//! disk before the first byte goes out. So a retry after a crash sends the same bytes under the same number, and a
//! burn-in that left no report uses up no number.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::durable;

const FILE: &str = "journal.json";
const LOCK: &str = "lock";
/// The first report of a boot.
const SEQUENCE_FIRST: u64 = 1;

/// Where this boot stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// The boot that this is about.
    pub boot_id: String,
    /// Number of the next report that will be written.
    pub next_sequence: u64,
    /// The report that awaits its acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A report that has its number and has not been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// Its number.
    pub sequence: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run a burn-in; its report will have this number.
    BurnIn {
        /// The number.
        sequence: u64,
    },
    /// Send the report of an earlier attempt again.
    Resend(Pending),
}

impl Journal {
    /// The journal of a boot that has sent nothing yet.
    pub fn begin(boot_id: &str) -> Self {
        Self { boot_id: boot_id.to_owned(), next_sequence: SEQUENCE_FIRST, pending: None }
    }

    /// The journal for this boot: the same if it is about it, else a new one. What an earlier boot left unsent is
    /// dropped: its report speaks for a machine that has been off since.
    pub fn for_boot(self, boot_id: &str) -> Self {
        if self.boot_id == boot_id { self } else { Self::begin(boot_id) }
    }

    /// What to do next.
    pub fn step(&self) -> Step {
        match &self.pending {
            Some(pending) => Step::Resend(pending.clone()),
            None => Step::BurnIn { sequence: self.next_sequence },
        }
    }

    /// A report was written: the number is now its own.
    pub fn written(&mut self, sequence: u64, report: &[u8]) {
        self.pending = Some(Pending { sequence, digest: digest(report) });
        self.next_sequence = sequence.saturating_add(1);
    }

    /// The pending report was acknowledged or refused for good, or its bytes are lost.
    pub fn settled(&mut self) {
        self.pending = None;
    }
}

/// SHA-256 in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

impl Pending {
    /// Are these the very bytes?
    pub fn is(&self, report: &[u8]) -> bool {
        digest(report) == self.digest
    }
}

/// The state directory, held by this process alone.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    lock: File,
}

impl Drop for State {
    fn drop(&mut self) {
        // Said aloud: closing alone would not release it while a child that was just forked still has the file open.
        let _ = self.lock.unlock();
    }
}

/// Why the state cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory of it cannot be read or written.
    #[error("{doing} `{}`: check `--state`", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process holds it.
    #[error("another node-init is registering with the state in `{}`: wait for it to end", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The journal is no journal.
    #[error(
        "`{}` is no journal: delete it and reboot, since numbers of this boot may be taken", path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: serde_json::Error,
    },
}

impl State {
    /// Opens the directory, made if need be, and locks it.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let failed = |doing, path: &Path, source| StateError::File { doing, path: path.to_owned(), source };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| failed("making the state directory", dir, source))?;
        let path = dir.join(LOCK);
        let lock = File::create(&path).map_err(|source| failed("making", &path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed("locking", &path, source)),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a burn-in of this boot puts its results.
    pub fn run_dir(&self, boot_id: &str, sequence: u64) -> PathBuf {
        self.dir.join("runs").join(format!("{boot_id}-{sequence}"))
    }

    /// Reads the journal for this boot.
    pub fn journal(&self, boot_id: &str) -> Result<Journal, StateError> {
        let path = self.dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Journal::begin(boot_id)),
            Err(source) => return Err(StateError::File { doing: "reading", path, source }),
        };
        let journal: Journal =
            serde_json::from_slice(&bytes).map_err(|source| StateError::Malformed { path, source })?;
        Ok(journal.for_boot(boot_id))
    }

    /// Writes the journal; on return it is on the disk.
    pub fn save(&self, journal: &Journal) -> Result<(), StateError> {
        let path = self.dir.join(FILE);
        let written = serde_json::to_vec_pretty(journal)
            .map_err(io::Error::other)
            .and_then(|bytes| durable::replace(&path, &bytes));
        written.map_err(|source| StateError::File { doing: "writing", path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_report_that_was_not_acknowledged_is_sent_again_with_its_number() {
        let mut journal = Journal::begin("boot-1");
        assert_eq!(journal.step(), Step::BurnIn { sequence: 1 });
        journal.written(1, b"report");
        let Step::Resend(pending) = journal.step() else { panic!("{journal:?}") };
        assert_eq!(pending.sequence, 1);
        assert!(pending.is(b"report") && !pending.is(b"repost"));
        journal.settled();
        assert_eq!(journal.step(), Step::BurnIn { sequence: 2 });
    }

    #[test]
    fn another_boot_begins_anew() {
        let mut journal = Journal::begin("boot-1");
        journal.written(1, b"report");
        assert_eq!(journal.clone().for_boot("boot-1"), journal);
        assert_eq!(journal.for_boot("boot-2"), Journal::begin("boot-2"));
    }

    #[test]
    fn the_journal_survives_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("deep/state")).unwrap();
        assert_eq!(state.journal("boot-1").unwrap(), Journal::begin("boot-1"));
        let mut journal = Journal::begin("boot-1");
        journal.written(1, b"report");
        state.save(&journal).unwrap();
        assert_eq!(state.journal("boot-1").unwrap(), journal);
        assert_eq!(state.journal("boot-2").unwrap(), Journal::begin("boot-2"));
    }

    #[test]
    fn a_malformed_journal_is_an_error_since_its_numbers_may_be_taken() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        fs::write(dir.path().join(FILE), "{\"boot_id\":").unwrap();
        assert!(matches!(state.journal("boot-1").unwrap_err(), StateError::Malformed { .. }));
    }

    #[test]
    fn a_second_process_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        assert!(matches!(State::open(dir.path()).unwrap_err(), StateError::Locked { .. }));
        drop(first);
        assert!(State::open(dir.path()).is_ok());
    }

    proptest! {
        /// Events: a burn-in that leaves a report, one that leaves none, an acknowledgement, a crash (which forgets all but
        /// the journal, and so changes nothing).
        #[test]
        fn one_number_never_names_two_reports(events in proptest::collection::vec(0_u8..4, 0..60)) {
            let mut journal = Journal::begin("boot");
            let mut sent = std::collections::BTreeMap::new();
            for (n, event) in events.into_iter().enumerate() {
                match (event, journal.step()) {
                    (0, Step::BurnIn { sequence }) => journal.written(sequence, &n.to_le_bytes()),
                    (2, Step::Resend(_)) => journal.settled(),
                    _ => journal = serde_json::from_slice(&serde_json::to_vec(&journal).unwrap()).unwrap(),
                }
                if let Step::Resend(pending) = journal.step() {
                    let bytes = sent.entry(pending.sequence).or_insert_with(|| pending.digest.clone());
                    prop_assert_eq!(&*bytes, &pending.digest);
                }
            }
            // Without gaps from the first on.
            prop_assert!(sent.keys().copied().eq(1..=sent.len() as u64));
        }
    }
}
