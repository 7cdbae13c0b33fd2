//! How workers that know each other divide the leases. Pure.
//!
//! Every worker deals the same leases by the same rules and takes what comes to itself, so workers that look at the
//! same table reach for different leases and need no leader. Leases that nobody has go to the worker that carries
//! least. Then leases are moved from who carries most to who carries least, as long as that evens out by more than
//! [`TOLERANCE`]: below it, moving costs more than it brings.

use std::collections::BTreeMap;

use super::Lease;

/// The gap between the most and the least that is left alone, as a part of the average. A KCL 3 leader waits for 10 %
/// above the average, too.
const TOLERANCE: f64 = 0.1;

/// A lease that would nearly turn the gap around is not moved.
const WEIGHT_MAX: f64 = 0.9;

/// A lease to deal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Card<'a> {
    pub(super) lease: &'a Lease,
    /// The live worker that has it.
    pub(super) owner: Option<&'a str>,
    pub(super) weight: f64,
    /// Whether it was there for long enough to be moved because of its weight. Younger ones move only to even out
    /// numbers, as when a worker joins.
    pub(super) settled: bool,
}

/// What a worker carries while the leases are dealt.
#[derive(Debug, Default)]
struct Hand<'a> {
    weight: f64,
    cards: Vec<Card<'a>>,
}

/// The leases that come to `me` and that it has not.
pub(super) fn deal<'a>(cards: &[Card<'a>], me: &'a str) -> Vec<Card<'a>> {
    let mut hands = BTreeMap::from([(me, Hand::default())]);
    let mut free = Vec::new();
    for card in cards {
        match card.owner {
            Some(owner) => hands.entry(owner).or_default().add(*card),
            None => free.push(*card),
        }
    }
    // Heavy ones first, while there is still something to even them out with.
    free.sort_by(|one, other| {
        other.weight.total_cmp(&one.weight).then_with(|| one.lease.shard_id.cmp(&other.lease.shard_id))
    });
    for card in free {
        if let Some((_, least)) = hands.iter_mut().min_by(|one, other| one.1.weight.total_cmp(&other.1.weight)) {
            least.add(card);
        }
    }
    even_out(&mut hands);
    let mine = hands.remove(me).unwrap_or_default();
    mine.cards.into_iter().filter(|card| card.owner != Some(me)).collect()
}

fn even_out(hands: &mut BTreeMap<&str, Hand<'_>>) {
    let average = hands.values().map(|hand| hand.weight).sum::<f64>() / hands.len() as f64;
    // Those that have nothing to give that would help.
    let mut done = Vec::new();
    loop {
        let by_weight = |one: &(&&str, &Hand<'_>), other: &(&&str, &Hand<'_>)| one.1.weight.total_cmp(&other.1.weight);
        let most = hands.iter().filter(|(worker, _)| !done.contains(*worker)).max_by(by_weight);
        let (Some((&most, giver)), Some((&least, taker))) = (most, hands.iter().min_by(by_weight)) else { return };
        if giver.weight - taker.weight <= TOLERANCE * average {
            return;
        }
        let Some(place) = giver.best_for(taker) else {
            done.push(most);
            continue;
        };
        let card = hands.get_mut(most).map(|giver| giver.remove(place));
        if let (Some(card), Some(taker)) = (card, hands.get_mut(least)) {
            taker.add(card);
        }
    }
}

impl<'a> Hand<'a> {
    fn add(&mut self, card: Card<'a>) {
        self.weight += card.weight;
        self.cards.push(card);
    }

    fn remove(&mut self, place: usize) -> Card<'a> {
        let card = self.cards.swap_remove(place);
        self.weight -= card.weight;
        card
    }

    /// The place of the card that evens out two hands best, if one does.
    fn best_for(&self, taker: &Self) -> Option<usize> {
        let gap = self.weight - taker.weight;
        let more_numerous = self.cards.len() >= taker.cards.len() + 2;
        let movable = self.cards.iter().enumerate();
        let movable = movable.filter(|(_, card)| card.weight < gap * WEIGHT_MAX && (card.settled || more_numerous));
        let off = |card: &Card<'_>| (card.weight - gap / 2.0).abs();
        let best = movable.min_by(|(_, one), (_, other)| {
            off(one).total_cmp(&off(other)).then_with(|| one.lease.shard_id.cmp(&other.lease.shard_id))
        });
        best.map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::checkpoint::Checkpoint;

    fn leases(count: usize) -> Vec<Lease> {
        let lease = |number| Lease::new(format!("shard-{number:03}"), Checkpoint::TrimHorizon, Vec::new(), None);
        (0..count).map(lease).collect()
    }

    fn dealt(cards: &[Card<'_>], me: &str) -> Vec<String> {
        deal(cards, me).into_iter().map(|card| card.lease.shard_id.clone()).collect()
    }

    fn card<'a>(lease: &'a Lease, owner: Option<&'a str>, weight: f64) -> Card<'a> {
        Card { lease, owner, weight, settled: true }
    }

    #[test]
    fn free_leases_are_dealt_so_that_nobody_reaches_for_anothers() {
        let leases = leases(6);
        let owned = ["a", "b", "c"];
        let cards: Vec<_> = (0..6).map(|place| card(&leases[place], owned.get(place).copied(), 1.0)).collect();
        let mut all: Vec<_> = owned.iter().flat_map(|me| dealt(&cards, me)).collect();
        all.sort();
        assert_eq!(all, ["shard-003", "shard-004", "shard-005"]);
    }

    #[test]
    fn a_worker_with_one_heavy_lease_is_left_alone_by_one_with_many_light_ones() {
        let leases = leases(11);
        let weight = |place| if place == 0 { 1.0 } else { 0.1 };
        let cards: Vec<_> = (0..11)
            .map(|place| card(&leases[place], Some(if place == 0 { "a" } else { "b" }), weight(place)))
            .collect();
        assert_eq!(dealt(&cards, "a"), [""; 0]);
        assert_eq!(dealt(&cards, "b"), [""; 0]);
    }

    #[test]
    fn the_load_decides_and_not_the_number() {
        let leases = leases(4);
        // Two each, but all that is heavy is with one.
        let cards = [
            card(&leases[0], Some("a"), 1.0),
            card(&leases[1], Some("a"), 1.0),
            card(&leases[2], Some("b"), 0.1),
            card(&leases[3], Some("b"), 0.1),
        ];
        assert_eq!(dealt(&cards, "b"), ["shard-000"]);
        let young = cards.map(|card| Card { settled: false, ..card });
        assert_eq!(dealt(&young, "b"), [""; 0], "what has just come is not sent on");
    }

    #[test]
    fn a_newcomer_gets_its_part_and_a_difference_of_one_moves_nothing() {
        let leases = leases(9);
        let cards: Vec<_> = leases.iter().map(|lease| card(lease, Some("a"), 0.1)).collect();
        assert_eq!(dealt(&cards, "b").len(), 4);
        let cards: Vec<_> = (0..9).map(|place| card(&leases[place], Some(["a", "b"][place % 2]), 0.1)).collect();
        assert_eq!(dealt(&cards, "b"), [""; 0]);
    }

    #[test]
    fn one_lease_that_is_heavier_than_all_others_goes_nowhere() {
        let leases = leases(2);
        let cards = [card(&leases[0], Some("a"), 2.0), card(&leases[1], Some("b"), 0.1)];
        assert_eq!(dealt(&cards, "b"), [""; 0]);
        assert_eq!(dealt(&cards, "a"), [""; 0]);
    }
}
