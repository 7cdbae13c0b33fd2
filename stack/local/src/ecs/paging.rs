//! Lists in pages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::invalid;
use crate::service::AwsError;

/// The most that one page holds, and what it holds when the caller says nothing (API reference of the `List*` calls).
const PAGE_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// One page of `all`, sorted, under the answer's member `name`. The token is the last item of the page before.
pub(super) fn answer(name: &str, mut all: Vec<String>, page: &Page) -> Result<Value, AwsError> {
    all.sort();
    ordered(name, &all, page)
}

/// As [`answer`], for items that are in order already: the token is the position.
pub(super) fn ordered(name: &str, all: &[String], page: &Page) -> Result<Value, AwsError> {
    let size = page.max_results.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&size) {
        return Err(invalid(format!("maxResults must be between 1 and {PAGE_MAX}.")));
    }
    let start = match page.next_token.as_deref() {
        None => 0,
        Some(token) => after(all, token).ok_or_else(|| invalid("Invalid token."))?,
    };
    let rest = &all[start.min(all.len())..];
    let shown = &rest[..size.min(rest.len())];
    match shown.last() {
        Some(last) if rest.len() > size => Ok(json!({ name: shown, "nextToken": last })),
        _ => Ok(json!({ name: shown })),
    }
}

/// Where the items after `token` begin, also when that item is gone from a sorted list by now.
fn after(all: &[String], token: &str) -> Option<usize> {
    match all.iter().position(|item| item == token) {
        Some(position) => Some(position + 1),
        None if all.is_sorted() => Some(all.partition_point(|item| item.as_str() < token)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_everything_once_even_when_an_item_goes_between_them() {
        let all = || ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let first = answer("items", all(), &Page { max_results: Some(2), next_token: None }).unwrap();
        assert_eq!(first, json!({ "items": ["a", "b"], "nextToken": "b" }));
        let without_b = ["a", "c", "d", "e"].map(str::to_owned).to_vec();
        let token = Some("b".to_owned());
        let rest = answer("items", without_b, &Page { max_results: Some(100), next_token: token }).unwrap();
        assert_eq!(rest, json!({ "items": ["c", "d", "e"] }));
    }
}
