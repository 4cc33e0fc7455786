//! The places of admin connections: so many, and whoever comes when all are taken gets that of the
//! connection that has rested for longest.
//!
//! A connection rests unless a whole request of it is being carried out: while it waits for a
//! request, while one comes in, and while nobody reads its answer. So those who come slowly, or say
//! nothing, keep nobody out. Invariant: what has come whole is carried out to its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::task::AbortHandle;

use crate::limits::ADMIN_CONNECTIONS_MAX;

/// What stands in place of a turn while a connection works.
const WORKS: u64 = u64::MAX;

/// All places, for whoever accepts.
#[derive(Default)]
pub(super) struct Places {
    taken: Vec<(Place, AbortHandle)>,
    turns: Arc<AtomicU64>,
}

/// The place of one connection.
#[derive(Clone)]
pub(super) struct Place {
    /// When it came to rest last, in turns, or [`WORKS`].
    rests_since: Arc<AtomicU64>,
    turns: Arc<AtomicU64>,
}

/// How a place came to be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It was.
    Free,
    /// A connection that rested was closed.
    Made,
    /// It is not: all connections work.
    None,
}

impl Places {
    /// Sees to it that there is a place.
    pub(super) fn make_room(&mut self) -> Room {
        self.taken.retain(|(_, task)| !task.is_finished());
        if self.taken.len() < ADMIN_CONNECTIONS_MAX {
            return Room::Free;
        }
        let longest = self.taken.iter().enumerate();
        let longest = longest.min_by_key(|(_, (place, _))| place.rests_since());
        match longest {
            Some((index, (place, _))) if place.rests_since() != WORKS => {
                let (_, task) = self.taken.swap_remove(index);
                task.abort();
                Room::Made
            }
            Some(_) | None => Room::None,
        }
    }

    /// Gives a place, of which there is one, to the connection whose task `spawn` starts.
    pub(super) fn take(&mut self, spawn: impl FnOnce(Place) -> AbortHandle) {
        let place = Place {
            rests_since: Arc::default(),
            turns: Arc::clone(&self.turns),
        };
        place.rest();
        self.taken.push((place.clone(), spawn(place)));
    }
}

impl Place {
    /// A request is there; it works once that has come whole.
    pub(super) fn receive(&self, body: Incoming) -> Arriving {
        let place = self.clone();
        if body.is_end_stream() {
            place.work();
        }
        Arriving { body, place }
    }

    /// The answer is there.
    pub(super) fn rest(&self) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.rests_since.store(turn, Ordering::Relaxed);
    }

    fn work(&self) {
        self.rests_since.store(WORKS, Ordering::Relaxed);
    }

    fn rests_since(&self) -> u64 {
        self.rests_since.load(Ordering::Relaxed)
    }
}

/// A request's body, which tells its place of its end.
pub(super) struct Arriving {
    body: Incoming,
    place: Place,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.place.work();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// A connection that goes on until it is closed.
    fn enter(places: &mut Places) -> (Place, AbortHandle) {
        let mut entered = None;
        places.take(|place| {
            let task = tokio::spawn(pending::<()>()).abort_handle();
            entered = Some((place, task.clone()));
            task
        });
        entered.expect("it was let in")
    }

    #[tokio::test]
    async fn those_at_work_keep_their_places_and_of_the_others_the_last_to_rest() {
        let mut places = Places::default();
        let mut all = Vec::new();
        for _ in 0..ADMIN_CONNECTIONS_MAX {
            assert_eq!(places.make_room(), Room::Free);
            all.push(enter(&mut places));
        }
        let (at_work, rested) = (all.remove(0).0, all.remove(0).0);
        at_work.work();
        rested.rest();
        // All that have rested longer go first.
        for (_, task) in &all {
            assert_eq!(places.make_room(), Room::Made);
            enter(&mut places).0.work();
            tokio::task::yield_now().await;
            assert!(task.is_finished());
        }
        assert_eq!(places.make_room(), Room::Made, "it rests");
        enter(&mut places).0.work();
        assert_eq!(places.make_room(), Room::None);
        at_work.rest();
        assert_eq!(places.make_room(), Room::Made);
    }

    #[tokio::test]
    async fn who_has_gone_leaves_a_place() {
        let mut places = Places::default();
        let all: Vec<_> = (0..ADMIN_CONNECTIONS_MAX)
            .map(|_| enter(&mut places))
            .collect();
        all[7].1.abort();
        tokio::task::yield_now().await;
        assert_eq!(places.make_room(), Room::Free);
    }
}
