//! Kinesis Data Streams.
//!
//! `engine` holds the rules as plain values and functions; `account` and `cell` put locks, the journal and the clock
//! around them; `operations` turns API calls into uses of both.
//!
//! Not here: the growth of on-demand streams (they keep the shards they have until
//! they are warmed for more), the call rates of the control plane's
//! own operations, encryption beyond its state, resource policies.

mod account;
mod cell;
mod engine;
mod fault;
mod feed;
mod iterator;
mod journal;
mod moment;
mod operations;
mod settings;
mod subscribe;
mod wire;

use std::{collections::BTreeMap, sync::Arc};

pub use settings::Settings;

use crate::{
    cloud::Context,
    service::{AwsError, Call, Reply},
};
use account::Account;

/// Kinesis Data Streams.
pub struct Kinesis {
    account: Arc<Account>,
}

impl Kinesis {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        let account = Arc::new(Account::open(&context, settings));
        let Context { tasks, peers, .. } = context;
        tasks.spawn(feed::run(account.clone(), peers));
        Arc::new(Self { account })
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        operations::answer(&self.account, &call)
    }

    /// The ARNs and tags of all streams and of their consumers.
    pub(crate) fn tagged_resources(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let now = self.account.now();
        let cells = self.account.cells();
        let resources = cells.iter().flat_map(|(_, cell)| {
            cell.look(now, |stream| {
                let consumers = stream.consumers.iter().map(|consumer| (consumer.arn.clone(), consumer.tags.clone()));
                std::iter::once((stream.arn.clone(), stream.tags.clone())).chain(consumers).collect::<Vec<_>>()
            })
        });
        resources.collect()
    }
}
