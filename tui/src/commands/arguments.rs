//! Arguments that several commands read alike.

use std::time::Duration;

use jiff::SignedDuration;

/// A length of time such as `180s`, `5m` or `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let length = parsed.and_then(|length| Duration::try_from(length).ok()).filter(|length| !length.is_zero());
    length.ok_or_else(|| "expected a duration above zero, such as 180s, 5m or 2h".to_owned())
}
