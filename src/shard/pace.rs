//! How slowly a client may send a body or take an answer: the floor that `min_rate` sets.
//!
//! Not a deadline (`watch.rs`), and nothing for backends, which may be slow for reasons of their
//! own; nor for a body that still goes up while its answer comes down, as then both sides talk.
//! Invariant: the time that is left to a client shrinks only while it alone is waited for.

use std::cell::Cell;
use std::time::Duration;

use crate::config::Attributes;
use crate::sys::Instant;

/// The pace of one direction of an exchange.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes that have moved since the whole time began.
    moved: Cell<u32>,
    /// Milliseconds of it that the client has spent.
    spent_ms: Cell<u32>,
}

impl Pace {
    /// By when the client must have moved something, if it is waited for from `since` on.
    pub(super) fn deadline(&self, attributes: &Attributes, since: Instant) -> Instant {
        let spent = Duration::from_millis(self.spent_ms.get().into());
        since.after(attributes.idle_timeout.saturating_sub(spent))
    }

    /// The client has moved so many bytes; whether it has earned the whole time anew.
    pub(super) fn earns(&self, attributes: &Attributes, count: usize) -> bool {
        let quota = attributes.bounds.quota(attributes.idle_timeout);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let moved = self.moved.get().saturating_add(count);
        let has_earned = u64::from(moved) >= quota;
        self.moved.set(if has_earned { 0 } else { moved });
        has_earned
    }

    /// The client was waited for since then and has moved so many bytes.
    pub(super) fn note(&self, attributes: &Attributes, count: usize, since: Instant) {
        if self.earns(attributes, count) {
            self.spent_ms.set(0);
        } else {
            let waited = Instant::now().since(since).as_millis();
            let waited_ms = u32::try_from(waited).unwrap_or(u32::MAX);
            let spent_ms = self.spent_ms.get().saturating_add(waited_ms);
            self.spent_ms.set(spent_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bounds;

    const SECOND: Duration = Duration::from_secs(1);

    fn attributes(min_rate: Option<u64>) -> Attributes {
        Attributes {
            idle_timeout: SECOND * 10,
            bounds: Bounds {
                min_rate,
                ..Bounds::default()
            },
            ..Attributes::default()
        }
    }

    #[test]
    fn without_a_floor_each_byte_earns_the_whole_time() {
        let (attributes, pace, now) = (attributes(None), Pace::default(), Instant::now());
        pace.spent_ms.set(9_000);
        pace.note(&attributes, 1, now);
        assert_eq!(pace.deadline(&attributes, now), now.after(SECOND * 10));
    }

    #[test]
    fn below_the_floor_time_runs_out_and_enough_bytes_begin_it_anew() {
        let (attributes, pace, now) = (attributes(Some(100)), Pace::default(), Instant::now());
        pace.spent_ms.set(7_000);
        pace.note(&attributes, 999, now);
        assert!(pace.deadline(&attributes, now) <= now.after(SECOND * 3));
        pace.note(&attributes, 1, now);
        assert_eq!(pace.deadline(&attributes, now), now.after(SECOND * 10));
        let earns = |count| pace.earns(&attributes, count);
        assert!(!earns(999) && earns(1) && earns(1000));
    }
}
