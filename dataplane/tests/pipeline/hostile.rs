//! What is sent by mistake or on purpose: the right status, an error in JSON, and nothing else happens.

use std::{io::Write, net::SocketAddr, time::Duration};

use flate2::{Compression, write::GzEncoder};
use futures::future::join_all;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::world::{RunningProducer, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// A response as it comes over the wire.
#[derive(Debug)]
struct Raw {
    status: u16,
    body: Value,
}

/// Sends bytes as they are, ends the sending half if `ends`, and reads every response until the other side closes.
async fn send(address: SocketAddr, bytes: &[u8], ends: bool) -> Vec<Raw> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut text = Vec::new();
    let talking = async {
        // The other side may stop listening in the middle.
        let _ = stream.write_all(bytes).await;
        if ends {
            let _ = stream.shutdown().await;
        }
        let _ = stream.read_to_end(&mut text).await;
    };
    timeout(PATIENCE, talking).await.expect("the connection is closed");
    responses(&text)
}

fn responses(mut text: &[u8]) -> Vec<Raw> {
    let mut responses = Vec::new();
    while let Some(end) = text.windows(4).position(|part| part == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&text[..end]).to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or("0");
        let (start, length) = (end + 4, length.trim().parse::<usize>().unwrap());
        let body = &text[start..start + length];
        let body = serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into());
        responses.push(Raw { status: head[9..12].parse().unwrap(), body });
        text = &text[start + length..];
    }
    responses
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nhost: weir\r\n{headers}\r\n{body}").into_bytes()
}

/// A request with the right length that asks for the connection to be closed.
fn whole(body: &str) -> Vec<u8> {
    post(&format!("connection: close\r\ncontent-length: {}\r\n", body.len()), body)
}

async fn only(producer: &RunningProducer, bytes: &[u8], ends: bool) -> (u16, String) {
    let responses = send(producer.ingest, bytes, ends).await;
    assert_eq!(responses.len(), 1, "{responses:?}");
    (responses[0].status, responses[0].body["code"].as_str().unwrap_or_default().to_owned())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn mistakes_in_the_body_are_named() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let deep = format!(r#"{{"data":"x","more":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let large = json!({"data": "x".repeat((1 << 20) + 1)}).to_string();
    for (body, status, code) in [
        (&br#"{"data":"x""#[..], 400, "malformed"),
        (br#"{"partitionKey":"k"}"#, 400, "malformed"),
        (br#"{"data":["x"]}"#, 400, "malformed"),
        (br#"{"data":"x","partitionKey":7}"#, 400, "malformed"),
        (br#""just a string""#, 400, "malformed"),
        (b"{\"data\":\"\xff\xfe\"}", 400, "malformed"),
        (deep.as_bytes(), 422, "too_deep"),
        (large.as_bytes(), 413, "record_too_large"),
    ] {
        let answer = world.post(&producer, "/", body.to_vec()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (status, Some(code)), "{shown}: {answer:?}");
        assert_eq!(answer.body["limit"].is_u64(), status != 400, "{answer:?}");
        assert!(answer.headers.contains_key("x-request-id"));
    }
    producer.role.stop().await;
}

#[tokio::test]
async fn a_compressed_body_is_read_and_a_bomb_is_not() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let encoded = async |body: Vec<u8>, encoding: &str| {
        world.post_with(&producer, "/", &[("content-encoding", encoding)], body).await
    };
    assert_eq!(encoded(gzip(br#"{"data":"x"}"#), "gzip").await.status, StatusCode::OK);
    for (body, encoding, status, code) in [
        (gzip(&vec![b' '; 100 << 20]), "gzip", 413, "expands_too_far"),
        (b"plain".to_vec(), "gzip", 400, "not_gzip"),
        (b"{}".to_vec(), "br", 415, "unknown_encoding"),
    ] {
        let answer = encoded(body, encoding).await;
        assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (status, Some(code)), "{answer:?}");
    }
    producer.role.stop().await;
}

#[tokio::test]
async fn heads_that_are_too_large_get_431_with_the_limit() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    for bytes in [100_000, 400_000] {
        let answer =
            only(&producer, &post(&format!("cookie: {}\r\ncontent-length: 0\r\n", "x".repeat(bytes)), ""), true).await;
        assert_eq!(answer, (431, "headers_too_large".to_owned()), "{bytes}");
    }
    let many = "a: b\r\n".repeat(150);
    assert_eq!(only(&producer, &post(&format!("{many}content-length: 0\r\n"), ""), true).await.0, 431);
    producer.role.stop().await;
}

#[tokio::test]
async fn bodies_that_do_not_end_as_announced_store_nothing() {
    let world = World::start(1).await;
    let producer = world.producer(&["--body-timeout", "300ms"]).await;
    let body = r#"{"data":"x"}"#;
    // Longer than announced: what follows is no request.
    let responses = send(producer.ingest, &post("content-length: 12\r\n", &format!("{body}more\r\n\r\n")), true).await;
    let codes: Vec<_> = responses.iter().map(|raw| (raw.status, raw.body["code"].as_str())).collect();
    assert_eq!(codes, [(200, None), (400, Some("not_http"))]);
    // Shorter, and the client is gone or silent.
    assert_eq!(only(&producer, &post("content-length: 500\r\n", body), true).await, (400, "body_broken".to_owned()));
    assert_eq!(only(&producer, &post("content-length: 500\r\n", body), false).await, (408, "body_too_slow".to_owned()));
    let endless = post("transfer-encoding: chunked\r\n", &format!("c\r\n{body}\r\n"));
    assert_eq!(only(&producer, &endless, false).await, (408, "body_too_slow".to_owned()));
    assert_eq!(only(&producer, &endless, true).await, (400, "body_broken".to_owned()));
    producer.role.stop().await;
}

#[tokio::test]
async fn forms_that_smuggle_a_second_request_get_one_refusal() {
    let world = World::start(1).await;
    let producer = world.producer(&["--body-timeout", "300ms"]).await;
    let hidden = "GET /healthcheck HTTP/1.1\r\nhost: weir\r\n\r\n";
    for headers in [
        "content-length: 12\r\ncontent-length: 54\r\n",
        "content-length: 12, 54\r\n",
        "content-length : 12\r\n",
        "content-length: +12\r\n",
        "content-length: -1\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: chunked\r\n folded: x\r\n",
        "content-length: 12\r\n\0: x\r\n",
    ] {
        let answer = only(&producer, &post(headers, &format!("{{\"data\":\"x\"}}{hidden}")), true).await;
        assert_eq!(answer.0, 400, "{headers:?} {answer:?}");
    }
    for chunk in ["fffffffffffffffff\r\n", "-1\r\n", "c;\n", "0x5\r\n"] {
        let answer = only(&producer, &post("transfer-encoding: chunked\r\n", &format!("{chunk}{hidden}")), true).await;
        assert_eq!(answer, (400, "body_broken".to_owned()), "{chunk:?}");
    }
    for start in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02", "POST /\r\n\r\n"] {
        let responses = send(producer.ingest, start.as_bytes(), true).await;
        assert!(
            responses.iter().all(|raw| raw.status == 400 && raw.body["code"] == "not_http"),
            "{start:?} {responses:?}"
        );
    }
    producer.role.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let body = r#"{"data":"x"}"#;
    let first = post(&format!("content-length: {}\r\n", body.len()), body);
    let requests = [&first[..], &post("content-length: 2\r\n", "{}"), &first, &whole(body)].concat();
    let statuses: Vec<_> = send(producer.ingest, &requests, false).await.iter().map(|raw| raw.status).collect();
    assert_eq!(statuses, [200, 400, 200, 200]);
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_senders_keep_nobody_out() {
    const SLOW: usize = 2000;
    let world = World::start(1).await;
    let producer = world.producer(&["--header-timeout", "5s", "--connections", "2100"]).await;
    let slow = |_| async {
        let mut stream = TcpStream::connect(producer.ingest).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: we").await.unwrap();
        stream
    };
    let streams = join_all((0..SLOW).map(slow)).await;
    for number in 0..50 {
        world.store(&producer, &format!("healthy {number}"), None).await;
    }
    let told = join_all(streams.into_iter().map(async |mut stream| {
        let mut text = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("it is closed");
        responses(&text).pop()
    }));
    for raw in told.await {
        let raw = raw.expect("an answer");
        assert_eq!((raw.status, raw.body["code"].as_str()), (408, Some("headers_too_slow")));
        assert_eq!(raw.body["limit"], 5000);
    }
    producer.role.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let world = World::start(1).await;
    let producer = world.producer(&["--connections", "2"]).await;
    let _held =
        [TcpStream::connect(producer.ingest).await.unwrap(), TcpStream::connect(producer.ingest).await.unwrap()];
    let answer = only(&producer, &whole(r#"{"data":"x"}"#), false).await;
    assert_eq!(answer, (503, "too_many_connections".to_owned()));
    drop(_held);
    crate::world::until("there is room again", async || {
        only(&producer, &whole(r#"{"data":"x"}"#), false).await.0 == 200
    })
    .await;
    producer.role.stop().await;
}
