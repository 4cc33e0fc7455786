//! The surge queue of one load balancer on one shard: who waits for which backend, in the order of
//! their numbers.
//!
//! Not their tasks (`shard::surge`), and not a bound, which is one for all shards. Invariant: once
//! published, the first that could use a backend is known to everybody, so that over all shards
//! together each backend goes to whoever came first of those that could use it.

use std::collections::{BTreeMap, BTreeSet};

use super::is_last_resort;
use crate::limits::BACKENDS_TRIED_MAX;
use crate::state::Backend;

/// Backends that could not be reached, by their slots, in ascending order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusers([Option<u32>; BACKENDS_TRIED_MAX]);

impl Refusers {
    /// Those of a route's backends that were tried, by their indices.
    pub fn of(tried: &[usize], backends: &[Backend]) -> Self {
        let mut refusers = Self::default();
        for (place, &index) in refusers.0.iter_mut().zip(tried) {
            *place = Some(backends[index].slot);
        }
        refusers.0.sort_unstable();
        refusers
    }

    /// Which of a route's backends they are, by their indices. Those that are gone are left out.
    pub fn among(&self, backends: &[Backend]) -> impl Iterator<Item = usize> {
        let slots = self.0.iter().flatten();
        slots.filter_map(|slot| backends.iter().position(|backend| backend.slot == *slot))
    }

    fn has(&self, slot: u32) -> bool {
        self.0.contains(&Some(slot))
    }
}

/// What a waiting request could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// The backend with this slot, as its session lives there.
    Only(u32),
    /// Whichever it may be balanced to, except for these.
    AnyBut(Refusers),
}

/// Who waits.
#[derive(Debug, Default)]
pub struct Queue {
    /// The numbers of those that wish for the same. None of the sets is empty.
    by_wish: BTreeMap<Wish, BTreeSet<u64>>,
}

impl Queue {
    /// Adds a request. Its number is its own, from 1, and may be smaller than others that wait.
    pub fn enter(&mut self, number: u64, wish: Wish) {
        self.by_wish.entry(wish).or_default().insert(number);
    }

    /// Takes a request out.
    pub fn leave(&mut self, number: u64, wish: Wish) {
        if let Some(numbers) = self.by_wish.get_mut(&wish) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_wish.remove(&wish);
            }
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.by_wish.is_empty()
    }

    /// Says in each backend's counters who is the first on this shard that could use it. Whoever
    /// changes the queue must do so, and then look whether there is room ([`super::firsts`]).
    pub fn publish(&self, backends: &[Backend], shard: usize) {
        let crowds: Vec<Crowd> = self.crowds(backends).collect();
        for backend in backends {
            let only = self.by_wish.get(&Wish::Only(backend.slot));
            let only = only.and_then(|numbers| numbers.first().copied());
            let crowds = crowds.iter().filter(|crowd| crowd.could_use(backend));
            let first = crowds.map(|crowd| crowd.first).chain(only).min();
            let line = backend.counts.line(shard);
            line.first_waiting.set(first.unwrap_or(0));
        }
        super::room::order();
    }

    /// Those that could use several backends.
    fn crowds(&self, backends: &[Backend]) -> impl Iterator<Item = Crowd> {
        self.by_wish
            .iter()
            .filter_map(|(wish, numbers)| match wish {
                Wish::Only(_) => None,
                Wish::AnyBut(refusers) => {
                    let mut left = backends
                        .iter()
                        .filter(|backend| backend.is_in_service() && !refusers.has(backend.slot));
                    Some(Crowd {
                        first: *numbers.first()?,
                        refusers: *refusers,
                        takes_last_resort: left.all(is_last_resort),
                    })
                }
            })
    }
}

/// Requests that could use the same backends.
struct Crowd {
    first: u64,
    refusers: Refusers,
    takes_last_resort: bool,
}

impl Crowd {
    /// As [`least_outstanding`](super::least_outstanding) and
    /// [`round_robin`](super::round_robin()) have it.
    fn could_use(&self, backend: &Backend) -> bool {
        backend.is_in_service()
            && !self.refusers.has(backend.slot)
            && is_last_resort(backend) == self.takes_last_resort
    }
}

#[cfg(test)]
mod tests;
