//! How well a node is known, and what that opens: certificates and their ends, levels and the policy.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signer, SigningKey};
use inventory::certificate::NodeCa;
use inventory::clock::{Clock, ManualClock};
use inventory::files::DataDir;
use inventory::serve::ServeOptions;
use inventory::store::{self, Store, StoreOptions};
use inventory::trust::TrustPolicy;
use jiff::{SignedDuration, Timestamp};
use report::wire::{CertificateRequest, CertificateResponse, EnrolResponse, TrustLevel, certificate_context};
use support::{Answer, Client, Node, TestServer, random};
use ureq::tls::{ClientCert, PrivateKey};

/// A server whose time is in the test's hand, and a node that is enrolled.
struct Site {
    clock: Arc<ManualClock>,
    server: TestServer,
    client: Client,
    node: Node,
    session: EnrolResponse,
}

fn site_with(change: impl FnOnce(&mut ServeOptions)) -> Site {
    let clock = Arc::new(ManualClock::at(Timestamp::now()));
    let server = TestServer::start(Arc::clone(&clock) as Arc<dyn Clock>, change);
    let (client, node) = (server.client(), Node::new());
    let session = client.enrol(&node, &server.token()).unwrap();
    Site { clock, server, client, node, session }
}

fn site() -> Site {
    site_with(|_| {})
}

fn hex(key: &SigningKey) -> String {
    HEXLOWER.encode(key.verifying_key().as_bytes())
}

/// A request as it should be, for the node's own key.
fn request(node: &Node, session: &EnrolResponse) -> CertificateRequest {
    request_for(node, session, &node.key)
}

fn request_for(node: &Node, session: &EnrolResponse, key: &SigningKey) -> CertificateRequest {
    let context = certificate_context(&session.node_id, &node.boot_id, &session.nonce, &hex(key));
    let sign = |key: &SigningKey| HEXLOWER.encode(&key.sign(&context).to_bytes());
    CertificateRequest {
        boot_id: node.boot_id.clone(),
        public_key: hex(key),
        proof: sign(&node.key),
        new_key_proof: (hex(key) != hex(&node.key)).then(|| sign(key)),
    }
}

impl Site {
    fn ask(&self, client: &Client, request: &CertificateRequest) -> Answer<CertificateResponse> {
        client.ask(&format!("/v1/nodes/{}/certificate", self.session.node_id), request).unwrap()
    }

    fn certificate(&self) -> CertificateResponse {
        self.ask(&self.client, &request(&self.node, &self.session)).unwrap()
    }

    /// A client that shows that certificate with that key.
    fn showing(&self, pem: &str, key: &SigningKey) -> Client {
        const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = [&HEAD[..], &key.to_bytes()].concat();
        let chain = [ureq::tls::Certificate::from_pem(pem.as_bytes()).unwrap()];
        let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(&key));
        let key = PrivateKey::from_pem(key.as_bytes()).unwrap();
        self.showing_any(ClientCert::new_with_certs(&chain, key))
    }

    fn showing_any(&self, certificate: ClientCert) -> Client {
        Client::showing(&self.server.data, &self.server.address, Some(certificate))
    }

    /// The code of the refusal of a good report over that client, or `accepted`.
    fn report_over(&self, client: &Client, sequence: u64) -> String {
        match client.report(&self.node, &self.session, sequence, &self.node.bytes()) {
            Ok(_) => "accepted".to_owned(),
            Err(problem) => problem.code,
        }
    }

    fn level(&self) -> TrustLevel {
        self.server.node(&self.session.node_id).trust.now.level
    }

    fn state(&self) -> String {
        self.server.node(&self.session.node_id).summary.state
    }

    fn set_state(&self, state: &str) {
        let database = rusqlite::Connection::open(DataDir::at(&self.server.data).database()).unwrap();
        let set = "UPDATE nodes SET state = ?2, pool = NULL WHERE id = ?1";
        assert_eq!(database.execute(set, (&self.session.node_id, state)).unwrap(), 1);
    }
}

#[test]
fn a_certificate_opens_the_nodes_own_record_and_no_other() {
    let site = site();
    let given = site.certificate();
    assert_eq!((given.valid_s, given.renew_after_s), (24 * 3600 - 1, 12 * 3600 - 1));
    assert_eq!(site.level(), TrustLevel::Key);
    let client = site.showing(&given.certificate, &site.node.key);
    assert_eq!(site.report_over(&client, 1), "accepted");
    let other = Node::new();
    let of_other = site.client.enrol(&other, &site.server.token()).unwrap();
    let problem = client.report(&other, &of_other, 1, &other.bytes()).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.status), ("not_permitted", 403));
    let path = format!("/v1/nodes/{}/certificate", of_other.node_id);
    let answer: Answer<CertificateResponse> = client.ask(&path, &request(&other, &of_other)).unwrap();
    assert_eq!(answer.unwrap_err().code, "not_permitted");
    assert_eq!(site.server.refusals("not_permitted").len(), 2);
    assert!(site.server.node(&of_other.node_id).reports.is_empty());
}

#[test]
fn only_the_holder_of_the_key_gets_a_certificate_and_only_for_a_key_it_holds() {
    let site = site();
    let good = request(&site.node, &site.session);
    let stranger = SigningKey::from_bytes(&random());
    let new_key = request_for(&site.node, &site.session, &stranger);
    let by_stranger = Node { key: stranger.clone(), ..site.node.clone() };
    for (bad, why) in [
        (request(&by_stranger, &site.session), "a key that is not the enrolment's"),
        (CertificateRequest { new_key_proof: None, ..new_key.clone() }, "a new key that proves nothing"),
        (CertificateRequest { new_key_proof: Some(new_key.proof.clone()), ..new_key.clone() }, "proved by the old"),
        (CertificateRequest { proof: new_key.new_key_proof.clone().unwrap(), ..new_key.clone() }, "by the new only"),
        (CertificateRequest { public_key: new_key.public_key.clone(), ..good.clone() }, "a proof for another key"),
        (CertificateRequest { proof: "00".repeat(64), ..good.clone() }, "no signature"),
    ] {
        let problem = site.ask(&site.client, &bad).unwrap_err();
        assert_eq!((problem.code.as_str(), problem.status), ("bad_proof", 403), "{why}");
    }
    assert_eq!(site.level(), TrustLevel::Token);
    let malformed = CertificateRequest { public_key: "k".into(), ..good.clone() };
    assert_eq!(site.ask(&site.client, &malformed).unwrap_err().code, "body_malformed");
    // The proof of an earlier enrolment is good for nothing in the next.
    let rebooted = Node { boot_id: support::random_uuid(), ..site.node.clone() };
    site.client.enrol(&rebooted, &site.server.token()).unwrap();
    assert_eq!(site.ask(&site.client, &good).unwrap_err().code, "stale_boot");
    let moved = CertificateRequest { boot_id: rebooted.boot_id, ..good };
    assert_eq!(site.ask(&site.client, &moved).unwrap_err().code, "bad_proof");
}

#[test]
fn a_certificate_is_rotated_while_the_old_one_still_works() {
    let site = site();
    let first = site.certificate();
    assert_eq!(site.certificate().certificate, first.certificate, "in its first half it is the same");
    site.clock.advance(SignedDuration::from_hours(13));
    let old = site.showing(&first.certificate, &site.node.key);
    let second = site.ask(&old, &request(&site.node, &site.session)).unwrap();
    assert_ne!(second.certificate, first.certificate);
    let new = site.showing(&second.certificate, &site.node.key);
    assert_eq!(site.report_over(&old, 1), "accepted");
    assert_eq!(site.report_over(&new, 2), "accepted");
    // A new key, with the word of the old and its own.
    let next_key = SigningKey::from_bytes(&random());
    let third = site.ask(&new, &request_for(&site.node, &site.session, &next_key)).unwrap();
    assert_eq!(site.report_over(&site.showing(&third.certificate, &next_key), 3), "accepted");
    site.clock.advance(SignedDuration::from_hours(12));
    assert_eq!(site.report_over(&site.showing(&second.certificate, &site.node.key), 4), "accepted");
}

#[test]
fn a_certificate_that_has_ended_opens_nothing() {
    let site = site();
    let given = site.certificate();
    let client = site.showing(&given.certificate, &site.node.key);
    assert_eq!(site.report_over(&client, 1), "accepted");
    site.clock.advance(SignedDuration::from_hours(25));
    // Over the connection that was open all the time: the handshake was good, the request is not.
    assert_eq!(site.report_over(&client, 2), "certificate_expired");
    // Over a new one not even the handshake.
    let client = site.showing(&given.certificate, &site.node.key);
    let bytes = site.node.bytes();
    let signature = site.node.sign(&site.session, 2, &bytes);
    let sent = client.put(&site.session.node_id, &site.node.boot_id, 2, (&signature, &bytes));
    assert!(sent.is_err(), "{sent:?}");
    assert!(site.server.await_refusal("tls_refused").detail.unwrap().contains("expired"));
    // Without it the signature counts, as before.
    assert_eq!(site.report_over(&site.client, 2), "accepted");
}

/// Does a request over that client get as far as an answer?
fn reaches(site: &Site, client: &Client) -> bool {
    let bytes = site.node.bytes();
    let signature = site.node.sign(&site.session, 1, &bytes);
    client.put(&site.session.node_id, &site.node.boot_id, 1, (&signature, &bytes)).is_ok()
}

#[test]
fn a_certificate_of_another_authority_or_for_servers_breaks_the_handshake() {
    let site = site();
    let now = site.clock.now();
    let end = now + SignedDuration::from_hours(1);
    let foreign = tempfile::tempdir().unwrap();
    let foreign = NodeCa::open(&DataDir::create(foreign.path()).unwrap(), now).unwrap();
    let public_key = site.node.key.verifying_key().to_bytes();
    let forged = foreign.issue(&site.session.node_id, &public_key, now, end).unwrap();
    assert!(!reaches(&site, &site.showing(&forged.pem, &site.node.key)));
    assert!(site.server.await_refusal("tls_refused").detail.unwrap().contains("UnknownIssuer"));
    let pem = std::fs::read(DataDir::at(&site.server.data).tls().join("server.pem")).unwrap();
    let chain = [ureq::tls::Certificate::from_pem(&pem).unwrap()];
    let of_server = ClientCert::new_with_certs(&chain, PrivateKey::from_pem(&pem).unwrap());
    assert!(!reaches(&site, &site.showing_any(of_server)));
    let given = site.certificate();
    assert!(reaches(&site, &site.showing(&given.certificate, &site.node.key)));
}

#[test]
fn a_certificate_that_the_record_does_not_know_is_refused() {
    let site = site();
    // By the site's own CA, and never given out: made with a stolen key, or forgotten with a restored record.
    let ca = NodeCa::open(&DataDir::at(&site.server.data), site.clock.now()).unwrap();
    let end = site.clock.now() + SignedDuration::from_hours(1);
    let public_key = site.node.key.verifying_key().to_bytes();
    let made = ca.issue(&site.session.node_id, &public_key, site.clock.now(), end).unwrap();
    let client = site.showing(&made.pem, &site.node.key);
    assert_eq!(site.report_over(&client, 1), "certificate_unknown");
}

#[test]
fn a_node_that_is_retired_or_in_doubt_loses_its_certificate_at_the_next_request() {
    for (state, code) in [("retired", "node_retired"), ("quarantined", "node_in_doubt")] {
        let site = site();
        let given = site.certificate();
        let client = site.showing(&given.certificate, &site.node.key);
        assert_eq!(site.report_over(&client, 1), "accepted");
        site.set_state(state);
        // Over the same connection.
        assert_eq!(site.report_over(&client, 2), code);
        assert_eq!(site.ask(&site.client, &request(&site.node, &site.session)).unwrap_err().code, code);
        // In doubt, it may still report, by its signature alone.
        let signed = if state == "retired" { code } else { "accepted" };
        assert_eq!(site.report_over(&site.client, 2), signed);
        assert_eq!(site.state(), state);
    }
}

fn needing(level: &str) -> Site {
    let policy: TrustPolicy = toml::from_str(&format!("[plans]\nquick-software = '{level}'\n")).unwrap();
    site_with(|options| options.store.policy.trust = Arc::new(policy))
}

/// Has the server's rounds made, at once.
fn settle(site: &Site, level: &str) {
    let mut options = StoreOptions::default();
    let policy = toml::from_str(&format!("[plans]\nquick-software = '{level}'\n")).unwrap();
    options.policy.trust = Arc::new(policy);
    let path = DataDir::at(&site.server.data).database();
    let store = Store::open(&path, options, Arc::clone(&site.clock) as Arc<dyn Clock>).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.settle_due(site.clock.now())).unwrap();
}

#[test]
fn a_healthy_node_waits_until_its_level_is_what_the_plan_needs() {
    let site = needing("key");
    let ack = site.client.report(&site.node, &site.session, 1, &site.node.bytes()).unwrap();
    assert_eq!((ack.state.as_str(), ack.pool), ("validating", None));
    let reason = site.server.node(&site.session.node_id).summary.reason.unwrap();
    assert_eq!(reason, "trust level token, key is needed: the node must ask for a certificate");
    let given = site.certificate();
    assert_eq!((site.level(), site.state().as_str()), (TrustLevel::Key, "available"));
    // The report that waited is answered as it was: a level does not rewrite what was acknowledged.
    let bytes = site.server.view().report_bytes(ack.revision).unwrap().unwrap();
    let again = site.client.report(&site.node, &site.session, 1, &bytes).unwrap();
    assert_eq!((again.duplicate, again.state.as_str()), (true, "validating"));
    // The level falls with the certificate, and the node with it.
    site.clock.advance(SignedDuration::from_hours(25));
    settle(&site, "key");
    assert_eq!((site.level(), site.state().as_str()), (TrustLevel::Token, "validating"));
    let problem = site.ask(&site.client, &request(&site.node, &site.session));
    assert_ne!(problem.unwrap().certificate, given.certificate);
    assert_eq!((site.level(), site.state().as_str()), (TrustLevel::Key, "available"));
}

#[test]
fn a_node_with_work_keeps_it_when_its_level_falls() {
    let site = needing("key");
    site.certificate();
    site.client.report(&site.node, &site.session, 1, &site.node.bytes()).unwrap();
    let database = rusqlite::Connection::open(DataDir::at(&site.server.data).database()).unwrap();
    database.execute("UPDATE nodes SET state = 'allocated'", ()).unwrap();
    site.clock.advance(SignedDuration::from_hours(25));
    settle(&site, "key");
    assert_eq!((site.level(), site.state().as_str()), (TrustLevel::Token, "allocated"));
}

#[test]
fn a_reboot_takes_the_level_back_to_the_token() {
    let site = needing("key");
    site.certificate();
    site.client.report(&site.node, &site.session, 1, &site.node.bytes()).unwrap();
    assert_eq!(site.state(), "available");
    let rebooted = Node { boot_id: support::random_uuid(), ..site.node.clone() };
    let session = site.client.enrol(&rebooted, &site.server.token()).unwrap();
    assert_eq!(site.level(), TrustLevel::Token);
    let ack = site.client.report(&rebooted, &session, 1, &rebooted.bytes()).unwrap();
    assert_eq!(ack.state, "validating");
}

#[test]
fn a_report_is_good_for_its_node_boot_and_level_only() {
    let site = needing("key");
    site.certificate();
    let bytes = site.node.bytes();
    let signature = site.node.sign(&site.session, 1, &bytes);
    site.client.report(&site.node, &site.session, 1, &bytes).unwrap();
    assert_eq!(site.state(), "available");
    // Into the next boot, under the old name and under the new.
    let rebooted = Node { boot_id: support::random_uuid(), ..site.node.clone() };
    let session = site.client.enrol(&rebooted, &site.server.token()).unwrap();
    let code = |node_id: &str, boot_id: &str, sequence: u64| {
        site.client.put(node_id, boot_id, sequence, (&signature, &bytes)).unwrap().map_err(|problem| problem.code)
    };
    let replayed = code(&session.node_id, &site.node.boot_id, 1).unwrap();
    assert!(replayed.duplicate, "the very same request is answered from the record");
    assert_eq!(code(&session.node_id, &rebooted.boot_id, 1).unwrap_err(), "bad_signature");
    assert_eq!(code(&session.node_id, &site.node.boot_id, 2).unwrap_err(), "bad_signature");
    // Signed anew for this boot, by the right key: its content is of the other boot.
    let problem = site.client.report(&rebooted, &session, 1, &bytes).unwrap_err();
    assert_eq!(problem.code, "boot_mismatch");
    // To another node.
    let other = Node::new();
    let of_other = site.client.enrol(&other, &site.server.token()).unwrap();
    assert_eq!(code(&of_other.node_id, &other.boot_id, 1).unwrap_err(), "bad_signature");
    // Nothing of that brought the node back, and its level is that of the new boot.
    assert_eq!((site.level(), site.state().as_str()), (TrustLevel::Token, "registering"));
}

#[test]
fn an_operators_word_raises_the_level_of_this_boot() {
    let site = needing("approved");
    site.client.report(&site.node, &site.session, 1, &site.node.bytes()).unwrap();
    assert_eq!(site.state(), "validating");
    let path = DataDir::at(&site.server.data).database();
    let trust = store::approve(&path, site.clock.as_ref(), &site.session.node_id, true).unwrap();
    assert_eq!(trust.level, TrustLevel::Approved);
    settle(&site, "approved");
    assert_eq!((site.level(), site.state().as_str()), (TrustLevel::Approved, "available"));
    let rebooted = Node { boot_id: support::random_uuid(), ..site.node.clone() };
    site.client.enrol(&rebooted, &site.server.token()).unwrap();
    assert_eq!(site.level(), TrustLevel::Token);
    for (state, text) in [("retired", "node_retired"), ("quarantined", "node_in_doubt")] {
        site.set_state(state);
        let refused = store::approve(&path, site.clock.as_ref(), &site.session.node_id, false).unwrap_err();
        assert!(refused.to_string().starts_with(text), "{refused}");
    }
    let unknown = store::approve(&path, site.clock.as_ref(), "node-aaaaaaaaaaaaaaaa", false).unwrap_err();
    assert!(unknown.to_string().starts_with("node_unknown"), "{unknown}");
}
