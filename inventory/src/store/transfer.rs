//! A whole record from one database to another, whatever the two are: all of it, or nothing.
//!
//! What was read from the source and what the target then holds are compared, table by table, by a digest over all rows in
//! the order of their primary keys; only then the target commits. The tables are those that the databases themselves
//! describe, so that a later migration needs no word here.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::engine::{Answer, DatabaseError, Engine, Location, Row, Table, Value, values};
use super::{StoreError, schema};

/// Rows that are read at once; a report may have a megabyte.
const PAGE_ROWS: u32 = 256;
/// Rows that one statement writes.
const CHUNK_ROWS: usize = 32;

/// One table that was brought over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transferred {
    /// Its name.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 over all of them, the same in both databases.
    pub sha256: String,
}

/// Why nothing was brought over.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the databases cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target has something already.
    #[error("`{target}` is not empty: table `{table}` has rows; name a database that no server has used")]
    NotEmpty {
        /// Which database.
        target: String,
        /// Its first table with rows.
        table: String,
    },
    /// The target does not hold what was written.
    #[error(
        "table `{table}` has other rows in `{target}` than were read ({read} read, {found} found); nothing was kept"
    )]
    Differs {
        /// Which table.
        table: String,
        /// Which database.
        target: String,
        /// Rows that were read from the source.
        read: u64,
        /// Rows that the target has.
        found: u64,
    },
    /// The source was written meanwhile.
    #[error("`{from}` changed while it was read; nothing was kept: stop its servers first")]
    Changed {
        /// Which database.
        from: String,
    },
    /// Reading the source failed.
    #[error("reading `{from}`")]
    Read {
        /// Which database.
        from: String,
        /// Why.
        #[source]
        source: DatabaseError,
    },
    /// Writing the target failed.
    #[error("writing `{target}`; nothing was kept")]
    Write {
        /// Which database.
        target: String,
        /// Why.
        #[source]
        source: DatabaseError,
    },
}

/// Brings everything over; the target is made if it is missing, and must be empty. `each` is told of every table.
pub fn transfer(
    from: &Location,
    target: &Location,
    mut each: impl FnMut(&Transferred),
) -> Result<(), TransferError> {
    let source = schema::open_for_reading(from)?;
    let sink = schema::open_for_writing(target, 0)?;
    let read = |source| TransferError::Read { from: from.to_string(), source };
    let write = |source| TransferError::Write { target: target.to_string(), source };
    source.begin_read().map_err(read)?;
    sink.begin_write().map_err(write)?;
    let tables = source.tables().map_err(read)?;
    for table in &tables {
        if count(sink.as_ref(), table).map_err(write)? > 0 {
            return Err(TransferError::NotEmpty { target: target.to_string(), table: table.name.clone() });
        }
    }
    sink.loosen_references().map_err(write)?;
    for table in &tables {
        let mut written = Ok(());
        let (rows, sha256) = walk(source.as_ref(), table, |page| {
            written = insert(sink.as_ref(), table, page);
            written.is_ok()
        })
        .map_err(read)?;
        written.map_err(write)?;
        let (found, found_sha256) = walk(sink.as_ref(), table, |_| true).map_err(write)?;
        if (rows, &sha256) != (found, &found_sha256) {
            let (table, target) = (table.name.clone(), target.to_string());
            return Err(TransferError::Differs { table, target, read: rows, found });
        }
        each(&Transferred { table: table.name.clone(), rows, sha256 });
    }
    let before = last_lines(source.as_ref()).map_err(read)?;
    source.rollback().map_err(read)?;
    if last_lines(source.as_ref()).map_err(read)? != before {
        return Err(TransferError::Changed { from: from.to_string() });
    }
    sink.tighten_references().map_err(write)?;
    sink.commit().map_err(write)?;
    sink.finish().map_err(write)
}

/// What every write moves: each has an audit line.
fn last_lines(engine: &dyn Engine) -> Answer<(u64, u64)> {
    let sql =
        "SELECT (SELECT coalesce(max(id), 0) FROM audit), (SELECT coalesce(max(revision), 0) FROM changes)";
    Ok(engine.one(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
}

fn count(engine: &dyn Engine, table: &Table) -> Answer<u64> {
    let sql = format!("SELECT count(*) FROM {}", table.name);
    Ok(engine.one(&sql, &[], |row| row.get(0))?.unwrap_or(0))
}

/// A value that outlives its row.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Value<'_>> for Cell {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(n) => Self::Integer(n),
            // Only what goes in is ever unsigned.
            Value::Unsigned(n) => Self::Integer(i64::try_from(n).unwrap_or(i64::MAX)),
            Value::Real(n) => Self::Real(n),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl<'a> From<&'a Cell> for Value<'a> {
    fn from(cell: &'a Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(n) => Self::Integer(*n),
            Cell::Real(n) => Self::Real(*n),
            Cell::Text(text) => Self::Text(text),
            Cell::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl Cell {
    /// Its type, its length and its bytes, so that no two rows have one digest.
    fn add_to(&self, digest: &mut Sha256) {
        let (kind, bytes): (u8, &[u8]) = match self {
            Self::Null => (0, &[]),
            Self::Integer(n) => (1, &n.to_le_bytes()),
            Self::Real(n) => (2, &n.to_bits().to_le_bytes()),
            Self::Text(text) => (3, text.as_bytes()),
            Self::Bytes(bytes) => (4, bytes),
        };
        digest.update([kind]);
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    }
}

/// All rows of a table by its primary key, page by page, until `each` says that it is enough; how many, and their digest.
fn walk(
    engine: &dyn Engine,
    table: &Table,
    mut each: impl FnMut(&[Vec<Cell>]) -> bool,
) -> Answer<(u64, String)> {
    let places: Vec<usize> =
        table.key.iter().filter_map(|key| table.columns.iter().position(|column| column == key)).collect();
    let (columns, key) = (table.columns.join(", "), table.key.join(", "));
    let after = (1..=places.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let first = format!("SELECT {columns} FROM {} ORDER BY {key} LIMIT {PAGE_ROWS}", table.name);
    let next = format!(
        "SELECT {columns} FROM {} WHERE ({key}) > ({after}) ORDER BY {key} LIMIT {PAGE_ROWS}",
        table.name
    );
    let read = |row: &Row<'_>| (0..table.columns.len()).map(|n| row.value(n).map(Cell::from)).collect();
    let (mut rows, mut digest) = (0, Sha256::new());
    let mut page: Vec<Vec<Cell>> = engine.all(&first, values![], read)?;
    while let Some(last) = page.last() {
        page.iter().flatten().for_each(|cell| cell.add_to(&mut digest));
        rows += page.len() as u64;
        if !each(&page) {
            break;
        }
        let from: Vec<Value<'_>> = places.iter().map(|place| Value::from(&last[*place])).collect();
        page = engine.all(&next, &from, read)?;
    }
    Ok((rows, HEXLOWER.encode(&digest.finalize())))
}

fn insert(engine: &dyn Engine, table: &Table, page: &[Vec<Cell>]) -> Answer<()> {
    for rows in page.chunks(CHUNK_ROWS) {
        let values: Vec<Value<'_>> = rows.iter().flatten().map(Value::from).collect();
        engine.run(&insertion(table, rows.len()), &values)?;
    }
    Ok(())
}

/// `INSERT INTO t (a, b) VALUES (?1, ?2), (?3, ?4)`.
fn insertion(table: &Table, rows: usize) -> String {
    let width = table.columns.len();
    let mut sql = format!("INSERT INTO {} ({}) VALUES ", table.name, table.columns.join(", "));
    for row in 0..rows {
        let places = (1..=width).map(|n| format!("?{}", row * width + n)).collect::<Vec<_>>().join(", ");
        // Writing to a String cannot fail.
        let _ = write!(sql, "{}({places})", if row == 0 { "" } else { ", " });
    }
    sql
}
