//! Autoscalers that others published, from their algorithms, with their defaults and their faults.
//!
//! Every file names the repository and the commit that it follows, and what is simplified. All of them see what they
//! would see on AWS: CloudWatch as published, and the stream's and services' descriptions. In one thing they are treated
//! better than by CloudWatch: the windows that they look at end at the newest minute that is published, not at the
//! present, where the last one to three minutes are always missing and a window of one minute would always be empty.
//!
//! Those that scale only the stream get the usual for their tasks, which is target tracking of CPU.

mod alarm;
mod app_auto_scaling;
mod epsagon;
mod fixed;
mod keda;
mod lambda;
mod resize;
mod rival;
mod scaling_utils;
mod series;
mod substation;
mod target_tracking;
#[cfg(test)]
mod tests;
mod votes;

use std::fmt;

use super::{Contender, Demand};
use app_auto_scaling::AppAutoScaling;
use epsagon::Epsagon;
use fixed::Fixed;
use keda::Keda;
use lambda::AwsLambda;
use rival::Rival;
use scaling_utils::ScalingUtils;
use substation::Substation;
use target_tracking::TargetTracking;
use votes::Matrix;

/// Who can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The sample that Weir succeeds, as it was shipped.
    Sample,
    /// The same with the votes of later versions of its scaler.
    SampleLater,
    /// AWS's Lambda sample: double or halve by alarms.
    AwsLambda,
    /// AWS's sample of Application Auto Scaling: one shard more or less.
    AppAutoScaling,
    Substation,
    Epsagon,
    /// KEDA for the consumers; the stream as with [`Kind::Substation`].
    Keda,
    /// An on-demand stream.
    OnDemand,
    /// As many shards and tasks as the mean minute needs.
    StaticMean,
    /// As many shards and tasks as the peak minute fills to three quarters.
    StaticPeak,
    /// Shards as with [`Kind::StaticPeak`], tasks by their CPU.
    CpuTracking,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Sample,
        Self::SampleLater,
        Self::AwsLambda,
        Self::AppAutoScaling,
        Self::Substation,
        Self::Epsagon,
        Self::Keda,
        Self::OnDemand,
        Self::StaticMean,
        Self::StaticPeak,
        Self::CpuTracking,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample-as-shipped",
            Self::SampleLater => "sample-later-votes",
            Self::AwsLambda => "aws-lambda",
            Self::AppAutoScaling => "app-auto-scaling",
            Self::Substation => "substation",
            Self::Epsagon => "epsagon",
            Self::Keda => "keda",
            Self::OnDemand => "on-demand",
            Self::StaticMean => "static-mean",
            Self::StaticPeak => "static-peak",
            Self::CpuTracking => "cpu-tracking",
        }
    }

    /// A fresh one. Only those with fixed counts look at the demand.
    #[must_use]
    pub fn contender(self, demand: &Demand) -> Box<dyn Contender> {
        let tracked = Rival::new(self.name()).consumers(TargetTracking::usual()).producers(TargetTracking::usual());
        let sample = |matrix| {
            Rival::new(self.name())
                .shards(ScalingUtils::of_the_sample(matrix))
                .consumers(TargetTracking::of_the_sample_consumers())
                .producers(TargetTracking::of_the_sample_producers())
                .fan_out()
        };
        Box::new(match self {
            Self::Sample => sample(Matrix::V960),
            Self::SampleLater => sample(Matrix::V980),
            Self::AwsLambda => tracked.shards(AwsLambda::default()),
            Self::AppAutoScaling => tracked.shards(AppAutoScaling::default()),
            Self::Substation => tracked.shards(Substation::default()),
            Self::Epsagon => tracked.shards(Epsagon::default()),
            Self::Keda => tracked.shards(Substation::default()).consumers(Keda::default()),
            Self::OnDemand => tracked.on_demand(),
            Self::StaticMean => Fixed::mean(&demand.shards).rival(self.name()),
            Self::StaticPeak => Fixed::peak(&demand.shards).rival(self.name()),
            Self::CpuTracking => tracked.begin_with(Fixed::peak(&demand.shards).shards),
        })
    }

    /// Reads `all`, `none`, or names with commas between them.
    ///
    /// # Errors
    /// When a name is not known.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, UnknownRival> {
        match text {
            "all" => Ok(Self::ALL.to_vec()),
            "none" | "" => Ok(Vec::new()),
            names => names.split(',').map(|name| Self::parse(name.trim())).collect(),
        }
    }

    fn parse(name: &str) -> Result<Self, UnknownRival> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownRival { name: name.to_owned(), known: Self::ALL.map(Self::name).join(", ") })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rival that nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("no rival is called `{name}`; there are all, none, {known}")]
pub struct UnknownRival {
    name: String,
    known: String,
}
