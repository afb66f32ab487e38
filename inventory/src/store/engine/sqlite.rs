//! SQLite: one file, one writer at a time among all processes, a write-ahead log that is on disk when a commit returns.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
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
        // Nor at the end: a connection that goes since an fsync failed would try the very same once more.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
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

    /// Puts the log on disk as we see it. After a failed fsync the system calls pages clean that are not on disk: what a
    /// later commit or checkpoint builds on them would be lost with them when the power fails. Bytes that are written
    /// again are not clean, and the fsync that follows is about them.
    fn rewrite_log(&self) -> io::Result<()> {
        let Some(path) = self.connection.path() else { return Ok(()) };
        let log = match OpenOptions::new().read(true).write(true).open(format!("{path}-wal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let (mut bytes, mut offset) = (vec![0; 1 << 20], 0);
        loop {
            let length = log.read_at(&mut bytes, offset)?;
            if length == 0 {
                return log.sync_all();
            }
            log.write_all_at(&bytes[..length], offset)?;
            offset += length as u64;
        }
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

    /// Turns the log on, which a file keeps for good, and writes what is in it once more.
    fn adopt(&self) -> Answer<()> {
        let mode = set_journal(&self.connection, "WAL")?;
        if mode != "wal" {
            return Err(DatabaseError::Fatal(format!("the journal stays `{mode}`").into()));
        }
        // While the transaction lasts nobody else writes the log.
        self.begin_write()?;
        let rewritten = self.rewrite_log();
        self.rollback()?;
        rewritten.map_err(|error| DatabaseError::Fatal(error.into()))
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

    /// The same, and empties the log, unless somebody reads or writes it: they are not waited for.
    fn finish(&self) -> Answer<()> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let done = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.connection.busy_timeout(BUSY_WAIT)?;
        Ok(done?)
    }
}

/// Copies a database of one moment into an empty file; other connections may write it meanwhile.
pub(super) fn copy(from: &Path, to: &Path) -> Answer<()> {
    let from = Sqlite::open(from, Purpose::Read)?;
    let mut copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // All pages in one step: between two of them a writer would make it begin anew.
    match Backup::new(&from.connection, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        _ => return Err(DatabaseError::Busy("the copy is not complete".into())),
    }
    // One file, without a log beside it.
    set_journal(&copy, "DELETE")?;
    Ok(())
}

/// Asks for a journal; gives the one that there is then. SQLite answers before it commits the change: whoever stops at the
/// answer does not see the commit fail.
fn set_journal(connection: &Connection, mode: &str) -> Answer<String> {
    let mut statement = connection.prepare(&format!("PRAGMA journal_mode = {mode}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?)
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
