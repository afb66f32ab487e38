//! Server-sent events as a body: what waits for a client is bounded, and a client that does not read is cut off instead of
//! being waited for, or remembered.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;

/// Events that wait for one client at most.
pub(super) const QUEUE: usize = 64;

/// Why a stream ends before the client ends it; the connection is broken off, so that the client notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    /// The client went away.
    #[error("the client went away")]
    Gone,
    /// The client does not read.
    #[error("the client reads too slowly")]
    Slow,
    /// The store cannot be read.
    #[error("the changes cannot be read")]
    Unreadable,
}

/// The end of a stream that the server writes to.
pub(super) type Feed = mpsc::Sender<Result<Bytes, Cut>>;

struct Events(mpsc::Receiver<Result<Bytes, Cut>>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let next = ready!(self.0.poll_recv(context));
        Poll::Ready(next.map(|event| event.map(Frame::data)))
    }
}

/// A stream, and the end to write to.
pub(super) fn open() -> (Feed, Response) {
    let (feed, events) = mpsc::channel(QUEUE);
    let head = [("content-type", "text/event-stream"), ("cache-control", "no-store")];
    (feed, (head, Body::new(Events(events))).into_response())
}
