//! The keys that this task remembers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{Fingerprint, Id};
use crate::producer::receipt::Outcome;

/// Memory for outcomes. Beyond it the oldest are forgotten before their time.
const BYTES_MAX: usize = 16 << 20;

/// What a key costs beside its outcomes, and what each outcome costs.
const KEY_BYTES: usize = 256;
const OUTCOME_BYTES: usize = 128;

/// The outcomes of a request, once they are known.
type Told = Option<Arc<[Outcome]>>;

#[derive(Debug)]
pub(super) struct Memory {
    time: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<Id, Key>,
    /// When to forget what, the earliest first.
    order: VecDeque<(Instant, Id)>,
    bytes: usize,
}

#[derive(Debug)]
struct Key {
    fingerprint: Fingerprint,
    told: watch::Receiver<Told>,
    forget_at: Instant,
    bytes: usize,
}

/// A key that is being carried out.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    tell: watch::Sender<Told>,
}

pub(super) enum Found {
    /// All records of the request are stored.
    Settled(Arc<[Outcome]>),
    UnderWay(watch::Receiver<Told>),
    /// Nobody carries it out now; earlier tries came to this.
    Claimed(Entry, Arc<[Outcome]>),
    OtherBody,
}

impl Memory {
    /// Remembers keys for `time`.
    pub(super) fn new(time: Duration) -> Self {
        Self { time, state: Mutex::default() }
    }

    pub(super) fn claim(&self, id: Id, fingerprint: Fingerprint, now: Instant) -> Found {
        let mut state = self.state();
        state.forget(now);
        let mut earlier: Arc<[Outcome]> = [].into();
        if let Some(key) = state.keys.get(&id) {
            let told = key.told.borrow().clone();
            match told {
                _ if key.fingerprint != fingerprint => return Found::OtherBody,
                Some(outcomes) if outcomes.iter().all(Result::is_ok) => return Found::Settled(outcomes),
                Some(outcomes) => earlier = outcomes,
                None if key.is_under_way() => return Found::UnderWay(key.told.clone()),
                None => {}
            }
        }
        let (tell, told) = watch::channel(None);
        let forget_at = now + self.time;
        let key = Key { fingerprint, told, forget_at, bytes: KEY_BYTES };
        state.bytes += key.bytes;
        if let Some(old) = state.keys.insert(id, key) {
            state.bytes -= old.bytes;
        }
        state.order.push_back((forget_at, id));
        Found::Claimed(Entry { id, tell }, earlier)
    }

    pub(super) fn settle(&self, entry: &Entry, outcomes: Arc<[Outcome]>) {
        let mut state = self.state();
        if let Some(key) = state.keys.get_mut(&entry.id) {
            let bytes = outcomes.len() * OUTCOME_BYTES;
            key.bytes += bytes;
            state.bytes += bytes;
        }
        entry.tell.send_replace(Some(outcomes));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in between leaves at worst a count of bytes that is too high.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        for _ in 0..self.order.len() {
            let due = |(at, _): &mut (Instant, Id)| *at <= now || self.bytes > BYTES_MAX;
            let Some((at, id)) = self.order.pop_front_if(due) else { return };
            let Some(key) = self.keys.get(&id).filter(|key| key.forget_at == at) else { continue };
            if key.is_under_way() {
                // Forgotten now, its retry would store a second copy.
                self.order.push_back((at, id));
                continue;
            }
            self.bytes -= key.bytes;
            self.keys.remove(&id);
        }
    }
}

impl Key {
    fn is_under_way(&self) -> bool {
        self.told.borrow().is_none() && self.told.has_changed().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::receipt::{Refusal, Stored};

    const TIME: Duration = Duration::from_secs(60);

    fn claimed(memory: &Memory, id: u8, now: Instant) -> (Entry, Arc<[Outcome]>) {
        match memory.claim([id; 32], [0; 32], now) {
            Found::Claimed(entry, earlier) => (entry, earlier),
            _ => panic!("the key is taken"),
        }
    }

    fn stored() -> Outcome {
        Ok(Stored { sequence_number: "1".into(), shard_id: "shard".into() })
    }

    #[test]
    fn a_key_is_under_way_then_settled_then_forgotten() {
        let (memory, now) = (Memory::new(TIME), Instant::now());
        let (entry, earlier) = claimed(&memory, 1, now);
        assert!(earlier.is_empty());
        assert!(matches!(memory.claim([1; 32], [0; 32], now + TIME), Found::UnderWay(_)), "however long it takes");
        memory.settle(&entry, [stored()].into());
        assert!(matches!(memory.claim([1; 32], [9; 32], now), Found::OtherBody));
        assert!(matches!(memory.claim([1; 32], [0; 32], now), Found::Settled(outcomes) if outcomes.len() == 1));
        let _ = claimed(&memory, 1, now + TIME);
    }

    #[test]
    fn a_dropped_claim_is_free_and_a_partial_outcome_is_carried_on() {
        let (memory, now) = (Memory::new(TIME), Instant::now());
        drop(claimed(&memory, 1, now));
        let (entry, _) = claimed(&memory, 1, now);
        memory.settle(&entry, [stored(), Err(Refusal::Stopped)].into());
        let (_, earlier) = claimed(&memory, 1, now);
        assert_eq!(&earlier[..], [stored(), Err(Refusal::Stopped)]);
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let (memory, now) = (Memory::new(TIME), Instant::now());
        let many: Arc<[Outcome]> = vec![stored(); 10_000].into();
        for id in 0..100 {
            memory.settle(&claimed(&memory, id, now).0, many.clone());
        }
        let one = many.len() * OUTCOME_BYTES + KEY_BYTES;
        assert!(memory.state().bytes <= BYTES_MAX + one);
        let _ = claimed(&memory, 200, now + TIME);
        let state = memory.state();
        assert_eq!((state.bytes, state.keys.len(), state.order.len()), (KEY_BYTES, 1, 1));
    }
}
