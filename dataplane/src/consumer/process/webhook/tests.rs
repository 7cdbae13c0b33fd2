//! A webhook behind https whose authority was made here.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// An https receiver on loopback, and the authority that vouches for it.
struct Receiver {
    url: String,
    authority: NamedTempFile,
    seen: Arc<Mutex<Vec<u8>>>,
    server: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    /// Whose certificate is for `host`, until the end of the year before `until`.
    async fn start(host: &str, until: i32) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        // No two authorities have the same name.
        params.distinguished_name.push(DnType::CommonName, address.to_string());
        let authority = NamedTempFile::new().expect("a file");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        std::fs::write(authority.path(), pem).expect("written");
        let tls = identity(host, until, &Issuer::new(params, key));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), seen.clone()));
        Self { url: format!("https://{address}/records"), authority, seen, server }
    }

    /// What becomes of a record that is POSTed there.
    async fn post(&self, ca: Option<&Path>) -> Result<(), String> {
        let webhook = Webhook::new(&self.url, ca, PATIENCE, 500, 1).expect("settings that do");
        let posted = webhook.process(&[record()]).await;
        posted.map_err(|failure| crate::process::chain(&failure))
    }
}

fn identity(host: &str, until: i32, authority: &Issuer<'_, KeyPair>) -> ServerConfig {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
        .expect("an identity")
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, seen: Arc<Mutex<Vec<u8>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(stream) = tls.accept(stream).await else { continue };
        let take = service_fn(async |request: Request<Incoming>| {
            let body = request.into_body().collect().await?.to_bytes();
            seen.lock().expect("no panic").extend_from_slice(&body);
            Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
        });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), take).await;
    }
}

fn record() -> Record {
    Record {
        data: b"one".as_slice().into(),
        partition_key: "k".into(),
        explicit_hash_key: None,
        sequence_number: "49".into(),
        sub_sequence_number: 0,
        shard_id: "shardId-000000000000".into(),
        arrived_at_ms: None,
    }
}

#[tokio::test]
async fn a_webhook_whose_authority_is_in_the_file_gets_the_records() {
    let receiver = Receiver::start("127.0.0.1", 2100).await;
    assert_eq!(receiver.post(Some(receiver.authority.path())).await, Ok(()));
    assert_eq!(*receiver.seen.lock().expect("no panic"), lines(&[record()]));
}

#[tokio::test]
async fn a_webhook_that_nobody_vouches_for_gets_nothing_and_the_error_says_which_setting_would_help() {
    let receiver = Receiver::start("127.0.0.1", 2100).await;
    let stranger = Receiver::start("127.0.0.1", 2100).await;
    for ca in [None, Some(stranger.authority.path())] {
        let error = receiver.post(ca).await.expect_err("refused");
        assert!(error.contains("WEIR_WEBHOOK_CA") && error.contains("UnknownIssuer"), "{error}");
    }
    assert!(receiver.seen.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_host_or_of_another_time_is_refused_and_the_error_says_so() {
    for (host, until, reason) in [
        ("receiver.example", 2100, "certificate not valid for name \"127.0.0.1\""),
        ("127.0.0.1", 2001, "certificate expired"),
    ] {
        let receiver = Receiver::start(host, until).await;
        let error = receiver.post(Some(receiver.authority.path())).await.expect_err("refused");
        assert!(error.contains(reason), "{error}");
        assert!(receiver.seen.lock().expect("no panic").is_empty());
    }
}

#[test]
fn a_file_without_certificates_is_refused_and_the_error_names_it() {
    let file = NamedTempFile::new().expect("a file");
    for (content, problem) in [
        (&b""[..], "no certificate"),
        (b"words", "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"),
    ] {
        std::fs::write(file.path(), content).expect("written");
        let refused = Webhook::new("https://example.com", Some(file.path()), PATIENCE, 1, 1).err();
        let (setting, error) = refused.expect("an error");
        assert_eq!(setting, "WEIR_WEBHOOK_CA");
        assert!(error.contains(problem) && error.contains(&*file.path().to_string_lossy()), "{error}");
    }
    let missing = Webhook::new("https://example.com", Some(Path::new("/nowhere")), PATIENCE, 1, 1).err();
    assert!(missing.is_some_and(|(setting, error)| setting == "WEIR_WEBHOOK_CA" && error.contains("/nowhere")));
}

#[test]
fn a_url_without_scheme_or_host_is_refused() {
    let blamed = |url| Webhook::new(url, None, IDLE_TIMEOUT, 1, 1).err().map(|(setting, _)| setting);
    assert_eq!(blamed("http://127.0.0.1:1/records"), None);
    assert_eq!(blamed("https://example.com"), None);
    for url in ["", "example.com", "ftp://example.com", "/records", "http://"] {
        assert_eq!(blamed(url), Some("WEIR_WEBHOOK_URL"), "{url}");
    }
}

#[test]
fn a_receiver_that_is_away_is_waited_for_and_one_that_refuses_is_believed() {
    let is_away = |status| matches!(judge(StatusCode::from_u16(status).expect("a status")), Failure::Unavailable(_));
    assert!([401, 403, 404, 408, 429, 502, 503, 504].into_iter().all(is_away));
    assert!(![400, 409, 413, 422, 500, 501].into_iter().any(is_away));
}
