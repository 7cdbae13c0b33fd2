//! What clients hold: a record that a producer refused is offered again. What is offered is then more than what is new,
//! and the difference is a volume to take once, not a rate to have room for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{demand::known, history::elapsed};
use crate::{observe::LoadObservation, units::Millis};

/// Mean time between two attempts of a client, in seconds (OpenTelemetry Collector's exporters: 5 s, growing to 30 s).
/// Where clients come sooner, new load is taken for more than it is, by what is refused at most; later, for less, but never
/// for less than what is neither refused nor waits.
const RETRY_S: f64 = 15.0;

/// Reports are means over ten seconds.
const HALF_REPORT_S: f64 = 5.0;

/// Up to this share of what is offered, what comes again does not blur what is new.
const CLEAR: f64 = 0.1;

/// A longer time between two looks tells no more than this of what was refused meanwhile.
const LOOK_MAX: Millis = Millis(60_000);

/// What clients hold, as far as the producers' refusals tell.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Clients {
    /// User bytes that were refused and are not offered again yet.
    bytes: f64,
    /// What the producers held at the last look, and when that was.
    buffered: Option<(f64, Timestamp)>,
    /// What was new when clients last had next to nothing to repeat, in user bytes a second.
    clear: f64,
}

/// What is on its way to the stream besides what is new.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Held {
    /// User bytes that producers and clients hold.
    pub(super) bytes: f64,
    /// User bytes a second that are offered not for the first time.
    pub(super) repeated: f64,
    /// User bytes a second that were new before clients began to repeat.
    pub(super) clear: f64,
    /// User bytes a second that the producers' buffers became less by.
    pub(super) drained: f64,
}

impl Clients {
    /// What is held now; nothing where producers do not tell.
    ///
    /// Clients that try again after [`RETRY_S`] on average offer what was refused as a low-pass filter of that time would.
    pub(super) fn note(&mut self, load: &LoadObservation, now: Timestamp) -> Option<Held> {
        let (Some(buffered), Some(refused)) = (known(load.buffered_bytes), known(load.refused_bytes)) else {
            *self = Self::default();
            return None;
        };
        let (before, at) = self.buffered.unwrap_or((buffered, now));
        let passed = elapsed(at, now).0.min(LOOK_MAX.0) as f64 / 1e3;
        let kept = (-passed / RETRY_S).exp();
        let bytes = self.bytes * kept + refused * RETRY_S * (1.0 - kept);
        // Without a look before, whatever the shards take may come out of the buffers.
        let drained = if passed > 0.0 { (before - buffered).max(0.0) / passed } else { f64::INFINITY };
        // What is offered is a mean, too: it tells of the middle of its time.
        let middle = bytes - (bytes - self.bytes) * (HALF_REPORT_S / passed.max(HALF_REPORT_S));
        let repeated = middle / RETRY_S;
        (self.bytes, self.buffered) = (bytes, Some((buffered, now)));
        if let Some(offered) = known(load.offered_bytes).filter(|offered| repeated <= offered * CLEAR) {
            self.clear = offered - repeated;
        }
        Some(Held { bytes: buffered + bytes, repeated, clear: self.clear, drained })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        observe::{Reading, Source},
        units::{ByteCount, BytesPerSecond},
    };

    fn at(second: u32) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(second))
    }

    fn load(second: u32, refused: f64, buffered: f64) -> LoadObservation {
        let now = at(second);
        LoadObservation {
            refused_bytes: Some(Reading { value: BytesPerSecond(refused), at: now, source: Source::TaskReports }),
            buffered_bytes: Some(Reading { value: ByteCount(buffered), at: now, source: Source::TaskReports }),
            ..LoadObservation::default()
        }
    }

    /// Clients that repeat a fifteenth of what they hold every second, before a stream that takes 5 of what is new. What
    /// the last report has as offered, and how much of that is told to come again.
    fn overload(new: f64, seconds: u32) -> (f64, f64) {
        let (mut clients, mut held, mut offered) = (Clients::default(), 0.0, Vec::new());
        let mut told = (0.0, 0.0);
        for second in 0..seconds {
            offered.push(new + held / 15.0);
            held += new - 5.0;
            if second % 15 == 0 {
                let reported: Vec<f64> = offered.iter().rev().take(10).copied().collect();
                let mean = reported.iter().sum::<f64>() / reported.len() as f64;
                let held = clients.note(&load(second, mean - 5.0, 0.0), at(second)).expect("it is told");
                told = (mean, held.repeated);
            }
        }
        told
    }

    #[test]
    fn what_is_new_is_told_from_what_comes_again() {
        for (new, seconds) in [(8.0, 60), (12.0, 120), (20.0, 300)] {
            let (offered, repeated) = overload(new, seconds);
            let told = offered - repeated;
            assert!((told - new).abs() < 0.1 * new, "{new} for {seconds} s: {told} of {offered}");
        }
    }

    #[test]
    fn a_buffer_that_empties_is_told_by_its_rate() {
        let mut clients = Clients::default();
        clients.note(&load(0, 0.0, 300.0), at(0));
        let held = clients.note(&load(15, 0.0, 150.0), at(15)).expect("it is told");
        assert_eq!((held.bytes, held.drained, held.repeated), (150.0, 10.0, 0.0));
    }

    #[test]
    fn producers_that_do_not_tell_leave_nothing_known() {
        let mut clients = Clients::default();
        clients.note(&load(0, 100.0, 300.0), at(0));
        assert_eq!(clients.note(&LoadObservation::default(), at(15)), None);
        assert_eq!(clients, Clients::default());
    }
}
