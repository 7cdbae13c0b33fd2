//! The producer service.

use tokio_util::sync::CancellationToken;

mod settings;

pub use crate::Error;
pub use settings::*;

/// Runs the producer until `stopping`, then drains and returns.
///
/// # Errors
/// When it cannot listen.
pub async fn run(settings: Settings, stopping: CancellationToken) -> Result<(), Error> {
    let _ = settings;
    stopping.cancelled().await;
    Ok(())
}
