//! Where sessions went lately, as the shards have seen it: for people who look at a failure.
//!
//! Not where a session lives (`sticky`). What several shards saw of one session counts once.
//! Invariants: at most [`MOVES_KEPT`] rows; none is shown longer than [`MOVES_SHOWN_FOR`] after its
//! last session was seen.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits::{MOVES_JOINED_MS, MOVES_KEPT, MOVES_SHOWN_FOR};
use crate::sticky::{Moved, Sketch};

/// The sessions that went from one backend to another at about one time.
#[derive(Debug, Clone)]
pub(super) struct MoveRow {
    /// Their load balancer.
    pub(super) load_balancer: Arc<str>,
    /// The backend where they were.
    pub(super) from: Arc<str>,
    /// The one to which they went.
    pub(super) to: Arc<str>,
    /// When the first of them was seen there, in milliseconds since 1970.
    pub(super) at_ms: u64,
    /// When the last of them was.
    pub(super) last_ms: u64,
    /// About how many they are.
    pub(super) sessions: u64,
}

impl MoveRow {
    /// Whether it is still to be seen.
    pub(super) fn is_recent(&self, now_ms: u64) -> bool {
        is_recent(self.last_ms, now_ms)
    }
}

fn is_recent(last_ms: u64, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(last_ms)) <= MOVES_SHOWN_FOR.as_millis()
}

/// All rows, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Moves(VecDeque<(Key, Row)>);

/// What makes a row: load balancer, where from and where to.
type Key = (Arc<str>, u64, u64);

#[derive(Debug)]
struct Row {
    from: Arc<str>,
    to: Arc<str>,
    began_ms: u64,
    last_ms: u64,
    sessions: Sketch,
}

impl Moves {
    /// Takes in what a shard has seen. `name` knows a backend's id by its hash. Says how many rows
    /// had to go before their time.
    pub(super) fn add(
        &mut self,
        seen: Vec<Moved>,
        now_ms: u64,
        name: impl Fn(&str, u64) -> Option<Arc<str>>,
    ) -> u64 {
        self.0.retain(|(_, row)| is_recent(row.last_ms, now_ms));
        let mut forgotten = 0;
        for moved in seen {
            let key = (Arc::clone(&moved.load_balancer), moved.from, moved.to);
            let goes_on = |(known, row): &&mut (Key, Row)| {
                *known == key && now_ms.saturating_sub(row.last_ms) <= MOVES_JOINED_MS
            };
            if let Some((_, row)) = self.0.iter_mut().rev().find(goes_on) {
                row.last_ms = now_ms;
                row.sessions.merge(&moved.sessions);
                continue;
            }
            if self.0.len() >= MOVES_KEPT {
                self.0.pop_front();
                forgotten += 1;
            }
            let name = |hash| {
                let known = name(&moved.load_balancer, hash);
                known.unwrap_or_else(|| format!("{hash:016x}").into())
            };
            let row = Row {
                from: name(moved.from),
                to: name(moved.to),
                began_ms: now_ms,
                last_ms: now_ms,
                sessions: moved.sessions,
            };
            self.0.push_back((key, row));
        }
        forgotten
    }

    /// All of them, the oldest first.
    pub(super) fn rows(&self) -> Vec<MoveRow> {
        let row = |((load_balancer, ..), row): &(Key, Row)| MoveRow {
            load_balancer: Arc::clone(load_balancer),
            from: Arc::clone(&row.from),
            to: Arc::clone(&row.to),
            at_ms: row.began_ms,
            last_ms: row.last_ms,
            sessions: row.sessions.estimate(),
        };
        self.0.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(from: u64, to: u64, sessions: impl IntoIterator<Item = u64>) -> Vec<Moved> {
        let mut sketch = Sketch::default();
        sessions
            .into_iter()
            .for_each(|session| sketch.insert(session));
        vec![Moved {
            load_balancer: "web".into(),
            from,
            to,
            sessions: sketch,
        }]
    }

    fn name(_: &str, hash: u64) -> Option<Arc<str>> {
        (hash < 10).then(|| format!("i-{hash}").into())
    }

    fn told(moves: &Moves) -> Vec<(String, String, u64, u64)> {
        let rows = moves.rows().into_iter();
        rows.map(|row| {
            (
                row.from.to_string(),
                row.to.to_string(),
                row.at_ms,
                row.sessions,
            )
        })
        .collect()
    }

    #[test]
    fn what_two_shards_saw_of_one_failure_is_one_row() {
        let mut moves = Moves::default();
        moves.add(seen(1, 2, [7, 8]), 1_000, name);
        moves.add(seen(1, 2, [8, 9]), 1_000 + MOVES_JOINED_MS, name);
        moves.add(seen(1, 3, [4]), 2_000, name);
        let text = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let [(a, b), (c, d)] = [text("i-1", "i-2"), text("i-1", "i-3")];
        assert_eq!(told(&moves), [(a, b, 1_000, 3), (c, d, 2_000, 1)]);
    }

    #[test]
    fn another_failure_of_the_same_backend_is_another_row() {
        let mut moves = Moves::default();
        moves.add(seen(1, 2, [7]), 1_000, name);
        moves.add(seen(1, 2, [7]), 1_001 + MOVES_JOINED_MS, name);
        assert_eq!(told(&moves).len(), 2);
    }

    #[test]
    fn who_is_not_registered_any_more_is_shown_by_the_hash() {
        let mut moves = Moves::default();
        moves.add(seen(0xabc, 2, [7]), 1_000, name);
        assert_eq!(told(&moves)[0].0, "0000000000000abc");
    }

    #[test]
    fn rows_are_bounded_in_number_and_in_time() {
        let mut moves = Moves::default();
        let forgotten: u64 = (0..MOVES_KEPT as u64 + 1)
            .map(|from| moves.add(seen(from, 2, [7]), 1_000, name))
            .sum();
        assert_eq!(forgotten, 1);
        assert_eq!(moves.0.len(), MOVES_KEPT);
        assert_eq!(&*moves.rows()[0].from, "i-1", "the oldest has gone");
        let later = 1_001 + u64::try_from(MOVES_SHOWN_FOR.as_millis()).expect("minutes");
        moves.add(seen(1, 2, [7]), later, name);
        assert_eq!(moves.0.len(), 1);
    }
}
