//! Who acts: a lease in the control table.
//!
//! A candidate never compares wall clocks. It takes over when the leader's counter has not moved for
//! [`Lease::expiry`] by its own monotonic clock, and then the epoch goes up. A leader stops acting [`Lease::deadline`]
//! after its last renewal began. Every write of a leader is on condition of its epoch, so one that was paused and
//! wakes writes nothing.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{ConditionCheck, TransactWriteItem},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Table, TableError,
    error::failed,
    item::{Item, number, string},
    table::key,
};
use crate::{
    chain::chain,
    limits::{LEASE_EXPIRY, LEASE_EXPIRY_MAX, LEASE_EXPIRY_MIN},
};

const CONTROLLER: &str = "controller";
const LEADER: &str = "leader";

/// The right to act, as long as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    pub holder: String,
    /// Goes up with every change of the holder.
    pub epoch: u64,
    until: Instant,
}

impl Lead {
    /// Whether nobody else can lead yet.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        now < self.until
    }
}

/// How long a lease lasts, and everything that follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    expiry: Duration,
}

impl Default for Lease {
    fn default() -> Self {
        Self { expiry: LEASE_EXPIRY }
    }
}

impl Lease {
    /// A lease that others take after `expiry` without a renewal; none where that is too short to make a call within,
    /// or so long that nobody would act for minutes.
    #[must_use]
    pub fn new(expiry: Duration) -> Option<Self> {
        (LEASE_EXPIRY_MIN..=LEASE_EXPIRY_MAX).contains(&expiry).then_some(Self { expiry })
    }

    /// After this long without a move of the counter others take over. With one look each [`Self::renewal`] a takeover
    /// takes at most a sixth longer; the gap to [`Self::deadline`] bears clocks whose rates differ by 20 %.
    #[must_use]
    pub fn expiry(self) -> Duration {
        self.expiry
    }

    /// After this long without a successful renewal a leader stops acting: before anybody else may take over.
    #[must_use]
    pub fn deadline(self) -> Duration {
        self.expiry / 6 * 5
    }

    /// How often the leader renews its lease, and how often others look at it.
    #[must_use]
    pub fn renewal(self) -> Duration {
        self.expiry / 6
    }
}

/// The lease as it stands in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leader {
    /// Nobody after a release.
    holder: Option<String>,
    epoch: u64,
    /// Moves with every renewal.
    counter: u64,
}

/// One control plane that leads or waits to lead.
#[derive(Debug)]
pub struct Candidate {
    table: Table,
    holder: String,
    lease: Lease,
    /// The other leader as it was when its counter last moved, and when that was seen.
    rival: Option<(Leader, Instant)>,
    lead: Option<Lead>,
}

impl Candidate {
    /// `holder` must be unique among all processes of all times.
    #[must_use]
    pub fn new(table: Table, holder: String, lease: Lease) -> Self {
        Self { table, holder, lease, rival: None, lead: None }
    }

    /// Renews the lease or tries to take it; returns the lead, if any. `now` is read before the call.
    ///
    /// # Errors
    /// When the table cannot be read or written. The lead then stays as it was, until it runs out.
    pub async fn turn(&mut self, now: Instant) -> Result<Option<Lead>, TableError> {
        let seen = self.table.leader().await?;
        let epoch = match &seen {
            None => Some(1),
            Some(leader) if self.is_mine(leader) => Some(leader.epoch),
            Some(leader) if leader.holder.is_none() || self.has_expired(leader, now) => Some(leader.epoch + 1),
            Some(_) => None,
        };
        self.lead = match epoch {
            Some(epoch) if self.table.claim(&self.holder, epoch, seen.as_ref()).await? => {
                Some(Lead { holder: self.holder.clone(), epoch, until: now + self.lease.deadline() })
            }
            _ => None,
        };
        Ok(self.lead.clone())
    }

    /// Gives the lead up, so that another takes it at its next look.
    ///
    /// # Errors
    /// When the table cannot be written; the lease then runs out.
    pub async fn release(&mut self) -> Result<(), TableError> {
        match self.lead.take() {
            Some(lead) => self.table.clear_holder(&lead).await,
            None => Ok(()),
        }
    }

    fn is_mine(&self, leader: &Leader) -> bool {
        leader.holder.as_ref() == Some(&self.holder)
            && self.lead.as_ref().is_some_and(|lead| lead.epoch == leader.epoch)
    }

    fn has_expired(&mut self, leader: &Leader, now: Instant) -> bool {
        match &self.rival {
            Some((rival, since)) if rival == leader => now.saturating_duration_since(*since) >= self.lease.expiry(),
            _ => {
                self.rival = Some((leader.clone(), now));
                false
            }
        }
    }

    /// Renews or waits until `stopping`, telling `leads` each change; then releases the lease.
    pub(crate) async fn campaign(mut self, leads: watch::Sender<Option<Lead>>, stopping: CancellationToken) {
        let mut renewals = tokio::time::interval(self.lease.renewal());
        renewals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stopping.run_until_cancelled(renewals.tick()).await.is_some() {
            match self.turn(Instant::now()).await {
                Ok(lead) => {
                    leads.send_if_modified(|current| {
                        let epoch = |lead: &Option<Lead>| lead.as_ref().map(|lead| lead.epoch);
                        let changed = epoch(current) != epoch(&lead);
                        if changed {
                            tracing::info!(holder = self.holder, epoch = epoch(&lead), "the lead changed");
                        }
                        *current = lead;
                        changed
                    });
                }
                Err(error) => tracing::warn!(error = chain(&error), "cannot renew the lead"),
            }
        }
        leads.send_replace(None);
        if let Err(error) = self.release().await {
            tracing::warn!(error = chain(&error), "cannot release the lead: it runs out");
        }
    }
}

impl Table {
    async fn leader(&self) -> Result<Option<Leader>, TableError> {
        let read = self.client.get_item().table_name(&self.name).set_key(Some(key(CONTROLLER, LEADER)));
        let read = read.consistent_read(true).send().await.map_err(failed("read the leader", &self.name))?;
        read.item
            .map(|item: Item| {
                let reader = self.reader(&item);
                Ok(Leader {
                    holder: reader.string("holder").ok().map(str::to_owned),
                    epoch: reader.number("epoch")?,
                    counter: reader.number("counter")?,
                })
            })
            .transpose()
    }

    /// Writes the lease unless it moved since it was `seen`; false when it did.
    async fn claim(&self, holder: &str, epoch: u64, seen: Option<&Leader>) -> Result<bool, TableError> {
        let counter = seen.map_or(1, |leader| leader.counter + 1);
        let write = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(CONTROLLER, LEADER)))
            .update_expression("SET holder = :holder, epoch = :epoch, #counter = :counter")
            .expression_attribute_names("#counter", "counter")
            .expression_attribute_values(":holder", string(holder))
            .expression_attribute_values(":epoch", number(epoch))
            .expression_attribute_values(":counter", number(counter));
        let write = match seen {
            None => write.condition_expression("attribute_not_exists(pk)"),
            Some(leader) => write
                .condition_expression("epoch = :seen_epoch AND #counter = :seen_counter")
                .expression_attribute_values(":seen_epoch", number(leader.epoch))
                .expression_attribute_values(":seen_counter", number(leader.counter)),
        };
        match write.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(failed("take the lead", &self.name)(error)),
        }
    }

    async fn clear_holder(&self, lead: &Lead) -> Result<(), TableError> {
        let cleared = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(CONTROLLER, LEADER)))
            .update_expression("REMOVE holder")
            .condition_expression("epoch = :epoch AND holder = :holder")
            .expression_attribute_values(":epoch", number(lead.epoch))
            .expression_attribute_values(":holder", string(&lead.holder))
            .send()
            .await;
        match cleared {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("release the lead", &self.name)(error)),
        }
    }

    /// The part of a transaction that fails it when `lead` is over.
    pub(super) fn fence(&self, lead: &Lead) -> Result<TransactWriteItem, TableError> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(key(CONTROLLER, LEADER)))
            .condition_expression("epoch = :epoch AND holder = :holder")
            .expression_attribute_values(":epoch", number(lead.epoch))
            .expression_attribute_values(":holder", string(&lead.holder))
            .build()
            .map_err(failed("write", &self.name))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
