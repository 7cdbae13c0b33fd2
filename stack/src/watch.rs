//! A stack on its way: new events are reported until it settles.

use std::collections::HashSet;

use aws_sdk_cloudformation::types::StackEvent;

use crate::{
    call::{CallError, call},
    clients::Clients,
    pace::Pace,
    progress::{Event, Progress},
    stack::{FoundStack, find},
    tasks::StoppedTasks,
};

/// CloudFormation words the failure of what it stopped because something else failed like this.
const CONSEQUENCE: &str = "cancelled";

/// Reports what happens to one stack.
pub(crate) struct Watch<'a> {
    clients: &'a Clients,
    progress: &'a Progress,
    stack_id: String,
    seen: HashSet<String>,
    tasks: Option<StoppedTasks>,
    first_failure: Option<String>,
}

impl<'a> Watch<'a> {
    /// Watches from the stack's beginning.
    pub(crate) fn from_start(clients: &'a Clients, progress: &'a Progress, stack_id: &str) -> Self {
        let (stack_id, seen) = (stack_id.to_owned(), HashSet::new());
        Self { clients, progress, stack_id, seen, tasks: None, first_failure: None }
    }

    /// Watches what happens from now on.
    pub(crate) async fn from_now(
        clients: &'a Clients,
        progress: &'a Progress,
        stack_id: &str,
    ) -> Result<Self, CallError> {
        let mut watch = Self::from_start(clients, progress, stack_id);
        watch.news().await?;
        Ok(watch)
    }

    /// Reports tasks of `cluster` that stop, too.
    pub(crate) fn with_tasks(mut self, tasks: StoppedTasks) -> Self {
        self.tasks = Some(tasks);
        self
    }

    /// What failed first, and so is the cause of what failed after it.
    pub(crate) fn first_failure(&self) -> Option<&str> {
        self.first_failure.as_deref()
    }

    /// Returns when nothing is in progress. `None`: the stack is gone and forgotten.
    pub(crate) async fn until_settled(&mut self) -> Result<Option<FoundStack>, CallError> {
        let mut pace = Pace::new();
        loop {
            // Read before the events: what settled the stack is then among them.
            let Some(stack) = find(self.clients, &self.stack_id).await? else { return Ok(None) };
            self.report_news().await?;
            if stack.is_settled() {
                return Ok(Some(stack));
            }
            if let Some(tasks) = &mut self.tasks {
                tasks.report(self.clients, self.progress).await?;
            }
            pace.pause().await;
        }
    }

    async fn report_news(&mut self) -> Result<(), CallError> {
        for event in self.news().await? {
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let status = event.resource_status().map(|status| status.as_str().to_owned()).unwrap_or_default();
            let reason = event.resource_status_reason().map(str::to_owned);
            let logical_id = text(event.logical_resource_id());
            if self.first_failure.is_none() && status.ends_with("_FAILED") {
                let cause = reason.as_deref().filter(|reason| !reason.contains(CONSEQUENCE));
                self.first_failure = cause.map(|reason| format!("{logical_id}: {reason}"));
            }
            let kind = text(event.resource_type());
            self.progress.report(Event::Stack { logical_id, kind, status, reason }).await;
        }
        Ok(())
    }

    /// The events since the last call, oldest first. Pages come newest first.
    async fn news(&mut self) -> Result<Vec<StackEvent>, CallError> {
        let mut news = Vec::new();
        let mut page = None;
        loop {
            let request =
                self.clients.cloudformation.describe_stack_events().stack_name(&self.stack_id).set_next_token(page);
            let answer = call("cloudformation:DescribeStackEvents", request.send()).await?;
            let before = news.len();
            let events = answer.stack_events.unwrap_or_default();
            let listed = events.len();
            news.extend(
                events.into_iter().filter(|event| self.seen.insert(event.event_id().unwrap_or_default().into())),
            );
            page = answer.next_token;
            if page.is_none() || news.len() - before < listed {
                news.reverse();
                return Ok(news);
            }
        }
    }
}
