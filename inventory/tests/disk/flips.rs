//! One wrong bit at a time in the file of a stopped server: it is found when the store opens or by `verify`, or it changes
//! nothing that anybody reads; where it may go unseen is said here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crash_disk::record;
use inventory::clock::SystemClock;
use inventory::store::{Location, Store, verify};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::power::DATABASE;
use crate::story::Story;
use crate::{folder, setting};

/// Where one wrong bit may go unseen: what nothing else in the record speaks of, since no page of SQLite has a checksum.
/// All else is vouched for: what a node sent and signed, who it is, where it stands and how it came there, the audit.
fn may_go_unseen(column: &str) -> bool {
    const VOUCHED: &[&str] = &[
        "audit.",
        "nodes.id",
        "nodes.public_key",
        "nodes.state",
        "reports.bytes",
        "reports.sha256",
        "reports.signature",
        "reports.nonce",
        "reports.node_id",
        "reports.boot_id",
        "reports.sequence",
        "reports.verdict",
        "reports.revision",
        "transitions.node_id",
        "transitions.from_state",
        "transitions.to_state",
    ];
    // A row too many or too few, or a text that is none, has another form.
    let is_column = column.contains('.') && !column.contains(' ');
    is_column && !VOUCHED.iter().any(|vouched| column.starts_with(vouched))
}

/// Every row of every table, as text.
type Dump = BTreeMap<String, Vec<Vec<(String, String)>>>;

fn dump(path: &Path) -> rusqlite::Result<Dump> {
    let connection = Connection::open(path)?;
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let tables: Vec<String> =
        connection.prepare(names)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut dump = Dump::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
        // SQL's names have no case.
        let columns: Vec<String> = statement.column_names().map(str::to_ascii_lowercase).collect();
        let rows = statement.query_map([], |row| {
            let cell =
                |n: usize| row.get::<_, Value>(n).map(|value| (columns[n].clone(), format!("{value:?}")));
            (0..columns.len()).map(cell).collect::<Result<Vec<_>, _>>()
        })?;
        dump.insert(table.clone(), rows.collect::<Result<_, _>>()?);
    }
    Ok(dump)
}

/// The columns in which two dumps differ.
fn differences(one: &Dump, other: &Dump) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if one.keys().ne(other.keys()) {
        found.insert("other tables".to_owned());
    }
    for (table, rows) in one {
        let others = other.get(table).map_or(&[][..], Vec::as_slice);
        if rows.len() != others.len() {
            found.insert(format!("{table}: rows"));
        }
        let cells = rows.iter().zip(others).flat_map(|(row, other)| row.iter().zip(other));
        found.extend(cells.filter(|(a, b)| a != b).map(|((column, _), _)| format!("{table}.{column}")));
    }
    found
}

#[test]
fn one_wrong_bit_is_found_or_changes_nothing() {
    let home = folder();
    let path = home.path().canonicalize().unwrap().join(DATABASE);
    let mut story = Story::on(path.clone(), record(home.path()).unwrap());
    story.serve(1).unwrap();
    drop(story);
    assert!(verify(&Location::from(&path), None).unwrap().wrong.is_empty());
    let (bytes, whole) = (fs::read(&path).unwrap(), dump(&path).unwrap());
    let place = folder();
    let copy = place.path().join(DATABASE);
    let step = setting("ASSAY_FLIP_STEP", 499);
    let (mut at_open, mut by_verify, mut harmless) = (0, 0, 0);
    let mut unseen: BTreeMap<String, usize> = BTreeMap::new();
    for at in (0..bytes.len()).step_by(step) {
        for name in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(place.path().join(format!("{DATABASE}{name}")));
        }
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at / step % 8);
        fs::write(&copy, flipped).unwrap();
        if Store::open(&copy, Default::default(), Arc::new(SystemClock)).is_err() {
            at_open += 1;
        } else if !verify(&Location::from(&copy), None).is_ok_and(|verified| verified.wrong.is_empty()) {
            by_verify += 1;
        } else {
            let found = dump(&copy)
                .map_or_else(|error| [error.to_string()].into(), |dump| differences(&whole, &dump));
            harmless += usize::from(found.is_empty());
            found.into_iter().for_each(|column| *unseen.entry(column).or_default() += 1);
        }
    }
    println!(
        "wrong bits, one in every {step}th byte of {}: {at_open} found at open, {by_verify} by verify, {harmless} change nothing, not seen {unseen:?}",
        bytes.len()
    );
    assert!(at_open > 0 && by_verify > 0);
    let grave: Vec<_> = unseen.keys().filter(|column| !may_go_unseen(column)).collect();
    assert!(grave.is_empty(), "not seen: {grave:?}");
}
