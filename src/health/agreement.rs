//! The nodes' opinions become the birth or the death of a life.
//!
//! Not here: how a node comes to its opinion ([`super::RiseFall`]), which nodes count, and whether
//! those that are left may decide for all (`cluster`). Invariants: the answer is a function of the
//! opinions, in whatever order; what is said of the time before the last birth or death decides
//! nothing; one opinion of one node is as good as a check was without any other node.

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

/// When a backend began to live, or ceased to: the moment at which more than half of all opinions
/// were against its standing. `None`: they are not.
pub fn agreement(standing: Standing, opinions: impl Iterator<Item = Opinion>) -> Option<Stamp> {
    let mut count = 0;
    let mut opposed: Vec<Stamp> = opinions
        .inspect(|_| count += 1)
        .filter(|&opinion| standing.is_opposed_by(opinion))
        .map(|opinion| opinion.since)
        .collect();
    let half = count / 2;
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

    fn decided(standing: Standing, opinions: &[(bool, u64)]) -> Option<u64> {
        let opinions = opinions.iter().map(|&(is_well, since)| Opinion {
            is_well,
            since: at(since),
        });
        agreement(standing, opinions).map(|stamp| stamp.wall_ms)
    }

    #[test]
    fn more_than_half_of_those_who_have_one_decide() {
        let open = standing(true, 10);
        // (opinions, when the life ended)
        let cases: [(&[(bool, u64)], Option<u64>); 7] = [
            (&[], None),
            (&[(false, 20)], Some(20)),
            (&[(true, 5)], None),
            (&[(false, 20), (true, 5)], None),
            (&[(false, 30), (false, 20)], Some(30)),
            (&[(false, 30), (true, 5), (false, 20)], Some(30)),
            (&[(false, 40), (false, 30), (false, 20)], Some(30)),
        ];
        for (opinions, expected) in cases {
            assert_eq!(decided(open, opinions), expected, "{opinions:?}");
        }
    }

    #[test]
    fn what_was_said_before_decides_nothing_after() {
        // Two nodes have found it failed before it came back for the third and most others.
        assert_eq!(
            decided(standing(true, 50), &[(false, 20), (false, 50)]),
            None
        );
        // A node that has not heard of the death cannot undo it.
        assert_eq!(
            decided(standing(false, 50), &[(true, 20), (true, 50), (false, 40)]),
            None
        );
        assert_eq!(
            decided(standing(false, 50), &[(true, 60), (true, 51), (false, 40)]),
            Some(60)
        );
    }

    proptest! {
        #[test]
        fn the_order_of_opinions_means_nothing(
            is_open in any::<bool>(),
            mut opinions in prop::collection::vec((any::<bool>(), 0_u64..40), 0..9),
        ) {
            let standing = standing(is_open, 10);
            let decided_as_said = decided(standing, &opinions);
            opinions.sort_unstable();
            prop_assert_eq!(decided_as_said, decided(standing, &opinions));
        }

        #[test]
        fn half_of_them_decide_nothing(is_open in any::<bool>(), pairs in 1_usize..6) {
            let opinions = [(true, 20), (false, 20)].repeat(pairs);
            prop_assert_eq!(decided(standing(is_open, 10), &opinions), None);
        }
    }
}
