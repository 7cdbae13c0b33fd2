//! Tags of alarms and dashboards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::service::{AwsError, Call, Reply};

use super::{CloudWatch, lock};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

pub(super) fn by_key(tags: Vec<Tag>) -> BTreeMap<String, String> {
    tags.into_iter().map(|Tag { key, value }| (key, value)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl CloudWatch {
    pub(super) fn tag_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        self.with_tags(&input.resource_arn, |tags| tags.extend(by_key(input.tags)))?;
        Ok(Reply::empty())
    }

    pub(super) fn untag_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        self.with_tags(&input.resource_arn, |tags| tags.retain(|key, _| !input.tag_keys.contains(key)))?;
        Ok(Reply::empty())
    }

    pub(super) fn list_tags_for_resource(&self, call: &Call) -> Result<Reply, AwsError> {
        let input: TagResource = call.input()?;
        let tags = self.with_tags(&input.resource_arn, |tags| tags.clone())?;
        let tags: Vec<Tag> = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Reply::json(&json!({ "Tags": tags }))
    }

    /// ARN and tags of every alarm and dashboard.
    pub(crate) fn tagged_resources(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let alarms = lock(&self.alarms);
        let dashboards = lock(&self.dashboards);
        let alarms = alarms.iter().map(|(name, alarm)| (self.alarm_arn(name), alarm.tags.clone()));
        let dashboards = dashboards.iter().map(|(name, dashboard)| (self.dashboard_arn(name), dashboard.tags.clone()));
        alarms.chain(dashboards).collect()
    }

    /// Does something with the tags of the alarm or the dashboard of an ARN.
    fn with_tags<T>(&self, arn: &str, action: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> Result<T, AwsError> {
        let missing = || {
            let message = format!("No alarm or dashboard has the ARN {arn}");
            AwsError { status: 404, ..AwsError::new("ResourceNotFoundException", message) }
        };
        if let Some((_, name)) = arn.split_once(":alarm:") {
            return lock(&self.alarms).get_mut(name).map(|alarm| action(&mut alarm.tags)).ok_or_else(missing);
        }
        let name = arn.split_once(":dashboard/").map_or(arn, |(_, name)| name);
        lock(&self.dashboards).get_mut(name).map(|dashboard| action(&mut dashboard.tags)).ok_or_else(missing)
    }
}
