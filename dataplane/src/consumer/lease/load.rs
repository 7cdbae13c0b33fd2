//! What a shard costs the worker that reads it. Pure.

/// The measured load of a lease, which stays with it when it changes hands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Load {
    /// User records processed, in kilobytes a second.
    pub(crate) kilobytes_per_second: f64,
    /// CPU time per second.
    pub(crate) cpus: f64,
}

/// A shard without records costs a few calls and writes a second: about a tenth of what a full one does.
const IDLE: f64 = 0.1;

/// A shard takes at most so many kilobytes a second (Kinesis, "Quotas and limits").
const SHARD_KILOBYTES_PER_SECOND: f64 = 1024.0;

/// Weights are steps of this, so that noise in the figures moves nothing.
const STEP: f64 = 0.05;

/// The part of a new figure in the moving average, at each renewal.
const ALPHA: f64 = 0.2;

impl Load {
    /// One for each full shard, or for each CPU that its processor takes.
    pub(crate) fn weight(self) -> f64 {
        let load = (self.kilobytes_per_second / SHARD_KILOBYTES_PER_SECOND).max(self.cpus).max(0.0);
        IDLE + (load / STEP).round() * STEP
    }

    /// The moving average after one more measurement.
    #[must_use]
    pub(crate) fn toward(self, measured: Self) -> Self {
        let blend = |old: f64, new: f64| old + ALPHA * (new - old);
        Self {
            kilobytes_per_second: blend(self.kilobytes_per_second, measured.kilobytes_per_second),
            cpus: blend(self.cpus, measured.cpus),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_weighs_what_it_costs_most_of() {
        let weight = |kilobytes_per_second, cpus| Load { kilobytes_per_second, cpus }.weight();
        assert!((weight(0.0, 0.0) - 0.1).abs() < 1e-9);
        assert!((weight(1024.0, 0.2) - 1.1).abs() < 1e-9);
        assert!((weight(100.0, 0.5) - 0.6).abs() < 1e-9);
        assert_eq!(weight(500.0, 0.0), weight(510.0, 0.0), "noise is no difference");
    }

    #[test]
    fn a_burst_moves_the_average_by_a_part_of_it() {
        let calm = Load { kilobytes_per_second: 100.0, cpus: 0.1 };
        let after = calm.toward(Load { kilobytes_per_second: 600.0, cpus: 0.6 });
        assert!((after.kilobytes_per_second - 200.0).abs() < 1e-9 && (after.cpus - 0.2).abs() < 1e-9);
    }
}
