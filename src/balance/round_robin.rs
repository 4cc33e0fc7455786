//! One after the other: how TCP connections are balanced (CLB.md §4.2), or by weights where they
//! differ.
//!
//! Not here: who counts the turns. Invariants: the same turn over the same backends gives the same
//! one; over any run of turns each gets its share, to within a few turns.

use super::{Bid, Moment, Unserved};
use crate::state::Backend;

/// 2^64 divided by the golden ratio, rounded to odd: the multiples of no other fraction cover the
/// circle as evenly, however many there are.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The backend in service whose turn it is, leaving out those already tried.
///
/// Where weights differ, as they also do in a slow start, turns are dealt in proportion to them.
/// Backends that leave, weigh nothing or have too many sessions are chosen only where there is no
/// other, full or not.
///
/// # Errors
/// Why none was chosen.
pub fn round_robin(
    backends: &[Backend],
    tried: &[usize],
    turn: u64,
    moment: Moment,
) -> Result<usize, Unserved> {
    let left = || (0..backends.len()).filter(|index| !tried.contains(index));
    let bids = || left().filter_map(|index| Bid::of(index, &backends[index], moment));
    let is_last_resort = bids().all(|bid| bid.is_last_resort);
    let bids = || bids().filter(|bid| bid.is_last_resort == is_last_resort);
    if bids().next().is_none() {
        return Err(Unserved::Nobody);
    }
    let bids = || bids().filter(|bid| !bid.is_full());
    let first = bids().next().ok_or(Unserved::Full)?;
    if bids().all(|bid| bid.share == first.share) {
        let count = bids().count() as u64;
        let nth = usize::try_from(turn % count).expect("below a count");
        return Ok(bids().nth(nth).map_or(first.index, |bid| bid.index));
    }
    let whole: u64 = bids().map(|bid| u64::from(bid.share)).sum();
    let point = (u128::from(turn.wrapping_mul(GOLDEN)) * u128::from(whole)) >> 64;
    let mut end = 0;
    let mut ends = bids().map(|bid| {
        end += u128::from(bid.share);
        (end, bid.index)
    });
    let drawn = ends.find(|(end, _)| point < *end);
    Ok(drawn.map_or(first.index, |(_, index)| index))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::tests::{STEADY, backend, bounded, weighing};
    use super::*;
    use crate::state::Admits;

    /// How often each is chosen in so many turns.
    fn shares(backends: &[Backend], turns: u64) -> Vec<u64> {
        let mut shares = vec![0; backends.len()];
        for turn in 0..turns {
            shares[round_robin(backends, &[], turn, STEADY).unwrap()] += 1;
        }
        shares
    }

    #[test]
    fn each_in_service_has_its_turn() {
        let pool = [
            backend(true, &[9]),
            backend(false, &[0]),
            backend(true, &[0]),
            backend(true, &[3]),
        ];
        let chosen: Vec<_> = (0..6)
            .filter_map(|turn| round_robin(&pool, &[], turn, STEADY).ok())
            .collect();
        assert_eq!(chosen, [0, 2, 3, 0, 2, 3], "whatever runs on them");
        assert_eq!(round_robin(&pool, &[2], 1, STEADY), Ok(3), "the next");
        let nobody = Err(Unserved::Nobody);
        assert_eq!(round_robin(&pool, &[0, 2, 3], 0, STEADY), nobody);
        assert_eq!(round_robin(&[], &[], 7, STEADY), nobody);
    }

    #[test]
    fn those_that_are_full_have_no_turn() {
        let pool = [bounded(&[2]), bounded(&[3]), weighing(1, 0)];
        for turn in 0..6 {
            assert_eq!(round_robin(&pool, &[], turn, STEADY), Ok(0));
            let full = Err(Unserved::Full);
            assert_eq!(round_robin(&pool, &[0], turn, STEADY), full);
        }
    }

    #[test]
    fn a_slow_start_begins_with_few_turns() {
        let old = backend(true, &[0]);
        let mut young = backend(true, &[0]);
        young.born_ms = 1000;
        let moment = Moment {
            now_ms: 1500,
            slow_start: Duration::from_secs(1),
            ..STEADY
        };
        let turns = (0..3000).filter(|turn| {
            let pool = [old.clone(), young.clone()];
            round_robin(&pool, &[], *turn, moment) == Ok(1)
        });
        assert!(turns.count().abs_diff(1000) <= 3);
    }

    #[test]
    fn who_leaves_weighs_nothing_or_is_crowded_is_chosen_only_alone() {
        let mut leaving = backend(true, &[0]);
        leaving.admits = Admits::Sessions;
        let mut crowded = backend(true, &[0]);
        crowded.is_over_bound = true;
        let pool = [leaving, crowded, weighing(7, 0), backend(true, &[0])];
        assert_eq!(shares(&pool, 12), [0, 0, 0, 12]);
        let alone: Vec<_> = (0..3)
            .filter_map(|turn| round_robin(&pool, &[3], turn, STEADY).ok())
            .collect();
        assert_eq!(alone, [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn turns_are_dealt_by_weight(
            weights in prop::collection::vec(1_u32..=256, 1..8),
            turns in 1_u64..2000,
        ) {
            let pool: Vec<_> = weights.iter().map(|weight| weighing(0, *weight)).collect();
            let whole: u32 = weights.iter().sum();
            for (share, weight) in shares(&pool, turns).iter().zip(&weights) {
                let fair = turns * u64::from(*weight) / u64::from(whole);
                prop_assert!(share.abs_diff(fair) <= 8, "{share} for {fair}");
            }
        }
    }
}
