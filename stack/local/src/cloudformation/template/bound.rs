//! A template with parameters: the graph of resources to build.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    CreationPolicy, Given, Graph, Position, ResourceDefinition, Template, TemplateError,
    document::scalar_text,
    evaluate::Scope,
    expression::Expression,
    graph, parameters,
    references::{self, Reference},
    sections::unresolved,
};

/// What CloudFormation writes in change sets for values that only exist once the change set has been executed.
const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// Source: `ResourceSignal.Timeout` defaults to five minutes.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What the pseudo parameters stand for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pseudo {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) stack_name: String,
    pub(crate) stack_id: String,
    pub(crate) notification_arns: Vec<String>,
}

impl Pseudo {
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        Some(match name {
            "AWS::Region" => json!(self.region),
            "AWS::AccountId" => json!(self.account),
            "AWS::StackName" => json!(self.stack_name),
            "AWS::StackId" => json!(self.stack_id),
            "AWS::Partition" => json!("aws"),
            "AWS::URLSuffix" => json!("amazonaws.com"),
            "AWS::NotificationARNs" => json!(self.notification_arns),
            _ => return None,
        })
    }
}

/// What others can refer to in a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    Provisioned {
        physical_id: String,
        attributes: BTreeMap<String, Value>,
    },
    /// Not made yet, while a change set is computed.
    AfterApply,
}

impl Known {
    pub(super) fn placeholder() -> Value {
        Value::String(KNOWN_AFTER_APPLY.to_owned())
    }
}

/// An output of a stack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputValue {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<String>,
}

/// A template whose parameters and conditions have values. Resources whose condition is false are not part of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    template: Arc<Template>,
    pseudo: Pseudo,
    parameters: BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
    dependencies: Graph,
}

impl Bound {
    /// Gives a template its parameters.
    ///
    /// # Errors
    /// When a parameter breaks its declaration, a rule is not satisfied, a reference leads nowhere, or resources depend
    /// on each other in a circle.
    pub(crate) fn new(template: Arc<Template>, pseudo: Pseudo, given: &Given) -> Result<Self, TemplateError> {
        let parameters = parameters::bind(&template.parameters, given)?;
        let mut bound = Self { template, pseudo, parameters, conditions: BTreeMap::new(), dependencies: Graph::new() };
        bound.conditions = bound.evaluate_conditions()?;
        let nothing = BTreeMap::new();
        bound.template.rules.iter().try_for_each(|rule| rule.check(&bound.scope(&nothing)))?;
        bound.dependencies = bound.graph()?;
        bound.check_outputs()?;
        let cycle = graph::cycle(&bound.dependencies);
        match cycle.first().and_then(|name| bound.definition(name)) {
            Some(first) => {
                let text = format!("Circular dependency between resources: [{}]", cycle.join(", "));
                Err(TemplateError::at(first.at, text))
            }
            None => Ok(bound),
        }
    }

    /// Each resource of the stack with those that must exist before it.
    pub(crate) fn dependencies(&self) -> &Graph {
        &self.dependencies
    }

    pub(crate) fn template(&self) -> &Template {
        &self.template
    }

    pub(crate) fn parameters(&self) -> &BTreeMap<String, Value> {
        &self.parameters
    }

    /// The definition of a resource that is part of the stack.
    pub(crate) fn definition(&self, name: &str) -> Option<&ResourceDefinition> {
        self.template.resources.get(name).filter(|resource| self.holds(resource.condition.as_deref()))
    }

    /// The properties of a resource, once what it depends on is `known`. Always an object.
    pub(crate) fn properties(&self, name: &str, known: &BTreeMap<String, Known>) -> Result<Value, TemplateError> {
        match self.definition(name) {
            Some(definition) => Ok(self.scope(known).value(&definition.properties)?.unwrap_or_else(|| json!({}))),
            None => Err(TemplateError::call(format!("Resource {name} is not part of the stack"))),
        }
    }

    /// The resource's `CreationPolicy`, when it waits for signals.
    pub(crate) fn creation_policy(&self, name: &str) -> Result<Option<CreationPolicy>, TemplateError> {
        let Some(policy) = self.definition(name).and_then(|definition| definition.creation_policy.as_ref()) else {
            return Ok(None);
        };
        let value = self.scope(&BTreeMap::new()).value(policy)?.unwrap_or_default();
        let signal = &value["ResourceSignal"];
        if signal.is_null() {
            return Ok(None);
        }
        let invalid =
            |what: &str| TemplateError::at(policy.at, format!("Template format error: {what} of resource {name}"));
        let count = match &signal["Count"] {
            Value::Null => 1,
            count => scalar_text(count).parse().map_err(|_| invalid("invalid ResourceSignal.Count"))?,
        };
        let timeout = match &signal["Timeout"] {
            Value::Null => SIGNAL_TIMEOUT,
            timeout => scalar_text(timeout)
                .parse::<jiff::SignedDuration>()
                .ok()
                .and_then(|timeout| Duration::try_from(timeout).ok())
                .ok_or_else(|| invalid("invalid ResourceSignal.Timeout (ISO 8601, for example PT15M)"))?,
        };
        Ok(Some(CreationPolicy { count, timeout }))
    }

    /// The outputs, once every resource is `known`.
    pub(crate) fn outputs(&self, known: &BTreeMap<String, Known>) -> Result<Vec<OutputValue>, TemplateError> {
        let scope = self.scope(known);
        let text = |expression: &Expression| -> Result<String, TemplateError> {
            Ok(match scope.value(expression)?.unwrap_or_default() {
                list @ (Value::Array(_) | Value::Object(_)) => list.to_string(),
                scalar => scalar_text(&scalar),
            })
        };
        let wanted = self.template.outputs.iter().filter(|(_, output)| self.holds(output.condition.as_deref()));
        wanted
            .map(|(key, output)| {
                Ok(OutputValue {
                    key: key.clone(),
                    value: text(&output.value)?,
                    description: output.description.clone(),
                    export: output.export.as_ref().map(text).transpose()?,
                })
            })
            .collect()
    }

    /// Every `Fn::GetAtt` of the stack with a literal attribute: the resource's definition, the attribute, the place.
    pub(crate) fn attributes(&self) -> Vec<(&str, &ResourceDefinition, &str, Position)> {
        let properties = self.dependencies.keys().filter_map(|name| Some(&self.definition(name)?.properties));
        let outputs = self.active_outputs();
        properties
            .chain(outputs)
            .flat_map(|expression| references::of(expression, &self.conditions))
            .filter_map(|reference| {
                Some((reference.name, self.definition(reference.name)?, reference.attribute?, reference.at))
            })
            .collect()
    }

    fn holds(&self, condition: Option<&str>) -> bool {
        condition.is_none_or(|name| self.conditions.get(name).copied().unwrap_or(false))
    }

    fn scope<'a>(&'a self, known: &'a BTreeMap<String, Known>) -> Scope<'a> {
        Scope {
            pseudo: &self.pseudo,
            parameters: &self.parameters,
            mappings: &self.template.mappings,
            conditions: &self.conditions,
            known,
        }
    }

    /// Conditions may use each other, so those whose own conditions are known are evaluated until all are.
    fn evaluate_conditions(&self) -> Result<BTreeMap<String, bool>, TemplateError> {
        let mut done = BTreeMap::new();
        let mut open: BTreeMap<&String, &Expression> = self.template.conditions.iter().collect();
        while !open.is_empty() {
            let ready: Vec<_> = open
                .iter()
                .filter(|(_, expression)| !expression.conditions().iter().any(|name| open.contains_key(name)))
                .map(|(name, expression)| (*name, *expression))
                .collect();
            if ready.is_empty() {
                let names = open.keys().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(TemplateError::call(format!("Circular dependency between conditions: [{names}]")));
            }
            for (name, expression) in ready {
                let nothing = BTreeMap::new();
                let scope = Scope { conditions: &done, ..self.scope(&nothing) };
                let value = scope.condition(expression)?;
                done.insert(name.clone(), value);
                open.remove(name);
            }
        }
        Ok(done)
    }

    fn graph(&self) -> Result<Graph, TemplateError> {
        for definition in self.template.resources.values() {
            if let Some(name) = definition.condition.as_ref().filter(|name| !self.conditions.contains_key(*name)) {
                let text = format!(
                    "Template format error: Unresolved condition dependency {name} in the Resources block of the template"
                );
                return Err(TemplateError::at(definition.at, text));
            }
        }
        let active = self.template.resources.iter().filter(|(_, resource)| self.holds(resource.condition.as_deref()));
        active.map(|(name, resource)| Ok((name.clone(), self.dependencies_of(resource)?))).collect()
    }

    fn dependencies_of(&self, resource: &ResourceDefinition) -> Result<BTreeSet<String>, TemplateError> {
        let mut names = BTreeSet::new();
        for reference in references::of(&resource.properties, &self.conditions) {
            if self.is_value(&reference) {
                continue;
            }
            self.check_resource(reference.name, reference.at, "Resources")?;
            names.insert(reference.name.to_owned());
        }
        for (name, at) in &resource.depends_on {
            if !self.template.resources.contains_key(name) {
                self.check_resource(name, *at, "Resources")?;
            }
            // A dependency on a resource whose condition is false is ignored, as CloudFormation does.
            if self.definition(name).is_some() {
                names.insert(name.clone());
            }
        }
        Ok(names)
    }

    fn active_outputs(&self) -> impl Iterator<Item = &Expression> {
        let active = self.template.outputs.values().filter(|output| self.holds(output.condition.as_deref()));
        active.flat_map(|output| std::iter::once(&output.value).chain(&output.export))
    }

    fn check_outputs(&self) -> Result<(), TemplateError> {
        let references = self.active_outputs().flat_map(|expression| references::of(expression, &self.conditions));
        for reference in references.filter(|reference| !self.is_value(reference)) {
            self.check_resource(reference.name, reference.at, "Outputs")?;
        }
        Ok(())
    }

    /// Whether a reference is to a parameter or pseudo parameter rather than to a resource.
    fn is_value(&self, reference: &Reference<'_>) -> bool {
        let name = reference.name;
        let value = name == "AWS::NoValue" || self.pseudo.get(name).is_some() || self.parameters.contains_key(name);
        value && !reference.is_attribute
    }

    fn check_resource(&self, name: &str, at: Position, block: &str) -> Result<(), TemplateError> {
        if self.definition(name).is_some() {
            return Ok(());
        }
        Err(unresolved(name, at, block))
    }
}
