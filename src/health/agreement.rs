//! The nodes' opinions become the birth or the death of a life.
//!
//! Not here: how a node comes to its opinion ([`super::RiseFall`]), and how many nodes there are
//! (`cluster`). Invariants: the answer is a function of the opinions, in whatever order; what is
//! said of the time before the last birth or death decides nothing; of two parts of a cluster that
//! do not hear each other at most one ends lives; the opinion of one node alone decides.

use super::{Chronicle, Stamp};

/// What a node's own checks say of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opinion {
    /// They find it well; else they have found it failed, and not well again yet.
    pub is_well: bool,
    /// Since when; or when that was confirmed, against what all hold.
    pub since: Stamp,
}

/// What all hold of a backend: the end of its chronicle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// It lives.
    pub is_open: bool,
    /// Since when it does or does not; before everything if it never lived.
    pub since: Stamp,
}

impl Standing {
    /// As a chronicle tells; `None`: there is none.
    pub fn of(chronicle: Option<&Chronicle>) -> Self {
        let last = chronicle.and_then(|chronicle| chronicle.lives().last());
        Self {
            is_open: last.is_some_and(|life| life.died.is_none()),
            since: last.map_or_else(Stamp::default, |life| life.died.unwrap_or(life.born)),
        }
    }

    /// Whether an opinion speaks against what all hold, knowing of it.
    pub fn is_opposed_by(self, opinion: Opinion) -> bool {
        opinion.is_well != self.is_open && opinion.since > self.since
    }
}

/// When a backend began to live, or ceased to: the moment at which enough opinions were against its
/// standing. `None`: they are not.
///
/// A life ends when more than half of all `nodes` say so, heard or not: those who hear half of them
/// at most end none. It begins when more than half of those who have an opinion say so.
pub fn agreement(
    standing: Standing,
    opinions: impl Iterator<Item = Opinion>,
    nodes: usize,
) -> Option<Stamp> {
    let mut count = 0;
    let mut opposed: Vec<Stamp> = opinions
        .inspect(|_| count += 1)
        .filter(|&opinion| standing.is_opposed_by(opinion))
        .map(|opinion| opinion.since)
        .collect();
    let half = if standing.is_open {
        nodes / 2
    } else {
        count / 2
    };
    if opposed.len() <= half {
        return None;
    }
    opposed.sort_unstable();
    Some(opposed[half])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(wall_ms: u64) -> Stamp {
        Stamp {
            wall_ms,
            ..Stamp::default()
        }
    }

    fn standing(is_open: bool, since: u64) -> Standing {
        Standing {
            is_open,
            since: at(since),
        }
    }

    /// Whether a node finds the backend well, and since when.
    type Told = (bool, u64);

    fn decided(standing: Standing, opinions: &[Told], nodes: usize) -> Option<u64> {
        let opinions = opinions.iter().map(|&(is_well, since)| Opinion {
            is_well,
            since: at(since),
        });
        agreement(standing, opinions, nodes).map(|stamp| stamp.wall_ms)
    }

    #[test]
    fn more_than_half_of_all_nodes_end_a_life() {
        let open = standing(true, 10);
        // (opinions, nodes, when the life ended)
        let cases: [(&[Told], usize, Option<u64>); 8] = [
            (&[], 1, None),
            (&[(false, 20)], 1, Some(20)),
            (&[(true, 5)], 1, None),
            (&[(false, 20)], 2, None),
            (&[(false, 30), (false, 20)], 2, Some(30)),
            (&[(false, 30), (true, 5), (false, 20)], 3, Some(30)),
            (&[(false, 40), (false, 30), (false, 20)], 3, Some(30)),
            (&[(false, 40), (false, 30)], 4, None),
        ];
        for (opinions, nodes, expected) in cases {
            assert_eq!(decided(open, opinions, nodes), expected, "{opinions:?}");
        }
    }

    #[test]
    fn more_than_half_of_those_who_have_an_opinion_begin_one() {
        let over = standing(false, 10);
        // Those who check it are a few of all.
        assert_eq!(decided(over, &[(true, 20)], 9), Some(20));
        assert_eq!(decided(over, &[(true, 20), (false, 5)], 9), None);
        assert_eq!(
            decided(over, &[(true, 20), (false, 5), (true, 30)], 9),
            Some(30)
        );
    }

    #[test]
    fn what_was_said_before_decides_nothing_after() {
        // Two nodes have found it failed before it came back for most.
        assert_eq!(
            decided(standing(true, 50), &[(false, 20), (false, 50)], 2),
            None
        );
        // A node that has not heard of the death cannot undo it.
        let late = [(true, 20), (true, 50), (false, 40)];
        assert_eq!(decided(standing(false, 50), &late, 3), None);
        let again = [(true, 60), (true, 51), (false, 40)];
        assert_eq!(decided(standing(false, 50), &again, 3), Some(60));
    }

    proptest! {
        #[test]
        fn the_order_of_opinions_means_nothing(
            is_open in any::<bool>(),
            mut opinions in prop::collection::vec((any::<bool>(), 0_u64..40), 0..9),
        ) {
            let standing = standing(is_open, 10);
            let decided_as_said = decided(standing, &opinions, 5);
            opinions.sort_unstable();
            prop_assert_eq!(decided_as_said, decided(standing, &opinions, 5));
        }

        #[test]
        fn half_of_them_decide_nothing(is_open in any::<bool>(), pairs in 1_usize..6) {
            let opinions = [(true, 20), (false, 20)].repeat(pairs);
            prop_assert_eq!(decided(standing(is_open, 10), &opinions, 2 * pairs), None);
        }
    }
}
