//! Rendezvous hashing: which backend a session goes to among those that can take it.
//!
//! Not a first choice for newcomers (`balance` does that by load): this is where the sessions of a
//! lost backend go. Invariants: a backend that leaves or joins moves only the sessions that it had
//! or gets; nobody's answer depends on the order in which backends are listed; whole numbers only,
//! so that every machine computes the same.

use std::cmp::Ordering;

use super::mix;

/// A backend that may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// What the caller calls it.
    pub index: usize,
    /// Its [`super::id_hash`].
    pub id_hash: u64,
    /// Its share is in proportion to this. 0: chosen only where nobody weighs more.
    pub weight: u32,
}

/// The candidate that ranks first for `session`; `None` if there is none.
///
/// Candidates with the same hash cannot be told apart by any cookie; the lowest index stands for
/// them.
pub fn first(session: u64, candidates: impl Iterator<Item = Candidate>) -> Option<Candidate> {
    candidates
        .map(|candidate| Score::new(session, candidate))
        .max_by(Score::compare)
        .map(|score| score.candidate)
}

/// All candidates, the first choice first.
pub fn order(session: u64, candidates: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    let mut scores: Vec<_> = candidates
        .map(|candidate| Score::new(session, candidate))
        .collect();
    scores.sort_by(|a, b| b.compare(a));
    scores.into_iter().map(|score| score.candidate).collect()
}

/// How much a session likes a candidate.
#[derive(Debug, Clone, Copy)]
struct Score {
    hash: u64,
    candidate: Candidate,
}

impl Score {
    fn new(session: u64, candidate: Candidate) -> Self {
        Self {
            hash: mix(session, candidate.id_hash),
            candidate,
        }
    }

    /// Weighted rendezvous hashing: with hashes read as `u` in (0, 1], the greatest
    /// `weight / -log(u)` is first. For equal weights that is the greatest hash, and the logarithm
    /// need not be taken.
    fn compare(&self, other: &Self) -> Ordering {
        let by_weight = match (self.candidate.weight, other.candidate.weight) {
            (a, b) if a == b => Ordering::Equal,
            (_, 0) => Ordering::Greater,
            (0, _) => Ordering::Less,
            (a, b) => {
                let ours = u128::from(minus_log2(self.hash)) * u128::from(b);
                let theirs = u128::from(minus_log2(other.hash)) * u128::from(a);
                theirs.cmp(&ours)
            }
        };
        by_weight
            .then(self.hash.cmp(&other.hash))
            .then(other.candidate.index.cmp(&self.candidate.index))
    }
}

/// `-log2(hash / 2^64)` in units of 2^-32, rounded up: the binary logarithm, one bit per squaring.
/// Falls, or stays, as the hash grows.
fn minus_log2(hash: u64) -> u64 {
    const FRACTION_BITS: u32 = 32;
    let hash = hash.max(1);
    let zeros = hash.leading_zeros();
    let mut mantissa = hash << zeros;
    let mut fraction = 0_u64;
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let is_above = square >> 64 != 0;
        fraction = fraction << 1 | u64::from(is_above);
        mantissa = u64::try_from(square >> u32::from(is_above)).expect("normalised to 64 bits");
    }
    (u64::from(zeros + 1) << FRACTION_BITS) - fraction
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::id_hash;

    fn candidate(index: usize, id_hash: u64, weight: u32) -> Candidate {
        Candidate {
            index,
            id_hash,
            weight,
        }
    }

    fn first(session: u64, candidates: impl Iterator<Item = Candidate>) -> Option<usize> {
        super::first(session, candidates).map(|first| first.index)
    }

    /// Distinct backends of some weights, some of them 0.
    fn pools() -> impl Strategy<Value = Vec<Candidate>> {
        let backends = prop::collection::hash_map(any::<u64>(), 0_u32..4, 1..40);
        backends.prop_map(|backends| {
            let numbered = backends.into_iter().enumerate();
            numbered
                .map(|(index, (id_hash, weight))| candidate(index, id_hash, weight))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn removing_a_backend_moves_only_its_own_sessions(
            pool in pools(),
            sessions in prop::collection::vec(any::<u64>(), 1..200),
            pick in any::<prop::sample::Index>(),
        ) {
            let gone = pool[pick.index(pool.len())].index;
            for session in sessions {
                let before = first(session, pool.iter().copied());
                let after = first(session, pool.iter().copied().filter(|c| c.index != gone));
                if before == Some(gone) {
                    prop_assert_ne!(after, Some(gone));
                } else {
                    prop_assert_eq!(after, before);
                }
            }
        }

        #[test]
        fn the_order_of_backends_is_irrelevant(
            (pool, shuffled) in pools().prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
            session in any::<u64>(),
        ) {
            prop_assert_eq!(first(session, pool.into_iter()), first(session, shuffled.into_iter()));
        }

        #[test]
        fn backends_of_equal_hash_are_ranked_by_index(
            hash in any::<u64>(),
            session in any::<u64>(),
            indexes in prop::collection::vec(0..1000_usize, 1..10),
        ) {
            let winner = first(session, indexes.iter().map(|&index| candidate(index, hash, 1)));
            prop_assert_eq!(winner, indexes.into_iter().min());
        }
    }

    proptest! {
        #[test]
        fn the_order_begins_with_the_first_and_goes_on_as_if_it_were_gone(
            mut pool in pools(),
            session in any::<u64>(),
        ) {
            for Candidate { index, .. } in order(session, pool.clone().into_iter()) {
                prop_assert_eq!(first(session, pool.iter().copied()), Some(index));
                pool.retain(|candidate| candidate.index != index);
            }
            prop_assert!(pool.is_empty());
        }

        #[test]
        fn weight_0_is_chosen_only_where_nobody_weighs_more(
            pool in pools(),
            session in any::<u64>(),
        ) {
            let chosen = first(session, pool.iter().copied()).expect("pools are not empty");
            let weight = |index: usize| pool[index].weight;
            prop_assert!(weight(chosen) > 0 || pool.iter().all(|c| c.weight == 0));
        }

        #[test]
        fn the_logarithm_never_grows_with_the_hash(a: u64, b: u64) {
            prop_assert_eq!(minus_log2(a.max(b)), minus_log2(a).min(minus_log2(b)));
        }
    }

    #[test]
    fn the_logarithm_is_that_of_mathematics() {
        assert_eq!(minus_log2(1 << 63), 1 << 32);
        assert_eq!(minus_log2(1 << 40), 24 << 32);
        assert_eq!(minus_log2(1), 64 << 32);
        // log2(3) is 1.5849625007..., cut to 32 bits: 6807362105.
        assert_eq!(minus_log2(3 << 60), (4 << 32) - 6_807_362_105);
    }

    #[test]
    fn shares_are_in_proportion_to_weights() {
        let weights = [1, 2, 3, 0, 4];
        let pool: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| candidate(i, id_hash(&format!("i-{i}")), weight))
            .collect();
        let counts = spread(&pool, 100_000);
        for (count, weight) in counts.iter().zip(weights) {
            let fair = u64::from(weight) * 10_000;
            assert!(count.abs_diff(fair) <= fair / 20, "{counts:?}");
        }
    }

    /// Of `sessions` many consecutive session ids, how many go to each of `pool`.
    fn spread(pool: &[Candidate], sessions: u64) -> Vec<u64> {
        let mut counts = vec![0; pool.len()];
        for session in 0..sessions {
            let index = first(session, pool.iter().copied()).expect("the pool is not empty");
            counts[index] += 1;
        }
        counts
    }

    #[test]
    fn sessions_spread_evenly_even_if_their_ids_are_consecutive() {
        let pool: Vec<_> = (0..8)
            .map(|i| candidate(i, id_hash(&format!("10.0.0.{}:9001", i + 1)), 1))
            .collect();
        let counts = spread(&pool, 80_000);
        assert!(
            counts.iter().all(|count| (9_500..=10_500).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_sessions_of_a_lost_backend_spread_evenly_over_the_others() {
        let pool: Vec<_> = (0..5)
            .map(|i| candidate(i, id_hash(&format!("i-{i:08x}")), 1))
            .collect();
        let mut moved = [0_u64; 5];
        for session in 0..100_000 {
            if first(session, pool.iter().copied()) == Some(2) {
                let survivors = pool
                    .iter()
                    .copied()
                    .filter(|candidate| candidate.index != 2);
                moved[first(session, survivors).expect("four are left")] += 1;
            }
        }
        assert_eq!(moved[2], 0);
        let mean = moved.iter().sum::<u64>() / 4;
        for index in [0, 1, 3, 4] {
            assert!(moved[index].abs_diff(mean) < mean / 10, "{moved:?}");
        }
    }

    #[test]
    fn an_empty_pool_has_no_first() {
        assert_eq!(first(7, std::iter::empty()), None);
    }
}
