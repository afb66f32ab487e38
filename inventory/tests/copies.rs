//! Backup while clients write, restore into an empty directory, and what a restored record must not do.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::HEXLOWER;
use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::store::read::View;
use inventory::store::{Location, verify};
use sha2::{Digest, Sha256};
use support::{Node, TestServer};

fn run(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventory"));
    command.args(arguments).arg("--data").arg(data).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_copy_taken_while_clients_write_is_of_one_moment_and_whole() {
    let server = TestServer::start(Arc::new(SystemClock), |_| {});
    let out = server.data.with_file_name("copy.db");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writing: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let client = server.client();
                    let mut written = 0;
                    while !stop.load(Ordering::Relaxed) || written < 3 {
                        let node = Node::new();
                        let session = client.enrol(&node, &server.token()).unwrap();
                        client.report(&node, &session, 1, &node.bytes()).unwrap();
                        written += 1;
                    }
                })
            })
            .collect();
        for round in 0..5 {
            let name = out.with_extension(format!("{round}.db"));
            let copy = json(&run(&server.data, &["backup", "--json", "--out", name.to_str().unwrap()]));
            let bytes = std::fs::read(&name).unwrap();
            assert_eq!(copy["sha256"], HEXLOWER.encode(&Sha256::digest(&bytes)));
            // Nothing by half: it was verified, and its changes are those of its revision.
            let view = View::open(&name).unwrap();
            assert_eq!(view.audit_head().unwrap().to_string(), copy["audit_head"]);
            assert!(verify(&Location::from(&name), None).unwrap().wrong.is_empty());
        }
        stop.store(true, Ordering::Relaxed);
        writing.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let again = run(&server.data, &["backup", "--out", out.with_extension("0.db").to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("there already"));
}

#[test]
fn a_restored_record_takes_no_old_token_and_gives_no_revision_twice() {
    let mut server = TestServer::start(Arc::new(SystemClock), |_| {});
    let (client, node) = (server.client(), Node::new());
    let session = client.enrol(&node, &server.token()).unwrap();
    let bytes = node.bytes();
    let first = client.report(&node, &session, 1, &bytes).unwrap();
    let unused = server.token();
    let copy = server.data.with_file_name("copy.db");
    let taken = json(&run(&server.data, &["backup", "--json", "--out", copy.to_str().unwrap()]));
    // After the copy was taken: the token is used, and revisions are given.
    let late = Node::new();
    let lost = client.enrol(&late, &unused).unwrap();
    let given = client.report(&late, &lost, 1, &late.bytes()).unwrap().revision;
    let head = server.view().audit_head().unwrap();
    server.stop().unwrap();

    let data = server.data.with_file_name("restored");
    let arguments = ["restore", "--json", "--from", copy.to_str().unwrap(), "--sha256"];
    let arguments = [&arguments[..], &[taken["sha256"].as_str().unwrap()]].concat();
    let restored = json(&run(&data, &arguments));
    assert_eq!(restored["tokens_voided"], 1);
    assert_eq!(restored["revision_before"], first.revision);
    // A second time, into what is no longer empty, is refused.
    let again = run(&data, &arguments);
    assert!(String::from_utf8_lossy(&again.stderr).contains("there already"));

    let mut server = TestServer::start(Arc::new(SystemClock), |options| options.data = data.clone());
    let client = server.client();
    let refused = client.enrol(&late, &unused).unwrap_err();
    assert_eq!(refused.code, "token_expired");
    // What was acknowledged before the copy has the same answer; what comes now has a revision of its own.
    let same = client.report(&node, &session, 1, &bytes).unwrap();
    assert!(same.duplicate && same.revision == first.revision);
    let next = client.report(&node, &session, 2, &node.bytes()).unwrap();
    assert!(next.revision > given && next.revision < 1 << 53, "{} after {given}", next.revision);
    // The lost lines of the audit are seen by whoever noted the head.
    server.view().follow_audit(Some(head)).unwrap().unwrap_err();
    let line = server.view().audit(100).unwrap().into_iter().find(|line| line.action == "restored").unwrap();
    assert!(line.detail.unwrap().contains(taken["sha256"].as_str().unwrap()));
    server.stop().unwrap();
    assert!(verify(&Location::from(DataDir::at(&data).database()), None).unwrap().wrong.is_empty());
}

#[test]
fn a_damaged_or_other_copy_is_not_restored_and_leaves_nothing() {
    let mut server = TestServer::start(Arc::new(SystemClock), |_| {});
    let (client, node) = (server.client(), Node::new());
    let session = client.enrol(&node, &server.token()).unwrap();
    client.report(&node, &session, 1, &node.bytes()).unwrap();
    let copy = server.data.with_file_name("copy.db");
    json(&run(&server.data, &["backup", "--json", "--out", copy.to_str().unwrap()]));
    server.stop().unwrap();
    let data = server.data.with_file_name("restored");
    let other = run(&data, &["restore", "--from", copy.to_str().unwrap(), "--sha256", &"0".repeat(64)]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("not the"), "{other:?}");
    // One byte within the text of the report, which no index repeats.
    let mut bytes = std::fs::read(&copy).unwrap();
    let at = bytes.windows(14).position(|window| window == b"assay.report/1").unwrap();
    bytes[at] = b'A';
    std::fs::write(&copy, bytes).unwrap();
    let damaged = run(&data, &["restore", "--from", copy.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&damaged.stderr);
    assert!(text.contains("report 2: its bytes are not those of its digest"), "{text}");
    assert!(!DataDir::at(&data).database().exists());
}

#[test]
fn a_record_on_postgresql_is_left_to_its_own_tools() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_inventory"))
        .args(["backup", "--out", "copy.db", "--database", "postgres://assay@127.0.0.1:1/assay", "--data"])
        .arg(temporary.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pg_dump"), "{output:?}");
}
