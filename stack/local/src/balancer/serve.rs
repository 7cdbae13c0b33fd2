//! A listener's connections.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    headers::Origin,
    proxy::{self, Route},
};

/// How long open connections may finish after the listener was told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Accepts connections until `stopping`. While as many are open as are allowed, further ones wait to be accepted.
pub(super) async fn serve(listener: TcpListener, route: Arc<Route>, stopping: CancellationToken) {
    let permits = Arc::new(Semaphore::new(route.settings.connections_max));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let Some((permit, accepted)) = stopping.run_until_cancelled(accepted).await else { break };
        match accepted {
            Ok((stream, client)) => {
                let port = listener.local_addr().map_or(0, |address| address.port());
                let serving = connection(stream, Origin::new(client.ip(), port), route.clone(), stopping.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the load balancer cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Gone before the open connections are: the address is free for the next listener.
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await;
}

async fn connection(stream: TcpStream, origin: Origin, route: Arc<Route>, stopping: CancellationToken) {
    let _ = stream.set_nodelay(true);
    // The header timeout also ends connections that wait for their next request.
    let idle_timeout = route.settings.idle_timeout;
    let service = service_fn(|request| async { Ok::<_, Infallible>(proxy::forward(&route, &origin, request).await) });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_TIMEOUT, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended early");
    }
}
