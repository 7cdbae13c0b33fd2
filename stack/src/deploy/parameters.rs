//! The parameters of one deployment, from what was asked for and what is there.

use aws_sdk_cloudformation::types::Parameter as Value;

use super::{Images, Request};
use crate::{
    name::Role,
    stack::FoundStack,
    template::{IMAGE_SOURCE, Parameter, image_parameter},
};

/// Parameters of a new stack.
pub(super) fn of_creation(request: &Request) -> Vec<Value> {
    let asked = request.parameters.iter().map(|(parameter, text)| value(parameter.as_str(), text));
    of_images(&request.images).chain(asked).collect()
}

/// Parameters of an update: what was not asked for stays, and the stream keeps the shards that it has.
pub(super) fn of_update(request: &Request, stack: &FoundStack, open_shards: Option<i32>) -> Vec<Value> {
    let shards = open_shards.map(|count| count.to_string());
    let others = Parameter::ALL.iter().filter_map(|parameter| {
        let asked = match parameter {
            Parameter::ShardCount => shards.as_ref(),
            other => request.parameters.get(other),
        };
        asked.map(|text| value(parameter.as_str(), text)).or_else(|| previous(stack, *parameter))
    });
    of_images(&request.images).chain(others).collect()
}

/// Whether the stack that is there was made for exactly these images.
pub(super) fn has_images(stack: &FoundStack, images: &Images) -> bool {
    of_images(images).all(|value| value.parameter_key().and_then(|key| stack.parameter(key)) == value.parameter_value())
}

fn of_images(images: &Images) -> impl Iterator<Item = Value> {
    let source = match images {
        Images::Push(_) => "push",
        Images::Registry(_) => "registry",
    };
    let reference = |role| match images {
        Images::Push(images) => images.get(role).digest().as_str(),
        Images::Registry(references) => references.get(role),
    };
    let images = Role::ALL.map(|role| value(image_parameter(role), reference(role)));
    std::iter::once(value(IMAGE_SOURCE, source)).chain(images)
}

fn value(key: &str, value: &str) -> Value {
    Value::builder().parameter_key(key).parameter_value(value).build()
}

/// A parameter that an older template did not have takes its default.
fn previous(stack: &FoundStack, parameter: Parameter) -> Option<Value> {
    stack.parameter(parameter.as_str())?;
    Some(Value::builder().parameter_key(parameter.as_str()).use_previous_value(true).build())
}
