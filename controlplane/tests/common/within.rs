//! Waiting for what another process or task does.

use std::time::Duration;

use tokio::time::Instant;

const LOOK: Duration = Duration::from_millis(20);

/// Looks until there is something to see, for `patience` at the longest.
pub(crate) async fn within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {patience:?}");
    }
}
