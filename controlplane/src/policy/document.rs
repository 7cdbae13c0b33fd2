//! Reads the text of a policy, table by table.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Policy, PolicyError, PolicyFile, VERSION, checks,
    pipelines::{PipelineNames, PipelineSpec},
    places::{Places, Scope},
    section::{Section, SetError},
    value::Value as _,
};

/// Room for hundreds of pipelines, and well below the 400 KB of a DynamoDB item.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// The tables of a policy, whoever's it is.
const TABLES: [&str; 5] = ["stream", "producer", "consumer", "guard", "schedule"];

pub(super) fn parse(text: &str) -> Result<PolicyFile, PolicyError> {
    let mut reader = Reader { places: Places::new(text) };
    if text.len() > TEXT_BYTES_MAX {
        return Err(reader.error(0..0, format!("the policy is longer than {} KiB", TEXT_BYTES_MAX / 1024)));
    }
    let root = DeTable::parse(text)
        .map_err(|error| reader.error(error.span().unwrap_or_default(), error.message().to_owned()))?;
    let root = root.get_ref();
    let policy = reader.policy(Scope::File, Policy::default(), root, &["version", "pipeline"])?;
    reader.version(root.get("version"))?;
    let mut file = PolicyFile { policy, pipelines: Vec::new() };
    if let Some(pipelines) = root.get("pipeline") {
        for (index, (_, table)) in reader.list("pipeline", pipelines)?.into_iter().enumerate() {
            let pipeline = reader.pipeline(Scope::Pipeline(index), &file.policy, table)?;
            file.pipelines.push(pipeline);
        }
    }
    checks::check(&file, &reader.places)?;
    Ok(file)
}

struct Reader<'a> {
    places: Places<'a>,
}

impl Reader<'_> {
    fn version(&self, value: Option<&Spanned<DeValue<'_>>>) -> Result<(), PolicyError> {
        let Some(value) = value else {
            let message = "the policy does not state its version";
            return Err(self.places.error(0..0, message, Some(format!("version = {VERSION} as its first line"))));
        };
        if u32::read(value.get_ref()) == Some(VERSION) {
            return Ok(());
        }
        let message = format!("this program reads policies of version {VERSION}");
        Err(self.places.error(value.span(), message, Some(VERSION.to_string())))
    }

    /// The tables of a policy over what they are where nothing is said. The `other` keys are the caller's.
    fn policy(
        &mut self,
        scope: Scope,
        mut policy: Policy,
        table: &DeTable<'_>,
        other: &[&str],
    ) -> Result<Policy, PolicyError> {
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "stream" => self.section(scope, &mut policy.stream, value, &[])?,
                "producer" => self.section(scope, &mut policy.producer, value, &[])?,
                "consumer" => self.section(scope, &mut policy.consumer, value, &[])?,
                "guard" => {
                    self.section(scope, &mut policy.guard, value, &["freeze"])?;
                    if let Some(freezes) = value.get_ref().as_table().and_then(|guard| guard.get("freeze")) {
                        policy.freezes = self.sections(scope, freezes)?;
                    }
                }
                "schedule" => policy.schedules = self.sections(scope, value)?,
                name if other.contains(&name) => {}
                name => {
                    let known = [other, &TABLES[..]].concat();
                    let table = matches!(scope, Scope::Pipeline(_)).then_some("[pipeline]");
                    return Err(self.places.unknown(key.span(), name, table, &known));
                }
            }
        }
        Ok(policy)
    }

    fn pipeline(
        &mut self,
        scope: Scope,
        defaults: &Policy,
        table: &Spanned<DeValue<'_>>,
    ) -> Result<PipelineSpec, PolicyError> {
        let keys = PipelineNames::keys();
        let names: Vec<_> = keys.iter().map(|key| key.name).collect();
        let Some(entries) = table.get_ref().as_table() else { return Err(self.no_table(table.span(), "pipeline")) };
        let policy = self.policy(scope, defaults.clone(), entries, &names)?;
        let mut own = PipelineNames::default();
        for (key, value) in entries.iter().filter(|(key, _)| names.contains(&key.get_ref().as_ref())) {
            self.set(&mut own, "[pipeline]", key, value)?;
            self.places.note(scope, key.get_ref(), value.span());
        }
        self.needed::<PipelineNames>(table.span(), "pipeline", entries)?;
        Ok(PipelineSpec::new(own, policy))
    }

    /// A table over what it is where nothing is said. The `other` keys are the caller's.
    fn section<S: Section>(
        &mut self,
        scope: Scope,
        section: &mut S,
        value: &Spanned<DeValue<'_>>,
        other: &[&str],
    ) -> Result<(), PolicyError> {
        let written = scope.written(S::TABLE);
        let Some(table) = value.get_ref().as_table() else { return Err(self.no_table(value.span(), &written)) };
        for (key, value) in table.iter().filter(|(key, _)| !other.contains(&key.get_ref().as_ref())) {
            self.set(section, &written, key, value)?;
            self.places.note(scope, &format!("{}.{}", S::TABLE, key.get_ref()), value.span());
        }
        Ok(())
    }

    /// A list of tables, each over its defaults.
    fn sections<S: Section>(&mut self, scope: Scope, value: &Spanned<DeValue<'_>>) -> Result<Vec<S>, PolicyError> {
        let written = scope.written(S::TABLE);
        let mut sections = Vec::new();
        for (index, (table, spanned)) in self.list(&written, value)?.into_iter().enumerate() {
            let mut section = S::default();
            for (key, value) in table {
                self.set(&mut section, &format!("[{written}]"), key, value)?;
                self.places.note(scope, &format!("{}.{index}.{}", S::TABLE, key.get_ref()), value.span());
            }
            self.needed::<S>(spanned.span(), &written, table)?;
            sections.push(section);
        }
        Ok(sections)
    }

    /// The tables of a list, each also with its place.
    fn list<'t, 'd>(
        &self,
        written: &str,
        value: &'t Spanned<DeValue<'d>>,
    ) -> Result<Vec<(&'t DeTable<'d>, &'t Spanned<DeValue<'d>>)>, PolicyError> {
        let wrong =
            |span| self.error(span, format!("`{written}` is a list: write [[{written}]] above each of its tables"));
        let entries = value.get_ref().as_array().ok_or_else(|| wrong(value.span()))?;
        entries
            .iter()
            .map(|entry| Ok((entry.get_ref().as_table().ok_or_else(|| wrong(entry.span()))?, entry)))
            .collect()
    }

    fn set<S: Section>(
        &self,
        section: &mut S,
        written: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), PolicyError> {
        let name = key.get_ref().as_ref();
        section.set(name, value.get_ref()).map_err(|error| match error {
            SetError::UnknownKey => {
                let keys: Vec<_> = S::keys().iter().map(|key| key.name).collect();
                self.places.unknown(key.span(), name, Some(written), &keys)
            }
            SetError::WrongValue { allowed } => {
                self.places.error(value.span(), format!("`{name}` cannot have this value"), Some(allowed))
            }
        })
    }

    fn needed<S: Section>(&self, span: Range<usize>, written: &str, table: &DeTable<'_>) -> Result<(), PolicyError> {
        match S::NEEDED.iter().find(|needed| !table.contains_key(**needed)) {
            Some(missing) => Err(self.error(span, format!("[[{written}]] needs `{missing}`"))),
            None => Ok(()),
        }
    }

    fn no_table(&self, span: Range<usize>, written: &str) -> PolicyError {
        let last = written.rsplit('.').next().unwrap_or(written);
        self.error(span, format!("`{last}` is a table: write [{written}] above its keys"))
    }

    fn error(&self, span: Range<usize>, message: String) -> PolicyError {
        self.places.error(span, message, None)
    }
}
