//! `ListShards`: every filter, in pages.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::describe::parse_shard;
use crate::{
    kinesis::{
        account::{Account, StreamRef},
        engine::{
            shard::{Shard, ShardId},
            stream::{Becoming, Stream},
        },
        fault,
        moment::Moment,
        wire,
    },
    service::{AwsError, Call, Reply},
};

/// Shards of one answer unless the call says otherwise, and at most.
const PAGE: usize = 1_000;
const PAGE_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    #[serde(flatten)]
    stream: StreamRef,
    next_token: Option<String>,
    exclusive_start_shard_id: Option<String>,
    max_results: Option<usize>,
    shard_filter: Option<FilterInput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterInput {
    r#type: String,
    shard_id: Option<String>,
    timestamp: Option<f64>,
}

/// Which shards are wanted, with the moment each filter is about settled at the first page.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Filter {
    /// Shards that a reader from this moment on needs: those open at it, and all that were opened later.
    From(Moment),
    /// Shards that were open at this moment.
    At(Moment),
    /// Shards that are open now.
    Latest,
}

impl Filter {
    /// A shard closes at the moment its children open. Counting it as closed then, and them as open, makes the shards
    /// of any moment cover every hash key exactly once.
    fn admits(self, shard: &Shard) -> bool {
        let closes_after = |moment| shard.closed.is_none_or(|closed| closed > moment);
        match self {
            Self::From(moment) => closes_after(moment),
            Self::At(moment) => shard.opened <= moment && closes_after(moment),
            Self::Latest => shard.closed.is_none(),
        }
    }
}

/// Where the next page goes on.
#[derive(Serialize, Deserialize)]
struct Token {
    issued: Moment,
    stream: String,
    filter: Filter,
    after: ShardId,
}

pub(super) fn list(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: Input = call.input()?;
    let now = account.now();
    let limit = input.max_results.unwrap_or(PAGE);
    if limit == 0 || limit > PAGE_MAX {
        return Err(fault::constraint("maxResults", limit, &format!("have value between 1 and {PAGE_MAX}")));
    }
    let token = input.next_token.as_deref().map(|text| read_token(text, account, now)).transpose()?;
    if token.is_some() && (input.stream.name.is_some() || input.shard_filter.is_some()) {
        return Err(fault::invalid("NextToken cannot be used with StreamName, ShardFilter or other positions."));
    }
    let cell = match &token {
        Some(token) => account.find_named(&token.stream)?,
        None => account.find(&input.stream)?,
    };
    let answer = cell.look(now, |stream| {
        if matches!(stream.becoming, Some(Becoming::Active(_) | Becoming::Gone(_))) {
            return Err(fault::not_active(stream));
        }
        let (filter, after) = match token {
            Some(token) => (token.filter, Some(token.after)),
            None => first_page(stream, &input, now)?,
        };
        page(stream, filter, after, limit, now)
    })?;
    Reply::json(&answer)
}

fn page(
    stream: &Stream,
    filter: Filter,
    after: Option<ShardId>,
    limit: usize,
    now: Moment,
) -> Result<serde_json::Value, AwsError> {
    let wanted = |shard: &&Shard| after.is_none_or(|after| shard.id > after) && filter.admits(shard);
    let mut shards = stream.shards.iter().filter(wanted).peekable();
    let page: Vec<&Shard> = shards.by_ref().take(limit).collect();
    let mut answer = json!({ "Shards": page.iter().map(|shard| wire::shard(shard)).collect::<Vec<_>>() });
    if let (Some(last), Some(_)) = (page.last(), shards.peek()) {
        let token = Token { issued: now, stream: stream.name.clone(), filter, after: last.id };
        let token = serde_json::to_vec(&token).map_err(wire::unwritable)?;
        answer["NextToken"] = URL_SAFE_NO_PAD.encode(token).into();
    }
    Ok(answer)
}

fn read_token(text: &str, account: &Account, now: Moment) -> Result<Token, AwsError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let token: Option<Token> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let token = token.ok_or_else(|| fault::invalid("NextToken is invalid."))?;
    if now.since(token.issued) > account.settings.token_lifetime {
        return Err(AwsError::new("ExpiredNextTokenException", "NextToken has expired: list the shards anew."));
    }
    Ok(token)
}

fn first_page(stream: &Stream, input: &Input, now: Moment) -> Result<(Filter, Option<ShardId>), AwsError> {
    let horizon = stream.trim_horizon(now);
    let after = input.exclusive_start_shard_id.as_deref().map(parse_shard).transpose()?;
    let Some(filter) = &input.shard_filter else { return Ok((Filter::From(horizon), after)) };
    let timestamp = || {
        let seconds = filter.timestamp.ok_or_else(|| fault::invalid("This ShardFilter needs a Timestamp."))?;
        Ok::<_, AwsError>(Moment::from_fractional_seconds(seconds).max(horizon))
    };
    Ok(match filter.r#type.as_str() {
        "AT_TRIM_HORIZON" => (Filter::At(horizon), after),
        "FROM_TRIM_HORIZON" => (Filter::From(horizon), after),
        "AT_LATEST" => (Filter::Latest, after),
        "AT_TIMESTAMP" => (Filter::At(timestamp()?), after),
        "FROM_TIMESTAMP" => (Filter::From(timestamp()?), after),
        "AFTER_SHARD_ID" => {
            let id = filter.shard_id.as_deref();
            let id = id.ok_or_else(|| fault::invalid("ShardFilter AFTER_SHARD_ID needs a ShardId."))?;
            (Filter::From(horizon), Some(parse_shard(id)?))
        }
        other => {
            let rule = "satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, \
                        AT_TIMESTAMP, FROM_TIMESTAMP]";
            return Err(fault::constraint("shardFilter.type", other, rule));
        }
    })
}
