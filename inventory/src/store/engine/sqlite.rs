//! SQLite: one file, one writer at a time among all processes, a write-ahead log that is on disk when a commit returns.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::{Answer, DatabaseError, Dialect, Engine, Health, Purpose, Row, Table, Value, values};

/// How long a writer waits for another process (`inventory token`) to finish its transaction.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Statements that a connection keeps compiled.
const STATEMENTS_KEPT: usize = 128;

/// A connection to a file.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(super) fn open(path: &Path, purpose: Purpose) -> Answer<Self> {
        let made = match purpose {
            Purpose::Write { .. } => OpenFlags::SQLITE_OPEN_CREATE,
            Purpose::Read => OpenFlags::empty(),
        };
        // Not SQLITE_OPEN_READ_ONLY: a reader of a WAL database may have to make its index file.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | made;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        connection.pragma_update(None, "foreign_keys", true)?;
        // SQLite would throw away the errors of a checkpoint that it runs by itself; the writer runs its own.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        match purpose {
            Purpose::Write { pages_max } => {
                connection.pragma_update(None, "synchronous", "FULL")?;
                if pages_max > 0 {
                    connection.pragma_update(None, "max_page_count", pages_max)?;
                }
            }
            Purpose::Read => connection.pragma_update(None, "query_only", true)?,
        }
        Ok(Self { connection })
    }

    fn simple(&self, sql: &str) -> Answer<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Engine for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    /// Turns the log on, which a file keeps for good.
    fn adopt(&self) -> Answer<()> {
        Ok(self.connection.pragma_update(None, "journal_mode", "WAL")?)
    }

    fn begin_write(&self) -> Answer<()> {
        self.simple("BEGIN IMMEDIATE")
    }

    fn begin_read(&self) -> Answer<()> {
        self.simple("BEGIN")
    }

    fn commit(&self) -> Answer<()> {
        self.simple("COMMIT")
    }

    fn rollback(&self) -> Answer<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.simple("ROLLBACK") }
    }

    fn savepoint(&self) -> Answer<()> {
        self.simple("SAVEPOINT job")
    }

    fn release(&self) -> Answer<()> {
        self.simple("RELEASE job")
    }

    fn undo(&self) -> Answer<()> {
        self.simple("ROLLBACK TO job")?;
        self.simple("RELEASE job")
    }

    fn run(&self, sql: &str, values: &[Value<'_>]) -> Answer<u64> {
        let changed = self.connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Answer<()>,
    ) -> Answer<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            each(&Row::Sqlite(row))?;
        }
        Ok(())
    }

    fn script(&self, sql: &str) -> Answer<()> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn version(&self) -> Answer<usize> {
        Ok(self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
    }

    fn set_version(&self, version: usize) -> Answer<()> {
        Ok(self.connection.pragma_update(None, "user_version", version)?)
    }

    fn tables(&self) -> Answer<Vec<Table>> {
        let engine: &dyn Engine = self;
        let sql =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid";
        let names: Vec<String> = engine.all(sql, &[], |row| row.get(0))?;
        let columns = |name: String| {
            let sql = "SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid";
            let columns = engine.all(sql, values![&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Table::of_columns(name, columns))
        };
        names.into_iter().map(columns).collect()
    }

    fn loosen_references(&self) -> Answer<()> {
        Ok(self.connection.pragma_update(None, "defer_foreign_keys", true)?)
    }

    /// It looks by itself at the commit.
    fn tighten_references(&self) -> Answer<()> {
        Ok(())
    }

    /// Reads the whole file.
    fn health(&self) -> Answer<Health> {
        let found = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        Ok(match found {
            Ok(found) if found == "ok" => Health::Well,
            Ok(found) => Health::Damaged(found),
            Err(error) => Health::Damaged(error.to_string()),
        })
    }

    /// Moves the log into the file. SQLite says here what its own automatic checkpoints keep to themselves.
    fn tidy(&self) -> Answer<()> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }
}

/// A column of a row.
pub(super) fn column<'r>(row: &'r rusqlite::Row<'_>, column: usize) -> Answer<Value<'r>> {
    let text = DatabaseError::Value { column, expected: "text in UTF-8" };
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(n) => Value::Real(n),
        ValueRef::Text(bytes) => Value::Text(str::from_utf8(bytes).map_err(|_| text)?),
        ValueRef::Blob(bytes) => Value::Bytes(bytes),
    })
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Integer(n) => ValueRef::Integer(n),
            Value::Unsigned(n) => {
                let n = i64::try_from(n)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                ValueRef::Integer(n)
            }
            Value::Real(n) => ValueRef::Real(n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(Box::new(error)),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) | None => {
                // No code: it is of rusqlite itself, a value that does not convert.
                Self::Rejected(Box::new(error))
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(Box::new(error)),
            Some(_) => Self::Fatal(Box::new(error)),
        }
    }
}
