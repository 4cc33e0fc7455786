//! How many sessions are alive at each backend: seen by any shard in one of the last windows.
//!
//! A session counts from the report that tells of it to the tenth [`Population::turn`] after, which
//! is nine to ten windows after the last request, and as long as its shard waited to tell.
//!
//! Not here: the counting itself (`sticky::Census`), and when a window ends (`control`). Invariant:
//! a slot is kept exactly while one of its windows has a session. Memory: for each slot with a
//! session at most [`SESSION_WINDOWS`] + 1 sketches of at most
//! [`SESSION_SKETCH_BYTES_MAX`](crate::limits::SESSION_SKETCH_BYTES_MAX) bytes, 34 KiB together; a
//! window with few sessions takes a tenth of that, or nothing.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::SESSION_WINDOWS;
use crate::sticky::Sketch;

/// The sessions of the last [`SESSION_WINDOWS`] windows, by the backends' slots.
#[derive(Debug, Default)]
pub struct Population {
    slots: BTreeMap<u32, Windows>,
    /// Windows that have ended, at most [`SESSION_WINDOWS`].
    ended: usize,
}

impl Population {
    /// Adds to the current window what a shard has seen at the backend with number `slot`.
    pub fn absorb(&mut self, slot: u32, sketch: &Sketch) {
        if !sketch.is_empty() {
            self.slots.entry(slot).or_default().absorb(sketch);
        }
    }

    /// Ends the current window: what was seen in the oldest one only is forgotten.
    ///
    /// Costs some 0.1 ms for a slot with more than 128 sessions in each window, little for others.
    pub fn turn(&mut self) {
        self.ended = SESSION_WINDOWS.min(self.ended + 1);
        self.slots.retain(|_, windows| {
            windows.turn();
            !windows.union.is_empty()
        });
    }

    /// The estimated number of sessions alive at the backend with number `slot`.
    pub fn alive(&self, slot: u32) -> u64 {
        let windows = self.slots.get(&slot);
        windows.map_or(0, |windows| windows.union.estimate())
    }

    /// Whether as many windows have ended as are looked at. Before that, a session that rests may
    /// not have been seen yet, and nobody alive does not mean that nobody is bound.
    pub fn is_settled(&self) -> bool {
        self.ended == SESSION_WINDOWS
    }
}

/// One backend's sessions.
#[derive(Debug, Default)]
struct Windows {
    current: Sketch,
    /// Newest first, fewer than [`SESSION_WINDOWS`].
    earlier: VecDeque<Sketch>,
    /// Of them all: kept, because a merge costs 10 µs and an estimate 10 ns.
    union: Sketch,
}

impl Windows {
    fn absorb(&mut self, sketch: &Sketch) {
        self.current.merge(sketch);
        self.union.merge(sketch);
    }

    fn turn(&mut self) {
        self.earlier.push_front(std::mem::take(&mut self.current));
        if self.earlier.len() < SESSION_WINDOWS {
            return;
        }
        let oldest = self.earlier.pop_back();
        if oldest.is_none_or(|oldest| oldest.is_empty()) {
            return;
        }
        self.union = Sketch::default();
        for window in &self.earlier {
            self.union.merge(window);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn seen(sessions: impl IntoIterator<Item = u64>) -> Sketch {
        let mut sketch = Sketch::default();
        for session in sessions {
            sketch.insert(session);
        }
        sketch
    }

    #[test]
    fn a_session_is_alive_for_exactly_ten_windows() {
        for idle_turns in 0..12 {
            let mut population = Population::default();
            (0..idle_turns).for_each(|_| population.turn());
            population.absorb(5, &seen([1]));
            for window in 0..10 {
                assert_eq!(population.alive(5), 1, "window {window}");
                population.turn();
            }
            assert_eq!(population.alive(5), 0);
            assert!(population.slots.is_empty(), "nothing is kept for it");
        }
    }

    #[test]
    fn a_session_seen_again_lives_on_and_counts_once() {
        let mut population = Population::default();
        for _ in 0..25 {
            population.absorb(5, &seen([1]));
            population.absorb(5, &seen([1]));
            assert_eq!(population.alive(5), 1);
            population.turn();
        }
        (0..8).for_each(|_| population.turn());
        assert_eq!(population.alive(5), 1);
        population.turn();
        assert_eq!(population.alive(5), 0);
    }

    #[test]
    fn shards_that_saw_the_same_session_count_it_once() {
        let mut population = Population::default();
        population.absorb(1, &seen([1, 2]));
        population.absorb(1, &seen([2, 3]));
        population.absorb(2, &seen([1]));
        assert_eq!([1, 2, 3].map(|slot| population.alive(slot)), [3, 1, 0]);
    }

    #[test]
    fn an_empty_sketch_leaves_nothing_behind() {
        let mut population = Population::default();
        population.absorb(1, &Sketch::default());
        assert!(population.slots.is_empty());
    }

    #[test]
    fn it_is_settled_once_all_windows_were_watched() {
        let mut population = Population::default();
        for _ in 0..10 {
            assert!(!population.is_settled());
            population.turn();
        }
        assert!(population.is_settled());
        population.turn();
        assert!(population.is_settled());
    }

    proptest! {
        /// Against the sets themselves; few enough sessions that sketches count one by one.
        #[test]
        fn alive_is_the_union_of_the_last_windows(
            windows in vec(vec((0..3_u32, 0..40_u64), 0..12), 1..40),
        ) {
            let mut population = Population::default();
            for (now, window) in windows.iter().enumerate() {
                for &(slot, session) in window {
                    population.absorb(slot, &seen([session]));
                }
                let last = &windows[now.saturating_sub(9)..=now];
                for slot in 0..3 {
                    let at_slot = last.iter().flatten().filter(|seen| seen.0 == slot);
                    let exact: BTreeSet<u64> = at_slot.map(|seen| seen.1).collect();
                    prop_assert_eq!(population.alive(slot), exact.len() as u64);
                }
                population.turn();
            }
        }

        /// With more sessions than are counted one by one: as one sketch of all.
        #[test]
        fn windows_lose_nothing_of_large_counts(
            windows in vec((0..5_000_u64, 0..2_000_u64), 1..20),
        ) {
            let mut population = Population::default();
            for (now, &(first, count)) in windows.iter().enumerate() {
                population.absorb(0, &seen(first..first + count));
                let last = &windows[now.saturating_sub(9)..=now];
                let all = seen(last.iter().flat_map(|&(first, count)| first..first + count));
                // Sums made in another order may round differently.
                let difference = population.alive(0).abs_diff(all.estimate());
                prop_assert!(difference <= 1, "{}", difference);
                population.turn();
            }
        }
    }
}
