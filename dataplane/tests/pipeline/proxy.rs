//! A wire that can be cut.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes connections on to an endpoint.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// Whether connections are passed on. A change ends those that are open.
    open: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn start(endpoint_url: &str) -> Self {
        let target: SocketAddr = endpoint_url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let open = watch::Sender::new(true);
        let states = open.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target, states.clone()));
            }
        });
        Self { url, open }
    }

    /// Ends every connection. New ones are taken.
    pub(crate) fn cut(&self) {
        self.open.send_replace(true);
    }

    /// Ends every connection and takes no new ones until it is opened.
    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, mut states: watch::Receiver<bool>) {
    if !*states.borrow_and_update() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = states.changed() => {}
    }
}
