//! A database of the first schema, made by the version that had it, is brought forward with nothing lost.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use inventory::clock::SystemClock;
use inventory::store::read::View;
use inventory::store::{Location, Store, StoreError, verify};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Each table's rows, in the columns that the first schema has.
fn rows(path: &Path, columns: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let connection = Connection::open(path).unwrap();
    let read = |(table, columns): (&String, &Vec<String>)| {
        let list = columns.join(", ");
        let mut sql = connection.prepare(&format!("SELECT {list} FROM {table} ORDER BY {list}")).unwrap();
        let cell = |row: &rusqlite::Row<'_>, n| format!("{:?}", row.get::<_, Value>(n).unwrap());
        let rows = sql.query_map([], |row| Ok((0..columns.len()).map(|n| cell(row, n)).collect())).unwrap();
        (table.clone(), rows.collect::<Result<Vec<String>, _>>().unwrap())
    };
    columns.iter().map(read).collect()
}

fn columns(path: &Path) -> BTreeMap<String, Vec<String>> {
    let connection = Connection::open(path).unwrap();
    let sql =
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut statement = connection.prepare(sql).unwrap();
    let pairs = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).unwrap();
    for (table, column) in pairs.map(Result::unwrap) {
        found.entry(table).or_default().push(column);
    }
    found
}

#[test]
fn a_database_of_the_first_schema_is_brought_forward_with_nothing_lost() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("inventory.db");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/first-schema.db");
    std::fs::copy(fixture, &path).unwrap();
    let columns = columns(&path);
    assert_eq!(columns.len(), 9, "{columns:?}");
    let before = rows(&path, &columns);
    assert!(before.values().all(|rows| !rows.is_empty()), "the fixture has a row in each table");
    // One who only reads changes nothing.
    assert!(matches!(View::open(&path), Err(StoreError::Older { .. })));

    drop(Store::open(&path, Default::default(), Arc::new(SystemClock)).unwrap());
    let after = rows(&path, &columns);
    for (table, rows) in &before {
        assert_eq!(rows, &after[table], "{table}");
    }
    let verified = verify(&Location::from(&path), None).unwrap();
    assert_eq!(verified.wrong, []);
    // The lines of before are in the chain, and the nonces of the reports are known.
    assert_eq!((verified.nodes, verified.reports, verified.signatures, verified.audit_lines), (3, 4, 4, 28));
}
