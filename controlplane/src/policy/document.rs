//! Reads the text of a policy, table by table, and remembers where each key stands.

use std::{collections::BTreeMap, ops::Range};

use toml::de::{DeTable, DeValue};

use super::{
    Policy, PolicyError, VERSION,
    section::{Section, SetError},
    value::Value as _,
};

/// Far more than any policy needs, and well below the 400 KB of a DynamoDB item.
const TEXT_BYTES_MAX: usize = 64 * 1024;

const TABLES: &str = "version, [stream], [producer], [consumer], [guard]";

/// Where the values of keys stand in the text, by `table.key`.
type Places = BTreeMap<String, Range<usize>>;

struct Document<'a> {
    text: &'a str,
    places: Places,
}

pub(super) fn parse(text: &str) -> Result<Policy, PolicyError> {
    let mut document = Document { text, places: Places::new() };
    if text.len() > TEXT_BYTES_MAX {
        return Err(document.error(0..0, format!("the policy is longer than {} KiB", TEXT_BYTES_MAX / 1024)));
    }
    let root = DeTable::parse(text)
        .map_err(|error| document.error(error.span().unwrap_or_default(), error.message().to_owned()))?;
    let mut policy = Policy::default();
    let mut versioned = false;
    for (key, value) in root.get_ref() {
        match key.get_ref().as_ref() {
            "version" => {
                document.version(value.span(), value.get_ref())?;
                versioned = true;
            }
            "stream" => document.table(&mut policy.stream, value.span(), value.get_ref())?,
            "producer" => document.table(&mut policy.producer, value.span(), value.get_ref())?,
            "consumer" => document.table(&mut policy.consumer, value.span(), value.get_ref())?,
            "guard" => document.table(&mut policy.guard, value.span(), value.get_ref())?,
            unknown => {
                let message = format!("unknown key `{unknown}`");
                return Err(PolicyError::new(text, key.span(), message, Some(TABLES.to_owned())));
            }
        }
    }
    if !versioned {
        let message = "the policy does not state its version".to_owned();
        return Err(PolicyError::new(text, 0..0, message, Some(format!("version = {VERSION} as its first line"))));
    }
    document.check(&policy)?;
    Ok(policy)
}

impl Document<'_> {
    fn version(&self, span: Range<usize>, value: &DeValue<'_>) -> Result<(), PolicyError> {
        if u32::read(value) == Some(VERSION) {
            return Ok(());
        }
        let message = format!("this program reads policies of version {VERSION}");
        Err(PolicyError::new(self.text, span, message, Some(VERSION.to_string())))
    }

    fn table<S: Section>(
        &mut self,
        section: &mut S,
        span: Range<usize>,
        value: &DeValue<'_>,
    ) -> Result<(), PolicyError> {
        let Some(table) = value.as_table() else {
            return Err(self.error(span, format!("`{}` is a table: write [{}] above its keys", S::TABLE, S::TABLE)));
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            section.set(name, value.get_ref()).map_err(|error| match error {
                SetError::UnknownKey => {
                    let keys: Vec<_> = S::keys().iter().map(|key| key.name).collect();
                    let message = format!("unknown key `{name}` in [{}]", S::TABLE);
                    PolicyError::new(self.text, key.span(), message, Some(keys.join(", ")))
                }
                SetError::WrongValue { allowed } => {
                    let message = format!("`{name}` cannot have this value");
                    PolicyError::new(self.text, value.span(), message, Some(allowed))
                }
            })?;
            self.places.insert(format!("{}.{name}", S::TABLE), value.span());
        }
        Ok(())
    }

    /// What two keys must agree on. The error points at whichever of the two was written, the first by preference.
    fn check(&self, policy: &Policy) -> Result<(), PolicyError> {
        let Policy { stream, producer, consumer, guard } = policy;
        self.ordered("stream", ("min_shards", stream.min_shards.0), ("max_shards", stream.max_shards.0))?;
        self.ordered("producer", ("min_tasks", producer.min_tasks.0), ("max_tasks", producer.max_tasks.0))?;
        self.ordered("consumer", ("min_tasks", consumer.min_tasks.0), ("max_tasks", consumer.max_tasks.0))?;
        let (reserved, reshards) = (guard.reserved_for_up, guard.daily_reshards);
        self.ordered("guard", ("reserved_for_up", reserved), ("daily_reshards", reshards))
    }

    fn ordered(&self, table: &str, low: (&str, u32), high: (&str, u32)) -> Result<(), PolicyError> {
        if low.1 <= high.1 {
            return Ok(());
        }
        let place = |key: &str| self.places.get(&format!("{table}.{key}")).cloned();
        let (span, allowed) = match (place(low.0), place(high.0)) {
            (Some(span), _) => (span, format!("at most {}, which is {}", high.1, high.0)),
            (None, span) => (span.unwrap_or_default(), format!("at least {}, which is {}", low.1, low.0)),
        };
        let message = format!("{} ({}) is more than {} ({})", low.0, low.1, high.0, high.1);
        Err(PolicyError::new(self.text, span, message, Some(allowed)))
    }

    fn error(&self, span: Range<usize>, message: String) -> PolicyError {
        PolicyError::new(self.text, span, message, None)
    }
}
