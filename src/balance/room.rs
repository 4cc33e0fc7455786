//! Room on backends that take a bounded number of requests at once, over all shards.
//!
//! Not who waits for it on a shard (`queue.rs`), and nothing that locks. What is held together by
//! are two orders, each with a fence in the middle: whoever takes adds and then looks, so that the
//! bound holds; whoever gives back does so and then looks who waits, while whoever waits says so
//! and then looks again, so that at least one of the two sees the other and nobody is forgotten.
//! Invariant: nobody takes what somebody could use who came before.

use std::sync::atomic::{Ordering, fence};

use crate::state::{Backend, BackendLine, PerShard};

/// The number of whoever comes only now: all who wait were there before.
pub const NEWCOMER: u64 = u64::MAX;

/// Whoever has waited longest of those that could use a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct First {
    /// Its number: those that came before have smaller ones. From 1.
    pub number: u64,
    /// Where it waits.
    pub shard: usize,
}

/// Whether a request with that number may have the backend now.
pub fn has_room(backend: &Backend, number: u64) -> bool {
    backend.max_outstanding.is_none() || may_have(backend, number)
}

/// The same of one that has a bound. Apart, so that nothing is called where there is none: a choice
/// among three takes 17 ns by that and 21 otherwise (`micro`, `choose/3`).
#[inline(never)]
fn may_have(backend: &Backend, number: u64) -> bool {
    is_below_bound(backend)
        && first_waiting(&backend.counts).is_none_or(|first| first.number >= number)
}

/// Counts a request as outstanding on the backend, if it has fewer than it may; says whether it
/// did. If not, somebody else took the last place, or also failed to: then [`next`] must be called.
#[must_use]
pub fn take(backend: &Backend, shard: usize) -> bool {
    if let Some(max) = backend.max_outstanding {
        let max = max.get().into();
        return backend
            .counts
            .add_within(shard, max, |line| &line.outstanding);
    }
    backend.counts.line(shard).outstanding.add(1);
    true
}

/// Who is to be called as a request has ended on a backend, or could not be taken after all.
pub fn next(counts: &PerShard<BackendLine>) -> Option<First> {
    order();
    first_waiting(counts)
}

/// Who is to be called of those that wait for backends that have room: for each the first. To be
/// asked after [`Queue::publish`](super::Queue::publish).
pub fn firsts(backends: &[Backend]) -> impl Iterator<Item = First> {
    let with_room = backends.iter().filter(|backend| is_below_bound(backend));
    with_room.filter_map(|backend| first_waiting(&backend.counts))
}

/// What this shard has written before is seen by all shards that do the same, or what they have
/// written is seen by this one.
pub(super) fn order() {
    fence(Ordering::SeqCst);
}

fn is_below_bound(backend: &Backend) -> bool {
    let max = backend
        .max_outstanding
        .map_or(u64::MAX, |max| max.get().into());
    backend.counts.sum(|line| &line.outstanding) < max
}

fn first_waiting(counts: &PerShard<BackendLine>) -> Option<First> {
    let numbers = counts.lines().map(|line| line.first_waiting.value());
    let all = numbers
        .enumerate()
        .map(|(shard, number)| First { number, shard });
    all.filter(|first| first.number > 0).min()
}
