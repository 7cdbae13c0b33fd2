//! An HTTP/1.1 server with bounds: on connections, on the time and size of headers, and on its own end.
//!
//! `axum::serve` bounds none of them.

mod guard;
mod refusal;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use self::guard::{Guard, Phase};
use crate::Error;

/// The largest head of a request: what load balancers pass on at most.
pub(crate) const HEADER_BYTES_MAX: usize = 64 << 10;

/// The most headers of a request.
pub(crate) const HEADERS_MAX: usize = 100;

/// What the parser takes, so that a head that is too large can be answered for in JSON.
const PARSER_BYTES_MAX: usize = 2 * HEADER_BYTES_MAX;
const PARSER_HEADERS_MAX: usize = 2 * HEADERS_MAX;

/// Connections beyond the limit that are told so at once. Further ones wait in the listen queue.
const TURNED_AWAY_MAX: usize = 64;

/// The pause after `accept` failed, which it does when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once.
    pub(crate) connections: u32,
    /// From the first byte of a request's head to its last.
    pub(crate) header_time: Duration,
}

/// Whom a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Binds the address of a listener.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Where a listener listens, with the port that the system chose.
pub(crate) fn address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|source: io::Error| Error::Listen { address: asked, source })
}

/// Serves `router` until `stopping`. Returns when every request that had begun by then is answered; how long that may
/// take is the caller's to bound.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stopping: CancellationToken) {
    let open = TaskTracker::new();
    let (seats, hall) =
        (Arc::new(Semaphore::new(bounds.connections as usize)), Arc::new(Semaphore::new(TURNED_AWAY_MAX)));
    let accepting = async {
        loop {
            let place = place(&seats, &hall).await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (router, stopping) = (router.clone(), stopping.clone());
                    // A seat that has become free in the meantime is better.
                    let place = seats.clone().try_acquire_owned().map_or(place, Place::Seat);
                    open.spawn(async move {
                        match place {
                            Place::Seat(_seat) => connection(stream, Peer(peer), router, bounds, stopping).await,
                            Place::Hall(_stand) => refusal::turn_away(stream, bounds.connections).await,
                        }
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

/// What a connection holds while it lasts.
enum Place {
    Seat(OwnedSemaphorePermit),
    /// Room to be told that there is no seat.
    Hall(OwnedSemaphorePermit),
}

async fn place(seats: &Arc<Semaphore>, hall: &Arc<Semaphore>) -> Place {
    // The semaphores are never closed.
    tokio::select! {
        biased;
        Ok(seat) = seats.clone().acquire_owned() => Place::Seat(seat),
        Ok(stand) = hall.clone().acquire_owned() => Place::Hall(stand),
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, bounds: Bounds, stopping: CancellationToken) {
    // Answers are small: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let phase = Phase::new();
    let guard = Guard::new(stream, phase.clone(), bounds.header_time);
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        phase.head_is_read();
        let (phase, router) = (phase.clone(), router.clone());
        async move {
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(peer);
            let response = router.oneshot(request).await;
            phase.answered();
            Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
        }
    });
    let serving = http1::Builder::new()
        // The guard tells the wait for a request from the wait for its head, which this timeout does not.
        .header_read_timeout(None)
        .max_buf_size(PARSER_BYTES_MAX)
        .max_headers(PARSER_HEADERS_MAX)
        .serve_connection(TokioIo::new(guard), answer);
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
