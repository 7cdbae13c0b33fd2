//! Expands a compressed body within its limits.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::rejection::Rejection;
use crate::producer::budget::Reservation;

/// So much is expanded between two looks at the limits, and before other requests of the same thread have a turn.
const STEP: usize = 64 << 10;

/// Expands `body` to at most `limit` bytes. Every byte is reserved in the budget before it is kept.
pub(super) async fn expand(body: &[u8], limit: usize, reservation: &mut Reservation) -> Result<Bytes, Rejection> {
    let mut decoder = MultiGzDecoder::new(body);
    let (mut expanded, mut step) = (Vec::new(), vec![0; STEP]);
    loop {
        let read = decoder.read(&mut step).map_err(|_| Rejection::NotGzip)?;
        if read == 0 {
            return Ok(expanded.into());
        }
        if expanded.len() + read > limit {
            return Err(Rejection::ExpandsTooFar(limit));
        }
        if !reservation.grow(read) {
            return Err(Rejection::BufferFull);
        }
        expanded.extend_from_slice(&step[..read]);
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::producer::budget::Budget;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[tokio::test]
    async fn a_body_of_several_members_is_expanded_whole() {
        let body = [gzip(&[b'a'; 100_000]), gzip(b"b")].concat();
        let mut reservation = Budget::new(1 << 20).reserve(0).expect("room");
        let expanded = expand(&body, 1 << 20, &mut reservation).await.expect("gzip");
        assert_eq!((expanded.len(), expanded.last()), (100_001, Some(&b'b')));
    }

    #[tokio::test]
    async fn a_bomb_is_refused_at_the_limit_and_holds_no_more_than_it() {
        let (bomb, budget) = (gzip(&vec![0; 50 << 20]), Budget::new(2 << 20));
        let mut reservation = budget.reserve(0).expect("room");
        assert!(bomb.len() < 60_000);
        assert_eq!(expand(&bomb, 1 << 20, &mut reservation).await, Err(Rejection::ExpandsTooFar(1 << 20)));
        assert!(budget.used() <= 1 << 20);
        assert_eq!(expand(&bomb, 100 << 20, &mut reservation).await, Err(Rejection::BufferFull));
    }

    #[tokio::test]
    async fn what_is_no_gzip_or_ends_early_is_refused() {
        let (whole, budget) = (gzip(b"hello"), Budget::new(1 << 20));
        for body in [&b"plain"[..], &whole[..whole.len() - 5]] {
            let mut reservation = budget.reserve(0).expect("room");
            assert_eq!(expand(body, 100, &mut reservation).await, Err(Rejection::NotGzip));
        }
    }
}
