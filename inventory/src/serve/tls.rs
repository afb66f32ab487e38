//! TLS 1.3, and nothing older, with the certificate of the day.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{CipherSuite, ServerConfig};
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
        let (current, _) = watch::channel(config((&data, &names), clock.as_ref(), Arc::clone(&tickets))?);
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
            match config((&self.data, &self.names), self.clock.as_ref(), tickets) {
                Ok(config) => {
                    self.current.send_replace(config);
                }
                Err(error) => tracing::error!(%error, "the server certificate could not be renewed"),
            }
        }
    }
}

fn config(
    (data, names): (&DataDir, &[String]),
    clock: &dyn Clock,
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
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .with_no_client_auth()
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
