//! A stack from nothing.

use aws_sdk_cloudformation::types::Capability;

use super::{
    DeployError, Work,
    delivery::{self, Ended},
    parameters, tags,
};
use crate::{
    call::call,
    limits::STACK_CREATION_MINUTES,
    progress::Phase,
    stack::FoundStack,
    tasks::StoppedTasks,
    template::{self, Parameter},
    watch::Watch,
};

/// Asks for the stack. That it exists already is no error: an earlier call may have got through unanswered.
pub(super) async fn start(work: Work<'_>) -> Result<(), DeployError> {
    work.progress.enter(Phase::CreatingStack).await;
    let request = work.request;
    let protect = request.parameters.get(&Parameter::Protect).is_some_and(|protect| protect == "true");
    let creation = work
        .clients
        .cloudformation
        .create_stack()
        .stack_name(request.name.as_str())
        .template_body(template::body())
        .set_parameters(Some(parameters::of_creation(request)))
        .set_tags(Some(tags(request)))
        .capabilities(Capability::CapabilityIam)
        .timeout_in_minutes(STACK_CREATION_MINUTES)
        .retain_except_on_create(true)
        .enable_termination_protection(protect);
    match call("cloudformation:CreateStack", creation.send()).await {
        Err(error) if error.is(&["AlreadyExistsException"]) => Ok(()),
        created => created.map(drop).map_err(DeployError::from),
    }
}

/// Delivers the images as soon as there is a place for them, and sees the stack created.
pub(super) async fn follow(work: Work<'_>, stack: &FoundStack) -> Result<Ended, DeployError> {
    if !parameters::has_images(stack, &work.request.images) {
        return Err(DeployError::OtherImages { stack: work.request.name.to_string() });
    }
    let tasks = StoppedTasks::of(work.request.name.as_str());
    let watch = Watch::from_start(work.clients, work.progress, &stack.id).with_tasks(tasks);
    delivery::alongside(work, &stack.id, watch).await
}
