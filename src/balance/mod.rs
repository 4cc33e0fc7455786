//! Choosing a backend for a request that belongs to none: least outstanding requests, or
//! by weights where they differ. For a connection of a TCP listener: one after the other.
//!
//! Not stickiness, not health: it is given the backends and sees who is in service. Invariant: a
//! backend is chosen if and only if one that may be is there and has room (`room.rs`). Where all
//! are full, those who come wait in a queue (`queue.rs`).

mod queue;
mod room;
mod round_robin;

use std::time::Duration;

pub use queue::{Queue, Refusers, Wish};
pub use room::{First, NEWCOMER, firsts, has_room, next, take};
pub use round_robin::round_robin;

use crate::health::mix;
use crate::health::rank::{self, Candidate};
use crate::state::{Admits, Backend};

/// The share of its weight that a backend begins with in its slow start, in thousandths.
const FIRST_SHARE: u64 = 50;

/// The load of a backend that has no room: more than any other's.
const FULL: u64 = u64::MAX;

/// What a chooser knows beside the backends.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// How long a backend that came into service works up to its share; zero: not at all.
    pub slow_start: Duration,
    /// The number of the request: it takes no room that somebody waits for who came before.
    pub number: u64,
}

/// Why no backend was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// Those that could serve the request are full: it may wait.
    Full,
    /// There is none, or none is left that was not tried.
    Nobody,
}

/// The backend in service with the fewest outstanding requests over all shards, leaving out those
/// already tried. Ties go round: `turn` is the chooser's own counter and moves on each call.
///
/// Where weights differ, as they also do in a slow start, backends are drawn in proportion to
/// weight / (outstanding + 1): by weight while they are idle, and less the busier they are.
///
/// Backends that leave, weigh nothing or have too many sessions are chosen only where there is no
/// other, full or not: a request that can be served is.
///
/// # Errors
/// Why none was chosen.
pub fn least_outstanding(
    backends: &[Backend],
    tried: &[usize],
    turn: &mut usize,
    moment: Moment,
) -> Result<usize, Unserved> {
    *turn = turn.wrapping_add(1);
    let start = *turn % backends.len().max(1);
    let in_turn = (start..backends.len()).chain(0..start);
    let bids = in_turn
        .filter(|index| !tried.contains(index))
        .filter_map(|index| Bid::of(index, &backends[index], moment));
    let mut best: Option<Bid> = None;
    let mut shares_differ = false;
    for bid in bids {
        let Some(least) = best.filter(|best| best.is_last_resort <= bid.is_last_resort) else {
            best = Some(bid);
            shares_differ = false;
            continue;
        };
        if least.is_last_resort == bid.is_last_resort {
            shares_differ |= least.share != bid.share;
            if bid.outstanding < least.outstanding {
                best = Some(bid);
            }
        }
    }
    let best = best.ok_or(Unserved::Nobody)?;
    if best.is_full() {
        return Err(Unserved::Full);
    }
    if shares_differ {
        let drawn = draw(backends, tried, *turn, moment, best.is_last_resort);
        return Ok(drawn.unwrap_or(best.index));
    }
    Ok(best.index)
}

/// Draws a backend by weight and load.
fn draw(
    backends: &[Backend],
    tried: &[usize],
    turn: usize,
    moment: Moment,
    is_last_resort: bool,
) -> Option<usize> {
    let left = (0..backends.len()).filter(|index| !tried.contains(index));
    let bids = left
        .filter_map(|index| Bid::of(index, &backends[index], moment))
        .filter(|bid| bid.is_last_resort == is_last_resort && !bid.is_full());
    let candidates = bids.map(|bid| Candidate {
        index: bid.index,
        id_hash: backends[bid.index].id_hash,
        weight: bid.pull(),
    });
    rank::first(mix(turn as u64, 0), candidates).map(|first| first.index)
}

/// How well a backend could take a request.
#[derive(Debug, Clone, Copy)]
struct Bid {
    index: usize,
    is_last_resort: bool,
    /// [`FULL`] if it has no room.
    outstanding: u64,
    /// Weight in thousandths, less during a slow start.
    share: u32,
}

impl Bid {
    fn of(index: usize, backend: &Backend, moment: Moment) -> Option<Self> {
        if backend.admits == Admits::Nothing {
            return None;
        }
        let weight = backend.weight_for_others();
        Some(Self {
            index,
            is_last_resort: is_last_resort(backend),
            outstanding: if has_room(backend, moment.number) {
                backend.counts.sum(|line| &line.outstanding)
            } else {
                FULL
            },
            share: weight.max(1) * ramp(backend, moment),
        })
    }

    fn is_full(&self) -> bool {
        self.outstanding == FULL
    }

    /// What it is drawn in proportion to: at most 256 times a million.
    fn pull(&self) -> u32 {
        let pull = u64::from(self.share) * 1000 / self.outstanding.saturating_add(1);
        u32::try_from(pull.max(1)).expect("256 weights of a million")
    }
}

/// Whether those that belong to no backend go to this one only where there is no other.
fn is_last_resort(backend: &Backend) -> bool {
    backend.weight_for_others() == 0 || backend.is_over_bound
}

/// How much of its weight a backend has by now, in thousandths.
fn ramp(backend: &Backend, moment: Moment) -> u32 {
    let whole = u64::try_from(moment.slow_start.as_millis()).unwrap_or(u64::MAX);
    if whole == 0 {
        return 1000;
    }
    let age = moment.now_ms.saturating_sub(backend.born_ms);
    let share = (age.saturating_mul(1000) / whole).clamp(FIRST_SHARE, 1000);
    u32::try_from(share).expect("at most a thousand")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::state::{BackendLine, PerShard};

    pub(super) const STEADY: Moment = Moment {
        now_ms: 0,
        slow_start: Duration::ZERO,
        number: NEWCOMER,
    };

    fn least_outstanding(backends: &[Backend], tried: &[usize], turn: &mut usize) -> Option<usize> {
        super::least_outstanding(backends, tried, turn, STEADY).ok()
    }

    pub(super) fn backend(is_in_service: bool, outstanding: &[u64]) -> Backend {
        let counts: PerShard<BackendLine> = PerShard::new(outstanding.len());
        for (shard, &n) in outstanding.iter().enumerate() {
            counts.line(shard).outstanding.set(n);
        }
        Backend {
            id: "b".into(),
            id_hash: 0,
            slot: 0,
            address: "127.0.0.1:1".parse().unwrap(),
            admits: if is_in_service {
                Admits::All
            } else {
                Admits::Nothing
            },
            life: 1,
            weight: 1,
            born_ms: 0,
            is_over_bound: false,
            max_outstanding: None,
            counts: Arc::new(counts),
        }
    }

    pub(super) fn weighing(id_hash: u64, weight: u32) -> Backend {
        Backend {
            id_hash,
            weight,
            ..backend(true, &[0])
        }
    }

    /// How often each is chosen of 10,000 times.
    fn shares(backends: &[Backend], moment: Moment) -> Vec<u32> {
        let mut shares = vec![0; backends.len()];
        let mut turn = 0;
        for _ in 0..10_000 {
            let chosen = super::least_outstanding(backends, &[], &mut turn, moment);
            shares[chosen.expect("all are in service")] += 1;
        }
        shares
    }

    #[test]
    fn idle_backends_are_chosen_in_proportion_to_their_weights() {
        let shares = shares(&[weighing(1, 1), weighing(2, 3), weighing(3, 0)], STEADY);
        assert!(
            shares[0].abs_diff(2500) < 250 && shares[2] == 0,
            "{shares:?}"
        );
    }

    #[test]
    fn a_busy_backend_is_drawn_less_than_by_its_weight() {
        // 3 / (5 + 1) to 1 / (2 + 1).
        let busy = |id_hash, weight, outstanding| Backend {
            counts: backend(true, &[outstanding]).counts,
            ..weighing(id_hash, weight)
        };
        let shares = shares(&[busy(1, 3, 5), busy(2, 1, 2)], STEADY);
        assert!(shares[0].abs_diff(6000) < 250, "{shares:?}");
    }

    #[test]
    fn a_backend_works_up_to_its_share_in_its_slow_start() {
        let mut young = weighing(1, 1);
        young.born_ms = 1000;
        let pool = [young, weighing(2, 1)];
        let at = |now_ms| Moment {
            now_ms,
            slow_start: Duration::from_secs(1),
            ..STEADY
        };
        assert!(shares(&pool, at(1000))[0] < 1000);
        assert!(shares(&pool, at(1500))[0].abs_diff(3333) < 350);
        assert_eq!(shares(&pool, at(2000)), [5000, 5000]);
    }

    #[test]
    fn who_leaves_or_has_too_many_sessions_is_chosen_only_alone() {
        let mut leaving = backend(true, &[0]);
        leaving.admits = Admits::Sessions;
        let mut crowded = backend(true, &[0]);
        crowded.is_over_bound = true;
        let busy = backend(true, &[9]);
        let pool = [leaving, crowded, busy];
        assert_eq!(least_outstanding(&pool, &[], &mut 0), Some(2));
        assert!(least_outstanding(&pool, &[2], &mut 0).is_some());
    }

    /// A backend that may have three requests, with so many on each shard.
    pub(super) fn bounded(outstanding: &[u64]) -> Backend {
        Backend {
            max_outstanding: NonZeroU32::new(3),
            ..backend(true, outstanding)
        }
    }

    #[test]
    fn a_backend_that_is_full_is_left_out_and_where_all_are_so_it_is_said() {
        let pool = [bounded(&[2, 1]), bounded(&[0, 2]), weighing(1, 0)];
        let choose = |pool: &[Backend], tried: &[usize]| {
            super::least_outstanding(pool, tried, &mut 0, STEADY)
        };
        assert_eq!(choose(&pool, &[]), Ok(1));
        assert_eq!(
            choose(&pool, &[1]),
            Err(Unserved::Full),
            "not the last resort"
        );
        assert_eq!(choose(&pool, &[0, 1]), Ok(2));
        assert_eq!(choose(&pool, &[0, 1, 2]), Err(Unserved::Nobody));
        let weighted = [bounded(&[3, 0]), weighing(2, 9), weighing(3, 1)];
        for turn in 0..100 {
            let chosen = super::least_outstanding(&weighted, &[], &mut { turn }, STEADY);
            assert_ne!(chosen, Ok(0), "not drawn either");
        }
    }

    #[test]
    fn whoever_comes_does_not_overtake_those_that_wait() {
        let one = bounded(&[0, 0]);
        one.counts.line(1).first_waiting.set(7);
        let choose = |number| {
            let moment = Moment { number, ..STEADY };
            super::least_outstanding(std::slice::from_ref(&one), &[], &mut 0, moment)
        };
        assert_eq!(choose(NEWCOMER), Err(Unserved::Full));
        assert_eq!(choose(8), Err(Unserved::Full));
        assert_eq!(choose(7), Ok(0));
        assert_eq!(choose(3), Ok(0), "one that has not said yet that it waits");
    }

    #[test]
    fn outstanding_requests_count_over_all_shards() {
        let backends = [
            backend(true, &[0, 3]),
            backend(true, &[2, 0]),
            backend(true, &[4, 2]),
        ];
        assert_eq!(least_outstanding(&backends, &[], &mut 0), Some(1));
        assert_eq!(least_outstanding(&backends, &[1], &mut 1), Some(0));
    }

    #[test]
    fn ties_go_round() {
        let backends = [
            backend(true, &[0]),
            backend(true, &[0]),
            backend(true, &[0]),
        ];
        let mut turn = 0;
        let chosen: Vec<_> = (0..6)
            .filter_map(|_| least_outstanding(&backends, &[], &mut turn))
            .collect();
        assert_eq!(chosen, [1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn none_in_service_none_chosen() {
        assert_eq!(least_outstanding(&[], &[], &mut 0), None);
        assert_eq!(
            least_outstanding(&[backend(false, &[0])], &[], &mut 0),
            None
        );
    }

    proptest! {
        #[test]
        fn the_chosen_has_the_least_of_those_that_may_be(
            loads in prop::collection::vec((any::<bool>(), 0_u64..4), 0..8),
            tried in prop::collection::vec(0_usize..8, 0..3),
            mut turn: usize,
        ) {
            let backends: Vec<_> = loads.iter().map(|(up, n)| backend(*up, &[*n])).collect();
            let may_be = |index: &usize| loads[*index].0 && !tried.contains(index);
            let least = (0..loads.len()).filter(may_be).map(|index| loads[index].1).min();
            let chosen = least_outstanding(&backends, &tried, &mut turn);
            prop_assert!(chosen.is_none_or(|index| may_be(&index)));
            prop_assert_eq!(chosen.map(|index| loads[index].1), least);
        }
    }
}
