//! An HTTP/1.1 server with bounds: on connections, on the time and size of headers, and on its own end.
//!
//! `axum::serve` bounds none of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Error;

/// How long a client may take for a request's headers. hyper counts the wait for a further request as well, so it is
/// longer than the 60 seconds after which an Application Load Balancer drops an idle connection: were it shorter, the
/// balancer would send requests into connections that just close.
const HEADER_TIMEOUT: Duration = Duration::from_secs(65);

/// The largest headers of a request, and the read buffer of a connection. Load balancers pass on at most 64 KiB.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The pause after `accept` failed, which it does when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds the address of a listener.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Where a listener listens, with the port that the system chose.
pub(crate) fn address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|source: io::Error| Error::Listen { address: asked, source })
}

/// Serves `router` until `stopping`, with at most `connections` at once. Returns when every request that had begun by
/// then is answered; how long that may take is the caller's to bound.
pub(crate) async fn serve(listener: TcpListener, router: Router, connections: u32, stopping: CancellationToken) {
    let open = TaskTracker::new();
    let seats = Arc::new(Semaphore::new(connections as usize));
    let accepting = async {
        // Never closed, so there is always a seat to wait for; further clients wait in the listen queue.
        while let Ok(seat) = seats.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (router, stopping) = (router.clone(), stopping.clone());
                    open.spawn(async move {
                        connection(stream, router, stopping).await;
                        drop(seat);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stopping.run_until_cancelled(accepting).await;
    drop(listener);
    open.close();
    open.wait().await;
}

async fn connection(stream: TcpStream, router: Router, stopping: CancellationToken) {
    // Answers are small: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
