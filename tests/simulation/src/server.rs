//! The inventory: its real routes over its real store, without sockets and TLS, in simulated time.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::http::{Request as HttpRequest, header};
use http_body_util::BodyExt as _;
use inventory::api::{self, Peer};
use inventory::clock::{Clock as _, ManualClock};
use inventory::store::read::{NodeDetail, View};
use inventory::store::{self, Location, Store};
use jiff::{SignedDuration, Timestamp};
use report::wire::SIGNATURE_HEADER;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::stage::{Request, Response};

/// When every run starts.
const START: &str = "2026-01-01T00:00:00Z";
/// Tokens outlive every run.
const TOKEN_TTL: SignedDuration = SignedDuration::from_hours(24);

/// The server, up or down, with all that is on its disk.
pub(crate) struct Server {
    dir: TempDir,
    clock: Arc<ManualClock>,
    start: Timestamp,
    runtime: tokio::runtime::Runtime,
    up: Option<Router>,
    forgetful: bool,
}

impl Server {
    /// A new one, up. A forgetful one comes back with the record of its start before.
    pub(crate) fn new(forgetful: bool) -> Result<Self> {
        let start: Timestamp = START.parse()?;
        // In memory where that can be had: what a disk does to a store is for other tests.
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { TempDir::new_in(shm)? } else { TempDir::new()? };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let clock = Arc::new(ManualClock::at(start));
        let mut server = Self { dir, clock, start, runtime, up: None, forgetful };
        server.start()?;
        Ok(server)
    }

    /// Where machines may keep their disks.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("inventory.db")
    }

    fn location(&self) -> Location {
        Location::File(self.database())
    }

    /// So much time has gone by since the start.
    pub(crate) fn go_to(&self, now: Duration) {
        let now = self.start + SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        self.clock.advance(now.duration_since(self.clock.now()));
    }

    /// Comes up.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.up.is_some() {
            return Ok(());
        }
        let before = self.database().with_extension("before");
        if self.forgetful {
            if before.exists() {
                fs::copy(&before, self.database())?;
            } else if self.database().exists() {
                fs::copy(self.database(), &before)?;
            }
        }
        let clock: Arc<dyn inventory::clock::Clock> = self.clock.clone();
        let store = Store::open(&self.location(), Default::default(), clock)?;
        self.up = Some(api::router(store, limits()));
        Ok(())
    }

    /// Goes down.
    pub(crate) fn stop(&mut self) -> Result<()> {
        // The last handle: what waits is written before it is gone.
        drop(self.up.take());
        Ok(())
    }

    /// Answers; none while it is down.
    pub(crate) fn handle(&mut self, node: usize, request: &Request) -> Result<Option<Response>> {
        let Some(router) = self.up.clone() else { return Ok(None) };
        let [.., a, b] = node.to_be_bytes();
        let mut http = HttpRequest::builder()
            .method(request.method)
            .uri(&request.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, request.body.len());
        if let Some(signature) = &request.signature {
            http = http.header(SIGNATURE_HEADER, signature);
        }
        let mut http = http.body(Body::from(request.body.clone()))?;
        http.extensions_mut().insert(Peer(IpAddr::V4(Ipv4Addr::new(127, 16, a, b))));
        self.runtime.block_on(async {
            let response = router.oneshot(http).await?;
            let retry_after = response.headers().get(header::RETRY_AFTER);
            let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes().to_vec();
            Ok(Some(Response { status, retry_after, body }))
        })
    }

    /// A token for one boot.
    pub(crate) fn token(&self, plan: &str) -> Result<String> {
        let issued = store::issue(&self.location(), self.clock.as_ref(), plan, TOKEN_TTL, 1)?;
        Ok(issued.into_iter().next().context("no token was made")?.token)
    }

    /// All records, as they are on the disk.
    pub(crate) fn records(&mut self) -> Result<Vec<NodeDetail>> {
        self.stop()?;
        let view = View::open(&self.location())?;
        let nodes = view.nodes(None)?;
        nodes
            .iter()
            .map(|node| view.node(&node.id)?.with_context(|| format!("{} is listed and not there", node.id)))
            .collect()
    }
}

/// Rates are for other tests: here real time does not go by, so that a bucket would never fill again.
fn limits() -> api::RequestLimits {
    let mut limits = api::RequestLimits::default();
    limits.per_source.per_s = 1e9;
    limits.per_source.burst = 1e9;
    limits
}
