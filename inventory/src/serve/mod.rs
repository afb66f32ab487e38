//! The running server: takes the data directory, opens store and certificates, listens, and ends cleanly on request or at
//! once when the store can no longer promise that what it acknowledges is on disk.

mod authority;
mod tls;
mod accept;
mod stall;
mod upkeep;
mod places;
mod handshakes;
mod lag;
mod plain;

use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use accept::ConnectionLimits;
pub use handshakes::HandshakeLimits;
pub use upkeep::UpkeepTimes;

use crate::api::{self, Api, RequestLimits};
use crate::ca::CaError;
use crate::clock::Clock;
use crate::files::{DataDir, DataDirError, write_atomic};
use crate::limits::Pressure;
use crate::refusal::Refusal;
use crate::store::{Location, Store, StoreError, StoreOptions};
use accept::{Acceptor, listen};
use tls::{TlsError, TlsKeeper};
use upkeep::Upkeep;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where everything is kept.
    pub data: PathBuf,
    /// The database, if it is not in there.
    pub database: Option<Location>,
    /// Is the CA of this data directory to be that of all servers on the database from now on?
    pub replace_ca: bool,
    /// Where to listen; port 0 for any.
    pub listen: SocketAddr,
    /// Names of the server beside the local ones.
    pub names: Vec<String>,
    /// Bounds on requests.
    pub requests: RequestLimits,
    /// Bounds on connections.
    pub connections: ConnectionLimits,
    /// Bounds of the store, and the times that the controller keeps.
    pub store: StoreOptions,
    /// How often the server looks after things by itself.
    pub upkeep: UpkeepTimes,
}

/// Why the server does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Other servers on the database have another CA.
    #[error(
        "the servers on this database show certificates of the CA with SHA-256 {sha256}, and `{directory}` has another or none: copy `ca.pem` and `ca.key` there from one of them, or, once every node trusts the new one, start with --replace-ca"
    )]
    OtherAuthority {
        /// Where this server's is.
        directory: PathBuf,
        /// Theirs.
        sha256: String,
    },
    /// The database does not take what a server says of itself.
    #[error("agreeing with the other servers on the database")]
    Agree(#[from] Refusal),
    /// TLS cannot be set up.
    #[error("setting up TLS")]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("listening on {address}: is another program there? choose another with --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no threads.
    #[error("starting the threads that judge reports")]
    Threads(#[source] io::Error),
    /// A write failed.
    #[error(
        "the store could not write and stopped; nothing was acknowledged after that: look at the disk, then start again"
    )]
    StoreStopped,
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    data: DataDir,
    address: SocketAddr,
    listener: TcpListener,
    acceptor: Acceptor,
    tls: TlsKeeper,
    store: Store,
    upkeep: Upkeep,
    _lock: File,
}

impl Server {
    /// Takes the directory, opens everything and listens.
    pub async fn start(options: ServeOptions, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let data = DataDir::create(&options.data)?;
        let lock = data.lock()?;
        let location = options.database.unwrap_or_else(|| data.database().into());
        let is_shared = matches!(location, Location::Server(_));
        let (bounds, of_store) = (options.store, Arc::clone(&clock));
        let (of_data, checks) = (data.clone(), is_shared && !options.replace_ca);
        let open = move || -> Result<Store, ServeError> {
            let store = Store::open(location, bounds, of_store)?;
            if checks {
                authority::check(&of_data, &store)?;
            }
            // From here on.
            store.count_transitions()?;
            Ok(store)
        };
        let store = tokio::task::spawn_blocking(open).await.map_err(|_| ServeError::StoreStopped)??;
        let tls = TlsKeeper::new(data.clone(), options.names, Arc::clone(&clock))?;
        if is_shared {
            authority::agree(&data, &store, options.replace_ca).await?;
        }
        let failed = |source| ServeError::Listen { address: options.listen, source };
        let listener = listen(options.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        write_atomic(&data.endpoint(), format!("{address}\n").as_bytes(), 0o644)?;
        let (head, known) = watch::channel(0);
        let pressure = Arc::new(Pressure::default());
        let api =
            Api::new(store.clone(), Arc::clone(&clock), known, (options.requests, Arc::clone(&pressure)));
        let router = api::router(api.map_err(ServeError::Threads)?);
        let upkeep = Upkeep { store: store.clone(), clock, times: options.upkeep, head };
        let acceptor = Acceptor::new(options.connections, tls.current(), (router, pressure), store.clone());
        Ok(Self { data, address, listener, acceptor, tls, store, upkeep, _lock: lock })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that nodes must trust.
    pub fn ca_certificate(&self) -> PathBuf {
        self.data.ca_certificate()
    }

    /// Serves until `stop` is done, then finishes what is in work. An error means that the store failed.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { data, listener, acceptor, tls, store, upkeep, _lock, .. } = self;
        let mut failed = store.failed();
        let (stopping, stopped) = watch::channel(false);
        let serving = tokio::spawn(acceptor.run(listener, stopped));
        let renewing = tokio::spawn(tls.renew());
        let (clock, of_upkeep) = (Arc::clone(&upkeep.clock), store.clone());
        let keeping = tokio::spawn(upkeep.run());
        let outcome = tokio::select! {
            () = stop => Ok(()),
            // An error here means that the writing thread is gone, which is the same.
            _ = failed.wait_for(|failed| *failed) => Err(ServeError::StoreStopped),
        };
        renewing.abort();
        // Ends the streams, too: they follow the last change, and nobody tells it any more.
        keeping.abort();
        if outcome.is_ok() {
            upkeep::flush(&of_upkeep, clock.as_ref()).await;
            stopping.send_replace(true);
            let _ = serving.await;
        } else {
            serving.abort();
        }
        // The address is no longer true; a missing file says so.
        let _ = fs::remove_file(data.endpoint());
        drop(of_upkeep);
        // What waits is written before the last handle goes.
        tokio::task::spawn_blocking(move || drop(store)).await.unwrap_or_default();
        outcome
    }
}
