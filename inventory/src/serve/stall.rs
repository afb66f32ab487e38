//! A connection whose client does not read is broken off: what is written must move on within a time.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream with a bound on how long a write may stand still.
#[derive(Debug)]
pub(super) struct Moving<S> {
    stream: S,
    limit: Duration,
    standing: Option<Pin<Box<Sleep>>>,
}

impl<S> Moving<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, standing: None }
    }

    /// Passes on what came of a write; if it stands still, counts the time.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.standing = None;
            return written;
        }
        let limit = self.limit;
        let standing = self.standing.get_or_insert_with(|| Box::pin(sleep(limit)));
        match standing.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Moving<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn a_client_that_does_not_read_is_broken_off_and_one_that_reads_again_is_not() {
        let (near, mut far) = duplex(16);
        let mut moving = Moving::new(near, Duration::from_millis(50));
        let (mut context, bytes) = (Context::from_waker(std::task::Waker::noop()), [7; 16]);
        moving.write_all(&bytes).await.unwrap();
        assert!(Pin::new(&mut moving).poll_write(&mut context, &bytes).is_pending());
        assert!(moving.standing.is_some(), "from here the time counts");
        far.read_exact(&mut [0; 16]).await.unwrap();
        moving.write_all(&bytes).await.unwrap();
        assert!(moving.standing.is_none(), "it moved");
        let error = moving.write_all(&bytes).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
