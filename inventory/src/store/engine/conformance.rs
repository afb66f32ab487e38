//! What every engine does alike: one list of promises, kept by SQLite and by PostgreSQL.

use super::*;

#[path = "../../../tests/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the store use all of it")]
mod server;

/// A promise, with a fresh database to keep it in.
type Promise = (&'static str, fn(&Location));

const PROMISES: &[Promise] = &[
    ("values come back as they went in", values_come_back),
    ("a value of another type is an error", wrong_types),
    ("texts are in the order of their bytes", order_of_texts),
    ("what is undone is gone, what is kept stays", savepoints),
    ("a savepoint that nothing follows costs nothing and breaks nothing", empty_savepoints),
    ("a violated constraint is about the statement only", constraints),
    ("a wrong statement is fatal", wrong_statements),
    ("a reader sees one moment and cannot write", readers),
    ("writers come one after the other", writers),
    ("a rolled back transaction leaves nothing", rollback),
    ("the version is kept with the tables", versions),
    ("a table is described as it was made, and the version is none", descriptions),
    ("a reference may come before its row, until it is looked at", references),
];

fn keep(fresh: impl Fn() -> Location) {
    for (promise, keeps) in PROMISES {
        println!("{promise}");
        keeps(&fresh());
    }
}

#[test]
fn sqlite_keeps_every_promise() {
    let temporary = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    keep(|| {
        count.set(count.get() + 1);
        temporary.path().join(format!("{}.db", count.get())).into()
    });
}

#[test]
fn postgres_keeps_every_promise() {
    let server = server::Postgres::start();
    keep(|| Location::server(&server.database()).unwrap());
}

fn open(location: &Location) -> Box<dyn Engine> {
    let engine = connect(location, Purpose::Write { pages_max: 0 }).unwrap();
    engine.adopt().unwrap();
    let sql = "CREATE TABLE IF NOT EXISTS t (
        id {integer} PRIMARY KEY, name {text} UNIQUE, data {bytes}, level {real}) {table};";
    engine.script(&engine.dialect().of_migration(sql)).unwrap();
    engine
}

fn names(engine: &dyn Engine) -> Vec<String> {
    engine.all("SELECT name FROM t ORDER BY name", &[], |row| row.get(0)).unwrap()
}

fn put(engine: &dyn Engine, id: i64, name: &str) -> Answer<u64> {
    engine.run("INSERT INTO t (id, name) VALUES (?1, ?2)", values![id, name])
}

fn values_come_back(location: &Location) {
    let engine = open(location);
    let bytes = vec![0, 1, 254, 255];
    let text = "Grüße, 'quoted' ?1 \u{1f980}".to_owned();
    let sql = "INSERT INTO t (id, name, data, level) VALUES (?1, ?2, ?3, ?4) RETURNING id, name, data, level";
    let row = engine
        .one(sql, values![u64::MAX / 2, &text, &bytes, 0.1 + 0.2], |row| {
            Ok((row.get::<u64>(0)?, row.get::<String>(1)?, row.get::<Vec<u8>>(2)?, row.get::<f64>(3)?))
        })
        .unwrap();
    assert_eq!(row, Some((u64::MAX / 2, text, bytes, 0.1 + 0.2)));
    engine
        .run(
            "UPDATE t SET name = ?1, data = ?2, level = ?3",
            values![None::<&str>, None::<&[u8]>, None::<f64>],
        )
        .unwrap();
    let sql = "SELECT name, data, level, name IS NULL, id > ?1, count(*) OVER () FROM t";
    let row = engine
        .one(sql, values![i64::MAX], |row| {
            let (name, data): (Option<String>, Option<[u8; 4]>) = (row.get(0)?, row.get(1)?);
            Ok((name, data, row.get::<Option<f64>>(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .unwrap();
    assert_eq!(row, Some((None, None, None, true, false, 1u32)));
    assert_eq!(
        engine.one("SELECT id FROM t WHERE id = ?1", values![7], |row| row.get::<i64>(0)).unwrap(),
        None
    );
}

fn wrong_types(location: &Location) {
    let engine = open(location);
    put(engine.as_ref(), -1, "one").unwrap();
    let is_about_the_value = |found: Answer<()>| matches!(found, Err(DatabaseError::Value { column: 0, .. }));
    let read = |sql: &str, read: &dyn Fn(&Row<'_>) -> Answer<()>| engine.one(sql, &[], read).map(drop);
    assert!(is_about_the_value(read("SELECT id FROM t", &|row| row.get::<u64>(0).map(drop))));
    assert!(is_about_the_value(read("SELECT name FROM t", &|row| row.get::<i64>(0).map(drop))));
    assert!(is_about_the_value(read("SELECT data FROM t", &|row| row.get::<String>(0).map(drop))));
    for wrong in [values![u64::MAX], values!["text"], values![b"bytes"]] {
        let error = engine.run("UPDATE t SET id = ?1", wrong).unwrap_err();
        assert!(error.is_about_this_job_only(), "{error:?}");
    }
    assert_eq!(engine.one("SELECT id FROM t", &[], |row| row.get(0)).unwrap(), Some(-1i64));
}

fn order_of_texts(location: &Location) {
    let engine = open(location);
    let mut sorted = ["B", "a", "_", "Z-1", "z1", "é", "node-2", "node-10", "node10"];
    for (id, name) in (0..).zip(sorted) {
        put(engine.as_ref(), id, name).unwrap();
    }
    sorted.sort_unstable();
    assert_eq!(names(engine.as_ref()), sorted);
    let after: Vec<String> = engine
        .all("SELECT name FROM t WHERE name > ?1 ORDER BY name", values!["Z-1"], |row| row.get(0))
        .unwrap();
    assert_eq!(after, sorted[2..]);
}

fn savepoints(location: &Location) {
    let engine = open(location);
    engine.begin_write().unwrap();
    for (id, name, keeps) in [(1, "kept", true), (2, "undone", false), (3, "kept too", true)] {
        engine.savepoint().unwrap();
        put(engine.as_ref(), id, name).unwrap();
        if keeps { engine.release() } else { engine.undo() }.unwrap();
    }
    engine.commit().unwrap();
    assert_eq!(names(open(location).as_ref()), ["kept", "kept too"]);
}

fn empty_savepoints(location: &Location) {
    let engine = open(location);
    engine.begin_write().unwrap();
    for keeps in [true, false, true] {
        engine.savepoint().unwrap();
        if keeps { engine.release() } else { engine.undo() }.unwrap();
    }
    put(engine.as_ref(), 1, "one").unwrap();
    engine.savepoint().unwrap();
    engine.release().unwrap();
    engine.commit().unwrap();
    assert_eq!(names(open(location).as_ref()), ["one"]);
}

fn constraints(location: &Location) {
    let engine = open(location);
    engine.begin_write().unwrap();
    put(engine.as_ref(), 1, "one").unwrap();
    engine.savepoint().unwrap();
    put(engine.as_ref(), 2, "two").unwrap();
    let error = put(engine.as_ref(), 3, "one").unwrap_err();
    assert!(error.is_about_this_job_only(), "{error:?}");
    engine.undo().unwrap();
    put(engine.as_ref(), 4, "four").unwrap();
    engine.commit().unwrap();
    assert_eq!(names(open(location).as_ref()), ["four", "one"]);
}

fn wrong_statements(location: &Location) {
    let engine = open(location);
    let error = engine.run("INSERT INTO nowhere VALUES (1)", &[]).unwrap_err();
    assert!(matches!(error, DatabaseError::Fatal(_)), "{error:?}");
}

fn readers(location: &Location) {
    let writer = open(location);
    put(writer.as_ref(), 1, "one").unwrap();
    let reader = connect(location, Purpose::Read).unwrap();
    reader.begin_read().unwrap();
    assert_eq!(names(reader.as_ref()), ["one"]);
    put(writer.as_ref(), 2, "two").unwrap();
    assert_eq!(names(reader.as_ref()), ["one"]);
    reader.rollback().unwrap();
    assert_eq!(names(reader.as_ref()), ["one", "two"]);
    put(reader.as_ref(), 3, "three").unwrap_err();
    assert_eq!(names(writer.as_ref()), ["one", "two"]);
}

/// Each reads the highest number and writes the next one; without an order two would write the same.
fn writers(location: &Location) {
    let add = |engine: &dyn Engine| {
        engine.begin_write()?;
        let sql = "INSERT INTO t (id) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM t)) RETURNING id";
        engine.one(sql, &[], |row| row.get::<i64>(0))?;
        engine.commit()
    };
    drop(open(location));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let engine = connect(location, Purpose::Write { pages_max: 0 }).unwrap();
                for _ in 0..25 {
                    add(engine.as_ref()).unwrap();
                }
            });
        }
    });
    let highest = open(location).one("SELECT max(id) FROM t", &[], |row| row.get::<i64>(0)).unwrap();
    assert_eq!(highest, Some(100));
}

fn rollback(location: &Location) {
    let engine = open(location);
    engine.begin_write().unwrap();
    put(engine.as_ref(), 1, "one").unwrap();
    engine.rollback().unwrap();
    engine.rollback().unwrap();
    engine.begin_write().unwrap();
    put(engine.as_ref(), 2, "two").unwrap();
    // A connection that goes away in the middle leaves nothing either.
    drop(engine);
    assert!(names(open(location).as_ref()).is_empty());
}

fn versions(location: &Location) {
    let engine = open(location);
    assert_eq!(engine.version().unwrap(), 0);
    engine.begin_write().unwrap();
    engine.set_version(3).unwrap();
    engine.rollback().unwrap();
    assert_eq!(engine.version().unwrap(), 0);
    engine.set_version(7).unwrap();
    engine.set_version(8).unwrap();
    assert_eq!(open(location).version().unwrap(), 8);
    assert_eq!(engine.health().unwrap(), Health::Well);
    engine.tidy().unwrap();
}

fn descriptions(location: &Location) {
    let engine = open(location);
    engine.set_version(1).unwrap();
    let sql = "CREATE TABLE a (z {text} NOT NULL, y {integer} NOT NULL, x {bytes}, PRIMARY KEY (y, z)) {keyed table}";
    engine.script(&engine.dialect().of_migration(sql)).unwrap();
    let tables = engine.tables().unwrap();
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["t", "a"]);
    assert_eq!(
        (tables[0].columns.join(" "), tables[0].key.join(" ")),
        ("id name data level".into(), "id".into())
    );
    assert_eq!((tables[1].columns.join(" "), tables[1].key.join(" ")), ("z y x".into(), "y z".into()));
}

fn references(location: &Location) {
    let engine = open(location);
    let sql = "CREATE TABLE r (id {integer} PRIMARY KEY, t {integer} REFERENCES t (id)) {table}";
    engine.script(&engine.dialect().of_migration(sql)).unwrap();
    let refer = || engine.run("INSERT INTO r (id, t) VALUES (1, 7)", &[]);
    assert!(refer().unwrap_err().is_about_this_job_only());
    engine.begin_write().unwrap();
    engine.loosen_references().unwrap();
    refer().unwrap();
    put(engine.as_ref(), 7, "seven").unwrap();
    engine.tighten_references().unwrap();
    engine.commit().unwrap();
    engine.run("INSERT INTO r (id, t) VALUES (2, 8)", &[]).unwrap_err();
    // One that never comes is found.
    engine.begin_write().unwrap();
    engine.loosen_references().unwrap();
    engine.run("INSERT INTO r (id, t) VALUES (3, 9)", &[]).unwrap();
    engine.tighten_references().and_then(|()| engine.commit()).unwrap_err();
    engine.rollback().unwrap();
    assert_eq!(engine.one("SELECT count(*) FROM r", &[], |row| row.get(0)).unwrap(), Some(1u32));
}
