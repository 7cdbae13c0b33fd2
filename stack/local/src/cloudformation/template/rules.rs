//! Rules: what a combination of parameters must satisfy.

use super::{TemplateError, document::Node, evaluate::Scope, expression::Expression, sections::optional_text};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    name: String,
    condition: Option<Expression>,
    assertions: Vec<Assertion>,
}

#[derive(Debug, Clone, PartialEq)]
struct Assertion {
    assert: Expression,
    description: Option<String>,
}

impl Rule {
    pub(super) fn parse(name: &str, node: &Node) -> Result<Self, TemplateError> {
        let Some(assertions) = node.get("Assertions").and_then(Node::list) else {
            let text = format!("Template format error: rule {name} must contain a list of Assertions.");
            return Err(TemplateError::at(node.at, text));
        };
        let assertions = assertions
            .iter()
            .map(|node| {
                let assert = node.get("Assert").ok_or_else(|| {
                    TemplateError::at(
                        node.at,
                        format!("Template format error: rule {name} has an assertion without Assert."),
                    )
                })?;
                Ok(Assertion {
                    assert: Expression::parse(assert)?,
                    description: optional_text(node, "AssertDescription")?,
                })
            })
            .collect::<Result<_, TemplateError>>()?;
        let condition = node.get("RuleCondition").map(Expression::parse).transpose()?;
        Ok(Self { name: name.to_owned(), condition, assertions })
    }

    pub(super) fn check(&self, scope: &Scope<'_>) -> Result<(), TemplateError> {
        if let Some(condition) = &self.condition
            && !scope.condition(condition)?
        {
            return Ok(());
        }
        for assertion in &self.assertions {
            if !scope.condition(&assertion.assert)? {
                let description = assertion.description.as_deref().unwrap_or("the assertion is false");
                let text = format!("Template error: rule {} is not satisfied: {description}", self.name);
                return Err(TemplateError::at(assertion.assert.at, text));
            }
        }
        Ok(())
    }
}
