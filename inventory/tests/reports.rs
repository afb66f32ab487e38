//! Which reports are believed, and what follows from them.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::sync::Arc;

use inventory::clock::SystemClock;
use report::wire::{EnrolResponse, REPORT_BYTES_MAX};
use report::{Mismatch, Mismatches, Outcome, Plan, Report, Verdict};
use support::{Client, Node, TestServer};

fn enrolled() -> (TestServer, Client, Node, EnrolResponse) {
    let server = TestServer::start(Arc::new(SystemClock), |_| {});
    let (client, node) = (server.client(), Node::new());
    let session = client.enrol(&node, &server.token()).unwrap();
    (server, client, node, session)
}

fn json(report: &Report) -> Vec<u8> {
    serde_json::to_vec(report).unwrap()
}

fn faulty(node: &Node) -> Report {
    let mut report = node.report();
    let wrong = Mismatch { byte_address: 64, expected: 1, found: 3, workgroup: 0, pass: 0 };
    report.results[1].mismatches = Some(Mismatches { count: 1, bits: 2, first: vec![wrong] });
    report
}

fn unknown(node: &Node) -> Report {
    let mut report = node.report();
    report.results[1].outcome = Outcome::NotRun;
    report
}

#[test]
fn a_healthy_report_makes_the_node_available_in_the_pool_of_its_plan() {
    let (server, client, node, session) = enrolled();
    let ack = client.report(&node, &session, 1, &node.bytes()).unwrap();
    assert_eq!(ack.verdict.verdict, Verdict::Healthy, "{:?}", ack.verdict.findings);
    assert_eq!((ack.state.as_str(), ack.pool.as_deref()), ("available", Some("software")));
    assert!(!ack.duplicate);
    let record = server.node(&session.node_id);
    let way: Vec<_> = record.transitions.iter().rev().map(|step| step.to.as_str()).collect();
    assert_eq!(way, ["registering", "inspecting", "validating", "available"]);
    assert!(record.transitions[..3].iter().all(|step| step.evidence == Some(ack.revision)));
    assert_eq!(server.view().report_bytes(ack.revision).unwrap().unwrap().len(), node.bytes().len());
}

#[test]
fn the_same_report_again_gets_the_same_answer_and_is_stored_once() {
    let (server, client, node, session) = enrolled();
    let bytes = node.bytes();
    let first = client.report(&node, &session, 1, &bytes).unwrap();
    let again = client.report(&node, &session, 1, &bytes).unwrap();
    assert!(again.duplicate);
    assert_eq!(report::wire::ReportAck { duplicate: false, ..again }, first);
    assert_eq!(server.node(&session.node_id).reports.len(), 1);
}

#[test]
fn the_verdict_is_computed_here_whatever_the_node_says() {
    let (server, client, node, session) = enrolled();
    let report = faulty(&node);
    assert_eq!(report.verdict.verdict, Verdict::Healthy);
    let ack = client.report(&node, &session, 1, &json(&report)).unwrap();
    assert_eq!((ack.verdict.verdict, ack.state.as_str()), (Verdict::Faulty, "failed"));
    let record = server.node(&session.node_id).summary;
    assert!(record.reason.unwrap().contains("DATA-MISMATCH"));
    // A failed node does not talk itself out of it within the same boot.
    assert_eq!(client.report(&node, &session, 2, &node.bytes()).unwrap().state, "failed");
    assert!(server.node(&session.node_id).summary.reason.unwrap().contains("DATA-MISMATCH"));
    // The operator's next token is the word that it was mended.
    let rebooted = Node { boot_id: support::random_uuid(), ..node };
    let session = client.enrol(&rebooted, &server.token()).unwrap();
    assert_eq!(client.report(&rebooted, &session, 1, &rebooted.bytes()).unwrap().state, "available");
}

#[test]
fn a_node_leaves_the_pool_when_a_later_report_is_not_healthy() {
    let (server, client, node, session) = enrolled();
    client.report(&node, &session, 1, &node.bytes()).unwrap();
    let ack = client.report(&node, &session, 2, &json(&unknown(&node))).unwrap();
    assert_eq!((ack.verdict.verdict, ack.state.as_str(), ack.pool), (Verdict::Unknown, "validating", None));
    assert!(server.node(&session.node_id).summary.reason.unwrap().starts_with("unknown: digest"));
    let ack = client.report(&node, &session, 3, &node.bytes()).unwrap();
    assert_eq!((ack.state.as_str(), ack.pool.as_deref()), ("available", Some("software")));
    assert_eq!(server.node(&session.node_id).summary.reason, None);
}

#[test]
fn other_bytes_under_a_sequence_that_is_taken_or_passed_are_refused() {
    let (server, client, node, session) = enrolled();
    client.report(&node, &session, 5, &node.bytes()).unwrap();
    for sequence in [5, 4] {
        let problem = client.report(&node, &session, sequence, &node.bytes()).unwrap_err();
        assert_eq!((problem.code.as_str(), problem.status), ("sequence_conflict", 409));
        assert!(problem.detail.unwrap().contains("the highest of this boot is 5"));
    }
    assert_eq!(server.refusals("sequence_conflict").len(), 2);
}

#[test]
fn a_report_of_another_node_is_refused() {
    let (server, client, node, session) = enrolled();
    let other = Node::new();
    let of_other = client.enrol(&other, &server.token()).unwrap();
    // Signed by the other node for itself, sent under this one's name.
    let bytes = other.bytes();
    let signature = other.sign(&of_other, 1, &bytes);
    let answer = client.put(&session.node_id, &node.boot_id, 1, (&signature, &bytes)).unwrap();
    assert_eq!(answer.unwrap_err().code, "bad_signature");
    // Signed by the other node in this one's name.
    let bytes = node.bytes();
    let signature = other.sign(&EnrolResponse { nonce: session.nonce.clone(), ..session.clone() }, 1, &bytes);
    let answer = client.put(&session.node_id, &node.boot_id, 1, (&signature, &bytes)).unwrap();
    assert_eq!(answer.unwrap_err().code, "bad_signature");
    let lines = server.refusals("bad_signature");
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.node_id.as_deref() == Some(session.node_id.as_str())));
    assert!(server.node(&session.node_id).reports.is_empty());
}

#[test]
fn captured_bytes_and_signature_are_worth_nothing_elsewhere() {
    let (server, client, node, session) = enrolled();
    let bytes = node.bytes();
    let signature = node.sign(&session, 1, &bytes);
    client.put(&session.node_id, &node.boot_id, 1, (&signature, &bytes)).unwrap().unwrap();
    let elsewhere = |boot: &str, sequence| {
        client.put(&session.node_id, boot, sequence, (&signature, &bytes)).unwrap().unwrap_err().code
    };
    assert_eq!(elsewhere(&node.boot_id, 2), "bad_signature");
    assert_eq!(elsewhere(&support::random_uuid(), 1), "bad_signature");
    let flipped = [&bytes[..bytes.len() - 1], b" "].concat();
    let answer = client.put(&session.node_id, &node.boot_id, 1, (&signature, &flipped)).unwrap();
    assert_eq!(answer.unwrap_err().code, "bad_signature");
    // The node itself cannot use a burn-in twice either.
    assert_eq!(client.report(&node, &session, 2, &bytes).unwrap_err().code, "report_replayed");
    assert_eq!(server.refusals("bad_signature").len(), 3);
    assert_eq!(server.refusals("report_replayed").len(), 1);
    assert_eq!(server.node(&session.node_id).reports.len(), 1);
}

#[test]
fn a_report_of_another_boot_plan_or_schema_is_refused() {
    let (server, client, node, session) = enrolled();
    let code = |report: &Report| client.report(&node, &session, 1, &json(report)).unwrap_err().code;
    let of_boot = support::healthy_report(&support::random_uuid());
    assert_eq!(code(&of_boot), "boot_mismatch");
    let mut of_schema = node.report();
    of_schema.schema = "assay.report/9".to_owned();
    assert_eq!(code(&of_schema), "schema_not_accepted");
    let mut weaker = node.report();
    weaker.plan.checks.truncate(1);
    assert_eq!(code(&weaker), "plan_not_accepted");
    weaker.plan_digest = weaker.plan.digest();
    assert_eq!(code(&weaker), "plan_not_accepted");
    let mut of_plan = node.report();
    of_plan.plan = Plan::built_in("quick").unwrap();
    of_plan.plan_digest = of_plan.plan.digest();
    assert_eq!(code(&of_plan), "plan_not_accepted");
    assert_eq!(server.refusals("plan_not_accepted").len(), 3);
    assert!(server.node(&session.node_id).reports.is_empty());
}

#[test]
fn what_is_too_large_too_deep_or_no_report_is_refused() {
    let (server, client, node, session) = enrolled();
    let code = |bytes: &[u8]| client.report(&node, &session, 1, bytes).unwrap_err().code;
    assert_eq!(code(&vec![b' '; REPORT_BYTES_MAX + 1]), "body_too_large");
    assert_eq!(code("[".repeat(100).as_bytes()), "json_too_deep");
    assert_eq!(code(b"{\"schema\": 1}"), "body_malformed");
    assert_eq!(code(b""), "body_malformed");
    for (code, lines) in [("body_too_large", 1), ("json_too_deep", 1), ("body_malformed", 2)] {
        assert_eq!(server.refusals(code).len(), lines, "{code}");
    }
}

#[test]
fn an_unknown_node_and_malformed_paths_are_told_apart() {
    let (server, client, node, session) = enrolled();
    let bytes = node.bytes();
    let signature = node.sign(&session, 1, &bytes);
    let put = |id: &str, boot: &str, sequence| {
        client.put(id, boot, sequence, (&signature, &bytes)).unwrap().unwrap_err().code
    };
    assert_eq!(put("node-aaaaaaaaaaaaaaaa", &node.boot_id, 1), "node_unknown");
    assert_eq!(put("node-1", &node.boot_id, 1), "path_malformed");
    assert_eq!(put(&session.node_id, "yesterday", 1), "path_malformed");
    assert_eq!(put(&session.node_id, &node.boot_id, 0), "path_malformed");
    assert_eq!(put(&session.node_id, &node.boot_id, u64::MAX), "path_malformed");
    assert_eq!(
        client.put(&session.node_id, &node.boot_id, 1, ("", &bytes)).unwrap().unwrap_err().code,
        "bad_signature"
    );
    assert_eq!(server.refusals("path_malformed").len(), 4);
}

/// The judge compares figures bit for bit; a parser that is off by one unit in the last place, as serde_json's is without
/// `float_roundtrip` for about one number in eight, would make it find every other report untrusted.
#[test]
fn numbers_survive_the_wire_to_the_bit() {
    for _ in 0..10_000 {
        let seconds = f64::from(u32::from_le_bytes(support::random())) / 14e9;
        let sent = report::Quantity::new(seconds).unwrap();
        let read: report::Quantity = serde_json::from_slice(&serde_json::to_vec(&sent).unwrap()).unwrap();
        assert_eq!(read.get().to_bits(), sent.get().to_bits());
    }
}
