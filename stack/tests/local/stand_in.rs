//! The program of a deployment's producer: this test binary, which then runs one test that answers every request.

use std::{
    env,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

/// Starts this binary again so that it runs [`it_answers_health_checks`] alone.
pub(crate) fn command() -> Vec<String> {
    let program = env::current_exe().expect("the path of this binary").to_string_lossy().into_owned();
    vec![program, "--exact".to_owned(), "stand_in::it_answers_health_checks".to_owned(), "--nocapture".to_owned()]
}

/// As a task it serves until it is stopped; otherwise it serves one request and looks at the answer.
#[test]
fn it_answers_health_checks() {
    if let Ok(address) = env::var("WEIR_BIND") {
        let port = env::var("WEIR_PORT").map_or(8080, |port| port.parse().expect("a port"));
        let address: IpAddr = address.parse().expect("an address");
        let listener = TcpListener::bind(SocketAddr::new(address, port)).expect("the port is free");
        loop {
            // A client that went away is no reason to stop.
            let _ = answer(&listener);
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let client = std::thread::spawn(move || get(address, "/healthcheck").expect("an answer"));
    answer(&listener).expect("a request");
    assert!(client.join().expect("the client").starts_with("HTTP/1.1 200 OK\r\n"));
}

fn answer(listener: &TcpListener) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut request = [0; 1024];
    let _ = stream.read(&mut request)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
}

/// The whole answer to a GET.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    // In one piece, because the server reads once.
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
