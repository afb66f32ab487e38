//! Lists, pages and streams over real HTTPS.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use inventory::access::Role;
use inventory::clock::SystemClock;
use jiff::Timestamp;
use serde_json::{Value, json};
use support::people::{Headers, bearer, with};
use support::{Client, TestServer};

struct Site {
    server: TestServer,
    client: Client,
    operator: Headers,
}

impl Site {
    fn new() -> Self {
        let server = TestServer::start(Arc::new(SystemClock), |options| {
            options.upkeep.follow = Duration::from_millis(10);
        });
        let operator = with(bearer(&server.key(Role::Operator)), "assay-cause", "the test says so");
        Self { client: server.client(), server, operator }
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.client.send("GET", path, &self.operator, b"");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    fn ids(&self, path: &str) -> Vec<String> {
        let page = self.get(path);
        page["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
    }

    fn label(&self, id: &str, labels: &Value) -> support::people::Raw {
        let path = format!("/v1/nodes/{id}/labels");
        self.client.send("PATCH", &path, &self.operator, labels.to_string().as_bytes())
    }
}

#[test]
fn nodes_are_found_by_state_label_model_and_reason() {
    let site = Site::new();
    let (_, a) = site.server.available(&site.client);
    let (_, b) = site.server.enrolled(&site.client);
    let (a, b) = (a.node_id, b.node_id);
    assert_eq!(site.label(&a, &json!({ "rack": "r7", "canary": "" })).json()["labels"]["rack"], json!("r7"));
    site.label(&b, &json!({ "rack": "r8" }));
    let mut both = vec![a.clone(), b.clone()];
    both.sort();
    let (only_a, only_b) = ([a.clone()], [b.clone()]);
    for (query, expected) in [
        ("", &both[..]),
        ("state=available", &only_a),
        ("state=available,registering", &both),
        ("state=failed", &[]),
        ("selector=rack%3Dr7", &only_a),
        ("selector=rack%20in%20(r7,r8)", &both),
        ("selector=rack%20in%20(r7,r8),!canary", &only_b),
        ("selector=assay.dev/gpu-model%3Dllvmpipe", &only_a),
        ("model=llvmpipe", &only_a),
        ("model=llvmpipe&state=registering", &[]),
        ("reason=identity_conflict", &[]),
    ] {
        assert_eq!(site.ids(&format!("/v1/nodes?{query}")), expected, "{query}");
    }
    for bad in ["state=ready", "selector=a%20in", "limit=0", "limit=501", "stat=available"] {
        let refused = site.client.send("GET", &format!("/v1/nodes?{bad}"), &site.operator, b"");
        assert_eq!((refused.status, refused.code().as_str()), (400, "query_malformed"), "{bad}");
    }
    for bad in [json!({ "assay.dev/gpu-model": "h100" }), json!({ "a b": "c" }), json!({ "a": "b c" })] {
        assert_eq!(site.label(&a, &bad).code(), "label_not_allowed", "{bad}");
    }
    // A label that is taken away no longer finds its node.
    site.label(&a, &json!({ "rack": null }));
    assert_eq!(site.ids("/v1/nodes?selector=rack"), [b]);
}

#[test]
fn pages_give_each_node_once_and_a_known_list_is_not_sent_again() {
    let site = Site::new();
    let mut all: Vec<_> = (0..7).map(|_| site.server.enrolled(&site.client).1.node_id).collect();
    all.sort();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = site.get(&format!("/v1/nodes?limit=3&after={after}"));
        let nodes = page["nodes"].as_array().unwrap();
        assert!(nodes.len() <= 3);
        seen.extend(nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, all);
    let first = site.client.send("GET", "/v1/nodes", &site.operator, b"");
    let known = with(site.operator.clone(), "if-none-match", &first.etag.unwrap());
    let again = site.client.send("GET", "/v1/nodes", &known, b"");
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    site.server.enrolled(&site.client);
    assert_eq!(site.client.send("GET", "/v1/nodes", &known, b"").status, 200);
    let page = format!("/v1/nodes/{}", all[0]);
    let etag = site.client.send("GET", &page, &site.operator, b"").etag.unwrap();
    let known = with(site.operator.clone(), "if-none-match", &etag);
    assert_eq!(site.client.send("GET", &page, &known, b"").status, 304);
}

#[test]
fn a_nodes_page_history_reports_and_the_audit_tell_its_story() {
    let site = Site::new();
    let (node, session) = site.server.available(&site.client);
    site.client.report(&node, &session, 2, &node.bytes()).unwrap();
    let id = session.node_id;
    let page = site.get(&format!("/v1/nodes/{id}"));
    assert_eq!(
        (&page["state"], &page["pool"], &page["model"]),
        (&json!("available"), &json!("software"), &json!("llvmpipe"))
    );
    assert_eq!(page["conditions"][0]["type"], json!("Ready"));
    let history = site.get(&format!("/v1/nodes/{id}/history?limit=2"));
    assert_eq!(history["history"][0]["to"], json!("available"));
    let before = history["next"].as_u64().unwrap();
    let rest = site.get(&format!("/v1/nodes/{id}/history?before={before}"));
    let steps = |page: &Value| page["history"].as_array().unwrap().len();
    assert_eq!((steps(&history), steps(&rest), &rest["next"]), (2, 4, &json!(null)));
    let reports = site.get(&format!("/v1/nodes/{id}/reports?limit=1"));
    assert_eq!(reports["reports"][0]["sequence"], json!(2));
    assert!(reports["next"].is_u64());
    let audit = site.get("/v1/audit?limit=1");
    assert_eq!(audit["audit"].as_array().unwrap().len(), 1);
    for path in [
        "/v1/nodes/node-none",
        "/v1/nodes/node-none/history",
        "/v1/nodes/node-none/reports",
        "/v1/nodes/node-none/readiness",
        "/v1/nodes/node-none/wish",
    ] {
        assert_eq!(site.client.send("GET", path, &site.operator, b"").code(), "node_unknown", "{path}");
    }
}

/// The next event of a stream, as its id and data.
fn event(lines: &mut impl Iterator<Item = String>) -> (u64, Value) {
    let lines: Vec<_> = lines.skip_while(|line| !line.starts_with("id: ")).take(3).collect();
    let data = lines[2].strip_prefix("data: ").unwrap();
    (lines[0].strip_prefix("id: ").unwrap().parse().unwrap(), serde_json::from_str(data).unwrap())
}

#[test]
fn a_watcher_sees_every_change_once_and_goes_on_where_it_was_cut_off() {
    let site = Site::new();
    let (node, session) = site.server.enrolled(&site.client);
    let mut stream = site.client.watch("/v1/watch?since=0", &site.operator);
    let (first, data) = event(&mut stream);
    assert_eq!((first, &data["kind"], &data["node_id"]), (1, &json!("enrolment"), &json!(session.node_id)));
    site.client.report(&node, &session, 1, &node.bytes()).unwrap();
    let (second, data) = event(&mut stream);
    assert_eq!((second, &data["kind"], &data["state"]), (2, &json!("report"), &json!("available")));
    drop(stream);
    site.label(&session.node_id, &json!({ "rack": "r7" }));
    site.server.enrolled(&site.client);
    let headers = with(site.operator.clone(), "last-event-id", "2");
    let mut stream = site.client.watch("/v1/watch?since=0", &headers);
    assert_eq!((event(&mut stream).0, event(&mut stream).0), (3, 4));
}

#[test]
fn a_watcher_from_a_revision_that_is_not_there_is_told_to_list_again() {
    let site = Site::new();
    site.server.enrolled(&site.client);
    site.server.enrolled(&site.client);
    let gone = |since: u64| {
        let refused = site.client.send("GET", &format!("/v1/watch?since={since}"), &site.operator, b"");
        refused.status == 410 && refused.code() == "revision_gone"
    };
    assert!(gone(3) && !gone(2) && !gone(0));
    // As if changes were thrown away one day.
    let path = inventory::files::DataDir::at(&site.server.data).database();
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM changes WHERE revision = 1").unwrap();
    assert!(gone(0) && !gone(1));
    let refused =
        site.client.send("GET", "/v1/watch", &with(site.operator.clone(), "last-event-id", "x"), b"");
    assert_eq!(refused.code(), "query_malformed");
}

#[test]
fn streams_have_places_of_their_own_and_give_them_back() {
    let server = TestServer::start(Arc::new(SystemClock), |options| {
        options.requests.lanes.watchers_per_key = 2;
        options.upkeep.follow = Duration::from_millis(10);
    });
    let (client, reader) = (server.client(), bearer(&server.key(Role::Reader)));
    let (_first, second) = (client.watch("/v1/watch", &reader), client.watch("/v1/watch", &reader));
    let refused = client.send("GET", "/v1/watch", &reader, b"");
    assert_eq!((refused.status, refused.code().as_str()), (503, "overloaded"));
    let other = bearer(&server.key(Role::Reader));
    assert_eq!(client.send("GET", "/v1/watch", &other, b"").status, 200);
    server.enrolled(&client);
    drop(second);
    support::await_that("the place is free again", || {
        server.enrolled(&client);
        client.send("GET", "/v1/watch", &reader, b"").status == 200
    });
}

/// As many as no buffer on the way holds.
fn add_changes(server: &TestServer, count: u32) {
    let path = inventory::files::DataDir::at(&server.data).database();
    let database = rusqlite::Connection::open(path).unwrap();
    let sql = "WITH RECURSIVE more (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < ?1)
               INSERT INTO changes (revision, kind, node_id, at_ms) SELECT n, 'test', 'node-none', 0 FROM more";
    database.execute(sql, [count]).unwrap();
}

/// A stream that nobody reads after its first bytes.
fn silent_watcher(server: &TestServer, headers: &Headers) -> impl Sized + use<> {
    let mut stream = server.connect_tls();
    let (_, key) = &headers[0];
    let request = format!("GET /v1/watch?since=0 HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut head = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stream
}

#[test]
fn a_watcher_that_does_not_read_is_cut_off_and_its_place_is_free_again() {
    let server = TestServer::start(Arc::new(SystemClock), |options| {
        options.requests.lanes.watchers = 1;
        options.connections.stall = Duration::from_secs(2);
        options.upkeep.follow = Duration::from_millis(10);
    });
    let (client, reader) = (server.client(), bearer(&server.key(Role::Reader)));
    server.enrolled(&client);
    add_changes(&server, 60_000);
    let silent = silent_watcher(&server, &reader);
    assert_eq!(client.send("GET", "/v1/watch", &reader, b"").code(), "overloaded", "it has the only place");
    let begun = Timestamp::now();
    support::await_that("it is cut off", || client.send("GET", "/v1/watch", &reader, b"").status == 200);
    // By the connection that stands still; the full queue alone would be waited for longer.
    assert!(Timestamp::now().duration_since(begun).as_secs() < 6);
    drop(silent);
}

#[test]
fn a_stop_ends_streams_at_once() {
    let mut server = TestServer::start(Arc::new(SystemClock), |_| {});
    let mut stream = server.client().watch("/v1/watch", &bearer(&server.key(Role::Reader)));
    let begun = Timestamp::now();
    server.stop().unwrap();
    assert!(Timestamp::now().duration_since(begun).as_secs() < 5);
    assert_eq!(stream.next(), None);
}

#[test]
fn figures_count_what_happened_and_name_nobody() {
    let site = Site::new();
    let (_, session) = site.server.available(&site.client);
    site.client.send("GET", "/v1/nodes", &Vec::new(), b"");
    let collector = bearer(&site.server.key(Role::Metrics));
    let text = site.client.send("GET", "/metrics", &collector, b"").body;
    for row in [
        "assay_inventory_nodes{state=\"available\"} 1\n",
        "assay_inventory_nodes{state=\"failed\"} 0\n",
        "assay_inventory_transitions_total{from=\"validating\",to=\"available\",cause=\"verdict_healthy\"} 1\n",
        "assay_inventory_refusals_total{code=\"not_authenticated\"} 1\n",
        "assay_inventory_revision 2\n",
        "assay_inventory_acknowledge_seconds_bucket{le=\"+Inf\"} ",
    ] {
        assert!(text.contains(row), "{row} in\n{text}");
    }
    assert!(!text.contains(&session.node_id) && !text.contains("gpu-17") && !text.contains("127.0.0.1"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    let targets: Value = site.client.send("GET", "/v1/sd/prometheus?port=9400", &collector, b"").json();
    assert_eq!(targets[0]["targets"], json!(["127.0.0.1:9400"]));
    assert_eq!(targets[0]["labels"]["__meta_assay_state"], json!("available"));
    let hosts = site.get("/v1/inventory/ansible");
    assert_eq!(hosts["state_available"]["hosts"], json!([session.node_id]));
    assert_eq!(hosts["_meta"]["hostvars"][&session.node_id]["ansible_host"], json!("127.0.0.1"));
}

#[test]
fn people_who_take_all_their_places_leave_nodes_theirs() {
    let server = TestServer::start(Arc::new(SystemClock), |options| options.requests.lanes.people = 0);
    let (client, reader) = (server.client(), bearer(&server.key(Role::Reader)));
    let refused = client.send("GET", "/v1/nodes", &reader, b"");
    assert_eq!((refused.status, refused.code().as_str()), (503, "overloaded"));
    server.available(&client);
    assert_eq!(client.get("/healthz").0, 200);
    assert_eq!(client.get("/readyz").0, 200);
}
