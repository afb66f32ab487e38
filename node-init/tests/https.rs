//! The client and the program against a TLS server: what is trusted, what is sent, what is believed.

#![allow(clippy::unwrap_used, reason = "in a test, what does not work fails it")]
#![allow(missing_docs, reason = "a test")]

mod site;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use node_init::register::answer::Failure;
use node_init::register::backoff::Attempt;
use node_init::register::client::{HttpsInventory, Inventory, SignedReport};
use report::Plan;
use report::wire::{EnrolRequest, EnrolResponse, Identity, ReportAck};
use site::{Server, Site, answer};

const TOKEN: &str = "assay-k7-hunter2";
const REPORT: &str = r#"{"schema":"assay.report/1","run_id":"00","tool":{"version":"0","kernels_digest":"00"},"origin":"measured","started_at":"2026-01-01T00:00:00Z","verdict":{"verdict":"unknown","findings":[]},"plan":{"name":"quick","summary":"s","devices":{"kinds":["discrete"],"count_min":1},"checks":[]},"plan_digest":"00","devices":[],"planned":[],"results":[],"node":{"collectors":[]}}"#;

fn enrolled() -> String {
    let plan = Plan::built_in("quick").unwrap();
    let digest = plan.digest();
    let body = format!(
        r#"{{"node_id":"n1","nonce":"00","plan":"quick","plan_digest":"{digest}","state":"registering"}}"#
    );
    answer("201 Created", "", &body)
}

fn acknowledged(state: &str, verdict: &str) -> String {
    let body = format!(
        r#"{{"revision":7,"verdict":{{"verdict":"{verdict}","findings":[]}},"state":"{state}","duplicate":false}}"#
    );
    answer("200 OK", "", &body)
}

fn inventory(site: &Site, server: &Server) -> HttpsInventory {
    HttpsInventory::new(server.url.parse().unwrap(), &site.ca()).unwrap()
}

fn enrol(inventory: &HttpsInventory) -> Attempt<EnrolResponse, Failure> {
    inventory.enrol(&EnrolRequest {
        token: TOKEN.into(),
        public_key: "11".repeat(32),
        boot_id: "b1".into(),
        proof: "22".repeat(64),
        identity: Identity::default(),
    })
}

fn put(inventory: &HttpsInventory, bytes: &[u8]) -> Attempt<ReportAck, Failure> {
    inventory.put_report(SignedReport { node_id: "n1", boot_id: "b1", sequence: 3, signature: "abcd", bytes })
}

#[test]
fn a_report_arrives_to_the_byte_with_its_signature() {
    let site = Site::new();
    let server = site.serve(vec![acknowledged("available", "healthy")]);
    // Larger than any buffer on the way, with white space that no parser would keep.
    let report = format!("{{ \"a\" : [ {} 1 ] }}\n\n", " ".repeat(300_000));
    assert!(
        matches!(put(&inventory(&site, &server), report.as_bytes()), Attempt::Done(ack) if ack.revision == 7)
    );
    let request = String::from_utf8(server.requests().remove(0)).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("PUT /v1/nodes/n1/boots/b1/reports/3 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("assay-signature: abcd"), "{head}");
    assert!(body == report);
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing() {
    let (site, stranger) = (Site::new(), Site::new());
    let versions = [&rustls::version::TLS13];
    for server in [stranger.serve(vec![enrolled()]), site.serve_as("elsewhere", &versions, vec![enrolled()])]
    {
        let attempt = enrol(&inventory(&site, &server));
        assert!(matches!(attempt, Attempt::Again { cause: Failure::Untrusted { .. }, .. }), "{attempt:?}");
        assert!(server.requests().is_empty(), "nothing was sent in clear");
    }
}

#[test]
fn tls_1_2_is_not_spoken() {
    let site = Site::new();
    let server = site.serve_as("localhost", &[&rustls::version::TLS12], vec![enrolled()]);
    let attempt = enrol(&inventory(&site, &server));
    assert!(matches!(attempt, Attempt::Again { cause: Failure::Transport { .. }, .. }), "{attempt:?}");
    assert!(server.requests().is_empty());
}

#[test]
fn an_address_where_nobody_answers_or_is_too_busy_makes_room_for_the_next() {
    let site = Site::new();
    let busy = r#"{"code":"store_unreachable","title":"t","action":"a","status":503,"retryable":true}"#;
    let busy = site.serve(vec![answer("503 Service Unavailable", "retry-after: 2\r\n", busy)]);
    let good = site.serve(vec![acknowledged("available", "healthy")]);
    // Port 9 of this machine: nobody listens there, nor would answer if somebody did.
    let addresses = format!("https://localhost:9,{},{}", busy.url, good.url);
    let inventory = HttpsInventory::new(addresses.parse().unwrap(), &site.ca()).unwrap();
    let attempts: Vec<_> = (0..3).map(|_| put(&inventory, b"{}")).collect();
    let first = attempts.iter().position(|attempt| matches!(attempt, Attempt::Done(_))).unwrap();
    // Where it succeeds it stays.
    assert!(attempts[first..].iter().all(|attempt| matches!(attempt, Attempt::Done(_))), "{attempts:?}");
    assert_eq!(good.requests().len(), 3 - first);
}

#[test]
fn a_redirect_is_not_followed() {
    let (site, other) = (Site::new(), Site::new());
    let other = other.serve(vec![enrolled()]);
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let server = site.serve(vec![answer(status, &format!("location: {}/\r\n", other.url), "")]);
        let attempt = enrol(&inventory(&site, &server));
        assert!(matches!(attempt, Attempt::Refused(Failure::Unexplained { .. })), "{attempt:?}");
    }
    assert!(other.requests().is_empty());
}

#[test]
fn an_answer_that_is_cut_off_or_without_end_is_no_acknowledgement() {
    let site = Site::new();
    let whole = acknowledged("available", "healthy");
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n{}", " ".repeat(1 << 20));
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    for odd in [&whole[..whole.len() - 1], "HTTP/1.1 200", "garbage\r\n\r\n", &endless, &head] {
        let server = site.serve(vec![odd.to_owned()]);
        let attempt = put(&inventory(&site, &server), b"{}");
        assert!(matches!(attempt, Attempt::Again { cause: Failure::Transport { .. }, .. }), "{attempt:?}");
    }
}

/// A `burnin` that writes [`REPORT`]. A child writes it, see `ETXTBSY` in execve(2).
fn burnin(dir: &Path) -> PathBuf {
    let program = dir.join("burnin");
    let text = format!(
        "#!/bin/sh\nmkdir -p \"$5\"\necho progress >&2\ncat >\"$5/report.json\" <<'E'\n{REPORT}\nE\n"
    );
    let status =
        Command::new("sh").arg("-c").arg("printf %s \"$1\" >\"$0\"").arg(&program).arg(text).status();
    assert!(status.unwrap().success());
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn register(site: &Site, server: &Server, more: &[&str]) -> Output {
    let token = site.dir.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    Command::new(env!("CARGO_BIN_EXE_node-init"))
        .args(["register", "--inventory", &server.url, "--plan", "quick"])
        .arg("--ca")
        .arg(site.ca())
        .arg("--token-file")
        .arg(token)
        .arg("--burnin")
        .arg(burnin(site.dir.path()))
        .arg("--state")
        .arg(site.dir.path().join("state"))
        .args(more)
        // A proxy in the environment must not see a thing; nothing listens on port 1.
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env("ASSAY_LOG", "trace")
        .output()
        .unwrap()
}

#[test]
fn the_program_registers_this_node_and_prints_one_json_document() {
    let site = Site::new();
    let server = site.serve(vec![enrolled(), acknowledged("available", "healthy")]);
    let output = register(&site, &server, &["--json"]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["node_id"], &result["sequence"]), (&"n1".into(), &1.into()));
    assert!(log.contains("progress"), "the child's progress shows: {log}");
    assert!(!log.contains("hunter2"), "{log}");
    let requests = server.requests();
    assert!(requests[1].ends_with(format!("{REPORT}\n").as_bytes()));
}

#[test]
fn exit_codes_tell_how_it_ended() {
    for (state, verdict, code) in
        [("failed", "faulty", 1), ("failed", "degraded", 3), ("quarantined", "healthy", 4)]
    {
        let site = Site::new();
        let server = site.serve(vec![enrolled(), acknowledged(state, verdict)]);
        let output = register(&site, &server, &[]);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(&state.to_uppercase()));
    }
}

#[test]
fn a_refusal_ends_it_with_what_to_do() {
    let site = Site::new();
    let problem = r#"{"code":"token_used","title":"the token was used before","action":"ask for a new token","status":403,"retryable":false}"#;
    let server = site.serve(vec![answer("403 Forbidden", "", problem)]);
    let output = register(&site, &server, &[]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 0));
    assert!(log.contains("enrolling was refused: the token was used before; ask for a new token"), "{log}");
    assert_eq!(server.requests().len(), 1, "it was not tried again");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_server_that_is_not_trusted_is_shown_until_the_patience_ends() {
    let (site, stranger) = (Site::new(), Site::new());
    let server = stranger.serve(vec![enrolled()]);
    let output = register(&site, &server, &["--give-up-after", "1"]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 0));
    assert!(log.contains("the inventory's certificate is not trusted, nothing was sent"), "{log}");
    assert!(log.contains("invalid peer certificate"), "{log}");
    assert!(server.requests().is_empty() && !log.contains("hunter2"), "{log}");
}
