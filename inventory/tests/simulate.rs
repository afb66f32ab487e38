//! The small forms of `inventory simulate`: a fleet of virtual nodes against the real program over real TLS. The full ones
//! are `make fleet-load`.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::simulate::check::{Found, compare};
use inventory::simulate::line::digest;
use inventory::simulate::tally::Acknowledged;
use rusqlite::Connection;
use serde_json::Value;
use support::{Node, TestServer};

/// Runs a subject; gives the figures and whether all was as asked.
fn simulate(arguments: &[&str]) -> (Value, bool) {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_inventory"))
        .args(["simulate", "--json", "--dir"])
        .arg(dir.path())
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let figures = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no figures: {errors}"));
    (figures, output.status.success())
}

fn rows(figures: &Value) -> HashMap<String, String> {
    serde_json::from_value::<Vec<(String, String)>>(figures["rows"].clone()).unwrap().into_iter().collect()
}

#[test]
fn a_storm_registers_every_node_once_with_the_verdict_that_it_deserves() {
    let (figures, as_asked) =
        simulate(&["--faults", "0.1", "storm", "--nodes", "150", "--within", "3s", "--burn-in", "1s"]);
    assert!(as_asked, "{figures:#}");
    let rows = rows(&figures);
    for verdict in ["healthy", "degraded", "faulty", "unknown"] {
        assert_ne!(rows[&format!("verdict {verdict}")], "0", "{figures:#}");
    }
}

#[test]
fn a_steady_stream_is_stored_whole() {
    let (figures, as_asked) =
        simulate(&["sustained", "--connections", "16", "--for", "2s", "--rate", "40", "--rate-min", "20"]);
    assert!(as_asked, "{figures:#}");
    let (figures, as_asked) =
        simulate(&["sustained", "--connections", "1", "--for", "2s", "--rate-min", "1000000"]);
    assert!(!as_asked, "no server does a million a second: {figures:#}");
    // More reports of one node than any page of it shows.
    let demands = figures["demands"].as_array().unwrap();
    let open: Vec<_> = demands.iter().filter(|demand| demand["met"] == false).map(|d| &d["what"]).collect();
    assert_eq!(open, ["durable reports a second"], "{figures:#}");
}

#[test]
fn a_flood_is_turned_away_and_the_server_goes_on() {
    let flood = ["overload", "--peak", "1s", "--flood", "3s", "--times", "4", "--after", "15s"];
    // On a machine that builds and tests meanwhile the share that remains says little; that something does, much.
    let (figures, as_asked) = simulate(&[&flood[..], &["--goodput-min", "0.2"]].concat());
    assert!(as_asked, "{figures:#}");
    let turned_away =
        figures["broken"].as_object().unwrap().len() + figures["refused"].as_object().unwrap().len();
    assert_ne!(turned_away, 0, "{figures:#}");
}

#[test]
fn of_clones_one_is_the_owner_and_all_others_are_set_apart() {
    let (figures, as_asked) = simulate(&["clones", "--nodes", "40"]);
    assert!(as_asked, "{figures:#}");
}

#[test]
fn ten_thousand_nodes_come_back_after_an_hour_without_a_herd() {
    let (figures, as_asked) = simulate(&["outage"]);
    assert!(as_asked, "{figures:#}");
}

fn told(node_id: &str, node: &Node, bytes: &[u8], revision: u64) -> Acknowledged {
    Acknowledged {
        index: 0,
        node_id: node_id.to_owned(),
        boot_id: node.boot_id.clone(),
        sequence: 1,
        sha256: digest(bytes),
        revision,
        verdict: "healthy".to_owned(),
        state: "available".to_owned(),
    }
}

/// The comparison itself must see what it is there for.
#[test]
fn a_report_that_is_lost_altered_or_stored_twice_is_found() {
    let mut server = TestServer::start(Arc::new(SystemClock), |_| {});
    let client = server.client();
    let acknowledged: Vec<_> = (0..3)
        .map(|_| {
            let (node, token) = (Node::new(), server.token());
            let session = client.enrol(&node, &token).unwrap();
            let bytes = node.bytes();
            let ack = client.report(&node, &session, 1, &bytes).unwrap();
            told(&session.node_id, &node, &bytes, ack.revision)
        })
        .collect();
    server.stop().unwrap();
    let database = DataDir::at(&server.data).database();
    let found = || compare(&database, &acknowledged).unwrap();
    assert_eq!(found(), Found { stored: 3, nodes: 3, ..Found::default() });

    plant(
        &database,
        "UPDATE reports SET bytes = CAST(bytes || ' ' AS BLOB) WHERE revision = ?1",
        &acknowledged[0],
    );
    assert_eq!((found().altered, found().lost), (1, 0));
    plant(&database, "DELETE FROM reports WHERE revision = ?1", &acknowledged[1]);
    assert_eq!((found().altered, found().lost), (1, 1));
    let again = [acknowledged[2].clone(), acknowledged[2].clone()];
    assert_eq!(compare(&database, &again).unwrap().twice, 1, "two nodes were told of one place");
}

fn plant(database: &Path, sql: &str, ack: &Acknowledged) {
    let connection = Connection::open(database).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    assert_eq!(connection.execute(sql, [ack.revision]).unwrap(), 1);
}
