//! CloudFormation: stacks from a template.
//!
//! [`template`] turns text and parameters into a graph of resources, [`deploy`] makes what exists follow that graph,
//! [`provision`] knows how each type is made through the other services' own APIs, and [`operations`] is the API.

mod change_set;
mod deploy;
mod input;
mod operations;
mod provision;
mod stacks;
mod status;
mod template;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};
use input::Input;
use stacks::Stacks;
use status::StackStatus;

/// CloudFormation: stacks from a template.
pub struct CloudFormation {
    context: Context,
    stacks: Mutex<Stacks>,
    /// Wakes those who wait for a resource to be signalled.
    signalled: Notify,
}

impl CloudFormation {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context, stacks: Mutex::default(), signalled: Notify::new() })
    }

    /// Answers one API call.
    pub async fn call(self: &Arc<Self>, call: Call) -> Result<Reply, AwsError> {
        let input = Input::read(&call)?;
        let answer = match call.operation.as_str() {
            "CreateStack" => operations::stack::create(self, &input),
            "UpdateStack" => operations::stack::update(self, &input),
            "DeleteStack" => operations::stack::delete(self, &input),
            "CancelUpdateStack" => operations::stack::cancel_update(self, &input),
            "UpdateTerminationProtection" => operations::stack::protect(self, &input),
            "SignalResource" => operations::stack::signal(self, &input),
            "DescribeStacks" => operations::describe::stacks(self, &input),
            "DescribeStackEvents" => operations::describe::events(self, &input),
            "DescribeStackResource" => operations::describe::resource(self, &input),
            "DescribeStackResources" => operations::describe::resources(self, &input),
            "ListStackResources" => operations::describe::list_resources(self, &input),
            "ListStacks" => operations::describe::list_stacks(self, &input),
            "GetTemplate" => operations::template::get(self, &input),
            "GetTemplateSummary" => operations::template::summary(self, &input),
            "ValidateTemplate" => operations::template::validate(&input),
            "CreateChangeSet" => operations::change_set::create(self, &input),
            "DescribeChangeSet" => operations::change_set::describe(self, &input),
            "ExecuteChangeSet" => operations::change_set::execute(self, &input),
            "DeleteChangeSet" => operations::change_set::delete(self, &input),
            "ListChangeSets" => operations::change_set::list(self, &input),
            other => Err(AwsError::not_implemented("cloudformation", other)),
        }?;
        Reply::json(&answer)
    }

    /// The ARN and tags of every stack, and of every inert resource that can be tagged.
    pub(crate) fn tagged_resources(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let stacks = self.stacks();
        let live = stacks.all().into_iter().filter(|stack| stack.status != StackStatus::DeleteComplete);
        live.flat_map(|stack| {
            let own = std::iter::once((stack.id.clone(), stack.source.tags.clone()));
            let resources = stack.resources.values().filter(|resource| !resource.status.is_gone());
            own.chain(
                resources
                    .filter_map(|resource| Some((resource.inert_arn(&self.context.identity)?, resource.tags.clone()))),
            )
        })
        .collect()
    }

    fn stacks(&self) -> MutexGuard<'_, Stacks> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
