//! Reading the stream as `ctl tail` does: every shard, parents before their children.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use aws_sdk_kinesis::{
    Client,
    operation::get_records::GetRecordsOutput,
    types::{Shard, ShardIteratorType},
};
use dataplane::consumer::{lines, user_records};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{failure::Failure, target::Target};

/// GetRecords has a quota of 5 calls a second and shard, shared with the consumers: take one of them.
const IDLE_PERIOD: Duration = Duration::from_secs(1);
/// While behind, take two.
const BUSY_PERIOD: Duration = Duration::from_millis(500);
/// How long a shard rests whose read quota others used up.
const THROTTLED: Duration = Duration::from_secs(1);
/// Pages that may wait to be printed.
const BACKLOG: usize = 16;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the oldest record that the stream keeps.
    Oldest,
    /// With what comes from now on.
    Latest,
}

/// Prints the stream's records. Without `follow` it ends where the stream ended when it got there.
pub(crate) async fn print(target: &Target, begin: Begin, follow: bool) -> Result<()> {
    let (pages, mut printed) = mpsc::channel(BACKLOG);
    let reading = Reading { client: Client::new(&target.sdk), stream: target.name.to_string(), follow, pages };
    let printing = async {
        while let Some(lines) = printed.recv().await {
            let mut out = io::stdout().lock();
            out.write_all(&lines)?;
            out.flush()?;
        }
        Ok::<_, io::Error>(())
    };
    tokio::pin!(printing);
    tokio::select! {
        read = reading.all(begin) => read?,
        printed = &mut printing => return Ok(printed?),
    }
    Ok(printing.await?)
}

/// Everything that reading a shard needs.
#[derive(Clone)]
struct Reading {
    client: Client,
    stream: String,
    follow: bool,
    /// Lines as bytes, whole.
    pages: mpsc::Sender<Vec<u8>>,
}

impl Reading {
    /// Reads every shard, each after its parents, until all are read out.
    async fn all(self, begin: Begin) -> Result<()> {
        let mut shards = self.shards().await?;
        let mut order = Order::default();
        if begin == Begin::Latest {
            order
                .finished
                .extend(shards.iter().filter(|shard| is_closed(shard)).map(|shard| shard.shard_id.as_str().into()));
        }
        let mut at = match begin {
            Begin::Oldest => ShardIteratorType::TrimHorizon,
            Begin::Latest => ShardIteratorType::Latest,
        };
        let mut readers = JoinSet::new();
        loop {
            for shard in order.next(&shards) {
                readers.spawn(self.clone().shard(shard, at.clone()));
            }
            // Children that appear later are read from their beginning.
            at = ShardIteratorType::TrimHorizon;
            match readers.join_next().await {
                None => return Ok(()),
                Some(ended) => order.finished.extend(ended??),
            }
            shards = self.shards().await?;
        }
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.list_shards();
            let request = match token {
                Some(token) => request.next_token(token),
                None => request.stream_name(&self.stream),
            };
            let page = request.send().await.map_err(|error| self.explain(error.into()))?;
            shards.extend(page.shards.unwrap_or_default());
            token = page.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    fn explain(&self, error: aws_sdk_kinesis::Error) -> anyhow::Error {
        match error {
            aws_sdk_kinesis::Error::ResourceNotFoundException(_) => {
                Failure::failed(format!("there is no stream {}", self.stream))
                    .hint("`ctl up` starts a deployment; --name says which one")
                    .into()
            }
            error => anyhow::Error::new(error).context(format!("cannot read the stream {}", self.stream)),
        }
    }

    /// Reads one shard. Returns its id when it is closed and read out.
    async fn shard(self, shard: Arc<str>, at: ShardIteratorType) -> Result<Option<Arc<str>>> {
        let mut position = Position { at, after: None };
        let mut iterator = self.iterator(&shard, &position).await?;
        loop {
            let asked = Instant::now();
            let read = self.client.get_records().shard_iterator(&iterator).send().await;
            let page = match read.map_err(aws_sdk_kinesis::Error::from) {
                Ok(page) => page,
                Err(aws_sdk_kinesis::Error::ProvisionedThroughputExceededException(_)) => {
                    sleep_until(asked + THROTTLED).await;
                    continue;
                }
                Err(aws_sdk_kinesis::Error::ExpiredIteratorException(_)) => {
                    iterator = self.iterator(&shard, &position).await?;
                    continue;
                }
                Err(error) => return Err(self.explain(error)),
            };
            let behind = page.millis_behind_latest().unwrap_or_default() > 0;
            let next = page.next_shard_iterator.clone();
            position.advance(&page);
            self.publish(&shard, page).await?;
            match next {
                None => return Ok(Some(shard)),
                Some(_) if !behind && !self.follow => return Ok(None),
                Some(next) => iterator = next,
            }
            sleep_until(asked + if behind { BUSY_PERIOD } else { IDLE_PERIOD }).await;
        }
    }

    async fn iterator(&self, shard: &str, position: &Position) -> Result<String> {
        let request = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard);
        let request = match &position.after {
            None => request.shard_iterator_type(position.at.clone()),
            Some(after) => {
                request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(after)
            }
        };
        let answer = request.send().await.map_err(|error| self.explain(error.into()))?;
        answer.shard_iterator.context("GetShardIterator answered without an iterator")
    }

    async fn publish(&self, shard: &Arc<str>, page: GetRecordsOutput) -> Result<()> {
        let lines = lines(&user_records(page.records, shard));
        if !lines.is_empty() {
            self.pages.send(lines).await.context("standard output is closed")?;
        }
        Ok(())
    }
}

/// Where a shard is read on.
struct Position {
    at: ShardIteratorType,
    after: Option<String>,
}

impl Position {
    fn advance(&mut self, page: &GetRecordsOutput) {
        if let Some(last) = page.records.last() {
            self.after = Some(last.sequence_number.clone());
        }
    }
}

fn is_closed(shard: &Shard) -> bool {
    shard.sequence_number_range.as_ref().is_some_and(|range| range.ending_sequence_number.is_some())
}

/// Which shards were begun and which are done.
#[derive(Default)]
struct Order {
    begun: BTreeSet<Arc<str>>,
    finished: BTreeSet<Arc<str>>,
}

impl Order {
    /// The shards whose turn it is: not begun, and no parent that is still listed is unread.
    fn next(&mut self, shards: &[Shard]) -> Vec<Arc<str>> {
        let listed: BTreeSet<_> = shards.iter().map(|shard| shard.shard_id.as_str()).collect();
        let unread = |parent: &String| listed.contains(parent.as_str()) && !self.finished.contains(parent.as_str());
        let ready = shards.iter().filter(|shard| {
            let mut parents = shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id);
            let id = shard.shard_id.as_str();
            let known = self.begun.contains(id) || self.finished.contains(id);
            !known && !parents.any(unread)
        });
        let ready: Vec<_> = ready.map(|shard| shard.shard_id.as_str().into()).collect();
        self.begun.extend(ready.iter().cloned());
        ready
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::types::{HashKeyRange, SequenceNumberRange};

    use super::*;

    fn shard(id: &str, parents: [Option<&str>; 2]) -> Shard {
        let hashes = HashKeyRange::builder().starting_hash_key("0").ending_hash_key("1").build().expect("a range");
        let numbers = SequenceNumberRange::builder().starting_sequence_number("1").build().expect("a range");
        Shard::builder()
            .shard_id(id)
            .set_parent_shard_id(parents[0].map(str::to_owned))
            .set_adjacent_parent_shard_id(parents[1].map(str::to_owned))
            .hash_key_range(hashes)
            .sequence_number_range(numbers)
            .build()
            .expect("a shard")
    }

    #[test]
    fn a_child_waits_for_both_parents() {
        let shards = [shard("a", [None, None]), shard("b", [None, None]), shard("c", [Some("a"), Some("b")])];
        let mut order = Order::default();
        assert_eq!(order.next(&shards), ["a".into(), "b".into()]);
        order.finished.insert("a".into());
        assert!(order.next(&shards).is_empty());
        order.finished.insert("b".into());
        assert_eq!(order.next(&shards), ["c".into()]);
        assert!(order.next(&shards).is_empty(), "every shard is read once");
    }

    #[test]
    fn a_parent_that_is_no_longer_kept_holds_nobody_up() {
        let mut order = Order::default();
        assert_eq!(order.next(&[shard("c", [Some("gone"), None])]), ["c".into()]);
    }
}
