//! The audit as a chain: each line carries a hash over the hash of the line before it and its own content, so that no line
//! can be changed, taken out, put in or moved without all later hashes being wrong.
//!
//! The hash of a line is the SHA-256 of, in this order:
//! - the 15 bytes `assay-audit-v1` and a line feed;
//! - the 32 bytes of the hash before; zeros before the first line;
//! - the fields `id`, `at_ms`, `action`, `code`, `actor`, `source`, `node_id`, `token_id`, `detail`, `dropped`: a number as 8
//!   bytes, big endian; a text as one byte 1, its length in bytes as such a number, and its UTF-8; an absent text as one
//!   byte 0.
//!
//! What it cannot show by itself: that the last lines are missing, or that somebody who can write the database made the
//! whole chain anew. Both are seen by whoever noted an earlier head ([`Head`]) somewhere else.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::engine::{Answer, Engine, Row, Value, values};

/// First bytes of what is hashed.
const FORM: &[u8] = b"assay-audit-v1\n";

/// Columns of a line, as [`Line::read`] takes them.
const COLUMNS: &str = "id, at_ms, action, code, actor, source, node_id, token_id, detail, dropped, hash";
/// Adds a line ([`Line::values`]).
pub(super) const INSERT: &str = "
    INSERT INTO audit (id, at_ms, action, code, actor, source, node_id, token_id, detail, dropped, hash)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Lines that are read at once.
const LINES_AT_ONCE: u64 = 4096;

/// The last line, and the hash that stands for all lines up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the line; 0 if there is none.
    pub id: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// Before the first line.
    pub const EMPTY: Self = Self { id: 0, hash: [0; 32] };

    /// The head once that line is added.
    pub(super) fn then(&self, line: &Line<'_>) -> Self {
        let mut digest = Sha256::new();
        digest.update(FORM);
        digest.update(self.hash);
        line.hash_into(&mut digest);
        Self { id: line.id, hash: digest.finalize().into() }
    }

    /// The head as it is stored.
    pub(super) fn stored(engine: &dyn Engine) -> Answer<Self> {
        let last = engine.one("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", &[], |row| {
            Ok(Self { id: row.get(0)?, hash: row.get(1)? })
        })?;
        Ok(last.unwrap_or(Self::EMPTY))
    }
}

/// `ID:HASH`, for a note outside of the database.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, HEXLOWER.encode(&self.hash))
    }
}

/// Text that is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is a number, a colon and 64 hexadecimal digits, as `inventory audit head` prints it")]
pub struct NoHead;

impl FromStr for Head {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (id, hash) = text.trim().split_once(':').ok_or(NoHead)?;
        let hash = HEXLOWER.decode(hash.as_bytes()).map_err(|_| NoHead)?;
        Ok(Self { id: id.parse().map_err(|_| NoHead)?, hash: hash.try_into().map_err(|_| NoHead)? })
    }
}

/// What of a line goes into its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) id: u64,
    pub(super) at_ms: i64,
    pub(super) action: &'a str,
    pub(super) code: Option<&'a str>,
    pub(super) actor: &'a str,
    pub(super) source: Option<&'a str>,
    pub(super) node_id: Option<&'a str>,
    pub(super) token_id: Option<&'a str>,
    pub(super) detail: Option<&'a str>,
    pub(super) dropped: u64,
}

impl<'a> Line<'a> {
    /// A row of [`COLUMNS`].
    fn read(row: &'a Row<'_>) -> Answer<Self> {
        Ok(Self {
            id: row.get(0)?,
            at_ms: row.get(1)?,
            action: row.get(2)?,
            code: row.get(3)?,
            actor: row.get(4)?,
            source: row.get(5)?,
            node_id: row.get(6)?,
            token_id: row.get(7)?,
            detail: row.get(8)?,
            dropped: row.get(9)?,
        })
    }

    /// What [`INSERT`] takes.
    pub(super) fn values(&self, head: &'a Head) -> [Value<'a>; 11] {
        [
            self.id.into(),
            self.at_ms.into(),
            self.action.into(),
            self.code.into(),
            self.actor.into(),
            self.source.into(),
            self.node_id.into(),
            self.token_id.into(),
            self.detail.into(),
            self.dropped.into(),
            (&head.hash).into(),
        ]
    }

    fn hash_into(&self, digest: &mut Sha256) {
        digest.update(self.id.to_be_bytes());
        digest.update(self.at_ms.to_be_bytes());
        for text in [
            Some(self.action),
            self.code,
            Some(self.actor),
            self.source,
            self.node_id,
            self.token_id,
            self.detail,
        ] {
            digest.update([u8::from(text.is_some())]);
            if let Some(text) = text {
                digest.update((text.len() as u64).to_be_bytes());
                digest.update(text);
            }
        }
        digest.update(self.dropped.to_be_bytes());
    }
}

/// The first line at which the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A number is left out.
    #[error("line {0} is missing")]
    Missing(u64),
    /// Its content does not belong to its hash, or its hash not to the line before.
    #[error("line {0} was changed, moved or put in")]
    Changed(u64),
    /// It holds what no version of the program writes.
    #[error("line {0} cannot be read")]
    Unreadable(u64),
    /// There are fewer lines than when the head was noted.
    #[error("the last lines are missing: the chain ends with line {found}, the noted head is line {noted}")]
    Truncated {
        /// The last line.
        found: u64,
        /// That of the head.
        noted: u64,
    },
    /// The chain holds, and is another one.
    #[error("line {0} has another hash than the noted head: the lines up to it were made anew")]
    Forked(u64),
}

/// Follows the chain from the first line, past the noted head if there is one, to the last; gives the head.
pub(super) fn walk(engine: &dyn Engine, noted: Option<Head>) -> Answer<Result<Head, Broken>> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE id > ?1 ORDER BY id LIMIT {LINES_AT_ONCE}");
    let (mut head, mut broken) = (Head::EMPTY, None);
    loop {
        let before = head;
        engine.each(&sql, values![head.id], &mut |row| {
            if broken.is_none() {
                match follow(head, row, noted) {
                    Ok(next) => head = next,
                    Err(found) => broken = Some(found),
                }
            }
            Ok(())
        })?;
        if let Some(broken) = broken {
            return Ok(Err(broken));
        }
        if head == before {
            break;
        }
    }
    Ok(match noted {
        Some(noted) if noted.id > head.id => Err(Broken::Truncated { found: head.id, noted: noted.id }),
        _ => Ok(head),
    })
}

/// The head after that row, which must be the next line.
fn follow(head: Head, row: &Row<'_>, noted: Option<Head>) -> Result<Head, Broken> {
    let next = head.id + 1;
    match row.get::<u64>(0) {
        Ok(id) if id == next => {}
        Ok(_) => return Err(Broken::Missing(next)),
        Err(_) => return Err(Broken::Unreadable(next)),
    }
    let (Ok(line), Ok(hash)) = (Line::read(row), row.get::<[u8; 32]>(10)) else {
        return Err(Broken::Unreadable(next));
    };
    let after = head.then(&line);
    match noted {
        _ if after.hash != hash => Err(Broken::Changed(next)),
        Some(noted) if noted.id == next && noted.hash != hash => Err(Broken::Forked(next)),
        _ => Ok(after),
    }
}

/// Gives lines of before there was a chain their hashes, in the order of their numbers.
pub(super) fn forge(engine: &dyn Engine) -> Answer<()> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE id > ?1 ORDER BY id LIMIT {LINES_AT_ONCE}");
    let mut head = Head::EMPTY;
    loop {
        let mut heads = Vec::new();
        engine.each(&sql, values![head.id], &mut |row| {
            head = head.then(&Line::read(row)?);
            heads.push(head);
            Ok(())
        })?;
        if heads.is_empty() {
            return Ok(());
        }
        for head in heads {
            engine.run("UPDATE audit SET hash = ?2 WHERE id = ?1", values![head.id, &head.hash])?;
        }
    }
}
