//! One backend's chronicle: when it lived, and what share of sessions it was to take.
//!
//! Not who sees to it that it is true (`state`). Invariants: lives are in the order of their
//! numbers, at most one is open, and [`Chronicle::merge`] is a join (commutative, associative,
//! idempotent), so that nodes which have heard the same things hold the same chronicle.

use serde::{Deserialize, Serialize};

use super::{Stamp, mix};
use crate::limits::{LIVES_KEPT, WEIGHTS_KEPT};

/// A time in which a backend was in service without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// From 1, one more with each life.
    pub number: u32,
    /// When it came into service.
    pub born: Stamp,
    /// When it was declared out of service or deregistered; `None`: not yet, as far as is known.
    pub died: Option<Stamp>,
}

/// All that is remembered of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chronicle {
    lives: Vec<Life>,
    weights: Vec<(Stamp, u32)>,
}

impl Chronicle {
    /// Opens a life and returns its number; that of the open one if there is one. Who was never
    /// weighed weighs 1.
    pub fn begin(&mut self, at: Stamp) -> u32 {
        if let Some(open) = self.open() {
            return open.number;
        }
        let number = self.last_number().saturating_add(1);
        self.lives.push(Life {
            number,
            born: at,
            died: None,
        });
        if self.weights.is_empty() {
            // Written down now, so that a later change does not change what was.
            self.weights.push((at, 1));
        }
        self.forget();
        number
    }

    /// Closes the open life, if there is one.
    pub fn end(&mut self, at: Stamp) {
        if let Some(life) = self.lives.last_mut() {
            life.died = life.died.or(Some(at));
        }
    }

    /// From now on its share is in proportion to `weight`; 0: it takes no sessions of others.
    pub fn reweigh(&mut self, at: Stamp, weight: u32) {
        if self.weights.last().map_or(1, |last| last.1) != weight {
            self.weights.push((at, weight));
            self.forget();
        }
    }

    /// The life that is open now.
    pub fn open(&self) -> Option<Life> {
        self.lives
            .last()
            .copied()
            .filter(|life| life.died.is_none())
    }

    /// The number of the last life; 0 if there was none.
    pub fn last_number(&self) -> u32 {
        self.lives.last().map_or(0, |life| life.number)
    }

    /// The lives that are remembered, in order.
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// What it weighed, from when on each.
    pub fn weights(&self) -> &[(Stamp, u32)] {
        &self.weights
    }

    /// The chronicle of which somebody tells: lives by number, birth and death, and weights. Out of
    /// order or twice the same does no harm, and beyond the bounds the oldest are left out.
    pub fn of(
        lives: impl Iterator<Item = (u32, Stamp, Option<Stamp>)>,
        weights: impl Iterator<Item = (Stamp, u32)>,
    ) -> Self {
        let mut told = Self::default();
        for (number, born, died) in lives {
            let lives = vec![Life { number, born, died }];
            told.merge(&Self {
                lives,
                weights: Vec::new(),
            });
        }
        told.merge(&Self {
            lives: Vec::new(),
            weights: weights.collect(),
        });
        told
    }

    /// Whether that node has written its last entry.
    pub fn is_of(&self, node: u32) -> bool {
        let life = self.lives.last();
        let born = life.map(|life| life.born);
        let died = life.and_then(|life| life.died);
        let weighed = self.weights.last().map(|&(from, _)| from);
        [born, died, weighed]
            .into_iter()
            .flatten()
            .any(|at| at.node == node)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.lives.is_empty() && self.weights.is_empty()
    }

    /// A hash of all of it, the same on all machines.
    pub(super) fn hash(&self) -> u64 {
        let of = |at: Stamp| {
            let rest = u64::from(at.counter) << 32 | u64::from(at.node);
            mix(at.wall_ms, rest)
        };
        let lives = self.lives.iter().fold(0, |hash, life| {
            let ends = mix(of(life.born), life.died.map_or(0, of));
            mix(mix(hash, u64::from(life.number)), ends)
        });
        let weights = self.weights.iter();
        weights.fold(lives, |hash, &(from, weight)| {
            mix(mix(hash, of(from)), u64::from(weight))
        })
    }

    /// The life that was open at that moment.
    pub(super) fn open_at(&self, at: Stamp) -> Option<Life> {
        let life = self.lives.iter().rfind(|life| life.born <= at)?;
        let is_over = self.end_of(life.number).is_some_and(|end| end <= at);
        (!is_over).then_some(*life)
    }

    /// The first life that began after that moment.
    pub(super) fn first_after(&self, at: Stamp) -> Option<Life> {
        let is_after = |end: Stamp| at < end;
        self.lives
            .iter()
            .copied()
            // Chronicles merged from clocks far apart may tell of an end before the beginning.
            .find(|life| at < life.born && self.end_of(life.number).is_none_or(is_after))
    }

    /// When that life was over: at its death, or when the next began, whatever was first. A life
    /// that is not remembered was over when the next one that is began, at the latest; one beyond
    /// the last is the last by a number that has not come here yet. `None`: it is open.
    pub(super) fn end_of(&self, number: u32) -> Option<Stamp> {
        let after = self.lives.iter().find(|life| life.number > number);
        let life = match self.lives.iter().rfind(|life| life.number <= number) {
            Some(life) if life.number == number || after.is_none() => Some(life),
            _ => None,
        };
        let died = life.and_then(|life| life.died);
        let replaced = after.map(|life| life.born);
        match (died, replaced) {
            (Some(died), Some(replaced)) => Some(died.min(replaced)),
            (died, replaced) => died.or(replaced),
        }
    }

    /// What it weighed at that moment. Before the first weight that is remembered: as much as by
    /// that one.
    pub(super) fn weight_at(&self, at: Stamp) -> u32 {
        let index = self.weights.partition_point(|&(from, _)| from <= at);
        let in_force = self.weights.get(index.saturating_sub(1));
        in_force.map_or(1, |&(_, weight)| weight)
    }

    /// Takes in what another node knows: all lives of both, each from its earliest birth to its
    /// earliest death, and all weights of both.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.lives {
            match self
                .lives
                .binary_search_by_key(&theirs.number, |life| life.number)
            {
                Ok(index) => {
                    let ours = &mut self.lives[index];
                    ours.born = ours.born.min(theirs.born);
                    ours.died = match (ours.died, theirs.died) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
                Err(index) => self.lives.insert(index, *theirs),
            }
        }
        for theirs in &other.weights {
            if let Err(index) = self.weights.binary_search(theirs) {
                self.weights.insert(index, *theirs);
            }
        }
        self.forget();
    }

    /// The latest moment of which it tells.
    pub fn latest(&self) -> Stamp {
        let lives = self
            .lives
            .iter()
            .flat_map(|life| [Some(life.born), life.died]);
        let weights = self.weights.last().map(|&(from, _)| from);
        lives.flatten().chain(weights).max().unwrap_or_default()
    }

    /// Keeps to the bounds. What is kept depends on the greatest number and stamp alone, so that it
    /// is the same in whatever order chronicles were merged.
    fn forget(&mut self) {
        let newest = u64::from(self.last_number());
        self.lives
            .retain(|life| u64::from(life.number) + LIVES_KEPT as u64 > newest);
        let surplus = self.weights.len().saturating_sub(WEIGHTS_KEPT);
        self.weights.drain(..surplus);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::health) fn at(wall_ms: u64) -> Stamp {
        Stamp {
            wall_ms,
            ..Stamp::default()
        }
    }

    /// Any lives and weights, also such as one node alone would not write.
    pub(crate) fn chronicles() -> impl Strategy<Value = Chronicle> {
        let life = (1_u32..60, 0_u64..1000, prop::option::of(0_u64..1000));
        let weights = prop::collection::btree_map(0_u64..1000, 0_u32..4, 0..4);
        (prop::collection::vec(life, 0..8), weights).prop_map(|(lives, weights)| {
            let mut all = Chronicle::default();
            for (number, born, died) in lives {
                all.merge(&Chronicle {
                    lives: vec![Life {
                        number,
                        born: at(born),
                        died: died.map(at),
                    }],
                    weights: Vec::new(),
                });
            }
            let weights = weights.into_iter().map(|(from, weight)| (at(from), weight));
            all.merge(&Chronicle {
                lives: Vec::new(),
                weights: weights.collect(),
            });
            all
        })
    }

    fn merged(a: &Chronicle, b: &Chronicle) -> Chronicle {
        let mut merged = a.clone();
        merged.merge(b);
        merged
    }

    proptest! {
        #[test]
        fn merge_is_a_join(a in chronicles(), b in chronicles(), c in chronicles()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a);
        }

        #[test]
        fn the_bounds_hold_whatever_happens(story in prop::collection::vec((0_u8..3, 0_u32..5), 0..300)) {
            let mut chronicle = Chronicle::default();
            for (now, (what, weight)) in story.into_iter().enumerate() {
                let now = at(now as u64);
                match what {
                    0 => drop(chronicle.begin(now)),
                    1 => chronicle.end(now),
                    _ => chronicle.reweigh(now, weight),
                }
                prop_assert!(chronicle.lives.len() <= LIVES_KEPT);
                prop_assert!(chronicle.weights.len() <= WEIGHTS_KEPT);
                let open = chronicle.lives.iter().filter(|life| life.died.is_none());
                prop_assert!(open.count() <= 1);
            }
        }
    }

    #[test]
    fn lives_are_numbered_and_open_one_at_a_time() {
        let mut chronicle = Chronicle::default();
        assert_eq!(chronicle.begin(at(1)), 1);
        assert_eq!(chronicle.begin(at(2)), 1, "it lives already");
        chronicle.end(at(3));
        chronicle.end(at(4));
        assert_eq!(chronicle.begin(at(5)), 2);
        assert_eq!(chronicle.end_of(1), Some(at(3)));
        assert_eq!(chronicle.end_of(2), None);
        assert_eq!(chronicle.open_at(at(2)).map(|life| life.number), Some(1));
        assert_eq!(
            chronicle.open_at(at(3)),
            None,
            "dead at the moment of its death"
        );
        assert_eq!(chronicle.open_at(at(9)).map(|life| life.number), Some(2));
    }

    #[test]
    fn a_life_that_is_not_remembered_was_over_when_the_next_began() {
        let mut chronicle = Chronicle::default();
        for now in 0..=LIVES_KEPT as u64 {
            chronicle.begin(at(10 * now));
            chronicle.end(at(10 * now + 5));
        }
        assert_eq!(chronicle.lives[0].number, 2);
        assert_eq!(chronicle.end_of(1), Some(at(10)));
        assert_eq!(chronicle.end_of(0), Some(at(10)));
    }

    #[test]
    fn a_number_that_has_not_come_here_yet_is_the_last_life() {
        let mut chronicle = Chronicle::default();
        assert_eq!(chronicle.end_of(3), None);
        chronicle.begin(at(1));
        assert_eq!(chronicle.end_of(3), None);
        chronicle.end(at(2));
        assert_eq!(chronicle.end_of(3), Some(at(2)));
    }

    #[test]
    fn a_weight_is_in_force_from_its_moment_on() {
        let mut chronicle = Chronicle::default();
        assert_eq!(chronicle.weight_at(at(5)), 1);
        chronicle.reweigh(at(10), 3);
        chronicle.reweigh(at(20), 0);
        let weights = [5, 10, 19, 20, 99].map(|moment| chronicle.weight_at(at(moment)));
        assert_eq!(weights, [3, 3, 3, 0, 0]);
    }
}
