//! KEDA's scaler for Kinesis streams: one replica for every two open shards, whatever they carry.
//!
//! Source: kedacore/keda, commit 8b4f083, `pkg/scalers/aws_kinesis_stream_scaler.go`, with the Kubernetes autoscaler
//! behind it: it takes the highest count of the last five minutes, so replicas go down late. Lag, load and closed shards
//! that are still being read play no part. At most Weir's 16 tasks. The autoscaler's limit of doubling every 15 seconds is
//! left out: counts here change by less.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::rival::{TaskScaler, View};
use crate::decide::Service;

/// `shardCount`, the default of the scaler: shards for each replica.
const SHARDS_PER_REPLICA: u32 = 2;
/// `--horizontal-pod-autoscaler-downscale-stabilization`.
const STABILIZATION: SignedDuration = SignedDuration::from_mins(5);
const MAX: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Keda {
    recent: VecDeque<(Timestamp, u32)>,
}

impl TaskScaler for Keda {
    fn desired(&mut self, view: &View<'_>, _service: Service, desired: u32) -> u32 {
        let Some(open) = view.open_shards() else { return desired };
        let wanted = open.div_ceil(SHARDS_PER_REPLICA).clamp(1, MAX);
        self.recent.push_back((view.now, wanted));
        while self.recent.front().is_some_and(|(at, _)| view.now.duration_since(*at) > STABILIZATION) {
            self.recent.pop_front();
        }
        let highest = self.recent.iter().map(|(_, count)| *count).max().unwrap_or(wanted);
        wanted.max(desired.min(highest))
    }
}
