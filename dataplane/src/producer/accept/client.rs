//! Who sends a request: whether it may, and how much.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::rejection::Rejection;
use crate::{http::Peer, producer::settings::Token};

/// Clients whose use is counted at once. Further ones share what one client has.
const COUNTED_MAX: usize = 10_000;

/// A client may use so much time's worth of its rate at once.
const BURST: Duration = Duration::from_secs(1);

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who may send, and how much each.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Empty: everybody may.
    tokens: Vec<Token>,
    /// Records a second of each client. `None`: as many as it likes.
    rate: Option<u32>,
    /// Whether the last hop of `X-Forwarded-For` was written by our own load balancer.
    behind_balancer: bool,
    /// When each client's records so far would have been sent at its rate (the generic cell rate algorithm).
    paid_until: Mutex<HashMap<Arc<str>, Instant>>,
}

/// The sender of a request: the name of its token, or its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) name: Arc<str>,
}

impl Clients {
    pub(crate) fn new(tokens: Vec<Token>, rate: Option<u32>, behind_balancer: bool) -> Self {
        Self { tokens, rate, behind_balancer, paid_until: Mutex::default() }
    }

    /// The client of a request that may be sent.
    pub(super) fn identify(&self, request: &Request) -> Result<Client, Rejection> {
        if !self.tokens.is_empty() {
            return self.holder(request.headers()).ok_or(Rejection::NotAllowed);
        }
        if self.rate.is_none() {
            // All the same: nothing depends on it.
            return Ok(Client { name: "".into() });
        }
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        let address = if self.behind_balancer { last_hop(request.headers()).or(peer) } else { peer };
        Ok(Client { name: address.map(|address| address.to_string()).unwrap_or_default().into() })
    }

    /// Whose idempotency keys are told apart from this client's. Without tokens a client's address is no name for it: a
    /// retry may come from another one.
    pub(super) fn scope<'a>(&self, client: &'a Client) -> &'a str {
        if self.tokens.is_empty() { "" } else { &client.name }
    }

    /// Counts `records` of a client, or says when it may come again.
    pub(super) fn charge(&self, client: &Client, records: usize, now: Instant) -> Result<(), Rejection> {
        let Some(rate) = self.rate else { return Ok(()) };
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        if paid_until.len() >= COUNTED_MAX && !paid_until.contains_key(&client.name) {
            paid_until.retain(|_, until| *until > now);
        }
        let crowded = paid_until.len() >= COUNTED_MAX && !paid_until.contains_key(&client.name);
        let name = if crowded { "".into() } else { client.name.clone() };
        let until = paid_until.entry(name).or_insert(now);
        let from = (*until).max(now);
        // Like a shard: who has not used up the rate may send a request of any size, and pays for it afterwards.
        if from > now + BURST {
            let wait = from - now - BURST;
            return Err(Rejection::TooManyFromClient { rate, retry_after: wait.as_secs() + 1 });
        }
        *until = from + Duration::from_secs_f64(records as f64 / f64::from(rate));
        Ok(())
    }

    /// The holder of the bearer token. Every token is compared, each in constant time: how long it takes tells nothing.
    fn holder(&self, headers: &HeaderMap) -> Option<Client> {
        let token = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes)?;
        let (scheme, token) = token.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return None;
        }
        let digest = Sha256::digest(token.trim_ascii());
        let matching = self.tokens.iter().fold(None, |found, known| {
            let same = bool::from(known.sha256[..].ct_eq(&digest[..]));
            if same { Some(known) } else { found }
        });
        matching.map(|token| Client { name: token.name.clone() })
    }
}

/// Who opened the connection to the load balancer, which appends it to what the client wrote itself.
fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let request = headers.iter().fold(Request::post("/"), |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(axum::body::Body::empty()).expect("a request");
        request.extensions_mut().insert(Peer(([127, 0, 0, 1], 5000).into()));
        request
    }

    fn with_tokens() -> Clients {
        // printf open-sesame | sha256sum, printf second | sha256sum
        let tokens = [
            "alice=d7ecdf25eaf3deba0f2628771dbdd22d4138ab6cf38f91ed02a2ca0dec7c8ab7",
            "bob=16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4",
        ];
        Clients::new(tokens.map(|token| token.parse().expect("a token")).to_vec(), None, false)
    }

    #[test]
    fn only_holders_of_a_token_may_send() {
        let clients = with_tokens();
        let second = clients.identify(&request(&[("authorization", "Bearer second")]));
        assert_eq!(second.map(|client| client.name), Ok("bob".into()));
        for wrong in [
            &[][..],
            &[("authorization", "Bearer third")],
            &[("authorization", "Basic second")],
            &[("authorization", "x")],
        ] {
            assert_eq!(clients.identify(&request(wrong)), Err(Rejection::NotAllowed));
        }
    }

    #[test]
    fn a_client_is_its_address_and_what_it_writes_of_itself_counts_behind_a_balancer_only() {
        let forwarded = request(&[("x-forwarded-for", "10.0.0.1, 192.0.2.7")]);
        let name = |behind| Clients::new(Vec::new(), Some(1), behind).identify(&forwarded).map(|client| client.name);
        assert_eq!((name(false), name(true)), (Ok("127.0.0.1".into()), Ok("192.0.2.7".into())));
    }

    #[test]
    fn a_client_gets_its_rate_and_is_told_when_to_come_again() {
        let (clients, now) = (Clients::new(Vec::new(), Some(100), false), Instant::now());
        let (one, other) = (Client { name: "one".into() }, Client { name: "other".into() });
        assert_eq!(clients.charge(&one, 150, now), Ok(()));
        assert_eq!(clients.charge(&one, 300, now + Duration::from_millis(600)), Ok(()));
        let refused = clients.charge(&one, 1, now + Duration::from_millis(700));
        assert_eq!(refused, Err(Rejection::TooManyFromClient { rate: 100, retry_after: 3 }));
        assert_eq!(clients.charge(&other, 1, now), Ok(()));
        assert_eq!(clients.charge(&one, 1, now + Duration::from_millis(3600)), Ok(()));
    }

    #[test]
    fn the_clients_that_are_counted_are_bounded() {
        let (clients, now) = (Clients::new(Vec::new(), Some(1), false), Instant::now());
        for number in 0..COUNTED_MAX + 10 {
            let client = Client { name: number.to_string().into() };
            let _ = clients.charge(&client, 1000, now);
        }
        let counted = clients.paid_until.lock().map(|clients| clients.len()).expect("no panic");
        assert_eq!(counted, COUNTED_MAX + 1);
    }
}
