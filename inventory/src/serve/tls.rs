//! TLS 1.3, and nothing older, with the certificate of the day. A client may show a certificate: one that the site's CA did
//! not sign for a client, or that has ended, breaks the handshake. A session that is resumed brings its certificate along
//! unchecked; what it is worth is looked up at every request.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, ProducesTickets, VerifierBuilderError, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{CipherSuite, RootCertStore, ServerConfig};
use tokio::sync::watch;

use crate::ca::{self, CaError};
use crate::clock::Clock;
use crate::files::DataDir;

/// How often the age of the certificate is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The PEM cannot be read.
    #[error("reading `tls/server.pem`: remove it, and a new one is made")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The CA's own certificate cannot be used.
    #[error("using `tls/ca.pem`: restore it from a backup")]
    Authority(#[source] VerifierBuilderError),
    /// The certificate does not suit.
    #[error("using `tls/server.pem`")]
    Config(#[source] rustls::Error),
}

/// Keeps a certificate that is valid.
#[derive(Debug)]
pub(super) struct TlsKeeper {
    data: DataDir,
    names: Vec<String>,
    clock: Arc<dyn Clock>,
    /// Makes and reads tickets by keys that it changes itself; outlives a certificate.
    tickets: Arc<dyn ProducesTickets>,
    current: watch::Sender<Arc<ServerConfig>>,
}

impl TlsKeeper {
    pub(super) fn new(data: DataDir, names: Vec<String>, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let tickets = rustls::crypto::ring::Ticketer::new().map_err(TlsError::Config)?;
        let (current, _) = watch::channel(config((&data, &names), &clock, Arc::clone(&tickets))?);
        Ok(Self { data, names, clock, tickets, current })
    }

    /// What the next handshake uses.
    pub(super) fn current(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.current.subscribe()
    }

    /// For ever: takes a new certificate before the old one ends.
    pub(super) async fn renew(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let tickets = Arc::clone(&self.tickets);
            match config((&self.data, &self.names), &self.clock, tickets) {
                Ok(config) => {
                    self.current.send_replace(config);
                }
                Err(error) => tracing::error!(%error, "the server certificate could not be renewed"),
            }
        }
    }
}

/// The time of our own clock, for the handshake.
#[derive(Debug)]
struct HandshakeTime(Arc<dyn Clock>);

impl TimeProvider for HandshakeTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn config(
    (data, names): (&DataDir, &[String]),
    clock: &Arc<dyn Clock>,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = ca::server_certificate(data, names, clock.now())?;
    let pem = certificate.pem.as_bytes();
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(TlsError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(TlsError::Pem)?;
    let mut provider = rustls::crypto::ring::default_provider();
    // SHA-256 runs in hardware where the SHA-384 of the other suites does not, and a handshake is full of it.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let provider = Arc::new(provider);
    let authority = CertificateDer::from_pem_file(data.ca_certificate()).map_err(TlsError::Pem)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority).map_err(TlsError::Config)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(TlsError::Authority)?;
    let time = Arc::new(HandshakeTime(Arc::clone(clock)));
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(TlsError::Config)?;
    config.ignore_client_order = true;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A node comes twice, to enrol and with its report: the second handshake needs no signature. What is to be remembered
    // is in the ticket, so that ten thousand nodes take no memory here.
    config.ticketer = tickets;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
