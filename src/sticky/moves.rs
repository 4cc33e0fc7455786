//! Which sessions this shard has seen to have moved, and between which backends.
//!
//! For people who look at a failure, not for the data path: where a session lives is `place`'s to
//! say. Each pair of backends has a [`Sketch`], so that a session counts once however many
//! requests, cookies and shards it was seen by. Invariant: at most [`MOVES_PER_SHARD`] pairs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::MOVES_PER_SHARD;
use crate::state::Route;

use super::census::Sketch;

/// Sessions that have left one backend for another.
#[derive(Debug)]
pub struct Moved {
    /// Their load balancer.
    pub load_balancer: Arc<str>,
    /// The backend where they were, by `health::id_hash`; it may be registered no more.
    pub from: u64,
    /// The one to which they went.
    pub to: u64,
    /// Which they are.
    pub sessions: Sketch,
}

/// What has been seen since it was taken last.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// By scope, where from and where to.
    flows: BTreeMap<(u64, u64, u64), Moved>,
    missed: u64,
}

impl Moves {
    /// Marks `session` as one that lived on `from` and lives on `to`.
    pub(super) fn note(&mut self, route: &Route, from: u64, to: u64, session: u64) {
        let key = (route.scope, from, to);
        if self.flows.len() >= MOVES_PER_SHARD && !self.flows.contains_key(&key) {
            self.missed += 1;
            return;
        }
        let flow = self.flows.entry(key).or_insert_with(|| Moved {
            load_balancer: Arc::clone(&route.load_balancer),
            from,
            to,
            sessions: Sketch::default(),
        });
        flow.sessions.insert(session);
    }

    /// Hands over what was seen, and how often there was no place for it.
    pub(super) fn take(&mut self) -> (Vec<Moved>, u64) {
        let flows = std::mem::take(&mut self.flows);
        (
            flows.into_values().collect(),
            std::mem::take(&mut self.missed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::fixture;

    #[test]
    fn a_session_counts_once_for_each_pair_of_backends() {
        let route = fixture::route(fixture::sticky(60), Vec::new());
        let mut moves = Moves::default();
        for (from, to, session) in [(1, 2, 7), (1, 2, 7), (1, 2, 8), (1, 3, 7)] {
            moves.note(&route, from, to, session);
        }
        let (flows, missed) = moves.take();
        let told = flows
            .iter()
            .map(|flow| (flow.from, flow.to, flow.sessions.estimate()));
        assert_eq!(told.collect::<Vec<_>>(), [(1, 2, 2), (1, 3, 1)]);
        assert_eq!(missed, 0);
        assert!(moves.take().0.is_empty(), "it was taken");
    }

    #[test]
    fn there_are_so_many_pairs_and_those_beyond_are_counted() {
        let route = fixture::route(fixture::sticky(60), Vec::new());
        let mut moves = Moves::default();
        for to in 0..MOVES_PER_SHARD as u64 + 3 {
            moves.note(&route, 1, to, 7);
        }
        moves.note(&route, 1, 0, 8);
        let (flows, missed) = moves.take();
        assert_eq!((flows.len(), missed), (MOVES_PER_SHARD, 3));
        assert_eq!(flows[0].sessions.estimate(), 2, "one that has its place");
    }
}
