//! The consumer service.

use tokio_util::sync::CancellationToken;

mod settings;

pub use crate::Error;
pub use settings::*;

/// Runs the consumer until `stopping`, then drains and returns.
///
/// # Errors
/// When it cannot listen.
pub async fn run(settings: Settings, stopping: CancellationToken) -> Result<(), Error> {
    let _ = settings;
    stopping.cancelled().await;
    Ok(())
}
