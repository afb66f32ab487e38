//! `GET /v1/watch`: changes as they happen, as server-sent events. A client that comes back names the last revision that it
//! has, in `since` or as `Last-Event-ID`, and misses nothing; where that cannot be promised it is told `410` and lists anew.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::watch::Receiver;

use super::super::lanes::WatchPlace;
use super::super::{Api, off_loop};
use super::ask::Query;
use super::stream::{self, Cut, Feed};
use crate::access::Principal;
use crate::refusal::{Code, Refusal};
use crate::store::{Change, Store};

/// Changes that are read at once.
const BATCH: u32 = 256;
/// How long a full queue is waited for.
const STALL: Duration = Duration::from_secs(10);
/// After so long without a change the client is shown that the stream lives.
const QUIET: Duration = Duration::from_secs(15);

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    since: Option<u64>,
}

pub(crate) async fn watch(
    State(api): State<Arc<Api>>,
    Extension(principal): Extension<Principal>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let place = api.lanes.watch(&principal.actor())?;
    let of_header = headers.get("last-event-id").map(|value| value.to_str().ok()?.parse().ok());
    let since = match of_header {
        Some(None) => return Err(Code::QueryMalformed.because("`Last-Event-ID` is no revision")),
        Some(id) => id,
        None => asked.since,
    };
    let of_read = Arc::clone(&api);
    let (first, head) = off_loop(move || Ok(of_read.store.view(|view| view.span())?)).await?;
    let since = since.unwrap_or(head);
    if since > head || since + 1 < first {
        let why = format!("revision {since} is not among those that are kept, {first} to {head}");
        return Err(Code::RevisionGone.because(why));
    }
    let (feed, response) = stream::open();
    let watcher = Watcher { store: api.store.clone(), head: api.head.clone(), feed, since, _place: place };
    tokio::spawn(watcher.run());
    Ok(response)
}

/// One client.
struct Watcher {
    store: Store,
    head: Receiver<u64>,
    feed: Feed,
    since: u64,
    _place: WatchPlace,
}

impl Watcher {
    /// Until the client goes, or must.
    async fn run(mut self) {
        if let Err(cut @ (Cut::Slow | Cut::Unreadable)) = self.follow().await {
            tracing::info!(%cut, "a stream of changes was cut off");
            // Whoever does not read may not take this either.
            let _ = self.feed.try_send(Err(cut));
        }
    }

    async fn follow(&mut self) -> Result<(), Cut> {
        loop {
            // Before the read: what is written after it will be seen in the next turn.
            self.head.mark_unchanged();
            let (store, since) = (self.store.clone(), self.since);
            let changes = off_loop(move || Ok(store.view(|view| view.changes(since, BATCH))?));
            let changes = changes.await.map_err(|_| Cut::Unreadable)?;
            let Some(last) = changes.last() else {
                let changed = tokio::select! {
                    changed = tokio::time::timeout(QUIET, self.head.changed()) => changed,
                    () = self.feed.closed() => return Err(Cut::Gone),
                };
                match changed {
                    Ok(Ok(())) => {}
                    // The server stops; the client comes back to another.
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => self.send(": quiet\n\n".into()).await?,
                }
                continue;
            };
            self.since = last.revision;
            for change in &changes {
                self.send(event(change)).await?;
            }
        }
    }

    async fn send(&self, text: String) -> Result<(), Cut> {
        match self.feed.send_timeout(Ok(Bytes::from(text)), STALL).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(Cut::Gone),
            Err(SendTimeoutError::Timeout(_)) => Err(Cut::Slow),
        }
    }
}

fn event(change: &Change) -> String {
    // A change is numbers and words of ours: it has no line break and cannot fail to be written.
    let data = serde_json::to_string(change).unwrap_or_default();
    format!("id: {}\nevent: change\ndata: {data}\n\n", change.revision)
}
