//! A copy of the record in one file, taken while a server runs, and a record made from such a copy.
//!
//! A restored record is of an earlier moment than the one that was lost, and must not contradict what was said since then:
//! - no token is good any more, since any of them may have been used;
//! - revisions go on far above all that may have been given: at the seconds since 1970 times 2^20;
//! - the audit goes on in its chain with a line that says so; a head noted after the copy was taken no longer fits;
//! - boots keep their nonces: what was reported since may be handed in once more, and boots since must enrol again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::audit::Entry;
use super::engine::{self, Answer, DatabaseError, Engine, Location, values};
use super::tx::Tx;
use super::verify::{Verified, verified};
use super::{StoreError, schema};
use crate::clock::Clock;
use crate::files::{DataDir, DataDirError, sync_folder};
use crate::limits::{Buckets, Rate};

/// A copy.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The last change in it.
    pub revision: u64,
    /// What was read of it.
    #[serde(flatten)]
    pub verified: Verified,
}

/// A record made from a copy.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of the copy.
    pub sha256: String,
    /// The last change in the copy.
    pub revision_before: u64,
    /// The change that is the restore.
    pub revision: u64,
    /// Tokens that are no longer good.
    pub tokens_voided: u64,
}

/// Why there is no copy, or no record from it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It is not ours to copy.
    #[error(
        "the record is in a PostgreSQL database: `pg_dump --format=custom` makes a copy of it, a base backup with archived write-ahead log keeps every moment (PITR); restore with the same tools"
    )]
    Server,
    /// Something is in the way.
    #[error("`{path}` is there already: choose another name, or move it away")]
    Exists {
        /// What.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("copying `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite cannot make the copy.
    #[error("copying the database")]
    Database(#[from] DatabaseError),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// It is another file than the one that was meant.
    #[error(
        "`{path}` has SHA-256 {found}, not the {expected} that was named: it is another copy, or damaged"
    )]
    OtherDigest {
        /// Which.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// What was copied is not what was once written.
    #[error(
        "`{path}` is damaged ({subject}: {detail}): take an earlier copy; `inventory verify` lists all that is wrong"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What of it.
        subject: String,
        /// In which way.
        detail: String,
    },
}

/// Copies the record at that place into a new file, whole and on disk, and reads the copy again. A server may run meanwhile.
pub fn backup(location: &Location, out: &Path) -> Result<Copied, CopyError> {
    let Location::File(database) = location else { return Err(CopyError::Server) };
    if out.exists() {
        return Err(CopyError::Exists { path: out.to_owned() });
    }
    // Says so if there is none, or one of another version.
    drop(schema::open_for_reading(location)?);
    let part = beside(out, ".part");
    remove_all(&part)?;
    new_file(&part)?;
    engine::copy_file(database, &part)?;
    let copy = schema::open_for_reading(&Location::File(part.clone()))?;
    let verified = sound(verified(copy.as_ref(), None), database)?;
    let revision = last_revision(copy.as_ref())?;
    drop(copy);
    let sha256 = sync_and_digest(&part)?;
    put_in_place(&part, out)?;
    Ok(Copied { path: out.to_owned(), sha256, revision, verified })
}

/// Makes the record of an empty data directory from a copy. `sha256`, if given, is what the copy must have.
pub fn restore(
    from: &Path,
    data: &DataDir,
    sha256: Option<&str>,
    clock: &dyn Clock,
) -> Result<Restored, CopyError> {
    let _lock = data.lock()?;
    let database = data.database();
    for path in [database.clone(), beside(&database, "-wal")] {
        if path.exists() {
            return Err(CopyError::Exists { path });
        }
    }
    let part = beside(&database, ".part");
    remove_all(&part)?;
    let digest = copy_bytes(from, &part)?;
    if let Some(expected) = sha256.filter(|expected| !expected.eq_ignore_ascii_case(&digest)) {
        let (path, expected) = (from.to_owned(), expected.to_owned());
        return Err(CopyError::OtherDigest { path, found: digest, expected });
    }
    let engine = schema::open_for_writing(&Location::File(part.clone()), 0)?;
    sound(verified(engine.as_ref(), None), from)?;
    let restored = begin_anew(engine.as_ref(), clock, &digest)?;
    // All of it in the one file that gets the name.
    engine.one("PRAGMA journal_mode = DELETE", &[], |row| row.get::<String>(0))?;
    drop(engine);
    sync_and_digest(&part)?;
    put_in_place(&part, &database)?;
    Ok(Restored { path: database, sha256: digest, ..restored })
}

/// Takes back what a lost later record may have promised.
fn begin_anew(engine: &dyn Engine, clock: &dyn Clock, digest: &str) -> Answer<Restored> {
    let before = last_revision(engine)?;
    engine.begin_write()?;
    let meter = Buckets::new(Rate { per_s: 0.0, burst: 0.0 }, 0);
    let tx = Tx::new(engine, clock, &meter);
    let seconds = u64::try_from(tx.now.as_second()).unwrap_or_default();
    let revision = (seconds << 20).max(before + 1);
    tx.run(
        "INSERT INTO changes (revision, kind, node_id, at_ms) VALUES (?1, 'restored', '', ?2)",
        values![revision, tx.now],
    )?;
    let tokens_voided =
        tx.run("UPDATE tokens SET consumed_at_ms = ?1 WHERE consumed_at_ms IS NULL", values![tx.now])?;
    tx.audit(&Entry {
        action: "restored",
        actor: "operator".to_owned(),
        detail: Some(format!(
            "from a copy with SHA-256 {digest}, last change {before}; {tokens_voided} tokens voided (revision {revision})"
        )),
        ..Entry::default()
    })?;
    engine.commit()?;
    let (path, sha256) = (PathBuf::new(), String::new());
    Ok(Restored { path, sha256, revision_before: before, revision, tokens_voided })
}

fn last_revision(engine: &dyn Engine) -> Answer<u64> {
    let last = engine.one("SELECT coalesce(max(revision), 0) FROM changes", &[], |row| row.get(0))?;
    Ok(last.unwrap_or(0))
}

/// A damaged copy is none.
fn sound(verified: Verified, path: &Path) -> Result<Verified, CopyError> {
    match verified.wrong.first() {
        None => Ok(verified),
        Some(wrong) => Err(CopyError::Damaged {
            path: path.to_owned(),
            subject: wrong.subject.clone(),
            detail: wrong.detail.clone(),
        }),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn of(path: &Path) -> impl Fn(io::Error) -> CopyError {
    move |source| CopyError::File { path: path.to_owned(), source }
}

/// What an earlier attempt left.
fn remove_all(part: &Path) -> Result<(), CopyError> {
    for path in [part.to_owned(), beside(part, "-wal"), beside(part, "-shm"), beside(part, "-journal")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(of(&path)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn new_file(path: &Path) -> Result<File, CopyError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(of(path))
}

fn copy_bytes(from: &Path, to: &Path) -> Result<String, CopyError> {
    let mut copy = new_file(to)?;
    digest_of(from, |bytes| copy.write_all(bytes))
}

fn sync_and_digest(path: &Path) -> Result<String, CopyError> {
    OpenOptions::new().write(true).open(path).and_then(|file| file.sync_all()).map_err(of(path))?;
    digest_of(path, |_| Ok(()))
}

/// Shows the bytes of a file, part by part; gives their SHA-256.
fn digest_of(path: &Path, mut show: impl FnMut(&[u8]) -> io::Result<()>) -> Result<String, CopyError> {
    let mut read = || {
        let (mut file, mut digest) = (File::open(path)?, Sha256::new());
        let mut bytes = vec![0; 1 << 20];
        loop {
            let length = file.read(&mut bytes)?;
            if length == 0 {
                return Ok(HEXLOWER.encode(&digest.finalize()));
            }
            digest.update(&bytes[..length]);
            show(&bytes[..length])?;
        }
    };
    read().map_err(of(path))
}

/// Gives the file its name, for good.
fn put_in_place(part: &Path, path: &Path) -> Result<(), CopyError> {
    fs::rename(part, path).map_err(of(path))?;
    remove_all(part)?;
    sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(of(path))
}
