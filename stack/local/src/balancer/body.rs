//! Bodies on their way through, in both directions.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::{group::Hold, pool::Sender};

/// Counts the frames of an upload, so that whoever waits for the answer sees that the client is still sending.
pub(super) type Progress = Arc<AtomicU64>;

/// A request's body on its way to a target.
pub(super) struct Upload {
    pub(super) inner: Incoming,
    pub(super) progress: Progress,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        self.progress.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Why an answer's body ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error("the target sent nothing for too long")]
    Idle,
    #[error("the target's answer broke off")]
    Broken(#[from] hyper::Error),
}

/// An answer's body on its way to the client. Its connection returns to the pool at its end, and its target is held
/// until then.
pub(super) struct Download {
    inner: Incoming,
    connection: Option<(Sender, Hold)>,
    idle_timeout: Duration,
    /// Runs only while the target is silent.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Download {
    pub(super) fn new(inner: Incoming, sender: Sender, hold: Hold, idle_timeout: Duration) -> Self {
        let mut download = Self { inner, connection: Some((sender, hold)), idle_timeout, silence: None };
        if download.inner.is_end_stream() {
            download.finish();
        }
        download
    }

    fn finish(&mut self) {
        if let Some((sender, hold)) = self.connection.take() {
            hold.0.pool.keep(sender);
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = DownloadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(frame) => {
                self.silence = None;
                if frame.is_none() || self.inner.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(DownloadError::from)))
            }
            Poll::Pending => {
                let deadline = Instant::now() + self.idle_timeout;
                let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                ready!(silence.as_mut().poll(context));
                self.connection = None;
                Poll::Ready(Some(Err(DownloadError::Idle)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
