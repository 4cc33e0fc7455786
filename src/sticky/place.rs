//! Where a session lives by what its cookie says, and why.
//!
//! The two kinds of policy differ here and nowhere else: under a duration policy the cookie's
//! backend if it is in service, whatever was; under an application policy wherever the chronicles
//! say that the session has moved (DESIGN: `health::View::resolve`). Pure functions of cookie and
//! snapshot. Invariant: a home is in service.

use crate::config::{Affinity, Failover};
use crate::health::rank::{self, Candidate};
use crate::health::{Home, Move};
use crate::state::{Backend, Route};

use super::seal::Binding;

/// What came of the lookup: why a request goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// No stickiness cookie in the request.
    None,
    /// The cookie's backend is in service.
    Valid,
    /// The session has moved to another backend, as its own was out of service; the cookie is the
    /// one from before (application policies: R-058).
    Moved,
    /// The cookie's backend is not in service.
    Down,
    /// The cookie's backend is not registered any more.
    Gone,
    /// There are cookies of our names, none is ours for this listener.
    Invalid,
    /// The session is older than the policy's limits allow.
    Expired,
    /// The application's own cookie is not there, so its session is over.
    AppCookieMissing,
    /// No cookie, but a client that is known by its address or a header.
    Fallback,
    /// The cookie's backend is not in service, and the session must not move.
    Strict,
}

impl Verdict {
    /// The verdicts' names, in the order of their index: in metrics, `explain` and headers.
    pub const NAMES: [&'static str; 10] = [
        "none",
        "valid",
        "moved",
        "down",
        "gone",
        "invalid",
        "expired",
        "app-cookie-missing",
        "fallback",
        "strict",
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Where a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Why.
    pub(super) verdict: Verdict,
    /// The backend, as an index of the route's; `None`: there is none in service, or none may
    /// take it.
    pub(super) home: Option<usize>,
    /// The backend that would take it over; only where that is asked for.
    pub(super) standby: Option<usize>,
}

/// Finds where the session of a cookie lives. `on_move` hears of each of its moves.
pub(super) fn place(
    route: &Route,
    follows_app: bool,
    binding: &Binding,
    on_move: impl FnMut(Move),
) -> Place {
    let own = route
        .backends
        .iter()
        .position(|backend| backend.id_hash == binding.backend);
    let own_in_service = own.filter(|&own| route.backends[own].is_in_service());
    let affinity = &route.attributes.affinity;
    let (verdict, home) = match own {
        Some(_) if affinity.is_strict => match own_in_service {
            Some(own) => (Verdict::Valid, Some(own)),
            None => (Verdict::Strict, None),
        },
        _ if follows_app => resolve(route, binding, on_move),
        _ => match own_in_service {
            Some(own) => (Verdict::Valid, Some(own)),
            None => {
                let verdict = own.map_or(Verdict::Gone, |_| Verdict::Down);
                (verdict, new_home(route, affinity, binding.session))
            }
        },
    };
    let standby = home.filter(|_| affinity.sends_standby);
    Place {
        verdict,
        home,
        standby: standby.and_then(|home| next_home(binding.session, &route.backends, &[home])),
    }
}

fn resolve(
    route: &Route,
    binding: &Binding,
    mut on_move: impl FnMut(Move),
) -> (Verdict, Option<usize>) {
    let bound = Home {
        backend: binding.backend,
        life: binding.life,
    };
    let mut verdict = Verdict::Valid;
    let home = route.view.resolve(binding.session, bound, |step| {
        verdict = Verdict::Moved;
        on_move(step);
    });
    let Some(home) = home else {
        return (Verdict::Down, None);
    };
    let index = route
        .backends
        .iter()
        .position(|backend| backend.id_hash == home.backend && backend.is_in_service());
    match index {
        Some(index) => (verdict, Some(index)),
        // What is in service and what lives is the same; should it ever not be, nobody waits.
        None => (
            Verdict::Down,
            next_home(binding.session, &route.backends, &[]),
        ),
    }
}

/// Where a session goes whose backend is not in service, under a duration policy; `None` also where
/// that is left to the balancing algorithm.
fn new_home(route: &Route, affinity: &Affinity, session: u64) -> Option<usize> {
    match affinity.failover {
        Failover::Rank => next_home(session, &route.backends, &[]),
        Failover::LeastOutstanding => None,
    }
}

/// The first backend in service by the session's rank, leaving out those already tried: the one
/// that the view will name once it knows that those are dead.
pub fn next_home(session: u64, backends: &[Backend], tried: &[usize]) -> Option<usize> {
    let weigh = |backend: &Backend| backend.weight_for_others();
    rank::first(session, in_service(backends, tried, weigh)).map(|first| first.index)
}

/// Where a client goes that has no cookie and is known in another way: as [`next_home`], but not
/// to a backend that has too many sessions, if there is another.
pub(super) fn fallback_home(session: u64, backends: &[Backend]) -> Option<usize> {
    let weigh = |backend: &Backend| match backend.is_over_bound {
        true => 0,
        false => backend.weight_for_others(),
    };
    rank::first(session, in_service(backends, &[], weigh)).map(|first| first.index)
}

/// All backends in service, in the order in which the session would go to them.
pub(super) fn ranked(session: u64, backends: &[Backend]) -> Vec<usize> {
    let candidates = in_service(backends, &[], Backend::weight_for_others);
    let order = rank::order(session, candidates);
    order.into_iter().map(|candidate| candidate.index).collect()
}

fn in_service(
    backends: &[Backend],
    tried: &[usize],
    weigh: impl Fn(&Backend) -> u32,
) -> impl Iterator<Item = Candidate> {
    let numbered = backends.iter().enumerate();
    let left = numbered.filter(|(index, b)| b.is_in_service() && !tried.contains(index));
    left.map(move |(index, backend)| Candidate {
        index,
        id_hash: backend.id_hash,
        weight: weigh(backend),
    })
}
