//! A whole record goes from one database to another and is the same there, or nothing is there.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::process::{Command, Output};
use std::sync::Arc;

use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::store::read::View;
use inventory::store::{Location, TransferError, Transferred, transfer};
use support::postgres::Postgres;
use support::{Node, TestServer};

/// A fleet with something in every table that a server fills: reports, refusals, a clone.
fn fleet() -> TestServer {
    let mut server = TestServer::start(Arc::new(SystemClock), |_| {});
    let client = server.client();
    let owner = Node::new();
    for sequence in 1..4 {
        let node = if sequence == 1 { owner.clone() } else { Node::new() };
        let session = client.enrol(&node, &server.token()).unwrap();
        for number in 1..=sequence {
            client.report(&node, &session, number, &node.bytes()).unwrap();
        }
    }
    let clone = Node { identity: owner.identity, ..Node::new() };
    assert_eq!(client.enrol(&clone, &server.token()).unwrap().state, "quarantined");
    client.enrol(&Node::new(), "no token").unwrap_err();
    server.stop().unwrap();
    server
}

fn bring(from: &Location, to: &Location) -> Result<Vec<Transferred>, TransferError> {
    let mut tables = Vec::new();
    transfer(from, to, |table| tables.push(table.clone()))?;
    Ok(tables)
}

/// Everything that people can see of it.
fn shown(location: &Location) -> String {
    let view = View::open(location).unwrap();
    let nodes = view.nodes(None).unwrap();
    let details: Vec<_> = nodes.iter().map(|node| view.node(&node.id).unwrap().unwrap()).collect();
    let reports = details.iter().flat_map(|node| &node.reports);
    let bytes: Vec<_> = reports.map(|report| view.report_bytes(report.revision).unwrap().unwrap()).collect();
    serde_json::to_string(&(details, bytes, view.audit(10_000).unwrap())).unwrap()
}

#[test]
fn a_record_goes_to_postgres_and_back_and_serves_on_there() {
    let first = fleet();
    let postgres = Postgres::start();
    let there = Location::server(&postgres.database()).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let back = Location::from(temporary.path().join("back.db"));
    let out = bring(&first.location, &there).unwrap();
    assert_eq!(out, bring(&there, &back).unwrap());
    let filled =
        ["changes", "nodes", "tokens", "evidence", "conflicts", "boots", "reports", "transitions", "audit"];
    for table in filled {
        assert!(out.iter().any(|t| t.table == table && t.rows > 0), "{table}: {out:?}");
    }
    let before = shown(&first.location);
    assert_eq!(shown(&there), before);
    assert_eq!(shown(&back), before);
    // A second time there is something already.
    for full in [&there, &back] {
        let error = bring(&first.location, full).unwrap_err();
        assert!(matches!(error, TransferError::NotEmpty { .. }), "{error}");
    }
    // References hold again, and numbers go on where they were.
    let database =
        postgres.sql("postgres", "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND condeferrable");
    assert_eq!(database.trim(), "0");
    let server = TestServer::start(Arc::new(SystemClock), |options| options.database = Some(there.clone()));
    let (client, node) = (server.client(), Node::new());
    let session = client.enrol(&node, &server.token()).unwrap();
    let ack = client.report(&node, &session, 1, &node.bytes()).unwrap();
    let last = out.iter().find(|table| table.table == "changes").unwrap().rows;
    assert_eq!((ack.revision, ack.state.as_str()), (last + 2, "available"));
}

#[test]
fn a_target_that_alters_one_row_or_a_source_that_is_written_keeps_nothing() {
    let first = fleet();
    let postgres = Postgres::start();
    let address = postgres.database();
    let there = Location::server(&address).unwrap();
    // The tables, empty.
    drop(inventory::store::Store::open(&there, Default::default(), Arc::new(SystemClock)).unwrap());
    let plant = "CREATE FUNCTION alter_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     NEW.detail := NEW.detail || '.'; RETURN NEW; END $$;
                 CREATE TRIGGER alter_one BEFORE INSERT ON audit FOR EACH ROW
                     WHEN (NEW.action = 'conflict') EXECUTE FUNCTION alter_one()";
    postgres.sql(&address, plant);
    let error = bring(&first.location, &there).unwrap_err();
    let TransferError::Differs { table, read, found, .. } = &error else { panic!("{error}") };
    assert_eq!((table.as_str(), read), ("audit", found));
    assert!(View::open(&there).unwrap().nodes(None).unwrap().is_empty());
    postgres.sql(&address, "DROP TRIGGER alter_one ON audit");
    // A token that is made meanwhile.
    let mut once = Some(());
    let written = transfer(&first.location, &there, |_| {
        if once.take().is_some() {
            first.token();
        }
    });
    assert!(matches!(written, Err(TransferError::Changed { .. })), "{written:?}");
    assert!(View::open(&there).unwrap().nodes(None).unwrap().is_empty());
    bring(&first.location, &there).unwrap();
}

#[test]
fn the_program_says_what_it_brought_and_refuses_a_directory_that_is_served() {
    let mut server = fleet();
    let temporary = tempfile::tempdir().unwrap();
    let to = temporary.path().join("to");
    let migrate = |from: &std::path::Path| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inventory"));
        command.args(["migrate", "--json", "--from"]).arg(from).arg("--to").arg(&to).output().unwrap()
    };
    let output = migrate(&server.data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = said["tables"].as_array().unwrap().iter().find(|table| table["table"] == "nodes").unwrap();
    assert_eq!(nodes["rows"], 4);
    assert_eq!(shown(&DataDir::at(&to).database().into()), shown(&server.location));
    let empty = migrate(&temporary.path().join("nothing"));
    assert_eq!(empty.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("there is no inventory at"));
    server = TestServer::start(Arc::new(SystemClock), |_| {});
    let served = migrate(&server.data);
    assert_eq!(served.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&served.stderr).contains("stop it first"));
}
