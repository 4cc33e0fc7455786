//! From the cookies of a request to the backend of its session.

use std::time::Duration;

use crate::config::{DurationPolicy, Refresh, Stickiness};
use crate::health::{Move, Stamp};
use crate::limits::{IDLE_RENEWALS, MOVES_SHOWN_FOR, SESSIONS_PER_SHARD};
use crate::state::{Count, Route};

use super::cookie::{NAME, candidates};
use super::follow::has_cookie;
use super::moves::{Moved, Moves};
use super::place::{Place, Verdict, fallback_home, place};
use super::seal::{Binding, NONCE_BYTES, Seals, VALUE_BYTES, Value};
use super::table::{Known, Table};

/// A request as far as its session is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// What the listener does.
    pub route: &'a Route,
    /// The snapshot's epoch.
    pub epoch: u64,
    /// Seconds since 1970.
    pub now: u64,
    /// What stands for the client if no cookie does (`health::key_hash`).
    pub fallback: Option<u64>,
}

/// Where a request belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stick {
    /// What the cookies said.
    pub verdict: Verdict,
    /// The session, if anything named one.
    pub session: Option<u64>,
    /// The session's backend, as an index of the route's; `None`: it has to be chosen, or there
    /// is none in service, or it must not move ([`Verdict::Strict`]).
    pub home: Option<usize>,
    /// The backend that would take the session over; only where the route asks for it.
    pub standby: Option<usize>,
    /// When the session began, in seconds since 1970; 0: now.
    pub began: u32,
    /// The cookie holds, and the policy wants it to be sent anew.
    pub renews: bool,
}

impl Stick {
    /// A request that belongs nowhere.
    pub const NOWHERE: Self = Self {
        verdict: Verdict::None,
        session: None,
        home: None,
        standby: None,
        began: 0,
        renews: false,
    };

    /// Where a client belongs that is known without a cookie, by what stands for it.
    pub fn known(session: u64, route: &Route) -> Self {
        Self {
            verdict: Verdict::Fallback,
            session: Some(session),
            home: fallback_home(session, &route.backends),
            ..Self::NOWHERE
        }
    }
}

/// One shard's memory of sessions, and the keys to cookies that it has not seen.
#[derive(Debug)]
pub struct Sessions {
    table: Table,
    seals: Seals,
    moves: Moves,
}

/// What the shard counts about its table.
#[derive(Debug)]
pub struct Tally<'a> {
    /// Lookups that the table answered.
    pub hits: &'a Count,
    /// Lookups that needed decryption.
    pub misses: &'a Count,
    /// Entries that had to go.
    pub evictions: &'a Count,
    /// Entries now.
    pub sessions: &'a Count,
}

impl Sessions {
    /// An empty memory.
    pub fn new(seals: Seals) -> Self {
        Self {
            table: Table::new(SESSIONS_PER_SHARD),
            seals,
            moves: Moves::default(),
        }
    }

    /// Finds where a request belongs, from the values of its `Cookie` fields: the first cookie that
    /// opens for this route and whose session may be where it says. If there is none but one
    /// opened, that session's next home, the same on every shard.
    pub fn look_up<'b>(
        &mut self,
        visit: &Visit<'_>,
        cookies: impl Iterator<Item = &'b [u8]> + Clone,
        tally: &Tally<'_>,
    ) -> Stick {
        let read = |follows_app, candidate: &[u8]| self.read(visit, follows_app, candidate, tally);
        find(visit, cookies, read).0
    }

    /// What one candidate says, and where that leads; `None` if it is not ours for this route.
    fn read(
        &mut self,
        visit: &Visit<'_>,
        follows_app: bool,
        candidate: &[u8],
        tally: &Tally<'_>,
    ) -> Option<(Binding, Place)> {
        let value: &Value = candidate.first_chunk::<VALUE_BYTES>()?;
        if candidate.len() != VALUE_BYTES {
            return None;
        }
        let route = visit.route;
        if let Some(known) = self
            .table
            .find(value)
            .filter(|known| known.binding.scope == route.scope)
        {
            tally.hits.add(1);
            if known.epoch != visit.epoch || known.follows_app != follows_app {
                known.place = find_place(visit, follows_app, &known.binding, &mut self.moves);
                known.epoch = visit.epoch;
                known.follows_app = follows_app;
            }
            return Some((known.binding, known.place));
        }
        tally.misses.add(1);
        let binding = self
            .seals
            .open(value)
            .filter(|binding| binding.scope == route.scope)?;
        let known = Known {
            binding,
            place: find_place(visit, follows_app, &binding, &mut self.moves),
            epoch: visit.epoch,
            follows_app,
        };
        tally.evictions.add(self.table.insert(value, known).into());
        tally.sessions.set(self.table.len() as u64);
        Some((binding, known.place))
    }

    /// Notes that a session has gone from one backend of the route to another, of which its cookie
    /// does not tell.
    pub fn note_move(&mut self, route: &Route, from: usize, to: usize, session: u64) {
        let [from, to] = [from, to].map(|index| route.backends[index].id_hash);
        self.moves.note(route, from, to, session);
    }

    /// Hands over which sessions were seen to have moved since this was called last, and how many
    /// sightings found no place among them.
    pub fn take_moves(&mut self) -> (Vec<Moved>, u64) {
        self.moves.take()
    }

    /// The value of a new cookie.
    pub fn seal(&self, binding: &Binding, nonce: [u8; NONCE_BYTES]) -> Value {
        self.seals.seal(binding, nonce)
    }
}

/// Finds where the session of a cookie lives, and notes it if it has come there lately.
fn find_place(visit: &Visit<'_>, follows_app: bool, binding: &Binding, moves: &mut Moves) -> Place {
    let mut last = None;
    let place = place(visit.route, follows_app, binding, |step| last = Some(step));
    let from = match (place.verdict, last) {
        // The cookie is replaced with the answer, so this is when it moves.
        (Verdict::Down | Verdict::Gone, None) => Some(binding.backend),
        (Verdict::Moved, Some(step)) => is_recent(&step, visit.now).then_some(step.from.backend),
        _ => None,
    };
    if let (Some(from), Some(home)) = (from, place.home) {
        let to = visit.route.backends[home].id_hash;
        moves.note(visit.route, from, to, binding.session);
    }
    place
}

/// Whether somebody who looks at moves still wants to see this one: the cookie of an application
/// policy tells of it for as long as the session lives.
fn is_recent(step: &Move, now: u64) -> bool {
    let age = |at: Stamp| Duration::from_secs(now.saturating_sub(at.wall_ms / 1000));
    step.at.is_some_and(|at| age(at) <= MOVES_SHOWN_FOR)
}

/// The search of [`Sessions::look_up`], with the binding it went by. `read` says what one candidate
/// says under an application policy or another, and where that leads; `None` if it is not ours.
pub(super) fn find<'b>(
    visit: &Visit<'_>,
    cookies: impl Iterator<Item = &'b [u8]> + Clone,
    mut read: impl FnMut(bool, &'b [u8]) -> Option<(Binding, Place)>,
) -> (Stick, Option<Binding>) {
    let route = visit.route;
    let (stick, binding) = match route.stickiness.as_deref() {
        None => (Stick::NOWHERE, None),
        Some(Stickiness::Duration(policy)) => {
            let limits = Limits::of(policy);
            let candidates = candidates(cookies, &policy.cookie.name);
            choose(visit.now, &limits, candidates, |one| read(false, one))
        }
        Some(Stickiness::Application(policy)) => {
            let mut candidates = candidates(cookies.clone(), NAME).peekable();
            if candidates.peek().is_none() {
                (Stick::NOWHERE, None)
            } else if has_cookie(cookies, &policy.cookie_name) {
                let limits = Limits::absolute(policy.absolute_limit);
                choose(visit.now, &limits, candidates, |one| read(true, one))
            } else {
                let stick = Stick {
                    verdict: Verdict::AppCookieMissing,
                    ..Stick::NOWHERE
                };
                (stick, None)
            }
        }
    };
    match visit.fallback.filter(|_| stick.session.is_none()) {
        None => (stick, binding),
        Some(session) => (Stick::known(session, route), None),
    }
}

fn choose<'b>(
    now: u64,
    limits: &Limits,
    candidates: impl Iterator<Item = &'b [u8]>,
    mut read: impl FnMut(&'b [u8]) -> Option<(Binding, Place)>,
) -> (Stick, Option<Binding>) {
    let mut best = (Stick::NOWHERE, None);
    for candidate in candidates {
        let Some((binding, place)) = read(candidate) else {
            if best.0.verdict == Verdict::None {
                best.0.verdict = Verdict::Invalid;
            }
            continue;
        };
        if limits.are_over(&binding, now) {
            if best.0.session.is_none() {
                best.0.verdict = Verdict::Expired;
            }
            continue;
        }
        let stick = Stick {
            verdict: place.verdict,
            session: Some(binding.session),
            home: place.home,
            standby: place.standby,
            began: binding.began(),
            renews: limits.renew(&binding, now),
        };
        if matches!(place.verdict, Verdict::Valid | Verdict::Moved) {
            return (stick, Some(binding));
        }
        if best.0.session.is_none() {
            best = (stick, Some(binding));
        }
    }
    best
}

/// How old a session may be, and when its cookie is sent anew. In seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    idle: u64,
    absolute: u64,
    renew_after: u64,
}

impl Limits {
    pub(super) fn of(policy: &DurationPolicy) -> Self {
        let idle = policy.idle_limit.map_or(u64::MAX, |limit| limit.as_secs());
        let half_life = policy
            .expiration_seconds
            .map_or(u64::MAX, |seconds| u64::from(seconds.get()) / 2);
        let refresh = match policy.refresh {
            Refresh::Never => u64::MAX,
            Refresh::HalfLife => half_life,
            Refresh::Always => 0,
        };
        Self {
            idle,
            renew_after: refresh.min(idle / IDLE_RENEWALS),
            ..Self::absolute(policy.absolute_limit)
        }
    }

    pub(super) fn absolute(limit: Option<Duration>) -> Self {
        Self {
            idle: u64::MAX,
            absolute: limit.map_or(u64::MAX, |limit| limit.as_secs()),
            renew_after: u64::MAX,
        }
    }

    /// Whether the session has ended. A cookie from the future, sealed before a clock was put back,
    /// is as good as new.
    pub(super) fn are_over(&self, binding: &Binding, now: u64) -> bool {
        now.saturating_sub(binding.issued) > self.idle
            || now.saturating_sub(binding.began().into()) > self.absolute
    }

    pub(super) fn renew(&self, binding: &Binding, now: u64) -> bool {
        self.renew_after < u64::MAX && now.saturating_sub(binding.issued) >= self.renew_after
    }
}

#[cfg(test)]
mod tests;
