//! From a record in the pipeline back to the request that waits for it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// What became of one record.
pub(crate) type Outcome = Result<Stored, Refusal>;

/// Where Kinesis has put a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sequence_number: Arc<str>,
    pub(crate) shard_id: Arc<str>,
}

/// Why a record was given up. After a request without an answer it may be in the stream all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Kinesis did not take the record in time: {last_error}")]
    Expired { last_error: Arc<str> },
    #[error("the producer stopped before Kinesis took the record")]
    Stopped,
}

/// Waits for the records of one request.
pub(crate) struct Receipt(oneshot::Receiver<Vec<Outcome>>);

/// One record's part in a [`Receipt`].
#[derive(Debug)]
pub(crate) struct Ticket {
    board: Arc<Board>,
    index: usize,
}

#[derive(Debug)]
struct Board(Mutex<Outcomes>);

#[derive(Debug)]
struct Outcomes {
    /// A record counts as stopped until its ticket says otherwise.
    outcomes: Vec<Outcome>,
    done: Option<oneshot::Sender<Vec<Outcome>>>,
}

/// A receipt for `count` records, with their tickets in order.
pub(crate) fn issue(count: usize) -> (Receipt, impl Iterator<Item = Ticket>) {
    let (sender, receiver) = oneshot::channel();
    let outcomes = Outcomes { outcomes: vec![Err(Refusal::Stopped); count], done: Some(sender) };
    let board = Arc::new(Board(Mutex::new(outcomes)));
    (Receipt(receiver), (0..count).map(move |index| Ticket { board: board.clone(), index }))
}

impl Receipt {
    /// The outcomes in the order of the tickets, once every ticket is settled or dropped.
    pub(crate) async fn outcomes(self) -> Vec<Outcome> {
        self.0.await.unwrap_or_default()
    }
}

impl Ticket {
    pub(crate) fn settle(self, outcome: Outcome) {
        let mut outcomes = self.board.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = outcomes.outcomes.get_mut(self.index) {
            *slot = outcome;
        }
    }
}

/// The last ticket to go takes the board with it.
impl Drop for Board {
    fn drop(&mut self) {
        let outcomes = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = outcomes.done.take() {
            // A client that has hung up is told nothing.
            let _ = done.send(std::mem::take(&mut outcomes.outcomes));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn stored(number: &str) -> Outcome {
        Ok(Stored { sequence_number: number.into(), shard_id: "shardId-000000000000".into() })
    }

    #[test]
    fn outcomes_come_in_the_order_of_the_records_once_all_are_known() {
        let (receipt, tickets) = issue(2);
        let [first, second] = tickets.collect::<Vec<_>>().try_into().expect("two tickets");
        second.settle(stored("2"));
        let mut waiting = Box::pin(receipt.outcomes());
        assert!(waiting.as_mut().now_or_never().is_none());
        first.settle(stored("1"));
        assert_eq!(waiting.now_or_never(), Some(vec![stored("1"), stored("2")]));
    }

    #[test]
    fn a_dropped_ticket_never_counts_as_stored() {
        let (receipt, mut tickets) = issue(2);
        tickets.next().expect("a ticket").settle(stored("1"));
        drop(tickets);
        assert_eq!(receipt.outcomes().now_or_never(), Some(vec![stored("1"), Err(Refusal::Stopped)]));
    }
}
