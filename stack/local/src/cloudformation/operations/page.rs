//! Pages of long answers.

use serde_json::Value;

use crate::{cloudformation::input::Input, service::AwsError};

/// Source: CloudFormation gives at most 100 summaries at a time.
const PAGE_LENGTH: usize = 100;

/// The page that `NextToken` asks for, and the token of the next one.
pub(super) fn page(input: &Input, items: Vec<Value>) -> Result<(Vec<Value>, Option<String>), AwsError> {
    let start: usize = match input.text("NextToken") {
        Some(token) => token.parse().map_err(|_| invalid())?,
        None => 0,
    };
    let end = start.saturating_add(PAGE_LENGTH);
    let next = (end < items.len()).then(|| end.to_string());
    Ok((items.into_iter().skip(start).take(PAGE_LENGTH).collect(), next))
}

/// A page of something that grows at its start: the token is the number of the last item given.
pub(super) fn page_before<T>(
    input: &Input,
    items: impl FnOnce(u64) -> Vec<(u64, T)>,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let before = match input.text("NextToken") {
        Some(token) => token.parse().map_err(|_| invalid())?,
        None => u64::MAX,
    };
    let mut items = items(before);
    let more = items.len() > PAGE_LENGTH;
    items.truncate(PAGE_LENGTH);
    let next = items.last().filter(|_| more).map(|(number, _)| number.to_string());
    Ok((items.into_iter().map(|(_, item)| item).collect(), next))
}

fn invalid() -> AwsError {
    AwsError::new("ValidationError", "NextToken is not valid")
}
