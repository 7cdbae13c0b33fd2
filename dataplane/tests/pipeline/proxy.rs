//! A wire that can be cut.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes connections on to an endpoint.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// A change ends the connections that are open.
    state: watch::Sender<State>,
}

/// What becomes of connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    /// Taken and read from, and never answered.
    Silent,
}

impl Proxy {
    pub(crate) async fn start(endpoint_url: &str) -> Self {
        let target: SocketAddr = endpoint_url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = watch::Sender::new(State::Open);
        let states = state.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target, states.clone()));
            }
        });
        Self { url, state }
    }

    /// Ends every connection. New ones are taken.
    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Open);
    }

    /// Ends every connection, and answers no new ones until it is opened.
    pub(crate) fn swallow(&self) {
        self.state.send_replace(State::Silent);
    }

    /// Ends every connection and takes no new ones until it is opened.
    pub(crate) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    pub(crate) fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, mut states: watch::Receiver<State>) {
    let state = *states.borrow_and_update();
    let serve = async {
        match state {
            State::Open => {
                let Ok(mut server) = TcpStream::connect(target).await else { return };
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
            State::Closed => {}
            State::Silent => {
                let mut swallowed = Vec::new();
                let _ = client.read_to_end(&mut swallowed).await;
            }
        }
    };
    tokio::select! {
        () = serve => {}
        _ = states.changed() => {}
    }
}
