//! The inventory over HTTPS: TLS 1.3, the site's own CA and no other, no redirect, no proxy, a deadline on every phase.

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use report::wire::{EnrolRequest, EnrolResponse, ReportAck, SIGNATURE_HEADER};
use rustls::crypto::{CryptoProvider, ring};
use serde::de::DeserializeOwned;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, Body};

use super::answer::{self, Failure};
use super::backoff::Attempt;

/// Largest body of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Largest head of an answer that is read.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A report on its way.
#[derive(Clone, Copy, Debug)]
pub struct SignedReport<'a> {
    /// The node's name, as the inventory gave it.
    pub node_id: &'a str,
    /// This boot.
    pub boot_id: &'a str,
    /// Number of the report within the boot.
    pub sequence: u64,
    /// Signature of [`report::wire::signing_context`], in hexadecimal.
    pub signature: &'a str,
    /// The bytes that `burnin` wrote.
    pub bytes: &'a [u8],
}

/// What a node asks of an inventory. One attempt each: who calls it tries again.
pub trait Inventory {
    /// Asks to be known.
    fn enrol(&self, request: &EnrolRequest) -> Attempt<EnrolResponse, Failure>;
    /// Hands in a report.
    fn put_report(&self, report: SignedReport<'_>) -> Attempt<ReportAck, Failure>;
}

/// Most addresses of one inventory.
const ADDRESSES_MAX: usize = 16;

/// Where an inventory is: `https://HOST[:PORT]`, or several such with commas between them, any of which will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryUrl(Vec<String>);

/// A text that is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the form `https://HOST:PORT`, or several with commas between, without user, path or query")]
pub struct BadUrl;

impl FromStr for InventoryUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let addresses = text.split(',').map(one_address).collect::<Result<Vec<_>, _>>()?;
        if addresses.len() <= ADDRESSES_MAX { Ok(Self(addresses)) } else { Err(BadUrl) }
    }
}

fn one_address(text: &str) -> Result<String, BadUrl> {
    let uri: Uri = text.parse().map_err(|_| BadUrl)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(BadUrl)?;
    let plain = uri.scheme_str() == Some("https") && uri.path() == "/" && uri.query().is_none();
    if plain && !authority.host().is_empty() { Ok(format!("https://{authority}")) } else { Err(BadUrl) }
}

impl fmt::Display for InventoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join(","))
    }
}

/// Why the site's CA cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The file cannot be read.
    #[error("reading the CA in `{}`: check `--ca`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds no certificate.
    #[error("`{}` holds no certificate that can be trusted: give the site's CA as PEM with `--ca`", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

/// An inventory reached over HTTPS. After an attempt that failed the next one goes to its next address.
#[derive(Debug)]
pub struct HttpsInventory {
    agent: Agent,
    base: InventoryUrl,
    turn: Cell<usize>,
}

impl HttpsInventory {
    /// Trusts the certificates in the PEM file `ca`; connects to nothing yet.
    pub fn new(base: InventoryUrl, ca: &Path) -> Result<Self, CaError> {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(tls13_only()))
            .root_certs(RootCerts::new_with_certs(&certificates(ca)?))
            .build();
        // Any to begin with, so that the nodes of a site do not all ask the first.
        let turn = getrandom::u32().unwrap_or(0) as usize;
        Ok(Self { agent: agent(tls), base, turn: Cell::new(turn) })
    }

    fn address(&self) -> &str {
        let InventoryUrl(addresses) = &self.base;
        &addresses[self.turn.get() % addresses.len()]
    }

    /// Reads an answer; one that says to try again is a reason to try elsewhere.
    fn settle<T: DeserializeOwned>(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Attempt<T, Failure> {
        let attempt = Self::read(answer);
        if matches!(attempt, Attempt::Again { .. }) {
            self.turn.set(self.turn.get().wrapping_add(1));
        }
        attempt
    }

    fn read<T: DeserializeOwned>(answer: Result<Response<Body>, ureq::Error>) -> Attempt<T, Failure> {
        let body = |mut answer: Response<Body>| {
            let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
            Ok((answer, bytes))
        };
        match answer.and_then(body) {
            Ok((answer, bytes)) => {
                let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
                answer::read(answer.status().as_u16(), retry_after, &bytes)
            }
            Err(error) => Attempt::Again { cause: failure(error), after: None },
        }
    }
}

impl Inventory for HttpsInventory {
    fn enrol(&self, request: &EnrolRequest) -> Attempt<EnrolResponse, Failure> {
        let body = serde_json::to_vec(request).unwrap_or_default();
        let url = format!("{}/v1/enrolments", self.address());
        self.settle(self.agent.post(url).content_type("application/json").send(&body[..]))
    }

    fn put_report(&self, report: SignedReport<'_>) -> Attempt<ReportAck, Failure> {
        let SignedReport { node_id, boot_id, sequence, signature, bytes } = report;
        let url = format!("{}/v1/nodes/{node_id}/boots/{boot_id}/reports/{sequence}", self.address());
        let request =
            self.agent.put(url).content_type("application/json").header(SIGNATURE_HEADER, signature);
        self.settle(request.send(bytes))
    }
}

/// ring, with the cipher suites of TLS 1.3 only: without a suite of 1.2 there is no 1.2 to fall back to.
fn tls13_only() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.version().version == rustls::ProtocolVersion::TLSv1_3);
    provider
}

fn agent(tls: TlsConfig) -> Agent {
    let seconds = |count| Some(Duration::from_secs(count));
    Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(HEAD_BYTES_MAX)
        // A burn-in lies between two requests: a kept connection would be dead by then.
        .max_idle_connections(0)
        .user_agent(concat!("node-init/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(seconds(10))
        .timeout_connect(seconds(10))
        .timeout_send_request(seconds(10))
        .timeout_send_body(seconds(60))
        .timeout_recv_response(seconds(60))
        .timeout_recv_body(seconds(30))
        .timeout_global(seconds(120))
        .build()
        .new_agent()
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, CaError> {
    let pem = fs::read(path).map_err(|source| CaError::Read { path: path.to_owned(), source })?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    // ureq passes over what rustls cannot use; with nothing left every server would be refused without a word why.
    let mut usable = rustls::RootCertStore::empty();
    usable.add_parsable_certificates(certificates.iter().map(|c| c.der().into()));
    if usable.is_empty() { Err(CaError::NoCertificate { path: path.to_owned() }) } else { Ok(certificates) }
}

/// Tells a server that is not trusted from one that is not reached.
fn failure(error: ureq::Error) -> Failure {
    let tls = match &error {
        ureq::Error::Rustls(tls) => Some(tls),
        ureq::Error::Io(io) => io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    match tls {
        Some(tls @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
            Failure::Untrusted { source: tls.clone() }
        }
        _ => Failure::Transport { source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_https_address_is_an_inventory() {
        for (text, url) in [
            ("https://inventory.example:8443", "https://inventory.example:8443"),
            ("https://inventory.example/", "https://inventory.example"),
            ("https://[fd00::1]:8443", "https://[fd00::1]:8443"),
            ("https://a:8443,https://b/", "https://a:8443,https://b"),
        ] {
            assert_eq!(text.parse::<InventoryUrl>().unwrap().to_string(), url);
        }
        for bad in [
            "",
            "inventory.example",
            "http://inventory.example",
            "https://",
            "https://user:secret@inventory.example",
            "https://inventory.example/v1",
            "https://inventory.example/?a=b",
            "file:///etc/passwd",
            "https://a,",
            "https://a,http://b",
        ] {
            assert_eq!(bad.parse::<InventoryUrl>(), Err(BadUrl), "{bad}");
        }
    }

    #[test]
    fn no_suite_of_tls_1_2_is_offered() {
        let provider = tls13_only();
        assert!(!provider.cipher_suites.is_empty());
        assert!(provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()));
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let make = || HttpsInventory::new("https://inventory.example".parse().unwrap(), &file).map(|_| ());
        assert!(matches!(make(), Err(CaError::Read { .. })));
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "no PEM", not_der] {
            fs::write(&file, text).unwrap();
            assert!(matches!(make(), Err(CaError::NoCertificate { .. })), "{text}");
        }
    }

    #[test]
    fn a_bad_certificate_is_told_from_a_bad_network() {
        let unknown = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for error in [
            ureq::Error::Rustls(unknown()),
            ureq::Error::Io(io::Error::new(io::ErrorKind::InvalidData, unknown())),
        ] {
            assert!(matches!(failure(error), Failure::Untrusted { .. }));
        }
        for error in [
            ureq::Error::HostNotFound,
            ureq::Error::Io(io::ErrorKind::ConnectionRefused.into()),
            ureq::Error::Rustls(rustls::Error::HandshakeNotComplete),
        ] {
            assert!(matches!(failure(error), Failure::Transport { .. }));
        }
    }
}
