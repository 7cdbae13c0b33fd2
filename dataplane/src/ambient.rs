//! The wall clock and the entropy: what this crate reads from the world, and nowhere else.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;

/// Milliseconds since the Unix epoch, for what others read. Intervals are measured with `tokio::time::Instant`.
#[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
pub(crate) fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// A generator that starts where no other does.
pub(crate) fn generator() -> StdRng {
    rand::make_rng()
}
