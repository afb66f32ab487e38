//! A node's line to the inventory: TCP from an address of its own, TLS 1.3, HTTP/1.1, with the time limits of `node-init`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use report::wire::SIGNATURE_HEADER;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

/// To connect, and again for the handshake.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The whole request.
const REQUEST_MAX: Duration = Duration::from_secs(120);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where the inventory is, and whom to trust.
#[derive(Clone, Debug)]
pub struct Inventory {
    address: SocketAddr,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

/// Why there is no inventory to talk to.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No certificate.
    #[error("reading the site's CA in `{path}`")]
    Read {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// TLS cannot be set up.
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// No connection: refused, or reset at once.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// Closed within the handshake.
    Handshake,
    /// Closed, or too slow, after the request was sent.
    Answer,
}

impl Broken {
    /// The word used in figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "no_connection",
            Self::ConnectTimeout => "connect_timeout",
            Self::Handshake => "no_handshake",
            Self::Answer => "no_answer",
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    /// How.
    pub method: Method,
    /// Where to.
    pub path: String,
    /// Of a report.
    pub signature: Option<String>,
    /// What.
    pub body: Bytes,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

impl Inventory {
    /// Trusts the CA in that file.
    pub fn new(address: SocketAddr, ca: &Path) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(ca)
            .map_err(|source| TrustError::Read { path: ca.display().to_string(), source })?;
        roots.add(certificate)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { address, name: ServerName::from(address.ip()), tls: Arc::new(tls) })
    }

    /// As one machine sees it: TLS sessions are taken up again by none but who opened them.
    pub fn of_one_node(&self) -> Self {
        let mut tls = (*self.tls).clone();
        tls.resumption = Resumption::in_memory_sessions(1);
        Self { tls: Arc::new(tls), ..self.clone() }
    }

    /// Opens a connection from that address.
    pub async fn connect(&self, source: Ipv4Addr) -> Result<Line, Broken> {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
            let stream = socket.connect(self.address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        let stream = tokio::time::timeout(CONNECT_MAX, connect)
            .await
            .map_err(|_| Broken::ConnectTimeout)?
            .map_err(|_| Broken::Connect)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = tokio::time::timeout(CONNECT_MAX, connector.connect(self.name.clone(), stream))
            .await
            .map_err(|_| Broken::Handshake)?
            .map_err(|_| Broken::Handshake)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| Broken::Handshake)?;
        tokio::spawn(connection);
        Ok(Line { sender, host: self.address.to_string() })
    }

    /// One request on a connection of its own, as `node-init` does it.
    pub async fn call(&self, source: Ipv4Addr, call: Call) -> Result<Answer, Broken> {
        self.connect(source).await?.call(call).await
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Line {
    /// Asks, and waits for the whole answer.
    pub async fn call(&mut self, call: Call) -> Result<Answer, Broken> {
        let exchange = async {
            self.sender.ready().await?;
            let mut request = Request::builder()
                .method(call.method)
                .uri(call.path)
                .header(HOST, &self.host)
                .header(CONTENT_TYPE, "application/json");
            if let Some(signature) = &call.signature {
                request = request.header(SIGNATURE_HEADER, signature);
            }
            let request = request.body(Full::new(call.body))?;
            let response = self.sender.send_request(request).await?;
            let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Answer { status, retry_after, body })
        };
        let answer = tokio::time::timeout(REQUEST_MAX, exchange).await;
        answer.map_err(|_| Broken::Answer)?.map_err(|_| Broken::Answer)
    }
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    HEXLOWER.encode(&Sha256::digest(bytes))
}
