//! How a database is opened: checked, migrated forward, never touched if it is of a newer version.
//!
//! A migration is a file in `migrations/`, in words that [`super::engine::Dialect`] translates. One that was released is
//! never changed; the next one corrects it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use super::engine::{self, Answer, DatabaseError, Engine, Health, Location, Purpose};
use super::{StoreError, chain};

/// Each with its number, in rising order. A database has the number of the last one that it has seen.
const MIGRATIONS: &[(usize, &str)] = &[
    (1, include_str!("migrations/0001_record.sql")),
    (4, include_str!("migrations/0004_people.sql")),
    (7, include_str!("migrations/0007_site.sql")),
    (CHAIN, include_str!("migrations/0008_audit_chain.sql")),
];
/// The one whose hashes no SQL can compute.
const CHAIN: usize = 8;

/// The version that this program reads and writes.
pub(super) const VERSION: usize = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Opens a database for writing; it is made, or brought to this version, if need be. `pages_max` bounds a SQLite file.
pub(super) fn open_for_writing(location: &Location, pages_max: u32) -> Result<Box<dyn Engine>, StoreError> {
    if let Location::File(path) = location {
        // SQLite would leave the permissions to the umask; its log takes over those of the file. One that is there is not
        // opened: closing it would take this process's locks on it away.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Make { path: path.clone(), source });
            }
            _ => {}
        }
    }
    let engine =
        engine::connect(location, Purpose::Write { pages_max }).map_err(|error| opening(location, error))?;
    // Before anything is written: a database of a newer version stays as it is.
    check_version(engine.as_ref(), location)?;
    engine.adopt().map_err(|error| opening(location, error))?;
    migrate(engine.as_ref(), location)?;
    Ok(engine)
}

/// Opens a database that is there, for reading only.
pub(super) fn open_for_reading(location: &Location) -> Result<Box<dyn Engine>, StoreError> {
    if let Location::File(path) = location
        && !path.exists()
    {
        return Err(StoreError::Missing { path: path.clone() });
    }
    let engine = engine::connect(location, Purpose::Read).map_err(|error| opening(location, error))?;
    match check_version(engine.as_ref(), location)? {
        VERSION => Ok(engine),
        _ => Err(StoreError::Older { database: location.to_string() }),
    }
}

/// Looks for damage, and whether a commit will be on disk.
pub(super) fn check_health(engine: &dyn Engine, location: &Location) -> Result<(), StoreError> {
    let database = || location.to_string();
    match engine.health().map_err(|error| opening(location, error))? {
        Health::Well => Ok(()),
        Health::Damaged(detail) => Err(StoreError::Damaged { database: database(), detail }),
        Health::NotDurable(detail) => Err(StoreError::NotDurable { database: database(), detail }),
    }
}

/// Damage may show before it is looked for.
fn opening(location: &Location, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::Damaged(cause) => {
            StoreError::Damaged { database: location.to_string(), detail: cause.to_string() }
        }
        error => StoreError::Open(error),
    }
}

fn check_version(engine: &dyn Engine, location: &Location) -> Result<usize, StoreError> {
    let found = engine.version().map_err(|error| opening(location, error))?;
    if found > VERSION {
        return Err(StoreError::Newer { database: location.to_string(), found, known: VERSION });
    }
    Ok(found)
}

/// In one transaction: a failure leaves the version that was there.
fn migrate(engine: &dyn Engine, location: &Location) -> Result<(), StoreError> {
    engine.begin_write().map_err(|error| opening(location, error))?;
    // Inside the transaction: another process may have migrated in the meantime.
    let found = check_version(engine, location)?;
    for (number, sql) in MIGRATIONS.iter().filter(|(number, _)| *number > found) {
        engine.script(&engine.dialect().of_migration(sql)).map_err(|error| opening(location, error))?;
        if *number == CHAIN {
            chain::forge(engine).map_err(|error| opening(location, error))?;
        }
        engine.set_version(*number).map_err(|error| opening(location, error))?;
    }
    engine.commit().map_err(|error| opening(location, error))
}

/// The columns of each table, with their types and places in its key: in that SQLite database, and in one that was made
/// just now.
pub(super) fn columns(engine: &dyn Engine) -> Answer<[Vec<String>; 2]> {
    let of = |engine: &dyn Engine| {
        let sql = "SELECT t.name, c.name, c.type, CAST(c.\"notnull\" AS TEXT), CAST(c.pk AS TEXT)
                   FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'
                   ORDER BY t.name, c.cid";
        engine.all(sql, &[], |row| {
            let cells: [String; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
            Ok(cells.join(" "))
        })
    };
    let new = engine::connect(&Location::File(":memory:".into()), Purpose::Write { pages_max: 0 })?;
    for (_, sql) in MIGRATIONS {
        new.script(&new.dialect().of_migration(sql))?;
    }
    Ok([of(engine)?, of(new.as_ref())?])
}

#[cfg(test)]
mod tests {
    use super::super::engine::Dialect;
    use super::*;

    fn writer(location: &Location) -> Result<Box<dyn Engine>, StoreError> {
        open_for_writing(location, 0)
    }

    #[test]
    fn migrations_rise_and_leave_no_word_untranslated() {
        assert!(MIGRATIONS.is_sorted_by(|(one, _), (next, _)| one < next));
        for (number, sql) in MIGRATIONS {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                let sql = dialect.of_migration(sql);
                assert!(!sql.contains(['{', '}']), "migration {number}");
            }
        }
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("inventory.db");
        let location = Location::from(&path);
        writer(&location).unwrap().set_version(99).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(writer(&location), Err(StoreError::Newer { found: 99, .. })));
        assert!(matches!(open_for_reading(&location), Err(StoreError::Newer { found: 99, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_writer_is_durable_and_keeps_references() {
        let temporary = tempfile::tempdir().unwrap();
        let engine = writer(&Location::from(temporary.path().join("inventory.db"))).unwrap();
        let number = |name: &str| {
            engine.one(&format!("PRAGMA {name}"), &[], |row| row.get::<i64>(0)).unwrap().unwrap()
        };
        const FULL: i64 = 2;
        assert_eq!((number("synchronous"), number("foreign_keys")), (FULL, 1));
        let mode = engine.one("PRAGMA journal_mode", &[], |row| row.get::<String>(0)).unwrap();
        assert_eq!(mode.as_deref(), Some("wal"));
    }

    #[test]
    fn a_reader_says_what_to_do_where_nothing_is_and_cannot_write() {
        let temporary = tempfile::tempdir().unwrap();
        let location = Location::from(temporary.path().join("inventory.db"));
        let error = open_for_reading(&location).unwrap_err();
        assert!(error.to_string().contains("inventory serve"), "{error}");
        writer(&location).unwrap();
        let reader = open_for_reading(&location).unwrap();
        reader.run("DELETE FROM nodes", &[]).unwrap_err();
    }

    #[test]
    fn damage_is_found_before_anything_is_served() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("inventory.db");
        let location = Location::from(&path);
        writer(&location).unwrap().finish().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // The header of the second page.
        bytes[4096..4096 + 64].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let found = writer(&location).and_then(|engine| check_health(engine.as_ref(), &location));
        assert!(found.is_err());
    }
}
