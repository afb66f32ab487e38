//! PostgreSQL: batches of all replicas come one after the other, since each transaction that writes first takes one lock of
//! the database. Then the plain READ COMMITTED is enough: every statement sees what all earlier batches committed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::Runtime;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, WrongType};
use tokio_postgres::{Client, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::location::Server;
use super::{Answer, DatabaseError, Dialect, Engine, Health, Purpose, Row, Table, Value, values};

/// Key of the lock that a writer takes: `assay` in ASCII.
const WRITER_LOCK: i64 = 0x61_73_73_61_79;
/// Statements that a connection keeps prepared; they are few, apart from people's queries.
const STATEMENTS_KEPT: usize = 256;
/// Bounds on how long a replica waits for the others, or may hold them up, in the server's words.
const SETTINGS: &str = "
    SET lock_timeout = '5s';
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s';
    SET client_min_messages = 'warning'";
/// Longest wait for an answer; a server that is not frozen gives up before.
const ANSWER_MAX: Duration = Duration::from_secs(35);

/// A connection to a server, with the small runtime that moves its bytes while somebody waits for an answer.
pub(super) struct Postgres {
    /// Absent only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    prepared: RefCell<HashMap<String, Statement>>,
    /// What goes out right before the next statement, in the same flight.
    ahead: RefCell<String>,
}

impl Postgres {
    pub(super) fn connect(server: &Server, purpose: Purpose) -> Answer<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| DatabaseError::Fatal(Box::new(error)))?;
        let tls = if server.config.get_ssl_mode() == SslMode::Disable { None } else { Some(tls(server)?) };
        let client = runtime.block_on(within(async {
            match tls {
                None => server.config.connect(NoTls).await.map(|(client, connection)| {
                    tokio::spawn(connection);
                    client
                }),
                Some(tls) => server.config.connect(tls).await.map(|(client, connection)| {
                    tokio::spawn(connection);
                    client
                }),
            }
        }));
        // Whatever the server says to one who asks for a connection: there is none.
        let client = client.map_err(|error| DatabaseError::Lost(Box::new(error)))?;
        let this =
            Self { runtime: Some(runtime), client, prepared: RefCell::default(), ahead: RefCell::default() };
        this.script(SETTINGS)?;
        if purpose == Purpose::Read {
            this.script("SET default_transaction_read_only = on")?;
        }
        Ok(this)
    }

    /// Waits for an answer.
    fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Answer<T> {
        let Some(runtime) = &self.runtime else { return Err(DatabaseError::Lost("it is closed".into())) };
        runtime.block_on(within(answer))
    }

    /// Asks, right after what was to go out before.
    fn ask<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Answer<T> {
        let ahead = std::mem::take(&mut *self.ahead.borrow_mut());
        if ahead.is_empty() {
            return self.wait(answer);
        }
        self.wait(async {
            let (before, answer) = tokio::join!(biased; self.client.batch_execute(&ahead), answer);
            before.and(answer)
        })
    }

    fn prepared(&self, sql: &str) -> Answer<Statement> {
        if let Some(statement) = self.prepared.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.ask(self.client.prepare(&translated(sql)))?;
        let mut prepared = self.prepared.borrow_mut();
        if prepared.len() >= STATEMENTS_KEPT {
            prepared.clear();
        }
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sends this before the next statement.
    fn ahead(&self, sql: &str) {
        let mut ahead = self.ahead.borrow_mut();
        ahead.push_str(sql);
        ahead.push(';');
    }
}

/// A call that may not wait for ever.
async fn within<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Answer<T> {
    match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(answer) => Ok(answer?),
        Err(late) => Err(DatabaseError::Lost(Box::new(late))),
    }
}

/// Encryption, and who must have signed the server's certificate.
fn tls(server: &Server) -> Answer<MakeRustlsConnect> {
    let fatal = |error: io::Error| DatabaseError::Fatal(Box::new(error));
    let path = server.ca.as_ref().ok_or_else(|| fatal(io::ErrorKind::NotFound.into()))?;
    let unreadable = |error| fatal(io::Error::other(format!("reading `{}`: {error}", path.display())));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?).map_err(|error| fatal(io::Error::other(error)))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fatal(io::Error::other(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// `?1` as PostgreSQL has it, `$1`; texts in quotes stay as they are.
fn translated(sql: &str) -> String {
    let mut quoted = false;
    let replace = |c| match c {
        '\'' => {
            quoted = !quoted;
            c
        }
        '?' if !quoted => '$',
        _ => c,
    };
    sql.chars().map(replace).collect()
}

impl Engine for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn adopt(&self) -> Answer<()> {
        Ok(())
    }

    fn begin_write(&self) -> Answer<()> {
        self.script(&format!("BEGIN; SELECT pg_advisory_xact_lock({WRITER_LOCK})"))
    }

    fn begin_read(&self) -> Answer<()> {
        self.ahead("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
        Ok(())
    }

    fn commit(&self) -> Answer<()> {
        self.script("COMMIT")
    }

    fn rollback(&self) -> Answer<()> {
        self.ahead.borrow_mut().clear();
        self.script("ROLLBACK")
    }

    fn savepoint(&self) -> Answer<()> {
        self.ahead("SAVEPOINT job");
        Ok(())
    }

    fn release(&self) -> Answer<()> {
        self.ahead("RELEASE SAVEPOINT job");
        Ok(())
    }

    fn undo(&self) -> Answer<()> {
        // What is still ahead was not sent: the mark itself may be in there.
        self.script("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job")
    }

    fn run(&self, sql: &str, values: &[Value<'_>]) -> Answer<u64> {
        let statement = self.prepared(sql)?;
        self.ask(self.client.execute_raw(&statement, values))
    }

    fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Answer<()>,
    ) -> Answer<()> {
        let statement = self.prepared(sql)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let rows = self.ask(self.client.query(&statement, &parameters))?;
        rows.iter().try_for_each(|row| each(&Row::Postgres(row)))
    }

    fn script(&self, sql: &str) -> Answer<()> {
        self.ask(self.client.batch_execute(sql))
    }

    fn version(&self) -> Answer<usize> {
        let engine: &dyn Engine = self;
        let there = engine.one("SELECT to_regclass('schema_version') IS NOT NULL", &[], |row| row.get(0))?;
        if there != Some(true) {
            return Ok(0);
        }
        Ok(engine.one("SELECT max(version) FROM schema_version", &[], |row| row.get(0))?.unwrap_or(0))
    }

    fn set_version(&self, version: usize) -> Answer<()> {
        self.script(&format!(
            "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY);
             DELETE FROM schema_version; INSERT INTO schema_version VALUES ({version})"
        ))
    }

    fn tables(&self) -> Answer<Vec<Table>> {
        let engine: &dyn Engine = self;
        let sql = "SELECT relname::TEXT FROM pg_class
                   WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
                     AND relname <> 'schema_version' ORDER BY oid";
        let names: Vec<String> = engine.all(sql, &[], |row| row.get(0))?;
        let columns = |name: String| {
            // The places in an index count from 0.
            let sql = "SELECT a.attname::TEXT, coalesce(array_position(i.indkey::INT2[], a.attnum) + 1, 0)::BIGINT
                       FROM pg_attribute a JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
                       WHERE a.attrelid = to_regclass(?1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
            let columns = engine.all(sql, values![&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Table::of_columns(name, columns))
        };
        names.into_iter().map(columns).collect()
    }

    fn loosen_references(&self) -> Answer<()> {
        self.script(&each_reference("DEFERRABLE INITIALLY DEFERRED"))
    }

    fn tighten_references(&self) -> Answer<()> {
        self.script("SET CONSTRAINTS ALL IMMEDIATE")?;
        self.script(&each_reference("NOT DEFERRABLE"))
    }

    /// Pages have checksums of their own there; what can be asked is whether a commit reaches the disk.
    fn health(&self) -> Answer<Health> {
        for (name, bad) in
            [("fsync", &["off"][..]), ("full_page_writes", &["off"]), ("synchronous_commit", &["off"])]
        {
            let sql = format!("SHOW {name}");
            let found = (self as &dyn Engine).one(&sql, &[], |row| row.get::<String>(0))?;
            if let Some(found) = found.filter(|found| bad.contains(&found.as_str())) {
                return Ok(Health::NotDurable(format!("{name} = {found}")));
            }
        }
        Ok(Health::Well)
    }

    fn tidy(&self) -> Answer<()> {
        Ok(())
    }

    fn finish(&self) -> Answer<()> {
        Ok(())
    }
}

/// Alters every foreign key of the store.
fn each_reference(how: &str) -> String {
    format!(
        "DO $$ DECLARE one RECORD; BEGIN
             FOR one IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint
                        WHERE contype = 'f' AND connamespace = current_schema()::regnamespace LOOP
                 EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I {how}', one.owner, one.conname);
             END LOOP;
         END $$"
    )
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Drop for Postgres {
    /// The server notices that nobody is there any more; waiting for it is for no thread that drops something.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A column of a row.
pub(super) fn column(row: &tokio_postgres::Row, column: usize) -> Answer<Value<'_>> {
    Ok(row.try_get(column)?)
}

type Cause = Box<dyn std::error::Error + Sync + Send>;

/// The types that the tables have, and those of what is computed from them.
fn is_known(kind: &Type) -> bool {
    [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT8, Type::TEXT, Type::VARCHAR, Type::BYTEA]
        .contains(kind)
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Cause> {
        match (*self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Unsigned(n), _) => Self::Integer(i64::try_from(n)?).to_sql(kind, out),
            (Self::Integer(n), &Type::BOOL) => (n != 0).to_sql(kind, out),
            (Self::Integer(n), &Type::INT2) => i16::try_from(n)?.to_sql(kind, out),
            (Self::Integer(n), &Type::INT4) => i32::try_from(n)?.to_sql(kind, out),
            (Self::Integer(n), &Type::INT8) => n.to_sql(kind, out),
            (Self::Real(n), &Type::FLOAT8) => n.to_sql(kind, out),
            (Self::Text(text), &(Type::TEXT | Type::VARCHAR)) => text.to_sql(kind, out),
            (Self::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(kind, out),
            _ => Err(Box::new(WrongType::new::<Self>(kind.clone()))),
        }
    }

    fn accepts(kind: &Type) -> bool {
        is_known(kind)
    }

    tokio_postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Cause> {
        Ok(match *kind {
            Type::BOOL => Self::Integer(bool::from_sql(kind, raw)?.into()),
            Type::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::FLOAT8 => Self::Real(f64::from_sql(kind, raw)?),
            Type::TEXT | Type::VARCHAR => Self::Text(<&str>::from_sql(kind, raw)?),
            Type::BYTEA => Self::Bytes(<&[u8]>::from_sql(kind, raw)?),
            _ => return Err(Box::new(WrongType::new::<Self>(kind.clone()))),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Cause> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        is_known(kind)
    }
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        let kind = match error.code() {
            Some(state) => of_state(state),
            None if error.is_closed() => Self::Lost,
            None => match std::error::Error::source(&error) {
                Some(source) if source.is::<io::Error>() => Self::Lost,
                // What the driver did not convert, in one of the two directions.
                Some(_) => Self::Rejected,
                None => Self::Fatal,
            },
        };
        kind(Box::new(error))
    }
}

/// By the classes of appendix A, "PostgreSQL Error Codes", of its documentation.
fn of_state(state: &SqlState) -> fn(Cause) -> DatabaseError {
    match (&state.code()[..2], state.code()) {
        // Lock not available; statement timeout; serialisation failure and deadlock; no room, memory or connections.
        (_, "55P03" | "57014") | ("40" | "53", _) => DatabaseError::Busy,
        // Data exception, integrity constraint.
        ("22" | "23", _) => DatabaseError::Rejected,
        // Connection exception; shut down, starting up; idle too long; a standby; tables that changed under a statement.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006" | "0A000") => {
            DatabaseError::Lost
        }
        _ => DatabaseError::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_translated_outside_of_texts() {
        assert_eq!(translated("a = ?1 AND b <> '?2' OR c = ?12"), "a = $1 AND b <> '?2' OR c = $12");
        assert_eq!(translated("'it''s ?1' || ?1"), "'it''s ?1' || $1");
    }

    #[test]
    fn states_are_told_apart_by_their_class() {
        let kind = |code| of_state(&SqlState::from_code(code))("x".into());
        assert!(matches!(kind("40001"), DatabaseError::Busy(_)));
        assert!(matches!(kind("53100"), DatabaseError::Busy(_)));
        assert!(matches!(kind("23505"), DatabaseError::Rejected(_)));
        assert!(matches!(kind("57P01"), DatabaseError::Lost(_)));
        assert!(matches!(kind("08006"), DatabaseError::Lost(_)));
        assert!(matches!(kind("42P01"), DatabaseError::Fatal(_)));
        assert!(matches!(kind("XX001"), DatabaseError::Fatal(_)));
    }
}
