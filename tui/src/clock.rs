//! The one place where `ctl` reads the wall clock.

use jiff::Timestamp;

/// The time now, by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "the only reading of the wall clock in this crate")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
