//! People, and nodes that ask for more than an enrolment.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::sync::Arc;

use inventory::access::Role;
use inventory::files::DataDir;
use inventory::store::{self, Created};
use jiff::SignedDuration;
use report::wire::heartbeat::{BOOT_HEADER, NODE_HEADER, request_context};
use report::wire::{EnrolResponse, Problem, SIGNATURE_HEADER};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use super::{Client, Node, TestServer};
use data_encoding::HEXLOWER;
use ed25519_dalek::Signer;

/// An answer as it came.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    pub etag: Option<String>,
    pub body: String,
}

impl Raw {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The code of a refusal; empty for an answer.
    pub fn code(&self) -> String {
        serde_json::from_str::<Problem>(&self.body).map(|problem| problem.code).unwrap_or_default()
    }
}

/// Who asks, as headers.
pub type Headers = Vec<(String, String)>;

/// The headers of a key's holder.
pub fn bearer(key: &str) -> Headers {
    vec![("authorization".to_owned(), format!("Bearer {key}"))]
}

/// Headers with one more.
pub fn with(mut headers: Headers, name: &str, value: &str) -> Headers {
    headers.push((name.to_owned(), value.to_owned()));
    headers
}

impl Node {
    /// The headers of a request that this node signs.
    pub fn headers(&self, session: &EnrolResponse, request: &str, body: &[u8]) -> Headers {
        let context = request_context(&session.node_id, &self.boot_id, request, &session.nonce, body);
        vec![
            (NODE_HEADER.to_owned(), session.node_id.clone()),
            (BOOT_HEADER.to_owned(), self.boot_id.clone()),
            (SIGNATURE_HEADER.to_owned(), HEXLOWER.encode(&self.key.sign(&context).to_bytes())),
        ]
    }
}

impl Client {
    /// Sends anything. The body of a stream is not read.
    pub fn send(&self, method: &str, path: &str, headers: &Headers, body: &[u8]) -> Raw {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = if body.is_empty() {
            self.agent.run(request.body(()).unwrap()).unwrap()
        } else {
            self.agent.run(request.body(body).unwrap()).unwrap()
        };
        let text =
            |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok().map(String::from));
        let (status, etag) = (response.status().as_u16(), text("etag"));
        let is_stream = text("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = if is_stream { String::new() } else { response.body_mut().read_to_string().unwrap() };
        Raw { status, etag, body }
    }

    /// Opens a stream of changes; gives its lines.
    pub fn watch(&self, path: &str, headers: &Headers) -> impl Iterator<Item = String> + use<> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.call().unwrap();
        assert_eq!(response.status().as_u16(), 200);
        BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok)
    }
}

impl TestServer {
    /// A key of that role.
    pub fn key(&self, role: Role) -> String {
        self.create_key(role, None).key
    }

    pub fn create_key(&self, role: Role, ttl: Option<SignedDuration>) -> Created {
        store::create_key(&self.location, self.clock.as_ref(), (role, "someone"), ttl).unwrap()
    }

    pub fn revoke_key(&self, id: &str) {
        store::revoke_key(&self.location, self.clock.as_ref(), id, "the test says so").unwrap();
    }

    /// A TLS connection on which anything can be written.
    pub fn connect_tls(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        let ca = std::fs::read(DataDir::at(&self.data).ca_certificate()).unwrap();
        roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(connection, TcpStream::connect(&self.address).unwrap())
    }

    /// A node that is enrolled, and healthy if it reported.
    pub fn enrolled(&self, client: &Client) -> (Node, EnrolResponse) {
        let node = Node::new();
        let session = client.enrol(&node, &self.token()).unwrap();
        (node, session)
    }

    pub fn available(&self, client: &Client) -> (Node, EnrolResponse) {
        let (node, session) = self.enrolled(client);
        let ack = client.report(&node, &session, 1, &node.bytes()).unwrap();
        assert_eq!(ack.state, "available");
        (node, session)
    }
}
