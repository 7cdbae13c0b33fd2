//! Resources that wait to be signalled.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Operation;
use crate::cloudformation::template::CreationPolicy;

impl Operation {
    /// Waits for as many successes as the policy counts; one failure ends the wait at once. An error is the reason.
    pub(super) async fn await_signals(&self, name: &str, policy: CreationPolicy) -> Result<(), String> {
        let deadline = Instant::now() + policy.timeout;
        loop {
            let signalled = self.service.signalled.notified();
            tokio::pin!(signalled);
            // From here on no signal is missed, so looking once before waiting is enough.
            signalled.as_mut().enable();
            let received = self.stack(|stack| stack.signals.get(name).cloned()).flatten().unwrap_or_default();
            let Some(missing) = missing(&received, policy.count)? else { return Ok(()) };
            tokio::select! {
                () = signalled => {}
                () = tokio::time::sleep_until(deadline) => {
                    return Err(format!("Failed to receive {missing} resource signal(s) within the specified duration"));
                }
                () = self.cancel.cancelled() => return Err("Resource creation cancelled".to_owned()),
            }
        }
    }
}

/// How many successes are missing; nothing when there are enough.
fn missing(received: &BTreeMap<String, bool>, count: usize) -> Result<Option<usize>, String> {
    if let Some((unique_id, _)) = received.iter().find(|(_, success)| !**success) {
        return Err(format!("Received FAILURE signal with UniqueId {unique_id}"));
    }
    Ok(count.checked_sub(received.len()).filter(|missing| *missing > 0))
}
