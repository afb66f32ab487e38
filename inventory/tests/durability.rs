//! A store that cannot write acknowledges nothing and stops; what it acknowledged before is there.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::serve::ServeError;
use inventory::store::read::View;
use jiff::SignedDuration;
use support::{Client, Node, TestServer};

#[test]
fn a_full_database_stops_the_server_and_nothing_acknowledged_is_lost() {
    let mut server = TestServer::start(Arc::new(SystemClock), |options| options.store.pages_max = 100);
    let client = server.client();
    let ttl = SignedDuration::from_mins(15);
    let path = DataDir::at(&server.data).database();
    let tokens = inventory::store::issue(&path, &SystemClock, "quick-software", ttl, 100).unwrap();
    let acknowledged = enrol_until_refused(&client, tokens.iter().map(|token| token.token.as_str()));
    assert!(!acknowledged.is_empty() && acknowledged.len() < tokens.len(), "{}", acknowledged.len());
    assert!(matches!(server.wait(), Err(ServeError::StoreStopped)));
    assert_all_there(&server.data, &acknowledged);
}

/// A limit on the size of files makes the write of the log fail at the commit, as a full disk does.
#[test]
fn a_commit_that_fails_stops_the_program_with_an_error_and_nothing_acknowledged_is_lost() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("inventory");
    DataDir::create(&data).unwrap();
    let ttl = SignedDuration::from_mins(15);
    let path = DataDir::at(&data).database();
    let tokens = inventory::store::issue(&path, &SystemClock, "quick-software", ttl, 200).unwrap();
    let mut server = Command::new("sh")
        // Blocks of 512 bytes; with the signal ignored the write fails instead.
        .args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" serve --listen 127.0.0.1:0 --requests-per-s 10000 --data \"$1\""])
        .args([env!("CARGO_BIN_EXE_inventory").as_ref(), data.as_os_str()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = await_endpoint(&data);
    let client = Client::new(&data, &address);
    let acknowledged = enrol_until_refused(&client, tokens.iter().map(|token| token.token.as_str()));
    assert!(!acknowledged.is_empty() && acknowledged.len() < 200, "{}", acknowledged.len());
    let status = server.wait().unwrap();
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("the store could not write and stopped"), "{log}");
    assert_all_there(&data, &acknowledged);
    // With room again it goes on from there.
    let server = inventory::store::Store::open(&path, Default::default(), Arc::new(SystemClock));
    server.unwrap();
}

/// Enrols and reports until the first answer that is no acknowledgement; gives the ids of nodes with a stored report.
fn enrol_until_refused<'a>(client: &Client, tokens: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for token in tokens {
        let node = Node::new();
        let Ok(Ok(session)) = client.try_enrol(&node, token) else { break };
        let bytes = node.bytes();
        let signature = node.sign(&session, 1, &bytes);
        match client.put(&session.node_id, &node.boot_id, 1, (&signature, &bytes)) {
            Ok(Ok(_)) => acknowledged.push(session.node_id),
            Ok(Err(problem)) => {
                assert_eq!((problem.code.as_str(), problem.retryable), ("store_stopped", true));
                break;
            }
            Err(_) => break,
        }
    }
    acknowledged
}

fn assert_all_there(data: &Path, acknowledged: &[String]) {
    let view = View::open(DataDir::at(data).database()).unwrap();
    for id in acknowledged {
        assert_eq!(view.node(id).unwrap().unwrap().summary.state, "available");
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for another process")]
fn await_endpoint(data: &Path) -> String {
    for _ in 0..400 {
        if let Ok(address) = std::fs::read_to_string(DataDir::at(data).endpoint()) {
            return address.trim().to_owned();
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("the server does not listen");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = TestServer::start(Arc::new(SystemClock), |_| {});
    let output = Command::new(env!("CARGO_BIN_EXE_inventory"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&server.data)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("another `inventory serve` uses the data directory")
    );
}

#[test]
fn a_damaged_database_is_not_served() {
    let mut server = TestServer::start(Arc::new(SystemClock), |_| {});
    let client = server.client();
    for _ in 0..5 {
        client.enrol(&Node::new(), &server.token()).unwrap();
    }
    server.stop().unwrap();
    let path = DataDir::at(&server.data).database();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 512].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_inventory"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&server.data)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("damaged"), "{log}");
}
