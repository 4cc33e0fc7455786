//! Hybrid logical clock: stamps that order what happened, close to wall time, on any node.
//!
//! Not a clock that is read: wall time comes in as an argument. Invariant: each stamp that a
//! [`Clock`] gives out is greater than all that it gave out or observed, whatever the wall clock
//! does, also when it goes backwards.

use serde::{Deserialize, Serialize};

/// A moment: ordered by wall time first, then by the counter, then by the node.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Milliseconds since 1970.
    pub wall_ms: u64,
    /// Tells apart what happened in one millisecond, or while the wall clock stood or went back.
    pub counter: u32,
    /// The node that made it.
    pub node: u32,
}

/// The source of stamps of one node.
#[derive(Debug, Clone)]
pub struct Clock {
    node: u32,
    last: Stamp,
}

impl Clock {
    /// The clock of `node`, which has seen nothing yet.
    pub fn new(node: u32) -> Self {
        Self {
            node,
            last: Stamp::default(),
        }
    }

    /// A stamp for what happens now.
    pub fn stamp(&mut self, now_ms: u64) -> Stamp {
        let (wall_ms, counter) = if now_ms > self.last.wall_ms {
            (now_ms, 0)
        } else if let Some(counter) = self.last.counter.checked_add(1) {
            (self.last.wall_ms, counter)
        } else {
            (self.last.wall_ms + 1, 0)
        };
        self.last = Stamp {
            wall_ms,
            counter,
            node: self.node,
        };
        self.last
    }

    /// Takes note of a stamp from elsewhere: all that come are greater.
    pub fn observe(&mut self, stamp: Stamp) {
        self.last = self.last.max(stamp);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stamps_follow_the_wall_clock_while_it_goes_on() {
        let mut clock = Clock::new(7);
        assert_eq!(clock.stamp(10).wall_ms, 10);
        assert_eq!(
            clock.stamp(20),
            Stamp {
                wall_ms: 20,
                counter: 0,
                node: 7
            }
        );
    }

    proptest! {
        #[test]
        fn stamps_grow_whatever_the_wall_clock_does(
            story in prop::collection::vec((any::<bool>(), 0_u64..50, any::<u32>()), 1..100),
        ) {
            let mut clock = Clock::new(1);
            let mut greatest = Stamp::default();
            for (is_observed, wall_ms, counter) in story {
                if is_observed {
                    let stamp = Stamp { wall_ms, counter, node: 2 };
                    clock.observe(stamp);
                    greatest = greatest.max(stamp);
                } else {
                    let stamp = clock.stamp(wall_ms);
                    prop_assert!(stamp > greatest);
                    greatest = stamp;
                }
            }
        }
    }
}
