//! What follows from where a request belongs: the backend to try next, and what its answer says.
//!
//! Pure functions of a [`Stick`] and a snapshot's route, so that what decides about a session can
//! be run without a socket. Not here: the choice among backends that are all the same to a request
//! (`balance`). Invariant: whoever has the same stick, route and refusals tries the same backend.

use crate::state::Route;

use super::place::{Verdict, next_home};
use super::seal::Binding;
use super::sessions::Stick;

/// Which backend a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This one, as an index of the route's.
    Backend(usize),
    /// Whichever the balancing algorithm takes of those that were not tried.
    Any,
    /// None: no other is in service, or the session must not move.
    Nobody,
}

impl Stick {
    /// Where the request goes that could not reach the backends in `tried`: to its home; else, if
    /// it has a session, to the one that the view will name once it knows that those are dead.
    pub fn next(&self, route: &Route, tried: &[usize]) -> Next {
        match (self.home, self.session) {
            (Some(index), _) if !tried.contains(&index) => Next::Backend(index),
            // Its backend is out, or has just refused: it stays nowhere else.
            (_, Some(_))
                if route.attributes.affinity.is_strict && self.verdict != Verdict::Fallback =>
            {
                Next::Nobody
            }
            (_, Some(session)) if route.goes_by_rank() => {
                next_home(session, &route.backends, tried).map_or(Next::Nobody, Next::Backend)
            }
            _ => Next::Any,
        }
    }

    /// Whether the client's cookie already says that the session is on that backend, so that a
    /// duration policy sends none.
    pub fn holds_for(&self, index: usize) -> bool {
        self.verdict == Verdict::Valid && self.home == Some(index) && !self.renews
    }

    /// What a new cookie says as that backend answers: the request's session, or else `fresh`, is
    /// there from `now` on, in seconds since 1970.
    pub fn binding(&self, route: &Route, index: usize, fresh: u64, now: u64) -> Binding {
        let backend = &route.backends[index];
        Binding {
            scope: route.scope,
            backend: backend.id_hash,
            life: backend.life,
            issued: now,
            session: self.session.unwrap_or(fresh),
            began: match self.began {
                0 => u32::try_from(now).unwrap_or(u32::MAX),
                began => began,
            },
        }
    }
}
