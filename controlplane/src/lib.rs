//! The control plane of Weir: observe ▸ decide ▸ record ▸ act, for as long as it leads.

pub mod decide;
pub mod observe;
pub mod policy;
pub mod record;
pub mod units;

mod settings;

pub use settings::Settings;

use tokio_util::sync::CancellationToken;

/// Why the control plane ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
}

/// Runs the control plane until `stopping` is cancelled, then gives the lead to whoever waits for it.
///
/// # Errors
/// When it cannot start. Trouble with AWS later on is not an error: it shows in the status and is tried again.
pub async fn run(settings: Settings, stopping: CancellationToken) -> Result<(), Error> {
    let _ = settings;
    stopping.cancelled().await;
    Ok(())
}
