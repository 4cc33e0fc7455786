//! Virtual time: what is going to happen, in order.
//!
//! Invariant: time never goes back, and what is due at the same moment happens in the order in
//! which it was planned, so that a seed always tells the same story.

use std::collections::BTreeMap;

/// When a world begins, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_700_000_000_000;

/// Events in the order in which they will happen.
pub(crate) struct Queue<E> {
    now_ms: u64,
    planned: u64,
    events: BTreeMap<(u64, u64), E>,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self {
            now_ms: BEGIN_MS,
            planned: 0,
            events: BTreeMap::new(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Milliseconds since the world began.
    pub(crate) fn age_ms(&self) -> u64 {
        self.now_ms - BEGIN_MS
    }

    /// Plans `event` for `delay_ms` from now.
    pub(crate) fn plan(&mut self, delay_ms: u64, event: E) {
        self.planned += 1;
        let due = (self.now_ms + delay_ms, self.planned);
        self.events.insert(due, event);
    }

    /// Goes on to the next event.
    pub(crate) fn advance(&mut self) -> Option<E> {
        let ((due_ms, _), event) = self.events.pop_first()?;
        self.now_ms = due_ms;
        Some(event)
    }
}
