//! Who may ask what: every cell of the table, over real HTTPS, with every kind of caller; and that each refusal is written
//! down with the name of who was refused.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use inventory::access::{Action, Reach, Role};
use inventory::clock::ManualClock;
use jiff::{SignedDuration, Timestamp};
use report::wire::{EnrolResponse, SIGNATURE_HEADER};
use support::people::{Headers, Raw, bearer, with};
use support::{Client, Node, TestServer};

/// The kinds of callers.
const CALLERS: [&str; 8] =
    ["anonymous", "own node", "other node", "operator", "reader", "metrics", "revoked", "expired"];

struct Site {
    server: TestServer,
    client: Client,
    own: (Node, EnrolResponse),
    other: (Node, EnrolResponse),
    keys: BTreeMap<&'static str, String>,
    sequence: u64,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let server = TestServer::start(clock.clone(), |_| {});
        let client = server.client();
        let mut keys: BTreeMap<_, _> =
            [("operator", Role::Operator), ("reader", Role::Reader), ("metrics", Role::Metrics)]
                .into_iter()
                .map(|(caller, role)| (caller, server.key(role)))
                .collect();
        let revoked = server.create_key(Role::Operator, None);
        server.revoke_key(&revoked.id);
        keys.insert("revoked", revoked.key);
        keys.insert("expired", server.create_key(Role::Operator, Some(SignedDuration::from_secs(60))).key);
        clock.advance(SignedDuration::from_secs(60));
        let (own, other) = (server.available(&client), server.available(&client));
        Self { server, client, own, other, keys, sequence: 1 }
    }

    /// The request of an action on the own node, by a caller, as it would be if it were allowed.
    fn ask(&mut self, action: Action, caller: &str) -> Raw {
        let id = self.own.1.node_id.clone();
        self.sequence += 1;
        let mut path = action.path().replace("{node}", &id).replace("{boot}", &self.own.0.boot_id);
        path = path.replace("{sequence}", &self.sequence.to_string());
        let body = self.body(action);
        if action == Action::Release {
            path += "?owner=job-1";
        }
        let signer = match caller {
            "own node" => Some(&self.own),
            "other node" => Some(&self.other),
            _ => None,
        };
        let mut headers: Headers = match (signer, action) {
            // A report carries its own kind of signature, here over what the path says.
            (Some((node, session)), Action::SendReport) => {
                let session = EnrolResponse { node_id: id, ..session.clone() };
                let node = Node { boot_id: self.own.0.boot_id.clone(), ..node.clone() };
                vec![(SIGNATURE_HEADER.to_owned(), node.sign(&session, self.sequence, &body))]
            }
            (Some((node, session)), _) => {
                node.headers(session, &format!("{} {path}", action.method()), &body)
            }
            (None, _) => self.keys.get(caller).map_or_else(Vec::new, |key| bearer(key)),
        };
        if action.is_change() {
            headers = with(headers, "assay-cause", "the test says so");
        }
        if action == Action::ChangeWish {
            headers = with(headers, "if-match", "\"r0\"");
        }
        self.client.send(action.method(), &path, &headers, &body)
    }

    fn body(&self, action: Action) -> Vec<u8> {
        match action {
            Action::Enrol => serde_json::to_vec(&Node::new().enrol_request(&self.server.token())).unwrap(),
            Action::SendReport => self.own.0.bytes(),
            Action::SendHeartbeat => br#"{"phase": "burn_in", "count": 1}"#.to_vec(),
            // As it is: nothing changes, and every caller finds the node as it was.
            Action::ChangeWish => br#"{"desired": "in_service"}"#.to_vec(),
            Action::ChangeLabels => br#"{"rack": "r7"}"#.to_vec(),
            Action::Allocate => br#"{"owner": "job-1"}"#.to_vec(),
            _ => Vec::new(),
        }
    }
}

/// What the table says of a caller: may it, and if not, with which code is it refused?
fn expected(action: Action, caller: &str) -> Result<(), &'static str> {
    let role = match caller {
        "anonymous" => Role::Anonymous,
        "own node" | "other node" => Role::Node,
        "operator" => Role::Operator,
        "reader" => Role::Reader,
        "metrics" => Role::Metrics,
        "revoked" => return Err("key_revoked"),
        _ => return Err("key_expired"),
    };
    match (action.reach(role), caller) {
        (Reach::Any, _) => Ok(()),
        (Reach::Own, "own node") => Ok(()),
        // Nobody but the node itself can make the signature of its report.
        (_, "anonymous" | "other node") if action == Action::SendReport => Err("bad_signature"),
        (_, "anonymous") => Err("not_authenticated"),
        _ => Err("not_permitted"),
    }
}

#[test]
fn every_cell_of_the_table_holds_over_https_and_every_refusal_is_audited() {
    let mut site = Site::new();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for action in Action::ALL {
        for caller in CALLERS {
            let answer = site.ask(*action, caller);
            let cell = format!("{caller}: {} {} -> {answer:?}", action.method(), action.path());
            match expected(*action, caller) {
                Ok(()) => assert!(answer.status == 200, "{cell}"),
                Err(code) => {
                    let status = if code == "not_permitted" || code == "bad_signature" { 403 } else { 401 };
                    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{cell}");
                    *refused.entry(code).or_default() += 1;
                }
            }
        }
    }
    for (code, count) in refused {
        let lines = site.server.refusals(code);
        assert_eq!(lines.len(), count, "{code}");
        assert!(lines.iter().all(|line| line.source.as_deref() == Some("127.0.0.1")));
        if code == "not_permitted" {
            assert!(lines.iter().all(|line| line.actor == "node" || line.actor.contains(":someone (")));
        }
    }
}

#[test]
fn a_wrong_secret_and_an_unknown_id_get_the_same_answer() {
    let server = TestServer::start(Arc::new(inventory::clock::SystemClock), |_| {});
    let (client, key) = (server.client(), server.key(Role::Reader));
    let end = if key.ends_with('a') { "b" } else { "a" };
    let wrong_secret = format!("{}{end}", &key[..key.len() - 1]);
    let unknown_id = key.replacen(&key[9..12], if &key[9..12] == "aaa" { "bbb" } else { "aaa" }, 1);
    assert_eq!(client.send("GET", "/v1/nodes", &bearer(&key), b"").status, 200);
    let bodies: Vec<_> = [&wrong_secret, &unknown_id]
        .map(|key| client.send("GET", "/v1/nodes", &bearer(key), b""))
        .map(|answer| (answer.status, answer.body))
        .to_vec();
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0].0, 401);
    for nonsense in ["", "x", "assaykey-a-b"] {
        assert_eq!(client.send("GET", "/v1/nodes", &bearer(nonsense), b"").code(), "key_unknown");
    }
}

#[test]
fn a_signature_for_one_request_does_not_fit_another() {
    let server = TestServer::start(Arc::new(inventory::clock::SystemClock), |_| {});
    let client = server.client();
    let (node, session) = server.available(&client);
    let path = format!("/v1/nodes/{}/readiness", session.node_id);
    let headers = node.headers(&session, &format!("GET {path}"), b"");
    assert_eq!(client.send("GET", &path, &headers, b"").status, 200);
    let page = format!("/v1/nodes/{}", session.node_id);
    assert_eq!(client.send("GET", &page, &headers, b"").code(), "bad_signature");
    assert_eq!(client.send("GET", &format!("{path}?x=1"), &headers, b"").code(), "bad_signature");
    // A boot that is over has no say any more.
    let rebooted = Node { boot_id: support::random_uuid(), ..node.clone() };
    client.enrol(&rebooted, &server.token()).unwrap();
    assert_eq!(client.send("GET", &path, &headers, b"").code(), "bad_signature");
}

#[test]
fn a_secret_is_stored_as_its_hash_only_and_the_last_use_is_written_down() {
    let server = TestServer::start(Arc::new(inventory::clock::SystemClock), |options| {
        options.upkeep.flush = std::time::Duration::from_millis(20);
    });
    let (client, created) = (server.client(), server.create_key(Role::Reader, None));
    let listed = || server.view().access_keys().unwrap().remove(0);
    assert_eq!((listed().name.as_str(), listed().used_at), ("someone", None));
    client.send("GET", "/v1/nodes", &bearer(&created.key), b"");
    support::await_that("the use is written down", || listed().used_at.is_some());
    let secret = created.key.rsplit('-').next().unwrap().to_owned();
    for entry in std::fs::read_dir(&server.data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}
