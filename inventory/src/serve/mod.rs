//! The running server: takes the data directory, opens store and certificates, listens, and ends cleanly on request or at
//! once when the store can no longer promise that what it acknowledges is on disk.

mod tls;
mod accept;
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

use crate::api::{self, RequestLimits};
use crate::ca::CaError;
use crate::clock::Clock;
use crate::files::{DataDir, DataDirError, write_atomic};
use crate::store::{Location, Store, StoreError, StoreOptions};
use accept::Acceptor;
use tls::{TlsError, TlsKeeper};

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where everything is kept.
    pub data: PathBuf,
    /// The database, if it is not in there.
    pub database: Option<Location>,
    /// Where to listen; port 0 for any.
    pub listen: SocketAddr,
    /// Names of the server beside the local ones.
    pub names: Vec<String>,
    /// Bounds on requests.
    pub requests: RequestLimits,
    /// Bounds on connections.
    pub connections: ConnectionLimits,
    /// Bounds of the store.
    pub store: StoreOptions,
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
    _lock: File,
}

impl Server {
    /// Takes the directory, opens everything and listens.
    pub async fn start(options: ServeOptions, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let data = DataDir::create(&options.data)?;
        let lock = data.lock()?;
        let location = options.database.unwrap_or_else(|| data.database().into());
        let (bounds, of_store) = (options.store, Arc::clone(&clock));
        let open = move || Store::open(location, bounds, of_store);
        let store = tokio::task::spawn_blocking(open).await.map_err(|_| ServeError::StoreStopped)??;
        let tls = TlsKeeper::new(data.clone(), options.names, clock)?;
        let failed = |source| ServeError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        write_atomic(&data.endpoint(), format!("{address}\n").as_bytes(), 0o644)?;
        let router = api::router(store.clone(), options.requests);
        let acceptor = Acceptor::new(options.connections, tls.current(), router, store.clone());
        Ok(Self { data, address, listener, acceptor, tls, store, _lock: lock })
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
        let Self { data, listener, acceptor, tls, store, _lock, .. } = self;
        let mut failed = store.failed();
        let (stopping, stopped) = watch::channel(false);
        let serving = tokio::spawn(acceptor.run(listener, stopped));
        let renewing = tokio::spawn(tls.renew());
        let outcome = tokio::select! {
            () = stop => Ok(()),
            // An error here means that the writing thread is gone, which is the same.
            _ = failed.wait_for(|failed| *failed) => Err(ServeError::StoreStopped),
        };
        renewing.abort();
        if outcome.is_ok() {
            stopping.send_replace(true);
            let _ = serving.await;
        } else {
            serving.abort();
        }
        // The address is no longer true; a missing file says so.
        let _ = fs::remove_file(data.endpoint());
        // What waits is written before the last handle goes.
        tokio::task::spawn_blocking(move || drop(store)).await.unwrap_or_default();
        outcome
    }
}
