//! Connections of a listener, from their acceptance to their end.

use std::{fmt::Display, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long open connections may finish after their listener was told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause after a connection that could not be accepted: most often no file descriptor is left, and the next try
/// would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stopping`, then lets the open ones finish for [`DRAIN_TIMEOUT`]. While `open_max` are
/// open, further ones wait to be accepted.
pub(crate) async fn accept<C>(
    listener: TcpListener,
    open_max: usize,
    stopping: &CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr) -> C,
) where
    C: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(open_max));
    let open = TaskTracker::new();
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let Some((permit, accepted)) = stopping.run_until_cancelled(accepted).await else { break };
        match accepted {
            Ok((stream, client)) => {
                // An answer that waits for the next one's segment would be late.
                let _ = stream.set_nodelay(true);
                let serving = serve(stream, client);
                open.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Gone before the open connections are: the address is free for the next listener.
    drop(listener);
    open.close();
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, open.wait()).await;
}

/// Serves one connection to its end. Once `stopping`, `shut_down` keeps it from taking further requests, and those
/// under way may finish for [`DRAIN_TIMEOUT`].
pub(crate) async fn finish<C, E>(connection: C, shut_down: impl FnOnce(Pin<&mut C>), stopping: &CancellationToken)
where
    C: Future<Output = Result<(), E>>,
    E: Display,
{
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            shut_down(connection.as_mut());
            tokio::time::timeout(DRAIN_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
