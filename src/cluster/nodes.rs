//! The roll of nodes: who lives, who is enough to decide, and who does what for all.
//!
//! Not how a node is found to live (the gossip library's failure detector). Invariants: of two
//! parts of a cluster at most one has a quorum; who is chosen for a task depends on the names of
//! the live nodes alone, and a node that comes or goes changes little of it.

use std::sync::Arc;

use crate::health::{id_hash, mix};
use crate::limits::{TELLERS, WITNESSES};

/// Keeps tellers of a backend's chronicle from being its witnesses by the same rank.
const TELLING: u64 = 0x7465_6c6c;

/// The number of a node in stamps. Never 0, which is who has no name.
pub fn node_number(name: &str) -> u32 {
    let [_, _, _, _, hash @ ..] = id_hash(name).to_be_bytes();
    u32::from_be_bytes(hash).max(1)
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: Arc<str>,
    /// When it started, in milliseconds since 1970 by its clock: tells its lives apart.
    pub boot_ms: u64,
    /// It was heard lately.
    pub is_live: bool,
}

/// All nodes that this one knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// This node's name.
    pub own: Arc<str>,
    /// The others, each once: those that live, and those that have gone without a word and are
    /// waited for.
    pub others: Vec<Peer>,
    /// How many nodes there are at least, this one included: the configuration says so.
    pub expected: usize,
}

impl Roll {
    /// A node that has heard of no other.
    pub fn new(own: &str, expected: usize) -> Self {
        Self {
            own: Arc::from(own),
            others: Vec::new(),
            expected,
        }
    }

    /// The names of the nodes that live, this one first.
    pub fn live(&self) -> impl Iterator<Item = &Arc<str>> {
        let others = self.others.iter().filter(|peer| peer.is_live);
        std::iter::once(&self.own).chain(others.map(|peer| &peer.name))
    }

    /// Whether that node lives.
    pub fn is_live(&self, name: &str) -> bool {
        self.live().any(|live| **live == *name)
    }

    /// How many nodes there are, as far as is known.
    pub fn known(&self) -> usize {
        self.expected.max(1 + self.others.len())
    }

    /// Whether those that live are more than half of all, and so can declare a backend dead.
    pub fn has_quorum(&self) -> bool {
        2 * self.live().count() > self.known()
    }

    /// What falls to this node among those that live.
    pub fn duties(&self) -> Duties {
        let others = self.others.iter().filter(|peer| peer.is_live);
        Duties {
            own: id_hash(&self.own),
            others: others.map(|peer| id_hash(&peer.name)).collect(),
        }
    }
}

/// What falls to one node, as long as the same nodes live: asked for every backend at every change,
/// so the names are hashed once.
#[derive(Debug)]
pub struct Duties {
    own: u64,
    /// Of the others that live.
    others: Vec<u64>,
}

impl Duties {
    /// Whether this node is one of those that check a backend of a load balancer.
    pub fn is_witness(&self, load_balancer: &str, backend: u64) -> bool {
        self.is_among(WITNESSES, mix(id_hash(load_balancer), backend))
    }

    /// Whether this node is one of those that tell a backend's chronicle to those who come.
    pub fn is_teller(&self, load_balancer: &str, backend: u64) -> bool {
        let of_it = mix(id_hash(load_balancer), backend);
        self.is_among(TELLERS, mix(TELLING, of_it))
    }

    /// By rendezvous rank.
    fn is_among(&self, count: usize, task: u64) -> bool {
        let own = mix(task, self.own);
        let before = self.others.iter().filter(|&&other| mix(task, other) > own);
        before.count() < count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn roll(own: usize, live: impl Fn(usize) -> bool, count: usize) -> Roll {
        let name = |index: usize| format!("10.0.0.{index}:7946");
        let others = (0..count).filter(|&index| index != own);
        Roll {
            own: Arc::from(name(own)),
            others: others
                .map(|index| Peer {
                    name: Arc::from(name(index)),
                    boot_ms: 0,
                    is_live: live(index),
                })
                .collect(),
            expected: 1,
        }
    }

    #[test]
    fn who_is_alone_decides_alone() {
        let alone = Roll::new("", 1);
        assert!(alone.has_quorum() && alone.duties().is_witness("web", 7));
        assert_eq!(alone.known(), 1);
    }

    #[test]
    fn who_starts_waits_for_those_that_the_configuration_names() {
        assert!(!Roll::new("a", 2).has_quorum());
        assert!(!Roll::new("a", 3).has_quorum());
    }

    proptest! {
        #[test]
        fn two_parts_of_a_cluster_never_both_decide(count in 1_usize..12, parts in any::<u16>()) {
            let part_of = |index: usize| parts >> index & 1;
            let quorate: Vec<_> = (0..count)
                .filter(|&own| roll(own, |other| part_of(other) == part_of(own), count).has_quorum())
                .map(part_of)
                .collect();
            prop_assert!(quorate.windows(2).all(|pair| pair[0] == pair[1]));
            // And one does, unless they are halves.
            prop_assert!(!quorate.is_empty() || count % 2 == 0);
        }

        #[test]
        fn every_backend_has_its_witnesses_and_tellers(
            count in 1_usize..12,
            backend in any::<u64>(),
        ) {
            let all: Vec<_> = (0..count).map(|own| roll(own, |_| true, count)).collect();
            let witnesses = all.iter().filter(|roll| roll.duties().is_witness("web", backend)).count();
            let tellers = all.iter().filter(|roll| roll.duties().is_teller("web", backend)).count();
            prop_assert_eq!(witnesses, count.min(WITNESSES));
            prop_assert_eq!(tellers, count.min(TELLERS));
        }
    }

    #[test]
    fn a_node_that_goes_gives_its_tasks_away_and_changes_no_others() {
        let count = 8;
        let witnesses = |live: &dyn Fn(usize) -> bool, backend: u64| -> Vec<usize> {
            let is_one = |own: &usize| {
                live(*own) && roll(*own, live, count).duties().is_witness("web", backend)
            };
            (0..count).filter(is_one).collect()
        };
        for backend in 0..200_u64 {
            let before = witnesses(&|_| true, backend);
            let after = witnesses(&|index| index != 3, backend);
            let kept = before.iter().filter(|&&own| own != 3);
            assert!(kept.into_iter().all(|own| after.contains(own)));
        }
    }
}
