//! Rendezvous hashing: which backend a session goes to among those that can take it.
//!
//! Not a first choice for newcomers (`balance` does that by load): this is where the sessions of a
//! lost backend go. Invariant: a backend that leaves or joins moves only the sessions that it had
//! or gets, and nobody's answer depends on the order in which backends are listed.

use std::cmp::Reverse;

use super::mix;

/// The index of the backend that ranks first for `session`; `None` if there are no backends.
///
/// `backends` yields each backend's index and [`super::id_hash`]. All weigh the same. Backends with
/// the same hash cannot be told apart by any cookie; the lowest index stands for them.
pub fn first(session: u64, backends: impl Iterator<Item = (usize, u64)>) -> Option<usize> {
    backends
        .max_by_key(|&(index, id_hash)| (mix(session, id_hash), Reverse(index)))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::id_hash;

    /// Distinct backends, as (index, id hash).
    fn pools() -> impl Strategy<Value = Vec<(usize, u64)>> {
        prop::collection::hash_set(any::<u64>(), 1..40)
            .prop_map(|hashes| hashes.into_iter().enumerate().collect())
    }

    proptest! {
        #[test]
        fn removing_a_backend_moves_only_its_own_sessions(
            pool in pools(),
            sessions in prop::collection::vec(any::<u64>(), 1..200),
            pick in any::<prop::sample::Index>(),
        ) {
            let (gone, _) = pool[pick.index(pool.len())];
            for session in sessions {
                let before = first(session, pool.iter().copied());
                let after = first(session, pool.iter().copied().filter(|&(i, _)| i != gone));
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
            let winner = first(session, indexes.iter().map(|&index| (index, hash)));
            prop_assert_eq!(winner, indexes.into_iter().min());
        }
    }

    /// Of `sessions` many consecutive session ids, how many go to each of `pool`.
    fn spread(pool: &[(usize, u64)], sessions: u64) -> Vec<u64> {
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
            .map(|i| (i, id_hash(&format!("10.0.0.{}:9001", i + 1))))
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
            .map(|i| (i, id_hash(&format!("i-{i:08x}"))))
            .collect();
        let mut moved = [0_u64; 5];
        for session in 0..100_000 {
            if first(session, pool.iter().copied()) == Some(2) {
                let survivors = pool.iter().copied().filter(|&(index, _)| index != 2);
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
