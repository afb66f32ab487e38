//! The accept loop: how many connections, from whom, how long a handshake or a header may take. `axum::serve` has none of
//! these bounds, so that a handful of silent clients could hold a server built on it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use super::handshakes::{HandshakeLimits, Handshakes, NoTime};
use super::lag;
use super::places::{Guest, Place, Places};
use super::plain;
use super::stall::Moving;
use crate::api::Peer;
use crate::limits::{Buckets, Pressure, Rate, source_of};
use crate::refusal::{Code, Refusal};
use crate::store::Store;

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// At once.
    pub total: usize,
    /// At once from one source.
    pub per_source: usize,
    /// New ones of one source.
    pub rate: Rate,
    /// What handshakes may cost.
    pub handshakes: HandshakeLimits,
    /// From accepting to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the end of one request, or the handshake, to the end of the next header.
    pub header: Duration,
    /// How long an answer may stand still because its client does not read.
    pub stall: Duration,
    /// How long requests in work may take when the server stops.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 2048,
            per_source: 128,
            rate: Rate { per_s: 20.0, burst: 200.0 },
            handshakes: HandshakeLimits::default(),
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Largest header of a request, in bytes.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Wait after the system refused a connection (out of file descriptors), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Audit lines about connections that had no place.
const SHED_LINES: Rate = Rate { per_s: 1.0, burst: 100.0 };
/// A server that is later than this is late.
const LAG_MAX: Duration = Duration::from_millis(50);

/// Connections that wait to be taken; the kernel bounds it by `net.core.somaxconn`. Beyond it the kernel drops attempts
/// unanswered, those of nodes that are nearly done as well.
const BACKLOG: u32 = 4096;

/// Listens there.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As `TcpListener::bind` does: a server that is started again finds its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections.
#[derive(Debug)]
pub(super) struct Acceptor {
    limits: ConnectionLimits,
    tls: watch::Receiver<Arc<ServerConfig>>,
    router: Router,
    pressure: Arc<Pressure>,
    store: Store,
    places: Places,
    rates: Buckets<IpAddr>,
    handshakes: Handshakes,
    shed: Buckets<()>,
}

/// Sources whose rate is remembered at once.
const SOURCES_MAX: usize = 1 << 16;

impl Acceptor {
    pub(super) fn new(
        limits: ConnectionLimits,
        tls: watch::Receiver<Arc<ServerConfig>>,
        (router, pressure): (Router, Arc<Pressure>),
        store: Store,
    ) -> Self {
        let places = Places::new(limits.total, limits.per_source);
        let rates = Buckets::new(limits.rate, SOURCES_MAX);
        let handshakes = Handshakes::new(limits.handshakes);
        let shed = Buckets::new(SHED_LINES, 1);
        Self { limits, tls, router, pressure, store, places, rates, handshakes, shed }
    }

    /// Until `stopped` is true; then what is in work is finished.
    pub(super) async fn run(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let this = Arc::new(self);
        let measured = Arc::clone(&this);
        let measuring = tokio::spawn(lag::measure(move |lag| {
            measured.places.adapt(lag > LAG_MAX || measured.pressure.was_overloaded());
        }));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = until_true(&mut stopped) => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) => {
                    let (this, address) = (Arc::clone(&this), peer.ip().to_canonical());
                    match this.place(address) {
                        Some(place) => {
                            connections.spawn(this.connection(stream, address, place, stopped.clone()));
                        }
                        None => {
                            this.shed(stream, address, &mut connections);
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        measuring.abort();
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(this.limits.drain, finished).await.is_err() {
            tracing::warn!("some requests were not finished in time");
        }
    }

    /// A place for one more connection, if there is one.
    fn place(&self, address: IpAddr) -> Option<Place> {
        let guest = if self.pressure.is_finishing(address) { Guest::Finishing } else { Guest::Stranger };
        let place = self.places.take(address, guest)?;
        self.rates.take(source_of(address)).ok().map(|_| place)
    }

    /// Ends a connection for which there is no place, at the least cost: no farewell, and few words about it.
    fn shed(self: Arc<Self>, stream: TcpStream, address: IpAddr, connections: &mut JoinSet<()>) {
        // Without it the connection would be ended in four steps instead of one.
        let _ = stream.set_zero_linger();
        drop(stream);
        if let Ok(before) = self.shed.take(()) {
            connections.spawn(self.too_many(address, before));
        }
    }

    async fn too_many(self: Arc<Self>, address: IpAddr, before: u64) {
        let refusal = Code::ConnectionsExceeded.because(format!(
            "at most {} connections, {} of one source and {} of it a second; {before} more since the last such line",
            self.limits.total, self.limits.per_source, self.limits.rate.per_s
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
        let ended = match tokio::time::timeout(self.limits.handshake, self.handshake(stream, address)).await {
            Err(_) => Err(Code::ConnectionTimeout
                .because(format!("no TLS handshake within {} ms", self.limits.handshake.as_millis()))),
            Ok(Ok(stream)) => self.requests(stream, address, stopped).await,
            Ok(Err(refusal)) => Err(refusal),
        };
        if let Err(refusal) = ended {
            self.store.record_refusal(&address.to_string(), &refusal).await;
        }
    }

    async fn handshake(&self, stream: TcpStream, address: IpAddr) -> Result<TlsStream<TcpStream>, Refusal> {
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
        let handshake = TlsAcceptor::from(config).accept(stream);
        match self.handshakes.run(self.pressure.is_finishing(address), handshake).await {
            Ok(ended) => ended.map_err(|error| Code::TlsRefused.because(error.to_string())),
            Err(NoTime) => Err(Code::HandshakesExceeded.into()),
        }
    }

    async fn requests(
        &self,
        stream: TlsStream<TcpStream>,
        address: IpAddr,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), Refusal> {
        let served = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&served);
        let service = self.router.clone().map_request(move |mut request: Request<_>| {
            seen.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(Peer(address));
            request
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(
                TokioIo::new(Moving::new(stream, self.limits.stall)),
                TowerToHyperService::new(service),
            );
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
