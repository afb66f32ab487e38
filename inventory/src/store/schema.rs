//! The tables, and how a database file is opened: checked, migrated forward, never touched if it is of a newer version.
//!
//! Times are milliseconds since 1970 (UTC). Texts that came from a node were sized and cleaned before they got here.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::StoreError;

/// One step per version; `user_version` counts the steps that a file has seen.
const MIGRATIONS: [&str; 1] = ["
    -- Each stored change of the fleet's record, numbered without a gap.
    CREATE TABLE changes (
        revision INTEGER PRIMARY KEY,
        kind     TEXT NOT NULL,
        node_id  TEXT NOT NULL,
        at_ms    INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE nodes (
        id            TEXT PRIMARY KEY,
        public_key    BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
        state         TEXT NOT NULL,
        reason        TEXT,
        pool          TEXT,
        hostname      TEXT,
        created_at_ms INTEGER NOT NULL,
        revision      INTEGER NOT NULL REFERENCES changes (revision),
        CHECK ((pool IS NOT NULL) = (state IN ('available', 'allocated')))
    ) STRICT;

    CREATE TABLE tokens (
        id             TEXT PRIMARY KEY,
        secret_sha256  BLOB NOT NULL CHECK (length(secret_sha256) = 32),
        plan           TEXT NOT NULL,
        created_at_ms  INTEGER NOT NULL,
        expires_at_ms  INTEGER NOT NULL,
        consumed_at_ms INTEGER,
        -- The one request that consumed it, and its answer; both absent if it expired.
        request_sha256 BLOB,
        response       TEXT,
        node_id        TEXT REFERENCES nodes (id),
        CHECK (consumed_at_ms IS NOT NULL OR (request_sha256 IS NULL AND response IS NULL AND node_id IS NULL))
    ) STRICT;

    CREATE TABLE evidence (
        node_id          TEXT NOT NULL REFERENCES nodes (id),
        kind             TEXT NOT NULL,
        value            TEXT NOT NULL,
        first_seen_at_ms INTEGER NOT NULL,
        PRIMARY KEY (node_id, kind, value)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX evidence_by_value ON evidence (kind, value);

    CREATE TABLE conflicts (
        claimant_id  TEXT NOT NULL REFERENCES nodes (id),
        incumbent_id TEXT NOT NULL REFERENCES nodes (id),
        kind         TEXT NOT NULL,
        value        TEXT NOT NULL,
        at_ms        INTEGER NOT NULL,
        revision     INTEGER NOT NULL REFERENCES changes (revision),
        PRIMARY KEY (claimant_id, incumbent_id, kind, value)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE boots (
        node_id      TEXT NOT NULL REFERENCES nodes (id),
        boot_id      TEXT NOT NULL,
        nonce        TEXT NOT NULL,
        plan         TEXT NOT NULL,
        is_current   INTEGER NOT NULL CHECK (is_current IN (0, 1)),
        opened_at_ms INTEGER NOT NULL,
        revision     INTEGER NOT NULL REFERENCES changes (revision),
        PRIMARY KEY (node_id, boot_id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX boots_current ON boots (node_id) WHERE is_current = 1;

    CREATE TABLE reports (
        revision       INTEGER PRIMARY KEY REFERENCES changes (revision),
        node_id        TEXT NOT NULL,
        boot_id        TEXT NOT NULL,
        sequence       INTEGER NOT NULL CHECK (sequence > 0),
        run_id         TEXT NOT NULL UNIQUE,
        plan           TEXT NOT NULL,
        verdict        TEXT NOT NULL,
        ack            TEXT NOT NULL,
        sha256         TEXT NOT NULL,
        signature      BLOB NOT NULL,
        received_at_ms INTEGER NOT NULL,
        bytes          BLOB NOT NULL,
        UNIQUE (node_id, boot_id, sequence),
        FOREIGN KEY (node_id, boot_id) REFERENCES boots (node_id, boot_id)
    ) STRICT;

    CREATE TABLE transitions (
        id         INTEGER PRIMARY KEY,
        node_id    TEXT NOT NULL REFERENCES nodes (id),
        from_state TEXT,
        to_state   TEXT NOT NULL,
        cause      TEXT NOT NULL,
        actor      TEXT NOT NULL,
        -- Revision of the report that led to it.
        evidence   INTEGER REFERENCES reports (revision),
        at_ms      INTEGER NOT NULL,
        revision   INTEGER NOT NULL REFERENCES changes (revision)
    ) STRICT;
    CREATE INDEX transitions_by_node ON transitions (node_id, id);

    CREATE TABLE audit (
        id       INTEGER PRIMARY KEY,
        at_ms    INTEGER NOT NULL,
        action   TEXT NOT NULL,
        code     TEXT,
        actor    TEXT NOT NULL,
        source   TEXT,
        node_id  TEXT,
        token_id TEXT,
        detail   TEXT,
        -- Refusals with this code that were not written since the last such line.
        dropped  INTEGER NOT NULL DEFAULT 0
    ) STRICT;
"];

/// How long a writer waits for another process (`inventory token`) to finish its transaction.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Opens a database for writing; it is made, or brought to this version, if need be.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    // SQLite would leave the permissions to the umask; its log takes over those of the file.
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map_err(|source| StoreError::Make { path: path.to_owned(), source })?;
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    // Before anything is written: a file of a newer version stays as it is.
    check_version(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(StoreError::Open)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(StoreError::Open)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens a database that is there, for reading only.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    // Not SQLITE_OPEN_READ_ONLY: a reader of a WAL database may have to make its index file.
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true).map_err(StoreError::Open)?;
    match version(&connection)? {
        found if found == MIGRATIONS.len() => Ok(connection),
        found if found > MIGRATIONS.len() => Err(newer(path, found)),
        _ => Err(StoreError::Older { path: path.to_owned() }),
    }
}

/// Reads the whole file for damage.
pub(super) fn check_for_damage(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let damaged = |detail| StoreError::Damaged { path: path.to_owned(), detail };
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| damaged(error.to_string()))?;
    if found == "ok" { Ok(()) } else { Err(damaged(found)) }
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(StoreError::Open)?;
    connection.busy_timeout(BUSY_WAIT).map_err(StoreError::Open)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(StoreError::Open)?;
    // SQLite would throw away the errors of a checkpoint that it runs by itself; the writer runs its own.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(StoreError::Open)?;
    Ok(connection)
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(StoreError::Open)
}

fn check_version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let found = version(connection)?;
    if found > MIGRATIONS.len() { Err(newer(path, found)) } else { Ok(found) }
}

fn newer(path: &Path, found: usize) -> StoreError {
    StoreError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let tx =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::Open)?;
    // Inside the transaction: another process may have migrated in the meantime.
    for step in &MIGRATIONS[check_version(&tx, path)?..] {
        tx.execute_batch(step).map_err(StoreError::Open)?;
    }
    tx.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(StoreError::Open)?;
    tx.commit().map_err(StoreError::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("inventory.db");
        let connection = open_for_writing(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open_for_writing(&path), Err(StoreError::Newer { found: 99, .. })));
        assert!(matches!(open_for_reading(&path), Err(StoreError::Newer { found: 99, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_writer_is_durable_and_keeps_references() {
        let temporary = tempfile::tempdir().unwrap();
        let connection = open_for_writing(&temporary.path().join("inventory.db")).unwrap();
        let text =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap();
        let number =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        const FULL: i64 = 2;
        assert_eq!(text("journal_mode"), "wal");
        assert_eq!((number("synchronous"), number("foreign_keys")), (FULL, 1));
    }

    #[test]
    fn a_reader_says_what_to_do_where_nothing_is() {
        let temporary = tempfile::tempdir().unwrap();
        let error = open_for_reading(&temporary.path().join("inventory.db")).unwrap_err();
        assert!(error.to_string().contains("inventory serve"), "{error}");
    }

    #[test]
    fn damage_is_found_before_anything_is_served() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("inventory.db");
        drop(open_for_writing(&path).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        // The header of the second page.
        bytes[4096..4096 + 64].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let found = open_for_writing(&path).and_then(|connection| check_for_damage(&connection, &path));
        assert!(found.is_err());
    }
}
