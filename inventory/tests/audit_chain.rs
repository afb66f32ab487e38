//! The audit's chain against somebody with a SQLite shell: what was done to which line is found and named.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::store::read::View;
use inventory::store::{Broken, Head};
use rusqlite::Connection;
use support::{Node, TestServer};

/// A stopped server's data with some lines, and the head that was noted then.
fn data() -> (TestServer, PathBuf, Head) {
    let mut server = TestServer::start(Arc::new(SystemClock), |_| {});
    let client = server.client();
    for _ in 0..3 {
        let node = Node::new();
        let session = client.enrol(&node, &server.token()).unwrap();
        client.report(&node, &session, 1, &node.bytes()).unwrap();
    }
    // Several clients at once: their lines come in one commit.
    let tokens: Vec<_> = (0..8).map(|_| server.token()).collect();
    std::thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(|| server.client().enrol(&Node::new(), token).unwrap());
        }
    });
    client.enrol(&Node::new(), &tokens[0]).unwrap_err();
    server.stop().unwrap();
    let path = DataDir::at(&server.data).database();
    let head = View::open(&path).unwrap().audit_head().unwrap();
    assert!(head.id > 30, "{head}");
    (server, path, head)
}

fn follow(path: &PathBuf, noted: Option<Head>) -> Result<Head, Broken> {
    View::open(path).unwrap().follow_audit(noted).unwrap()
}

fn tamper(path: &PathBuf, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn an_untouched_audit_holds_across_group_commits_and_restarts() {
    let (server, path, head) = data();
    assert_eq!(follow(&path, Some(head)), Ok(head));
    inventory::store::issue(&path, &SystemClock, "quick-software", jiff::SignedDuration::from_mins(1), 3)
        .unwrap();
    let later = follow(&path, Some(head)).unwrap();
    assert_eq!(later.id, head.id + 3);
    drop(server);
}

#[test]
fn a_changed_line_is_named_whatever_was_changed() {
    let (_server, path, _) = data();
    let whole = std::fs::read(&path).unwrap();
    for change in [
        "detail = detail || ' '",
        "actor = 'operator'",
        "at_ms = at_ms + 1",
        "source = NULL",
        "code = 'bad_proof'",
        "dropped = 1",
        "node_id = NULL, token_id = node_id",
        "hash = zeroblob(32)",
        "hash = NULL",
    ] {
        std::fs::write(&path, &whole).unwrap();
        tamper(
            &path,
            &format!(
                "UPDATE audit SET {change} WHERE id = (SELECT min(id) FROM audit WHERE action = 'enrolled')"
            ),
        );
        let id: u64 = Connection::open(&path)
            .unwrap()
            .query_row("SELECT min(id) FROM audit WHERE action = 'enrolled'", [], |row| row.get(0))
            .unwrap();
        let broken = follow(&path, None).unwrap_err();
        assert!(broken == Broken::Changed(id) || broken == Broken::Unreadable(id), "{change}: {broken}");
    }
}

#[test]
fn a_line_taken_out_put_in_or_moved_is_named() {
    let (_server, path, head) = data();
    let whole = std::fs::read(&path).unwrap();
    let cases = [
        ("DELETE FROM audit WHERE id = 5", Broken::Missing(5)),
        ("DELETE FROM audit WHERE id = 5; UPDATE audit SET id = -id WHERE id > 5; UPDATE audit SET id = -id - 1 WHERE id < 0", Broken::Changed(5)),
        ("UPDATE audit SET id = -id WHERE id > 4; UPDATE audit SET id = 1 - id WHERE id < 0;
          INSERT INTO audit SELECT 5, at_ms, action, code, actor, source, node_id, token_id, detail, dropped, hash FROM audit WHERE id = 4", Broken::Changed(5)),
        ("UPDATE audit SET id = -6 WHERE id = 5; UPDATE audit SET id = 5 WHERE id = 6; UPDATE audit SET id = 6 WHERE id = -6", Broken::Changed(5)),
        ("INSERT INTO audit SELECT max(id) + 1, at_ms, action, code, actor, source, node_id, token_id, detail, dropped, hash FROM audit", Broken::Changed(head.id + 1)),
    ];
    for (sql, expected) in cases {
        std::fs::write(&path, &whole).unwrap();
        tamper(&path, sql);
        assert_eq!(follow(&path, None), Err(expected), "{sql}");
    }
}

/// Without a note of the head, a chain without its last lines looks whole: it is said so in the verb's help.
#[test]
fn missing_last_lines_are_seen_against_a_noted_head_only() {
    let (_server, path, head) = data();
    tamper(&path, &format!("DELETE FROM audit WHERE id > {}", head.id - 3));
    let shorter = follow(&path, None).unwrap();
    assert_eq!(shorter.id, head.id - 3);
    assert_eq!(follow(&path, Some(head)), Err(Broken::Truncated { found: head.id - 3, noted: head.id }));
}

/// Whoever can compute the hashes can make the chain anew; a noted head shows it.
#[test]
fn a_chain_that_was_made_anew_is_seen_against_a_noted_head() {
    let (_server, path, head) = data();
    let forged = Head { hash: [7; 32], ..head };
    assert_eq!(follow(&path, Some(forged)), Err(Broken::Forked(head.id)));
}

#[test]
fn the_verbs_name_the_line_and_fail() {
    let (server, path, _) = data();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inventory"));
        let output = command.args(arguments).arg("--data").arg(&server.data).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, head, _) = run(&["audit", "head"]);
    assert_eq!(code, Some(0));
    let (code, out, _) = run(&["audit", "verify", "--head", head.trim()]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(head.trim()), "{out}");
    let (code, out, err) = run(&["verify", "--head", head.trim()]);
    assert_eq!(code, Some(0), "{out}{err}");
    tamper(&path, "UPDATE audit SET detail = 'nothing' WHERE id = 7");
    let (code, _, err) = run(&["audit", "verify"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("line 7 was changed"), "{err}");
    let (code, out, _) = run(&["verify"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("line 7 was changed"), "{out}");
}
