//! CloudWatch Logs: what tasks print.
//!
//! Lines are buffered per stream, written to segment files at least every 100 ms, and readable at once. The order of
//! arrival within a group is the order of reading and the meaning of every token. Retention
//! policies are kept and shown, but what bounds a stream here is its size; nothing outlives the process.

mod event;
mod get_events;
mod group;
mod groups;
mod pattern;
mod read;
mod stream;
mod streams;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};

use group::{Files, Group, SharedGroup, lock};

/// Quotas and delays.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How much of a stream is kept; then its oldest part is forgotten. CloudWatch Logs keeps everything.
    pub bytes_per_stream: u64,
    /// How many streams a group keeps; then the one that was quiet longest is forgotten. CloudWatch Logs keeps all.
    pub streams_per_group: usize,
    /// How long a line may wait in memory before it is in a file. Readers see it in any case.
    pub flush_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bytes_per_stream: 1 << 30, streams_per_group: 1_000, flush_interval: Duration::from_millis(100) }
    }
}

/// CloudWatch Logs: what tasks print.
pub struct Logs {
    context: Context,
    files: Arc<Files>,
    groups: RwLock<Groups>,
}

#[derive(Default)]
struct Groups {
    by_name: BTreeMap<String, SharedGroup>,
    /// Groups that were deleted: the last lines of tasks that are just stopping do not bring them back.
    deleted: HashSet<String>,
}

impl Logs {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        let interval = settings.flush_interval;
        let files = Files { directory: context.directory.join("logs"), settings, begun: AtomicU64::new(0) };
        if let Err(error) = files.clear() {
            tracing::warn!(%error, directory = %files.directory.display(), "cannot prepare the directory of logs");
        }
        let logs = Arc::new(Self { context, files: Arc::new(files), groups: RwLock::default() });
        logs.context.tasks.spawn(logs.clone().flush_regularly(interval));
        logs
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        match call.operation.as_str() {
            "CreateLogGroup" => self.create_log_group(&call),
            "DeleteLogGroup" => self.delete_log_group(&call),
            "DescribeLogGroups" => self.describe_log_groups(&call),
            "PutRetentionPolicy" => self.put_retention_policy(&call),
            "DeleteRetentionPolicy" => self.delete_retention_policy(&call),
            "TagResource" => self.tag_resource(&call),
            "UntagResource" => self.untag_resource(&call),
            "ListTagsForResource" => self.list_tags_for_resource(&call),
            "CreateLogStream" => self.create_log_stream(&call),
            "DeleteLogStream" => self.delete_log_stream(&call),
            "DescribeLogStreams" => self.describe_log_streams(&call),
            "PutLogEvents" => self.put_log_events(&call),
            "GetLogEvents" => self.get_log_events(&call).await,
            "FilterLogEvents" => self.filter_log_events(&call).await,
            other => Err(AwsError::not_implemented("logs", other)),
        }
    }

    /// Appends one line (without its end) that a task printed now. Creates the stream and, unless it was deleted, the
    /// group when they are missing.
    pub(crate) fn append(&self, group: &str, stream: &str, line: Bytes) {
        if let Some(group) = self.group_of_task(group) {
            let mut group = lock(&group);
            // Read under the lock, so that the order of arrival is the order of time.
            let now_ms = self.context.clock.now_ms();
            group.append(stream, now_ms, now_ms, line);
        }
    }

    /// ARN and tags of every group.
    pub(crate) fn tagged_resources(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let groups = self.read();
        groups.by_name.iter().map(|(name, group)| (self.arn(name), lock(group).tags.clone())).collect()
    }

    fn group_of_task(&self, name: &str) -> Option<SharedGroup> {
        if let Some(group) = self.read().by_name.get(name) {
            return Some(group.clone());
        }
        let mut groups = self.write();
        if groups.deleted.contains(name) {
            return None;
        }
        let new = || Arc::new(Group::new(self.files.clone(), self.context.clock.now_ms()).into());
        Some(groups.by_name.entry(name.to_owned()).or_insert_with(new).clone())
    }

    async fn flush_regularly(self: Arc<Self>, interval: Duration) {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.context.stopping.run_until_cancelled(interval.tick()).await.is_some() {
            self.flush();
        }
        self.flush();
    }

    fn flush(&self) {
        let groups: Vec<SharedGroup> = self.read().by_name.values().cloned().collect();
        groups.iter().for_each(|group| lock(group).flush());
    }

    fn arn(&self, name: &str) -> String {
        self.context.identity.arn("logs", &format!("log-group:{name}"))
    }

    /// The group that `logGroupName`, `logGroupIdentifier` or an ARN names.
    fn group(&self, name_or_arn: &str) -> Result<SharedGroup, AwsError> {
        let name = match name_or_arn.split_once(":log-group:") {
            Some((_, name)) => name.strip_suffix(":*").unwrap_or(name),
            None => name_or_arn,
        };
        let missing = || not_found("The specified log group does not exist.");
        self.read().by_name.get(name).cloned().ok_or_else(missing)
    }

    fn read(&self) -> RwLockReadGuard<'_, Groups> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Groups> {
        self.groups.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(message: &str) -> AwsError {
    AwsError::new("ResourceNotFoundException", message)
}

fn already_exists(message: &str) -> AwsError {
    AwsError::new("ResourceAlreadyExistsException", message)
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalCloud, Settings as CloudSettings};
    use serde_json::{Value, json};

    async fn start(directory: &std::path::Path) -> LocalCloud {
        let mut settings = CloudSettings::new(directory.to_owned());
        settings.listen = ([127, 0, 0, 1], 0).into();
        LocalCloud::start(settings).await.unwrap()
    }

    async fn call(logs: &Logs, operation: &str, input: Value) -> Result<Value, AwsError> {
        let call = Call::new(operation, input.to_string());
        match logs.call(call).await? {
            Reply::Json(body) => Ok(serde_json::from_slice(&body).unwrap()),
            Reply::EventStream(_) => panic!("{operation} does not stream"),
        }
    }

    #[tokio::test]
    async fn a_printed_line_is_readable_at_once_and_in_a_file_after_the_stop() {
        let directory = tempfile::tempdir().unwrap();
        let cloud = start(directory.path()).await;
        let logs = cloud.services().logs.clone();
        for number in 0..20_000 {
            logs.append("g", ["a", "b"][number % 2], format!("line {number}").into());
        }
        let mut read = Vec::new();
        let mut token = Value::Null;
        loop {
            let page =
                call(&logs, "FilterLogEvents", json!({ "logGroupName": "g", "nextToken": token })).await.unwrap();
            read.extend(page["events"].as_array().unwrap().iter().map(|e| e["message"].as_str().unwrap().to_owned()));
            token = page["nextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(read, (0..20_000).map(|number| format!("line {number}")).collect::<Vec<_>>());
        logs.append("g", "a", "last".into());
        cloud.stop().await;
        let files = directory.path().join("logs").read_dir().unwrap().map(|file| file.unwrap().path());
        let kept = files.map(|path| std::fs::read(path).unwrap()).any(|file| file.ends_with(b"last"));
        assert!(kept, "the last line is not in a file");
    }

    #[tokio::test]
    async fn a_reader_that_follows_while_lines_are_printed_misses_and_repeats_none() {
        const LINES: usize = 30_000;
        let directory = tempfile::tempdir().unwrap();
        let cloud = start(directory.path()).await;
        let logs = cloud.services().logs.clone();
        let printing = std::thread::spawn({
            let logs = logs.clone();
            move || (0..LINES).for_each(|number| logs.append("g", ["a", "b"][number % 2], number.to_string().into()))
        });
        let (mut merged, mut since, mut token) = (std::collections::BTreeSet::new(), 0, Value::Null);
        let (mut of_a, mut forward) = (Vec::new(), Value::Null);
        while merged.len() < LINES || of_a.len() < LINES / 2 {
            let stream =
                json!({ "logGroupName": "g", "logStreamName": "a", "startFromHead": true, "nextToken": forward });
            if let Ok(page) = call(&logs, "GetLogEvents", stream).await {
                let numbers = page["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap());
                of_a.extend(numbers.map(|number| number.parse::<usize>().unwrap()));
                forward = page["nextForwardToken"].clone();
            }
            let filter = json!({ "logGroupName": "g", "startTime": since, "nextToken": token, "limit": 700 });
            let is_printed = printing.is_finished();
            let Ok(page) = call(&logs, "FilterLogEvents", filter).await else { continue };
            for event in page["events"].as_array().unwrap() {
                merged.insert(event["eventId"].as_str().unwrap().to_owned());
            }
            token = page["nextToken"].clone();
            if token.is_null() {
                since = page["events"]
                    .as_array()
                    .unwrap()
                    .last()
                    .map_or(since, |event| event["timestamp"].as_u64().unwrap());
                assert!(!is_printed || merged.len() == LINES, "{} of {LINES} lines at the end", merged.len());
            }
        }
        printing.join().unwrap();
        assert_eq!(of_a, (0..LINES).step_by(2).collect::<Vec<_>>());
        cloud.stop().await;
    }

    #[tokio::test]
    async fn the_last_lines_of_a_task_do_not_bring_a_deleted_group_back() {
        let directory = tempfile::tempdir().unwrap();
        let cloud = start(directory.path()).await;
        let logs = cloud.services().logs.clone();
        logs.append("g", "s", "x".into());
        call(&logs, "DeleteLogGroup", json!({ "logGroupName": "g" })).await.unwrap();
        logs.append("g", "s", "y".into());
        assert_eq!(call(&logs, "DescribeLogGroups", json!({})).await.unwrap()["logGroups"], json!([]));
        call(&logs, "CreateLogGroup", json!({ "logGroupName": "g" })).await.unwrap();
        logs.append("g", "s", "z".into());
        let events = call(&logs, "FilterLogEvents", json!({ "logGroupName": "g" })).await.unwrap();
        assert_eq!(events["events"][0]["message"], "z");
        cloud.stop().await;
    }
}
