//! A value that is read now and then, however many ask for it.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use super::Failed;

/// What was read last, a failure included: what fails is not asked for more often than what succeeds.
pub(in crate::observe) struct Cached<T> {
    age: Duration,
    last: Mutex<Option<(Instant, Result<T, Failed>)>>,
}

impl<T: Clone> Cached<T> {
    /// A value that is read anew when it is older than `age`.
    pub(in crate::observe) fn new(age: Duration) -> Self {
        Self { age, last: Mutex::default() }
    }

    /// The value as it was read last, or now by `read`. Who asks meanwhile waits for that.
    pub(in crate::observe) async fn get(&self, read: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let mut last = self.last.lock().await;
        if let Some((at, value)) = last.as_ref()
            && Instant::now() - *at < self.age
        {
            return value.clone();
        }
        let value = read.await;
        *last = Some((Instant::now(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_lead_to_one_call_until_the_value_is_old() {
        let (cached, calls) = (Cached::new(Duration::from_secs(60)), AtomicU32::new(0));
        let read = || async { Ok(calls.fetch_add(1, Ordering::Relaxed)) };
        let all = futures::future::join_all((0..5).map(|_| cached.get(read()))).await;
        assert!(all.iter().all(|value| matches!(value, Ok(0))), "{all:?}");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(matches!(cached.get(read()).await, Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_not_repeated_at_once() {
        let cached: Cached<u32> = Cached::new(Duration::from_secs(60));
        assert!(cached.get(async { Err(Failed("no".to_owned())) }).await.is_err());
        assert!(cached.get(async { Ok(1) }).await.is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(cached.get(async { Ok(1) }).await.is_ok());
    }
}
