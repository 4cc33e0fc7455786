//! Small numbers for backends, by which shards count what belongs to each.
//!
//! Invariant: a number belongs to one backend at a time, and one that was given back is used again
//! as late as possible, so that what is still counted under it dies away first.

use std::collections::VecDeque;

use crate::limits::SLOTS_MAX;

/// The numbers that are in use.
#[derive(Debug, Default)]
pub(super) struct Slots {
    free: VecDeque<u32>,
    made: u32,
}

impl Slots {
    /// A number of one's own. Below [`SLOTS_MAX`] as long as fewer are in use.
    pub(super) fn take(&mut self) -> u32 {
        let is_scarce = self.made as usize >= SLOTS_MAX;
        if let Some(slot) = self.free.pop_front_if(|_| is_scarce) {
            return slot;
        }
        self.made += 1;
        self.made - 1
    }

    /// Gives one back.
    pub(super) fn give_back(&mut self, slot: u32) {
        self.free.push_back(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_only_when_there_is_no_other() {
        let mut slots = Slots::default();
        assert_eq!((slots.take(), slots.take()), (0, 1));
        slots.give_back(0);
        assert_eq!(slots.take(), 2);
        for _ in 3..SLOTS_MAX {
            assert!(slots.take() > 2);
        }
        assert_eq!(slots.take(), 0, "all are in use but this one");
        assert_eq!(slots.take() as usize, SLOTS_MAX, "none is left");
    }
}
