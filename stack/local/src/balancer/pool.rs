//! Connections to a target, kept for the next request.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::body::Upload;

/// How many idle connections are kept for one target.
const IDLE_MAX: usize = 256;

/// How long an idle connection is used again. Shorter than the usual keep-alive of servers (axum and nginx keep 60 s and
/// more), so that a request seldom meets one that is being closed.
const IDLE_AGE_MAX: Duration = Duration::from_secs(30);

/// How long a connection whose last answer has been read may take to be ready for the next request.
const READY_PATIENCE: Duration = Duration::from_millis(50);

/// Sends requests on one connection.
pub(super) type Sender = SendRequest<Upload>;

#[derive(Default)]
pub(super) struct Pool(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    senders: Vec<(Sender, Instant)>,
    closed: bool,
}

impl Pool {
    /// An open connection that is ready for a request, if there is one.
    pub(super) async fn take(&self) -> Option<Sender> {
        loop {
            let (mut sender, since) = self.0.lock().unwrap_or_else(PoisonError::into_inner).senders.pop()?;
            let stale = Instant::now().duration_since(since) > IDLE_AGE_MAX;
            if stale || sender.is_closed() {
                continue;
            }
            if sender.is_ready() || matches!(timeout(READY_PATIENCE, sender.ready()).await, Ok(Ok(()))) {
                return Some(sender);
            }
        }
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(super) fn keep(&self, sender: Sender) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !idle.closed && !sender.is_closed() && idle.senders.len() < IDLE_MAX {
            idle.senders.push((sender, Instant::now()));
        }
    }

    /// Closes the idle connections, and those that come back later.
    pub(super) fn close(&self) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.closed = true;
        idle.senders.clear();
    }
}

/// Opens a connection.
pub(super) async fn connect(target: SocketAddr, patience: Duration) -> io::Result<Sender> {
    let stream = timeout(patience, TcpStream::connect(target)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Ends when its sender is dropped or the target closes.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%target, %error, "a connection to a target ended early");
        }
    });
    Ok(sender)
}
