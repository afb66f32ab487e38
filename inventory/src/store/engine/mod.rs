//! One connection to a database, SQLite or PostgreSQL, as the rest of the store sees it.
//!
//! The SQL of the store is written once, in what both understand:
//! - values are `?1`, `?2`; PostgreSQL gets them as `$1`, `$2`;
//! - `ON CONFLICT`, `RETURNING` and partial indexes are fine; functions on JSON are not: keep a column, or read it here;
//! - a value stands where its type is plain: not `?1 IS NULL`, which is a question to ask before the SQL is chosen;
//! - a sum is written `CAST(sum(x) AS BIGINT)`, since PostgreSQL's is a NUMERIC;
//! - the next number of a table is `(SELECT coalesce(max(id), 0) + 1 FROM ...)`: batches of all replicas come one after
//!   the other, and a number that was rolled back is given again, so that none is missing;
//! - what differs in `CREATE TABLE` has a name in braces ([`Dialect::of_migration`]).
//!
//! A new database is one file here that passes the conformance suite (`tests/conformance.rs`).

mod error;
mod location;
mod postgres;
mod sqlite;
mod value;
#[cfg(test)]
mod conformance;

use std::fmt::Debug;
use std::path::Path;

pub use error::DatabaseError;
pub use location::{Location, LocationError};
pub(super) use value::{Row, Value, values};

/// Answer of a database call.
pub(super) type Answer<T> = Result<T, DatabaseError>;

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is made if it is missing. `pages_max` bounds a SQLite file; 0 for no bound.
    Write { pages_max: u32 },
    /// It must be there, and nothing in it can be changed.
    Read,
}

/// Can the database be trusted with what is acknowledged?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    /// What is there is not what was written.
    Damaged(String),
    /// It calls things written that a power failure would take back.
    NotDurable(String),
}

/// A table as the database itself describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// The columns of its primary key, in their order in it.
    pub(super) key: Vec<String>,
}

/// One connection. Not shared: who has it is alone with its transaction.
pub(super) trait Engine: Debug + Send {
    /// Which words its tables are made with.
    fn dialect(&self) -> Dialect;
    /// What a writer changes for good in a database of a version that it knows, before its first transaction.
    fn adopt(&self) -> Answer<()>;
    /// Begins a transaction that no other writer, of this or another process, runs beside.
    fn begin_write(&self) -> Answer<()>;
    /// Begins a transaction that sees the database of one moment.
    fn begin_read(&self) -> Answer<()>;
    /// Makes all of the transaction durable.
    fn commit(&self) -> Answer<()>;
    /// Undoes the transaction, if there is one.
    fn rollback(&self) -> Answer<()>;
    /// Marks a place in the transaction to come back to.
    fn savepoint(&self) -> Answer<()>;
    /// Keeps what was done since the mark.
    fn release(&self) -> Answer<()>;
    /// Undoes what was done since the mark.
    fn undo(&self) -> Answer<()>;
    /// Runs one statement; gives the number of rows that it changed.
    fn run(&self, sql: &str, values: &[Value<'_>]) -> Answer<u64>;
    /// Runs one statement and shows each row of its answer.
    fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        row: &mut dyn FnMut(&Row<'_>) -> Answer<()>,
    ) -> Answer<()>;
    /// Runs statements without values.
    fn script(&self, sql: &str) -> Answer<()>;
    /// How many migrations it has seen; 0 if it is empty.
    fn version(&self) -> Answer<usize>;
    /// Writes that down.
    fn set_version(&self, version: usize) -> Answer<()>;
    /// All tables of the store, in the order in which they were made.
    fn tables(&self) -> Answer<Vec<Table>>;
    /// Within a transaction: a row may refer to one that comes later.
    fn loosen_references(&self) -> Answer<()>;
    /// And now each must be there.
    fn tighten_references(&self) -> Answer<()>;
    /// Looks for damage.
    fn health(&self) -> Answer<Health>;
    /// What is to be done now and then between transactions.
    fn tidy(&self) -> Answer<()>;
    /// What is to be done after the last one.
    fn finish(&self) -> Answer<()>;
}

impl dyn Engine + '_ {
    /// The first row, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Answer<Option<T>> {
        let mut found = None;
        self.each(sql, values, &mut |row| {
            if found.is_none() {
                found = Some(read(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Answer<Vec<T>> {
        let mut found = Vec::new();
        self.each(sql, values, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }
}

impl Table {
    /// From the names of its columns, each with its place in the primary key, from 1 up, or 0.
    fn of_columns(name: String, columns: Vec<(String, i64)>) -> Self {
        let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        let key = key.into_iter().map(|(column, _)| column.clone()).collect();
        Self { name, columns: columns.into_iter().map(|(column, _)| column).collect(), key }
    }
}

/// Opens a connection; says nothing yet about what is in the database.
pub(super) fn connect(location: &Location, purpose: Purpose) -> Answer<Box<dyn Engine>> {
    Ok(match location {
        Location::File(path) => Box::new(sqlite::Sqlite::open(path, purpose)?),
        Location::Server(server) => Box::new(postgres::Postgres::connect(server, purpose)?),
    })
}

/// Copies the record in a file into an empty one, as it is at one moment.
pub(super) fn copy_file(from: &Path, to: &Path) -> Answer<()> {
    sqlite::copy(from, to)
}

/// Which words a database's tables are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// What stands in braces in a migration, and what becomes of it in SQLite and PostgreSQL. Texts compare by their
    /// bytes in both, so that pages are in the same order.
    const WORDS: [(&str, &str, &str); 6] = [
        ("{integer}", "INTEGER", "BIGINT"),
        ("{real}", "REAL", "DOUBLE PRECISION"),
        ("{text}", "TEXT", "TEXT COLLATE \"C\""),
        ("{bytes}", "BLOB", "BYTEA"),
        ("{table}", "STRICT", ""),
        // The rows lie in the order of the primary key, which is not a number.
        ("{keyed table}", "STRICT, WITHOUT ROWID", ""),
    ];

    /// A migration in the words of this database.
    pub(super) fn of_migration(self, sql: &str) -> String {
        Self::WORDS.iter().fold(sql.to_owned(), |sql, (name, sqlite, postgres)| {
            sql.replace(name, if self == Self::Sqlite { sqlite } else { postgres })
        })
    }
}
