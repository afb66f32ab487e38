//! Who is let in, and as whom.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::sync::Arc;

use inventory::clock::{ManualClock, SystemClock};
use jiff::{SignedDuration, Timestamp};
use support::{Node, TestServer};

fn server() -> TestServer {
    TestServer::start(Arc::new(SystemClock), |_| {})
}

#[test]
fn a_node_with_a_token_is_let_in_and_its_record_says_so() {
    let server = server();
    let (client, node, token) = (server.client(), Node::new(), server.token());
    let session = client.enrol(&node, &token).unwrap();
    assert_eq!((session.state.as_str(), session.plan.as_str()), ("registering", "quick-software"));
    let record = server.node(&session.node_id);
    assert_eq!(record.summary.hostname.as_deref(), Some("gpu-17"));
    assert_eq!(record.evidence.len(), 4);
    assert_eq!(record.boots[0].boot_id, node.boot_id);
    assert_eq!(record.transitions.len(), 1);
    assert!(record.transitions[0].actor.starts_with("token:"));
    assert_eq!(client.get("/healthz"), (200, "ok\n".to_owned()));
}

#[test]
fn a_lost_answer_can_be_asked_for_again_and_nobody_else_gets_it() {
    let server = server();
    let (client, node, token) = (server.client(), Node::new(), server.token());
    let first = client.enrol(&node, &token).unwrap();
    assert_eq!(client.enrol(&node, &token).unwrap(), first);
    assert_eq!(server.node(&first.node_id).transitions.len(), 1);
    // The same key with another boot is another request.
    let rebooted = Node { boot_id: support::random_uuid(), ..node };
    assert_eq!(client.enrol(&rebooted, &token).unwrap_err().code, "token_used");
    assert_eq!(server.refusals("token_used").len(), 1);
}

#[test]
fn wrong_and_unknown_tokens_get_one_answer_and_do_not_spoil_the_right_one() {
    let server = server();
    let (client, node, token) = (server.client(), Node::new(), server.token());
    let (head, secret) = token.rsplit_once('-').unwrap();
    let other_secret: String = secret.chars().rev().collect();
    let unknown = format!("assay-{}-{secret}", "a".repeat(13));
    for wrong in [format!("{head}-{other_secret}"), unknown, "assay-x-y".to_owned(), String::new()] {
        let problem = client.enrol(&node, &wrong).unwrap_err();
        assert_eq!((problem.code.as_str(), problem.status, problem.retryable), ("token_invalid", 403, false));
    }
    assert_eq!(server.refusals("token_invalid").len(), 4);
    client.enrol(&node, &token).unwrap();
}

#[test]
fn an_expired_token_stays_expired_even_if_the_clock_goes_back() {
    let clock = Arc::new(ManualClock::at(Timestamp::now()));
    let server = TestServer::start(clock.clone(), |_| {});
    let (client, node, token) = (server.client(), Node::new(), server.token());
    clock.advance(SignedDuration::from_mins(16));
    assert_eq!(client.enrol(&node, &token).unwrap_err().code, "token_expired");
    clock.advance(SignedDuration::from_mins(-10));
    assert_eq!(client.enrol(&node, &token).unwrap_err().code, "token_expired");
    assert_eq!(server.refusals("token_expired").len(), 2);
    assert!(server.view().nodes(None).unwrap().is_empty());
}

#[test]
fn of_sixty_four_nodes_with_one_token_exactly_one_is_let_in() {
    let server = server();
    let (client, token) = (server.client(), server.token());
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(|| client.enrol(&Node::new(), &token))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(refused.map(|problem| problem.code.as_str()).all(|code| code == "token_used"));
    assert_eq!(server.view().nodes(None).unwrap().len(), 1);
    assert_eq!(server.refusals("token_used").len(), 63);
}

#[test]
fn a_proof_by_another_key_is_refused_before_the_token_is_looked_at() {
    let server = server();
    let (client, node, token) = (server.client(), Node::new(), server.token());
    let mut request = node.enrol_request(&token);
    request.proof = Node { key: Node::new().key, ..node.clone() }.enrol_request(&token).proof;
    let answer = client.post("/v1/enrolments", &serde_json::to_vec(&request).unwrap()).unwrap();
    assert_eq!(answer.unwrap_err().code, "bad_proof");
    // The identity is part of what is proven.
    let mut request = node.enrol_request(&token);
    request.identity.product_serial = Some("another".to_owned());
    let answer = client.post("/v1/enrolments", &serde_json::to_vec(&request).unwrap()).unwrap();
    assert_eq!(answer.unwrap_err().code, "bad_proof");
    assert_eq!(server.refusals("bad_proof").len(), 2);
    client.enrol(&node, &token).unwrap();
}

#[test]
fn a_clone_is_quarantined_for_good_and_the_owner_is_left_alone() {
    let server = server();
    let client = server.client();
    let owner = Node::new();
    let of_owner = client.enrol(&owner, &server.token()).unwrap();
    client.report(&owner, &of_owner, 1, &owner.bytes()).unwrap();
    let before = server.node(&of_owner.node_id).summary;
    assert_eq!(before.state, "available");

    let clone = Node { identity: owner.identity.clone(), ..Node::new() };
    let of_clone = client.enrol(&clone, &server.token()).unwrap();
    assert_eq!(of_clone.state, "quarantined");
    assert_ne!(of_clone.node_id, of_owner.node_id);
    assert_eq!(server.refusals("identity_conflict").len(), 1);

    let ack = client.report(&clone, &of_clone, 1, &clone.bytes()).unwrap();
    assert_eq!((ack.verdict.verdict, ack.state.as_str()), (report::Verdict::Healthy, "quarantined"));
    assert_eq!(ack.pool, None);
    let again = Node { boot_id: support::random_uuid(), ..clone };
    assert_eq!(client.enrol(&again, &server.token()).unwrap().state, "quarantined");

    let record = server.node(&of_clone.node_id);
    assert!(record.summary.reason.unwrap().starts_with("identity_conflict: key_changed"));
    assert_eq!(record.conflicts.len(), 4);
    assert!(record.conflicts.iter().all(|c| c.incumbent_id == of_owner.node_id));
    assert_eq!(server.node(&of_owner.node_id).summary, before);
}

#[test]
fn a_known_node_that_claims_the_hardware_of_another_is_quarantined_too() {
    let server = server();
    let client = server.client();
    let (victim, thief) = (Node::new(), Node::new());
    client.enrol(&victim, &server.token()).unwrap();
    client.enrol(&thief, &server.token()).unwrap();
    let thief = Node { identity: victim.identity, boot_id: support::random_uuid(), ..thief };
    assert_eq!(client.enrol(&thief, &server.token()).unwrap().state, "quarantined");
}

#[test]
fn machines_with_placeholders_only_do_not_conflict() {
    let server = server();
    let client = server.client();
    for _ in 0..3 {
        let mut node = Node::new();
        node.identity.product_uuid = Some("03000200-0400-0500-0006-000700080009".to_owned());
        node.identity.product_serial = Some("To be filled by O.E.M.".to_owned());
        node.identity.board_serial = Some("Default string".to_owned());
        node.identity.macs = vec!["02:00:00:00:00:01".parse().unwrap()];
        assert_eq!(client.enrol(&node, &server.token()).unwrap().state, "registering");
    }
}

#[test]
fn a_new_boot_must_prove_itself_again_and_the_old_one_is_stale() {
    let server = server();
    let (client, old) = (server.client(), Node::new());
    let session = client.enrol(&old, &server.token()).unwrap();
    let bytes = old.bytes();
    client.report(&old, &session, 1, &bytes).unwrap();
    let new = Node { boot_id: support::random_uuid(), ..old.clone() };
    let fresh = client.enrol(&new, &server.token()).unwrap();
    assert_eq!((fresh.node_id.as_str(), fresh.state.as_str()), (session.node_id.as_str(), "registering"));
    assert_eq!(client.report(&old, &session, 2, &old.bytes()).unwrap_err().code, "stale_boot");
    // What was stored is still acknowledged: the answer may have been lost.
    assert!(client.report(&old, &session, 1, &bytes).unwrap().duplicate);
    assert_eq!(server.node(&session.node_id).summary.state, "registering");
    assert_eq!(server.refusals("stale_boot").len(), 1);
}

#[test]
fn no_secret_of_a_token_is_in_the_database_or_in_an_answer() {
    let mut server = server();
    let (client, token) = (server.client(), server.token());
    let secret = token.rsplit('-').next().unwrap().to_owned();
    // In its place, in wrong places, in the path, as a report: each refusal writes an audit line.
    let mut seen = Vec::new();
    let mut node = Node::new();
    node.identity.hostname = Some(token.clone());
    seen.push(format!("{:?}", client.enrol(&node, &token)));
    seen.push(format!("{:?}", client.enrol(&Node::new(), &token)));
    for body in [
        format!("{{\"token\": {{\"{token}\": 1}}}}"),
        format!("{{\"{token}\": 1}}"),
        format!("{{\"token\": 1, \"boot_id\": \"{token}\"}}"),
        token.clone(),
    ] {
        seen.push(format!("{:?}", client.post("/v1/enrolments", body.as_bytes()).unwrap()));
    }
    client.get(&format!("/v1/{token}"));
    client.get(&format!("/{}", token.replace("assay-", "")));
    let session = client.enrol(&Node::new(), &server.token());
    assert!(session.is_ok());
    assert!(seen.iter().all(|answer| !answer.contains(&secret)), "{seen:?}");
    server.stop().unwrap();
    for entry in std::fs::read_dir(&server.data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds the secret of a token", path.display());
        }
    }
}
