//! Headers that a proxy takes out and puts in.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

/// Headers that concern one connection only (RFC 9110, section 7.6.1, with the older names still in use).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Removes what was meant for the last hop, also what its `Connection` header names.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(named) = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok()).map(str::to_owned) {
        for name in named.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// What a target is told of a client's connection.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    client: HeaderValue,
    port: HeaderValue,
}

impl Origin {
    pub(super) fn new(client: IpAddr, port: u16) -> Self {
        let text = |text: String| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self { client: text(client.to_string()), port: text(port.to_string()) }
    }

    /// Adds the `X-Forwarded-*` headers. The client is appended to addresses that are there already.
    pub(super) fn state(&self, headers: &mut HeaderMap) {
        let client = match headers.get(&X_FORWARDED_FOR) {
            None => self.client.clone(),
            Some(before) => {
                let joined = [before.as_bytes(), b", ", self.client.as_bytes()].concat();
                HeaderValue::from_bytes(&joined).unwrap_or_else(|_| self.client.clone())
            }
        };
        headers.insert(X_FORWARDED_FOR, client);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        headers.insert(X_FORWARDED_PORT, self.port.clone());
    }
}

/// Makes ids that follow one request through the system.
pub(super) struct TraceIds {
    seed: u64,
    next: AtomicU64,
}

impl TraceIds {
    /// Ids of one seed are unique; seeds tell endpoints apart.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(0) }
    }

    /// Adds an id, or this hop's id to one that is there already.
    pub(super) fn state(&self, headers: &mut HeaderMap, now: Duration) {
        const LOW_48: u64 = (1 << 48) - 1;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("1-{:08x}-{:012x}{:012x}", now.as_secs(), self.seed & LOW_48, number & LOW_48);
        let id = match headers.get(&X_AMZN_TRACE_ID).and_then(|before| before.to_str().ok()) {
            None => format!("Root={id}"),
            Some(before) => format!("Self={id};{before}"),
        };
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(X_AMZN_TRACE_ID, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn what_concerns_one_connection_stays_on_it() {
        let mut given = headers(&[
            ("connection", "x-own, close"),
            ("x-own", "1"),
            ("transfer-encoding", "chunked"),
            ("x-kept", "2"),
        ]);
        remove_hop_by_hop(&mut given);
        assert_eq!(given, headers(&[("x-kept", "2")]));
    }

    #[test]
    fn the_client_is_appended_to_the_addresses_before_it() {
        let mut given = headers(&[("x-forwarded-for", "203.0.113.7")]);
        Origin::new(IpAddr::from([127, 0, 0, 1]), 80).state(&mut given);
        assert_eq!(given["x-forwarded-for"], "203.0.113.7, 127.0.0.1");
        assert_eq!(
            (&given["x-forwarded-proto"], &given["x-forwarded-port"]),
            (&"http".parse().unwrap(), &"80".parse().unwrap())
        );
    }

    #[test]
    fn a_trace_begins_here_or_goes_on() {
        let ids = TraceIds::new(0xab);
        let mut fresh = HeaderMap::new();
        ids.state(&mut fresh, Duration::from_secs(0x6000_0000));
        assert_eq!(fresh["x-amzn-trace-id"], "Root=1-60000000-0000000000ab000000000000");
        let mut given = headers(&[("x-amzn-trace-id", "Root=1-1-1")]);
        ids.state(&mut given, Duration::from_secs(0x6000_0000));
        assert_eq!(given["x-amzn-trace-id"], "Self=1-60000000-0000000000ab000000000001;Root=1-1-1");
    }
}
