//! What several keys must agree on. An error points at the one that was written.

use super::{
    Freeze, PipelineSpec, Policy, PolicyError, PolicyFile, Schedule,
    places::{Places, Scope},
};

pub(super) fn check(file: &PolicyFile, places: &Places<'_>) -> Result<(), PolicyError> {
    Checks { places, scope: Scope::File }.policy(&file.policy)?;
    for (index, pipeline) in file.pipelines.iter().enumerate() {
        let checks = Checks { places, scope: Scope::Pipeline(index) };
        checks.pipeline(pipeline, &file.pipelines[..index])?;
        checks.policy(&pipeline.policy)?;
    }
    Ok(())
}

struct Checks<'a> {
    places: &'a Places<'a>,
    scope: Scope,
}

impl Checks<'_> {
    fn policy(&self, policy: &Policy) -> Result<(), PolicyError> {
        let Policy { stream, producer, consumer, guard, freezes, schedules } = policy;
        self.ordered("stream", ("min_shards", stream.min_shards.0), ("max_shards", stream.max_shards.0))?;
        self.ordered("producer", ("min_tasks", producer.min_tasks.0), ("max_tasks", producer.max_tasks.0))?;
        self.ordered("consumer", ("min_tasks", consumer.min_tasks.0), ("max_tasks", consumer.max_tasks.0))?;
        let (reserved, reshards) = (guard.reserved_for_up, guard.daily_reshards);
        self.ordered("guard", ("reserved_for_up", reserved), ("daily_reshards", reshards))?;
        let warm = |bytes: Option<crate::units::BytesPerSecond>| bytes.map(|bytes| bytes.0);
        if warm(stream.min_warm_throughput) > warm(stream.max_warm_throughput) {
            let message = "min_warm_throughput is more than max_warm_throughput, or that is \"off\"";
            let allowed = "at most max_warm_throughput".to_owned();
            return Err(self.at("stream.min_warm_throughput", message, Some(allowed)));
        }
        self.names("schedule", schedules.iter().map(|schedule| schedule.name.as_str()))?;
        self.names("guard.freeze", freezes.iter().map(|freeze| freeze.name.as_str()))?;
        schedules.iter().enumerate().try_for_each(|(index, schedule)| self.schedule(index, schedule, policy))?;
        freezes.iter().enumerate().try_for_each(|(index, freeze)| self.freeze(index, freeze))
    }

    fn ordered(&self, table: &str, low: (&str, u32), high: (&str, u32)) -> Result<(), PolicyError> {
        if low.1 <= high.1 {
            return Ok(());
        }
        let place = |key: &str| self.places.find(self.scope, &format!("{table}.{key}"));
        let (span, allowed) = match (place(low.0), place(high.0)) {
            (Some(span), _) => (span, format!("at most {}, which is {}", high.1, high.0)),
            (None, span) => (span.unwrap_or_default(), format!("at least {}, which is {}", low.1, low.0)),
        };
        let message = format!("{} ({}) is more than {} ({})", low.0, low.1, high.0, high.1);
        Err(self.places.error(span, message, Some(allowed)))
    }

    /// A floor above the cap could never be met.
    fn schedule(&self, index: usize, schedule: &Schedule, policy: &Policy) -> Result<(), PolicyError> {
        let floors = [
            ("min_shards", schedule.min_shards.map(|it| it.0), "max_shards", policy.stream.max_shards.0),
            ("min_producers", schedule.min_producers.map(|it| it.0), "max_tasks", policy.producer.max_tasks.0),
            ("min_consumers", schedule.min_consumers.map(|it| it.0), "max_tasks", policy.consumer.max_tasks.0),
        ];
        for (key, floor, cap, max) in floors {
            if let Some(floor) = floor.filter(|floor| *floor > max) {
                let message = format!("{key} ({floor}) is more than {cap} ({max})");
                let allowed = format!("at most {max}, which is {cap}");
                return Err(self.at(&format!("schedule.{index}.{key}"), message, Some(allowed)));
            }
        }
        if floors.iter().all(|(_, floor, ..)| floor.is_none()) {
            let message = format!("the schedule `{}` asks for nothing", schedule.name);
            let allowed = "min_shards, min_producers or min_consumers beside it".to_owned();
            return Err(self.at(&format!("schedule.{index}.name"), message, Some(allowed)));
        }
        Ok(())
    }

    fn freeze(&self, index: usize, freeze: &Freeze) -> Result<(), PolicyError> {
        let place = |key: &str| format!("guard.freeze.{index}.{key}");
        match (&freeze.cron, freeze.from, freeze.to) {
            (Some(_), None, None) => Ok(()),
            (None, Some(from), Some(to)) if from < to => Ok(()),
            (None, Some(_), Some(_)) => {
                Err(self.at(&place("to"), "the freeze ends before it begins", Some("a time after `from`".to_owned())))
            }
            _ => {
                let message = format!("when the freeze `{}` holds is not clear", freeze.name);
                let allowed = "either `cron`, or `from` and `to`".to_owned();
                Err(self.at(&place("name"), message, Some(allowed)))
            }
        }
    }

    fn names<'n>(&self, table: &str, names: impl Iterator<Item = &'n str>) -> Result<(), PolicyError> {
        let mut seen = Vec::new();
        for (index, name) in names.enumerate() {
            if seen.contains(&name) {
                let message = format!("there is another [[{table}]] named `{name}`");
                return Err(self.at(&format!("{table}.{index}.name"), message, None));
            }
            seen.push(name);
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &PipelineSpec, others: &[PipelineSpec]) -> Result<(), PolicyError> {
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        for (key, name) in [("name", &pipeline.name), ("stream_name", &pipeline.stream)] {
            if !plain(name) || name.len() > 128 {
                let allowed = "1 to 128 letters, digits, `_`, `.` and `-`".to_owned();
                return Err(self.at(key, format!("`{name}` is no {key} of a pipeline"), Some(allowed)));
            }
        }
        if others.iter().any(|other| other.name == pipeline.name) {
            return Err(self.at("name", format!("there is another pipeline named `{}`", pipeline.name), None));
        }
        if let Some(other) = others.iter().find(|other| other.stream == pipeline.stream) {
            let message = format!("`{}` is sized by pipeline `{}` already", pipeline.stream, other.name);
            return Err(self.at("stream_name", message, None));
        }
        let service = pipeline.producer_service.is_some() || pipeline.consumer_service.is_some();
        if service && pipeline.cluster.is_none() {
            let key = if pipeline.producer_service.is_some() { "producer_service" } else { "consumer_service" };
            return Err(self.at(
                key,
                format!("in which cluster {key} runs is not said"),
                Some("`cluster` beside it".to_owned()),
            ));
        }
        Ok(())
    }

    fn at(&self, key: &str, message: impl Into<String>, allowed: Option<String>) -> PolicyError {
        self.places.error(self.places.find(self.scope, key).unwrap_or_default(), message, allowed)
    }
}
