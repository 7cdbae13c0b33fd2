//! A listener's connections.

use std::{convert::Infallible, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{
    headers::Origin,
    proxy::{self, Route},
};
use crate::connections;

/// Serves clients until `stopping`. While as many are connected as are allowed, further ones wait.
pub(super) async fn serve(listener: TcpListener, route: Arc<Route>, stopping: CancellationToken) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    connections::accept(listener, route.settings.connections_max, &stopping, |stream, client| {
        connection(stream, Origin::new(client.ip(), port), route.clone(), stopping.clone())
    })
    .await;
}

async fn connection(stream: TcpStream, origin: Origin, route: Arc<Route>, stopping: CancellationToken) {
    // The header timeout also ends connections that wait for their next request.
    let idle_timeout = route.settings.idle_timeout;
    let service = service_fn(|request| async { Ok::<_, Infallible>(proxy::forward(&route, &origin, request).await) });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .serve_connection(TokioIo::new(stream), service);
    connections::finish(serving, http1::Connection::graceful_shutdown, &stopping).await;
}
