//! The accept loop: how many connections, from whom, how long a handshake or a header may take. `axum::serve` has none of
//! these bounds, so that a handful of silent clients could hold a server built on it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use super::plain;
use crate::api::{Peer, Presented};
use crate::identity::sha256_hex;
use crate::limits::source_of;
use crate::refusal::{Code, Refusal};
use crate::store::Store;

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// At once.
    pub total: usize,
    /// At once from one source.
    pub per_source: usize,
    /// From accepting to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the end of one request, or the handshake, to the end of the next header.
    pub header: Duration,
    /// How long requests in work may take when the server stops.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 1024,
            per_source: 128,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            drain: Duration::from_secs(10),
        }
    }
}

/// Largest header of a request, in bytes.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Wait after the system refused a connection (out of file descriptors), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections.
#[derive(Debug)]
pub(super) struct Acceptor {
    limits: ConnectionLimits,
    tls: watch::Receiver<Arc<ServerConfig>>,
    router: Router,
    store: Store,
    sources: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Acceptor {
    pub(super) fn new(
        limits: ConnectionLimits,
        tls: watch::Receiver<Arc<ServerConfig>>,
        router: Router,
        store: Store,
    ) -> Self {
        Self { limits, tls, router, store, sources: Arc::default() }
    }

    /// Until `stopped` is true; then what is in work is finished.
    pub(super) async fn run(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let this = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = until_true(&mut stopped) => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) => {
                    let address = peer.ip().to_canonical();
                    let Some(place) = this.place(address, connections.len()) else {
                        drop(stream);
                        connections.spawn(Arc::clone(&this).too_many(address));
                        continue;
                    };
                    connections.spawn(Arc::clone(&this).connection(stream, address, place, stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(this.limits.drain, finished).await.is_err() {
            tracing::warn!("some requests were not finished in time");
        }
    }

    /// A place for one more connection, if there is one.
    fn place(&self, address: IpAddr, open: usize) -> Option<Place> {
        if open >= self.limits.total {
            return None;
        }
        let source = source_of(address);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_default();
        if *count >= self.limits.per_source {
            return None;
        }
        *count += 1;
        Some(Place { source, sources: Arc::clone(&self.sources) })
    }

    async fn too_many(self: Arc<Self>, address: IpAddr) {
        let refusal = Code::ConnectionsExceeded.because(format!(
            "at most {} connections, {} of one source",
            self.limits.total, self.limits.per_source
        ));
        self.store.record_refusal(&address.to_string(), &refusal).await;
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        address: IpAddr,
        _place: Place,
        stopped: watch::Receiver<bool>,
    ) {
        let ended = match tokio::time::timeout(self.limits.handshake, self.handshake(stream)).await {
            Err(_) => Err(Code::ConnectionTimeout
                .because(format!("no TLS handshake within {} ms", self.limits.handshake.as_millis()))),
            Ok(Ok(stream)) => self.requests(stream, address, stopped).await,
            Ok(Err(refusal)) => Err(refusal),
        };
        if let Err(refusal) = ended {
            self.store.record_refusal(&address.to_string(), &refusal).await;
        }
    }

    async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Refusal> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            // Gone without a word: a port scan, or a health check of a balancer.
            Ok(0) | Err(_) => return Err(Code::TlsRefused.because("closed before a handshake")),
            Ok(_) if plain::is_http(first[0]) => {
                plain::answer(stream).await;
                return Err(Code::PlainHttp.into());
            }
            Ok(_) => {}
        }
        // Answers are small and must not wait for more.
        let _ = stream.set_nodelay(true);
        let config = Arc::clone(&self.tls.borrow());
        TlsAcceptor::from(config)
            .accept(stream)
            .await
            .map_err(|error| Code::TlsRefused.because(error.to_string()))
    }

    async fn requests(
        &self,
        stream: TlsStream<TcpStream>,
        address: IpAddr,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), Refusal> {
        let served = Arc::new(AtomicBool::new(false));
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let presented = Presented(shown.map(|certificate| sha256_hex(certificate).into()));
        let seen = Arc::clone(&served);
        let service = self.router.clone().map_request(move |mut request: Request<_>| {
            seen.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(Peer(address));
            request.extensions_mut().insert(presented.clone());
            request
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = until_true(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        match ended {
            // After a request it is only a connection that nobody uses any more.
            Err(error) if error.is_timeout() && !served.load(Ordering::Relaxed) => {
                let limit = self.limits.header.as_millis();
                Err(Code::ConnectionTimeout.because(format!("no request header within {limit} ms")))
            }
            _ => Ok(()),
        }
    }
}

/// A sender that is gone counts as true.
async fn until_true(watched: &mut watch::Receiver<bool>) {
    let _ = watched.wait_for(|value| *value).await;
}

/// One connection's share of its source's places.
struct Place {
    source: IpAddr,
    sources: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}
