//! Clients that do what they should not, below HTTP and with HTTP: each gets its own answer, or none, and an audit line.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use inventory::clock::SystemClock;
use inventory::limits::Rate;
use inventory::serve::ServeOptions;
use report::wire::{ENROL_BYTES_MAX, JSON_DEPTH_MAX};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Node, TestServer};

fn server(change: impl FnOnce(&mut ServeOptions)) -> TestServer {
    TestServer::start(Arc::new(SystemClock), change)
}

fn connect(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// A TLS connection on which anything can be written.
fn connect_tls(server: &TestServer) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = std::fs::read(server.data.join("tls/ca.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), connect(server))
}

/// Reads until the other side closes, however it does so.
fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        all.extend(&buffer[..n]);
    }
    all
}

#[test]
fn plain_http_gets_an_answer_that_says_what_to_do() {
    let server = server(|_| {});
    let mut stream = connect(&server);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let answer = String::from_utf8(read_to_end(&mut stream)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.ends_with("this port speaks TLS 1.3 only; use https:// and trust the site's CA\n"),
        "{answer}"
    );
    assert_eq!(server.await_refusal("plain_http").source.as_deref(), Some("127.0.0.1"));
}

#[test]
fn a_client_of_tls_1_2_is_refused() {
    let server = server(|_| {});
    let mut stream = connect(&server);
    stream.write_all(&client_hello_of_tls_1_2()).unwrap();
    let answer = read_to_end(&mut stream);
    // An alert record (21) that is fatal (2): protocol_version (70), or the lack of an extension that 1.3 has.
    assert_eq!((answer[0], answer[5]), (21, 2), "{answer:?}");
    assert!(matches!(answer[6], 70 | 109), "{answer:?}");
    assert!(server.await_refusal("tls_refused").detail.unwrap().contains("incompatible"));
}

/// RFC 5246, section 7.4.1.2, with one cipher suite and the extensions that clients of its day sent.
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let schemes = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &schemes[..]].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn a_client_that_does_not_know_the_ca_cannot_talk_to_the_server() {
    let (server, other) = (server(|_| {}), server(|_| {}));
    let client = support::Client::new(&other.data, &server.address);
    assert!(client.try_enrol(&Node::new(), "").is_err());
    server.await_refusal("tls_refused");
}

#[test]
fn silent_and_slow_clients_are_dropped_and_others_are_served_meanwhile() {
    let server = server(|options| {
        options.connections.handshake = Duration::from_millis(200);
        options.connections.header = Duration::from_millis(300);
        options.requests.total = Duration::from_millis(400);
    });
    let mut silent: Vec<_> = (0..20).map(|_| connect(&server)).collect();
    let mut slow = connect_tls(&server);
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    let mut endless = connect_tls(&server);
    endless.write_all(b"POST /v1/enrolments HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{").unwrap();
    assert_eq!(server.client().get("/healthz").0, 200);
    let answer = String::from_utf8(read_to_end(&mut endless)).unwrap();
    assert!(answer.contains("request_timeout"), "{answer}");
    read_to_end(&mut slow);
    for stream in &mut silent {
        assert!(read_to_end(stream).is_empty());
    }
    let detail = server.await_refusal("connection_timeout").detail.unwrap();
    assert!(detail.contains("within"), "{detail}");
    server.await_refusal("request_timeout");
    let lines = server.refusals("connection_timeout");
    assert!(lines.iter().any(|line| line.detail.as_ref().unwrap().contains("header")), "{lines:?}");
}

#[test]
fn one_source_has_so_many_connections_and_no_more() {
    let server = server(|options| options.connections.per_source = 4);
    let held: Vec<_> = (0..4).map(|_| connect(&server)).collect();
    let mut fifth = connect(&server);
    assert!(read_to_end(&mut fifth).is_empty());
    assert!(server.await_refusal("connections_exceeded").detail.unwrap().contains("4 of one source"));
    drop(held);
    // The places come back.
    while TcpStream::connect(&server.address).is_err() {}
    let served = (0..100).any(|_| server_answers(&server));
    assert!(served);
}

fn server_answers(server: &TestServer) -> bool {
    let mut stream = connect_tls(server);
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    asked.is_ok() && read_to_end(&mut stream).starts_with(b"HTTP/1.1 200")
}

#[test]
fn one_source_has_so_many_requests_and_is_told_when_to_come_back() {
    let server = server(|options| options.requests.per_source = Rate { per_s: 0.001, burst: 3.0 });
    let client = server.client();
    let codes: Vec<_> = (0..5).map(|_| client.get("/healthz").0).collect();
    assert_eq!(codes, [200, 200, 200, 429, 429]);
    let problem = client.enrol(&Node::new(), "").unwrap_err();
    assert!(problem.retryable);
    assert_eq!(server.refusals("rate_limited").len(), 3);
}

#[test]
fn a_flood_of_refusals_fills_neither_the_disk_nor_hides_other_refusals() {
    let server = server(|options| options.store.refusals = Rate { per_s: 0.001, burst: 5.0 });
    let client = server.client();
    for _ in 0..50 {
        assert_eq!(client.get("/nothing").0, 404);
    }
    assert_eq!(server.refusals("not_found").len(), 5);
    client.enrol(&Node::new(), "").unwrap_err();
    assert_eq!(server.refusals("token_invalid").len(), 1);
}

#[test]
fn bodies_too_large_too_deep_or_malformed_have_codes_of_their_own() {
    let server = server(|_| {});
    let client = server.client();
    let code = |body: &[u8]| client.post("/v1/enrolments", body).unwrap().unwrap_err().code;
    assert_eq!(code(&vec![b' '; ENROL_BYTES_MAX + 1]), "body_too_large");
    assert_eq!(code("[".repeat(JSON_DEPTH_MAX + 1).as_bytes()), "json_too_deep");
    assert_eq!(code("[".repeat(JSON_DEPTH_MAX).as_bytes()), "body_malformed");
    assert_eq!(code(b""), "body_malformed");
    assert_eq!(code(b"\xff\xfe"), "body_malformed");
    let mut node = Node::new();
    node.identity.product_serial = Some("x".repeat(300));
    assert_eq!(client.enrol(&node, "").unwrap_err().code, "body_malformed");
    let node = Node { boot_id: "../../etc".to_owned(), ..Node::new() };
    assert_eq!(client.enrol(&node, "").unwrap_err().code, "body_malformed");
    assert_eq!(server.refusals("body_too_large").len(), 1);
    assert_eq!(server.refusals("json_too_deep").len(), 1);
    assert_eq!(server.refusals("body_malformed").len(), 5);
}

#[test]
fn a_body_without_announced_length_is_bounded_too() {
    let server = server(|_| {});
    let mut stream = connect_tls(&server);
    stream
        .write_all(b"POST /v1/enrolments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = [b"4000\r\n", &[b' '; 0x4000][..], b"\r\n"].concat();
    for _ in 0..8 {
        // The server may close before everything is sent.
        let _ = stream.write_all(&chunk);
    }
    let answer = String::from_utf8_lossy(&read_to_end(&mut stream)).into_owned();
    assert!(answer.contains("body_too_large"), "{answer}");
    server.await_refusal("body_too_large");
}

#[test]
fn unknown_paths_and_methods_are_told_apart() {
    let server = server(|_| {});
    let client = server.client();
    assert_eq!(client.get("/").0, 404);
    assert_eq!(client.get("/v1/machines").0, 404);
    assert_eq!(client.get("/v1/enrolments").0, 405);
    assert!(client.get("/v2/nodes").1.contains("\"code\":\"not_found\""));
    assert_eq!(server.refusals("not_found").len(), 3);
    assert_eq!(server.refusals("method_not_allowed").len(), 1);
}
