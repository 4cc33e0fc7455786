//! Choosing a backend for a request that belongs to none: least outstanding requests.
//!
//! Not stickiness, not health: it is given the backends and sees who is in service. Invariant: a
//! backend is chosen if and only if one that may be is there.

use crate::state::Backend;

/// The backend in service with the fewest outstanding requests over all shards, leaving out those
/// already tried. Ties go round: `turn` is the chooser's own counter and moves on each call.
pub fn least_outstanding(backends: &[Backend], tried: &[usize], turn: &mut usize) -> Option<usize> {
    *turn = turn.wrapping_add(1);
    let start = *turn % backends.len().max(1);
    let in_turn = (start..backends.len()).chain(0..start);
    in_turn
        .filter(|index| backends[*index].is_in_service && !tried.contains(index))
        .min_by_key(|index| backends[*index].counts.sum(|line| &line.outstanding))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::state::{BackendLine, PerShard};

    fn backend(is_in_service: bool, outstanding: &[u64]) -> Backend {
        let counts: PerShard<BackendLine> = PerShard::new(outstanding.len());
        for (shard, &n) in outstanding.iter().enumerate() {
            counts.line(shard).outstanding.set(n);
        }
        Backend {
            id: "b".into(),
            id_hash: 0,
            address: "127.0.0.1:1".parse().unwrap(),
            is_in_service,
            life: 1,
            counts: Arc::new(counts),
        }
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
