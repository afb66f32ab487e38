//! Where nodes go by themselves: deadlines, wishes, allocations, and what blocks them.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use inventory::access::Role;
use inventory::clock::ManualClock;
use inventory::lifecycle::State;
use jiff::{SignedDuration, Timestamp};
use report::wire::EnrolResponse;
use serde_json::{Value, json};
use support::people::{Headers, Raw, bearer, with};
use support::{Client, Node, TestServer, await_that};

/// A server that looks at its nodes all the time, on a clock that stands.
struct Site {
    clock: Arc<ManualClock>,
    server: TestServer,
    client: Client,
    operator: Headers,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let server = TestServer::start(clock.clone(), |options| {
            options.upkeep.follow = Duration::from_millis(10);
            options.upkeep.settle = Duration::from_millis(20);
            options.upkeep.flush = Duration::from_millis(20);
        });
        let operator = with(bearer(&server.key(Role::Operator)), "assay-cause", "the test says so");
        Self { clock, client: server.client(), server, operator }
    }

    fn state(&self, id: &str) -> State {
        State::parse(&self.server.node(id).summary.state).unwrap()
    }

    fn await_state(&self, id: &str, state: State) {
        await_that(&format!("the node is {state}"), || self.state(id) == state);
    }

    fn wish(&self, id: &str, body: &Value) -> Raw {
        let path = format!("/v1/nodes/{id}/wish");
        let etag = self.client.send("GET", &path, &self.operator, b"").etag.unwrap();
        let headers = with(self.operator.clone(), "if-match", &etag);
        self.client.send("PUT", &path, &headers, body.to_string().as_bytes())
    }

    fn readiness(&self, id: &str) -> Value {
        self.client.send("GET", &format!("/v1/nodes/{id}/readiness"), &self.operator, b"").json()
    }

    fn allocate(&self, id: &str, owner: &str) -> Raw {
        let body = json!({ "owner": owner }).to_string();
        self.client.send("PUT", &format!("/v1/nodes/{id}/allocation"), &self.operator, body.as_bytes())
    }

    fn release(&self, id: &str, query: &str) -> Raw {
        self.client.send("DELETE", &format!("/v1/nodes/{id}/allocation?{query}"), &self.operator, b"")
    }

    fn last_cause(&self, id: &str) -> String {
        self.server.node(id).transitions[0].cause.clone()
    }

    fn beat(&self, node: &Node, session: &EnrolResponse, count: u64) -> Raw {
        let path = format!("/v1/nodes/{}/heartbeat", session.node_id);
        let body = json!({ "phase": "burn_in", "count": count }).to_string();
        let headers = node.headers(session, &format!("POST {path}"), body.as_bytes());
        self.client.send("POST", &path, &headers, body.as_bytes())
    }
}

#[test]
fn who_never_reports_fails_at_its_deadline_and_then_goes_to_repair() {
    let site = Site::new();
    let (_, session) = site.server.enrolled(&site.client);
    let id = &session.node_id;
    let plan = report::Plan::built_in("quick-software").unwrap();
    let seconds: i64 = plan.checks.iter().map(|check| i64::from(check.deadline_s)).sum();
    site.clock.advance(SignedDuration::from_secs(60) + SignedDuration::from_millis(seconds * 1200));
    // The very moment is still in time: what the controller does not do can only be seen by what it does later.
    site.clock.advance(SignedDuration::from_secs(1));
    site.await_state(id, State::Failed);
    assert!(site.last_cause(id).starts_with("deadline_registering: registering since "));
    assert_eq!(site.server.node(id).transitions[0].actor, "controller");
    site.clock.advance(SignedDuration::from_secs(3601));
    site.await_state(id, State::Repair);
    assert!(site.last_cause(id).starts_with("deadline_failed: "));
    // With another token it may try again.
    let page = site.client.send("GET", "/v1/nodes?reason=deadline_registering", &site.operator, b"").json();
    assert_eq!(page["nodes"][0]["id"], json!(id));
}

#[test]
fn an_old_proof_takes_a_node_out_of_its_pool_and_a_new_report_brings_it_back() {
    let site = Site::new();
    let (node, session) = site.server.available(&site.client);
    let id = &session.node_id;
    assert_eq!(site.readiness(id)["ready"], json!(true));
    site.clock.advance(SignedDuration::from_hours(30 * 24) + SignedDuration::from_secs(1));
    site.await_state(id, State::Validating);
    assert_eq!(site.server.node(id).summary.pool, None);
    assert!(site.last_cause(id).starts_with("proof_too_old: "));
    assert_eq!(site.readiness(id)["blocking"], json!(["Healthy", "ProofFresh"]));
    assert_eq!(site.beat(&node, &session, 1).json()["report_wanted"], json!(true));
    let ack = site.client.report(&node, &session, 2, &node.bytes()).unwrap();
    assert_eq!(ack.state, "available");
}

#[test]
fn a_drained_node_keeps_its_work_takes_no_other_and_then_goes_to_maintenance() {
    let site = Site::new();
    let (node, session) = site.server.available(&site.client);
    let id = &session.node_id;
    assert_eq!(site.allocate(id, "job-1").json()["owner"], json!("job-1"));
    assert_eq!(site.allocate(id, "job-1").status, 200, "the same again is the same");
    assert_eq!(site.allocate(id, "job-2").code(), "allocated_to_another");
    assert_eq!(site.release(id, "owner=job-2").code(), "allocated_to_another");
    assert_eq!(site.wish(id, &json!({ "desired": "drain" })).status, 200);
    assert_eq!(site.state(id), State::Allocated);
    assert_eq!(site.readiness(id)["blocking"], json!(["InService"]));
    let released = site.release(id, "owner=job-1").json();
    assert_eq!((&released["state"], &released["owner"]), (&json!("maintenance"), &json!(null)));
    let blocked = site.allocate(id, "job-3");
    assert_eq!((blocked.status, blocked.code().as_str()), (409, "transition_not_allowed"));
    assert_eq!(blocked.json()["allowed"], json!(["registering", "quarantined", "retired"]));
    // Back in service it must prove itself anew.
    assert_eq!(site.wish(id, &json!({ "desired": "in_service" })).status, 200);
    assert_eq!(site.state(id), State::Registering);
    let ack = site.client.report(&node, &session, 2, &node.bytes()).unwrap();
    assert_eq!(ack.state, "available");
}

#[test]
fn a_healthy_report_does_not_admit_a_node_that_is_held_and_letting_go_does() {
    let site = Site::new();
    let (node, session) = site.server.enrolled(&site.client);
    let id = &session.node_id;
    assert_eq!(site.wish(id, &json!({ "desired": "in_service", "hold": true })).status, 200);
    let ack = site.client.report(&node, &session, 1, &node.bytes()).unwrap();
    assert_eq!((ack.state.as_str(), ack.pool), ("validating", None));
    assert_eq!(site.readiness(id)["blocking"], json!(["InService"]));
    // A held node is not moved by deadlines either.
    site.clock.advance(SignedDuration::from_hours(48));
    assert_eq!(site.wish(id, &json!({ "desired": "in_service", "hold": false })).status, 200);
    assert_eq!(site.state(id), State::Available);
    assert_eq!(site.last_cause(id), "ready: nothing blocks it any more");
}

#[test]
fn maintenance_is_now_and_retired_is_for_good() {
    let site = Site::new();
    let (_, session) = site.server.available(&site.client);
    let id = &session.node_id;
    site.allocate(id, "job-1");
    assert_eq!(site.wish(id, &json!({ "desired": "maintenance" })).status, 200);
    assert_eq!(site.state(id), State::Maintenance);
    assert_eq!(site.wish(id, &json!({ "desired": "retired" })).status, 200);
    assert_eq!(site.state(id), State::Retired);
    let refused = site.wish(id, &json!({ "desired": "in_service" }));
    assert_eq!((refused.status, refused.code().as_str()), (409, "transition_not_allowed"));
    assert_eq!(refused.json().get("allowed"), None, "nothing follows");
}

#[test]
fn two_operators_do_not_overwrite_each_other_and_every_change_has_a_cause() {
    let site = Site::new();
    let (_, session) = site.server.available(&site.client);
    let path = format!("/v1/nodes/{}/wish", session.node_id);
    let body = br#"{"desired": "maintenance"}"#;
    let with_tag = |tag: &str| with(site.operator.clone(), "if-match", tag);
    assert_eq!(site.client.send("PUT", &path, &site.operator, body).code(), "precondition_required");
    assert_eq!(site.client.send("PUT", &path, &with_tag("*"), body).code(), "precondition_failed");
    let first = site.client.send("PUT", &path, &with_tag("\"r0\""), body);
    assert_eq!(first.status, 200);
    let second = site.client.send("PUT", &path, &with_tag("\"r0\""), br#"{"desired": "retired"}"#);
    assert_eq!((second.status, second.code().as_str()), (412, "precondition_failed"));
    assert_eq!(site.state(&session.node_id), State::Maintenance);
    let without: Headers =
        with_tag(&first.etag.unwrap()).into_iter().filter(|(name, _)| name != "assay-cause").collect();
    let refused = site.client.send("PUT", &path, &without, br#"{"desired": "retired"}"#);
    assert_eq!((refused.status, refused.code().as_str()), (400, "cause_missing"));
    let lines = site.server.view().audit(1000).unwrap();
    let changed = lines.iter().find(|line| line.action == "wish_changed").unwrap();
    assert!(changed.actor.starts_with("operator:someone ("), "{changed:?}");
    assert!(changed.detail.as_ref().unwrap().ends_with("the test says so"), "{changed:?}");
}

#[test]
fn a_node_that_falls_silent_is_unreachable_and_stays_where_it_is() {
    let site = Site::new();
    let (node, session) = site.server.available(&site.client);
    let id = &session.node_id;
    let beat = site.beat(&node, &session, 1).json();
    assert!((27_000..=33_000).contains(&beat["next_in_ms"].as_u64().unwrap()), "{beat}");
    assert_eq!((&beat["state"], &beat["report_wanted"]), (&json!("available"), &json!(false)));
    let reachable = |site: &Site| site.readiness(id)["conditions"][4].clone();
    await_that("the heartbeat is written down", || reachable(&site)["status"] == json!("True"));
    site.clock.advance(SignedDuration::from_secs(121));
    let lost = reachable(&site);
    assert_eq!((&lost["type"], &lost["reason"]), (&json!("Reachable"), &json!("HeartbeatLost")));
    assert_eq!(site.readiness(id)["blocking"], json!(["Reachable"]));
    assert_eq!(site.allocate(id, "job-1").code(), "node_not_ready");
    assert_eq!(site.state(id), State::Available);
    site.beat(&node, &session, 2);
    await_that("it is heard again", || reachable(&site)["status"] == json!("True"));
    assert_eq!(site.allocate(id, "job-1").status, 200);
}

#[test]
fn the_time_of_a_conditions_last_change_is_kept() {
    let site = Site::new();
    let (node, session) = site.server.available(&site.client);
    let healthy = |site: &Site| site.readiness(&session.node_id)["conditions"][2].clone();
    let before = healthy(&site);
    assert_eq!((&before["type"], &before["status"]), (&json!("Healthy"), &json!("True")));
    site.clock.advance(SignedDuration::from_secs(100));
    site.client.report(&node, &session, 2, &node.bytes()).unwrap();
    assert_eq!(healthy(&site)["lastTransitionTime"], before["lastTransitionTime"]);
}
