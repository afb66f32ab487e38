//! What the store promises, on each database it can be kept in: one list of stories, told by real clients to a real
//! server, on a SQLite file and on a PostgreSQL server of the test's own.
//!
//! A database that is lost and comes back is a story of PostgreSQL only; it stands apart.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use inventory::access::Role;
use inventory::clock::{Clock, ManualClock, SystemClock};
use inventory::lifecycle::Wish;
use inventory::store::read::View;
use inventory::store::{self, Location, Order, Store, StoreError, WishChange};
use jiff::{SignedDuration, Timestamp};
use report::wire::{EnrolResponse, ReportAck};
use support::people::{bearer, with};
use support::postgres::Postgres;
use support::{Client, Node, TestServer, await_that, random_uuid, share_ca};

/// What is promised, and what happens on a fresh database where it is kept.
type Story = (&'static str, fn(&Location));

const STORIES: &[Story] = &[
    ("a node enrols and reports, and its record says so", record),
    ("a token lets one of many in", one_of_many),
    ("the same request again gets the same answer and is stored once", idempotent),
    ("an expired token is consumed", expired),
    ("a clone is quarantined and the owner is left alone", clone),
    ("of many clones at once one owns the hardware", clones),
    ("a replay and a stale boot are refused", replayed),
    ("each change has one number and none is missing", revisions),
    ("two servers on one database keep one order", two_servers),
    ("people find nodes, and the controller follows what they want", people),
    ("a view is of one moment", moment),
    ("what was acknowledged is there after a stop", restart),
];

#[expect(clippy::print_stdout, reason = "names the story that breaks")]
fn tell(fresh: impl Fn() -> Location) {
    for (promise, story) in STORIES {
        println!("{promise}");
        story(&fresh());
    }
}

#[test]
fn sqlite_keeps_what_the_store_promises() {
    let temporary = tempfile::tempdir().unwrap();
    tell(|| temporary.path().join(random_uuid()).into());
}

#[test]
fn postgres_keeps_what_the_store_promises() {
    let postgres = Postgres::start();
    tell(|| Location::server(&postgres.database()).unwrap());
    refused_if_it_forgets(&postgres);
}

fn server(location: &Location) -> TestServer {
    with_clock(location, Arc::new(SystemClock))
}

fn with_clock(location: &Location, clock: Arc<dyn Clock>) -> TestServer {
    TestServer::start(clock, |options| options.database = Some(location.clone()))
}

/// One more on the database of another.
fn beside(other: &TestServer) -> TestServer {
    TestServer::start(Arc::new(SystemClock), |options| {
        options.database = Some(other.location.clone());
        share_ca(&other.data, &options.data);
    })
}

/// A node that was let in, with its session.
fn enrolled(server: &TestServer) -> (Client, Node, EnrolResponse) {
    let (client, node) = (server.client(), Node::new());
    let session = client.enrol(&node, &server.token()).unwrap();
    (client, node, session)
}

/// Every question and every change of people, once.
fn people(location: &Location) {
    let server = TestServer::start(Arc::new(SystemClock), |options| {
        options.database = Some(location.clone());
        options.upkeep.settle = Duration::from_millis(20);
        options.upkeep.flush = Duration::from_millis(20);
    });
    let (client, node, session) = enrolled(&server);
    client.report(&node, &session, 1, &node.bytes()).unwrap();
    let id = &session.node_id;
    let key = server.create_key(Role::Operator, Some(SignedDuration::from_hours(1)));
    let operator = with(bearer(&key.key), "assay-cause", "the story says so");
    let ask = |method: &str, path: &str, body: &str| {
        let headers = with(operator.clone(), "if-match", "\"r0\"");
        let answer = client.send(method, path, &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        answer
    };
    let beat = r#"{"phase": "idle", "count": 1}"#;
    let path = format!("/v1/nodes/{id}/heartbeat");
    let signed = node.headers(&session, &format!("POST {path}"), beat.as_bytes());
    assert_eq!(client.send("POST", &path, &signed, beat.as_bytes()).status, 200);
    ask("PATCH", &format!("/v1/nodes/{id}/labels"), r#"{"rack": "r7", "old": "x"}"#);
    ask("PATCH", &format!("/v1/nodes/{id}/labels"), r#"{"old": null}"#);
    let all =
        "state=available,failed&selector=rack%3Dr7,rack!%3Dr8,rack,!old,rack%20in%20(r6,r7)&model=llvmpipe";
    for query in [all, "state=available", "model=llvmpipe", "selector=rack%3Dr7", "limit=1"] {
        let page = ask("GET", &format!("/v1/nodes?{query}"), "").json();
        assert_eq!(page["nodes"][0]["id"].as_str(), Some(id.as_str()), "{query}");
    }
    assert_eq!(
        ask("GET", "/v1/nodes?reason=identity_conflict", "").json()["nodes"].as_array().unwrap().len(),
        0
    );
    ask("PUT", &format!("/v1/nodes/{id}/allocation"), r#"{"owner": "job-1"}"#);
    ask("PUT", &format!("/v1/nodes/{id}/wish"), r#"{"desired": "drain"}"#);
    let released = ask("DELETE", &format!("/v1/nodes/{id}/allocation?owner=job-1"), "").json();
    assert_eq!(released["state"].as_str(), Some("maintenance"));
    // From a process of its own; the running server's controller follows.
    let order = Order { node_id: id.clone(), actor: "operator".into(), cause: "again".into(), source: None };
    let change = WishChange { desired: Wish::InService, hold: None, based_on: None };
    store::wish(location, &SystemClock, &order, change).unwrap();
    await_that("it comes back", || server.node(id).summary.state == "registering");
    await_that("the heartbeat is written down", || {
        let conditions = ask("GET", &format!("/v1/nodes/{id}/readiness"), "").json();
        conditions["conditions"][4]["status"].as_str() == Some("True")
    });
    await_that("the use is written down", || server.view().access_keys().unwrap()[0].used_at.is_some());
    for path in ["history", "reports", "wish", ""] {
        ask("GET", format!("/v1/nodes/{id}/{path}").trim_end_matches('/'), "");
    }
    for path in ["/v1/audit", "/v1/sd/prometheus", "/v1/inventory/ansible", "/metrics", "/readyz"] {
        ask("GET", path, "");
    }
    assert!(client.watch("/v1/watch?since=0", &operator).any(|line| line == "id: 1"));
    server.revoke_key(&key.id);
    assert_eq!(client.send("GET", "/v1/nodes", &operator, b"").code(), "key_revoked");
}

fn record(location: &Location) {
    let server = server(location);
    let (client, node, session) = enrolled(&server);
    let bytes = node.bytes();
    let ack = client.report(&node, &session, 1, &bytes).unwrap();
    assert_eq!((ack.state.as_str(), ack.pool.as_deref()), ("available", Some("software")));
    let record = server.node(&session.node_id);
    assert_eq!(record.summary.verdict.as_deref(), Some("healthy"));
    assert_eq!(record.summary.revision, ack.revision);
    assert_eq!(record.public_key, data_encoding::HEXLOWER.encode(node.key.verifying_key().as_bytes()));
    assert_eq!(record.evidence.len(), 4);
    assert_eq!((record.boots.len(), record.boots[0].is_current), (1, true));
    assert_eq!((record.reports[0].sequence, &record.reports[0].verdict), (1, &ack.verdict));
    let way: Vec<_> = record.transitions.iter().rev().map(|step| step.to.as_str()).collect();
    assert_eq!(way, ["registering", "inspecting", "validating", "available"]);
    let view = server.view();
    assert_eq!(view.report_bytes(ack.revision).unwrap(), Some(bytes));
    assert_eq!(view.report_bytes(ack.revision + 1).unwrap(), None);
    assert!(view.node("node-aaaaaaaaaaaaaaaa").unwrap().is_none());
    assert_eq!(view.nodes(inventory::lifecycle::State::parse("available")).unwrap().len(), 1);
    assert_eq!(view.nodes(inventory::lifecycle::State::parse("failed")).unwrap(), []);
    let actions: HashSet<_> = view.audit(100).unwrap().into_iter().map(|line| line.action).collect();
    for action in ["token_created", "enrolled", "transition", "report_accepted"] {
        assert!(actions.contains(action), "{action}: {actions:?}");
    }
}

fn one_of_many(location: &Location) {
    let server = server(location);
    let (client, token) = (server.client(), server.token());
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| client.enrol(&Node::new(), &token))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(server.view().nodes(None).unwrap().len(), 1);
    assert_eq!(server.refusals("token_used").len(), 15);
}

fn idempotent(location: &Location) {
    let server = server(location);
    let (client, node, token) = (server.client(), Node::new(), server.token());
    let session = client.enrol(&node, &token).unwrap();
    assert_eq!(client.enrol(&node, &token).unwrap(), session);
    let bytes = node.bytes();
    let first = client.report(&node, &session, 1, &bytes).unwrap();
    let again = client.report(&node, &session, 1, &bytes).unwrap();
    assert_eq!(ReportAck { duplicate: true, ..first }, again);
    assert_eq!(client.report(&node, &session, 1, &node.bytes()).unwrap_err().code, "sequence_conflict");
    assert_eq!(server.node(&session.node_id).reports.len(), 1);
}

fn expired(location: &Location) {
    let clock = Arc::new(ManualClock::at(Timestamp::now()));
    let server = with_clock(location, clock.clone());
    let (client, token) = (server.client(), server.token());
    clock.advance(SignedDuration::from_mins(16));
    assert_eq!(client.enrol(&Node::new(), &token).unwrap_err().code, "token_expired");
    // Consumed: the clock does not bring it back.
    clock.advance(SignedDuration::from_mins(-10));
    assert_eq!(client.enrol(&Node::new(), &token).unwrap_err().code, "token_expired");
    assert!(server.view().nodes(None).unwrap().is_empty());
}

fn clone(location: &Location) {
    let server = server(location);
    let (client, owner, session) = enrolled(&server);
    client.report(&owner, &session, 1, &owner.bytes()).unwrap();
    let before = server.node(&session.node_id).summary;
    let clone = Node { identity: owner.identity.clone(), ..Node::new() };
    let of_clone = client.enrol(&clone, &server.token()).unwrap();
    assert_eq!(of_clone.state, "quarantined");
    assert_eq!(client.report(&clone, &of_clone, 1, &clone.bytes()).unwrap().state, "quarantined");
    assert!(!server.node(&of_clone.node_id).conflicts.is_empty());
    assert_eq!(server.node(&session.node_id).summary, before);
}

fn clones(location: &Location) {
    const CLONES: usize = 12;
    let server = server(location);
    let (client, like) = (server.client(), Node::new());
    let tokens: Vec<_> = (0..CLONES).map(|_| server.token()).collect();
    let states: Vec<_> = std::thread::scope(|scope| {
        let enrol = |token| {
            let node = Node { identity: like.identity.clone(), ..Node::new() };
            client.enrol(&node, token).unwrap().state
        };
        let threads: Vec<_> = tokens.iter().map(|token| scope.spawn(move || enrol(token))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(states.iter().filter(|state| *state == "registering").count(), 1, "{states:?}");
    assert_eq!(states.iter().filter(|state| *state == "quarantined").count(), CLONES - 1);
}

fn replayed(location: &Location) {
    let server = server(location);
    let (client, node, session) = enrolled(&server);
    let bytes = node.bytes();
    client.report(&node, &session, 3, &bytes).unwrap();
    assert_eq!(client.report(&node, &session, 4, &bytes).unwrap_err().code, "report_replayed");
    assert_eq!(client.report(&node, &session, 2, &node.bytes()).unwrap_err().code, "sequence_conflict");
    let rebooted = Node { boot_id: random_uuid(), ..node.clone() };
    client.enrol(&rebooted, &server.token()).unwrap();
    assert_eq!(client.report(&node, &session, 5, &node.bytes()).unwrap_err().code, "stale_boot");
    for code in ["report_replayed", "sequence_conflict", "stale_boot"] {
        assert_eq!(server.refusals(code).len(), 1, "{code}");
    }
    assert_eq!(server.node(&session.node_id).reports.len(), 1);
}

/// Enrols `count` nodes and hands in a report of each, from several threads in turn with these clients.
fn load(servers: &[&TestServer], count: usize) -> Vec<ReportAck> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|n| {
                let server = servers[n % servers.len()];
                scope.spawn(move || {
                    let (client, node, session) = enrolled(server);
                    client.report(&node, &session, 1, &node.bytes()).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn assert_numbered(view: &View, nodes: usize, acks: &[ReportAck]) {
    let mut revisions = HashSet::new();
    for node in view.nodes(None).unwrap() {
        let record = view.node(&node.id).unwrap().unwrap();
        revisions.extend(record.boots.iter().map(|boot| boot.revision));
        revisions.extend(record.reports.iter().map(|report| report.revision));
    }
    let last = u64::try_from(nodes + acks.len()).unwrap();
    assert_eq!(revisions, (1..=last).collect());
    assert!(acks.iter().all(|ack| revisions.contains(&ack.revision)));
    let mut lines: Vec<_> = view.audit(10_000).unwrap().into_iter().map(|line| line.id).collect();
    lines.dedup();
    assert_eq!(lines, (1..=u64::try_from(lines.len()).unwrap()).collect::<Vec<_>>());
}

fn revisions(location: &Location) {
    let server = server(location);
    let acks = load(&[&server], 10);
    assert_numbered(&server.view(), 10, &acks);
}

fn two_servers(location: &Location) {
    let one = server(location);
    let other = beside(&one);
    let acks = load(&[&one, &other], 16);
    assert_numbered(&one.view(), 16, &acks);
    // A token is used once, wherever.
    let token = one.token();
    let answers = [one.client().enrol(&Node::new(), &token), other.client().enrol(&Node::new(), &token)];
    assert_eq!(answers[1].as_ref().unwrap_err().code, "token_used");
    // And a node reports to the one or the other.
    let (client, node, session) = enrolled(&one);
    let bytes = node.bytes();
    let first = client.report(&node, &session, 1, &bytes).unwrap();
    let again = other.client().report(&node, &session, 1, &bytes).unwrap();
    assert_eq!((again.revision, again.duplicate), (first.revision, true));
}

fn moment(location: &Location) {
    let server = server(location);
    enrolled(&server);
    let view = server.view();
    assert_eq!(view.nodes(None).unwrap().len(), 1);
    enrolled(&server);
    assert_eq!(view.nodes(None).unwrap().len(), 1);
    assert_eq!(server.view().nodes(None).unwrap().len(), 2);
}

fn restart(location: &Location) {
    let mut first = server(location);
    let (client, node, session) = enrolled(&first);
    let bytes = node.bytes();
    let ack = client.report(&node, &session, 1, &bytes).unwrap();
    first.stop().unwrap();
    let second = beside(&first);
    let again = second.client().report(&node, &session, 1, &bytes).unwrap();
    assert_eq!(ReportAck { duplicate: false, ..again }, ack);
}

#[test]
fn a_lost_postgres_is_no_end_and_loses_nothing() {
    let mut postgres = Postgres::start();
    let location = Location::server(&postgres.database()).unwrap();
    let server = server(&location);
    let (client, node, session) = enrolled(&server);
    let bytes = node.bytes();
    let ack = client.report(&node, &session, 1, &bytes).unwrap();
    // Its connections are cut: one answer says so, and says to try again.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'assay-inventory'";
    assert!(postgres.sql("postgres", cut).trim().parse::<u32>().unwrap() > 0);
    let second = node.bytes();
    let (refused, answer) = until_stored(&client, &node, &session, 2, &second);
    assert!(refused > 0, "the connection was not cut");
    assert!(answer.revision > ack.revision);
    // The server crashes, and is away for a while.
    postgres.crash();
    let problem = client.report(&node, &session, 3, &node.bytes()).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.status, problem.retryable), ("store_unreachable", 503, true));
    postgres.restart();
    let (_, last) = until_stored(&client, &node, &session, 3, &node.bytes());
    assert_eq!(last.state, "available");
    let stored: Vec<_> = server.node(&session.node_id).reports.iter().map(|report| report.sequence).collect();
    assert_eq!(stored, [3, 2, 1]);
    assert!(client.report(&node, &session, 1, &bytes).unwrap().duplicate);
}

/// Sends the same report until it is acknowledged; gives how often it was refused before.
#[expect(clippy::disallowed_methods, reason = "waits for another process")]
fn until_stored(
    client: &Client,
    node: &Node,
    session: &EnrolResponse,
    sequence: u64,
    bytes: &[u8],
) -> (usize, ReportAck) {
    for refused in 0..200 {
        match client.report(node, session, sequence, bytes) {
            Ok(ack) => return (refused, ack),
            Err(problem) => assert_eq!(problem.code, "store_unreachable", "{problem:?}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the database does not come back");
}

/// One that would forget at a power failure, or whose tables are of a later version, is not used.
fn refused_if_it_forgets(postgres: &Postgres) {
    let address = postgres.database();
    let location = Location::server(&address).unwrap();
    let open = || Store::open(&location, Default::default(), Arc::new(SystemClock)).map(drop);
    open().unwrap();
    postgres.sql("postgres", "ALTER ROLE assay SET synchronous_commit = off");
    let error = open().unwrap_err();
    assert!(matches!(&error, StoreError::NotDurable { .. }), "{error}");
    assert!(error.to_string().contains("synchronous_commit = off"), "{error}");
    postgres.sql("postgres", "ALTER ROLE assay RESET synchronous_commit");
    postgres.sql(&address, "UPDATE schema_version SET version = 99");
    assert!(matches!(open(), Err(StoreError::Newer { found: 99, .. })));
    assert!(matches!(View::open(&location), Err(StoreError::Newer { found: 99, .. })));
}

/// A certificate and key in PEM for that name, and the authority that signed it.
fn certificate(name: &str) -> (String, String, String) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem(), authority)
}

#[test]
fn a_postgres_over_tls_must_be_vouched_for_under_its_own_name() {
    let (pem, key, authority) = certificate("localhost");
    let (postgres, port) = Postgres::start_tls(&pem, &key);
    let temporary = tempfile::tempdir().unwrap();
    let at = |host: &str, authority: &str| {
        let file = temporary.path().join(random_uuid());
        std::fs::write(&file, authority).unwrap();
        let ca = file.display();
        let address = format!("postgres://assay@{host}:{port}/postgres?sslmode=require&sslrootcert={ca}");
        Location::server(&address).unwrap()
    };
    let opened =
        |location: &Location| Store::open(location, Default::default(), Arc::new(SystemClock)).map(drop);
    for stranger in [at("localhost", &certificate("localhost").2), at("127.0.0.1", &authority)] {
        assert!(matches!(opened(&stranger), Err(StoreError::Open(_))), "{stranger}");
    }
    let server = server(&at("localhost", &authority));
    let (client, node, session) = enrolled(&server);
    assert_eq!(client.report(&node, &session, 1, &node.bytes()).unwrap().state, "available");
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'assay-inventory'";
    assert_eq!(postgres.sql("postgres", encrypted).trim(), "t");
}
