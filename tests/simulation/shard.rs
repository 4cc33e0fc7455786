//! A shard without sockets: its snapshot, its table of sessions, and what it decides.
//!
//! What it decides is the product's own code, unless a [`Rule`] says otherwise: those that do are
//! wrong on purpose, to see that the judge notices.

use std::sync::Arc;
use std::time::Duration;

use elbow::balance::{Moment, NEWCOMER, least_outstanding};
use elbow::health::mix;
use elbow::state::{Count, Route, Snapshot};
use elbow::sticky::{
    Binding, Key, NONCE_BYTES, Next, Seals, Sessions, Stick, Tally, Value, Visit, next_home,
};

use crate::judge::APPLICATION;

/// How a shard decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// As elbow does.
    Product,
    /// Wrong: who was refused goes to the least loaded of the others.
    RetryByLoad,
    /// Wrong: who was refused is told so at once.
    NoRetry,
    /// Wrong: a session is sent to its cookie's backend whatever the checks say.
    ChecksIgnored,
    /// Wrong: a session is always at the first by rank, as with a consistent hash.
    HashOnly,
    /// Wrong: a session whose life is over goes to the first by rank of those that are in service
    /// now, not of those that were when it ended.
    RankNow,
    /// Wrong: a session goes home as soon as its backend is back.
    RecoveryTakesBack,
    /// Wrong: each shard ranks in its own way.
    RankByShard,
}

/// One shard.
pub(crate) struct Shard {
    index: usize,
    pub(crate) snapshot: Arc<Snapshot>,
    sessions: Sessions,
    turn: usize,
    counts: [Count; 4],
}

impl Shard {
    pub(crate) fn new(index: usize, snapshot: Arc<Snapshot>) -> Self {
        Self {
            index,
            snapshot,
            sessions: sessions(),
            turn: 0,
            counts: Default::default(),
        }
    }

    /// Takes a snapshot that has arrived, unless a later one was quicker.
    pub(crate) fn take(&mut self, snapshot: &Arc<Snapshot>) {
        if self.snapshot.epoch < snapshot.epoch {
            self.snapshot = Arc::clone(snapshot);
        }
    }

    /// Loses its table, as an eviction of everything or a restart does.
    pub(crate) fn forget(&mut self) {
        self.sessions = sessions();
    }

    /// Where a request belongs. `cookie` is what its cookie says, for the rules that are wrong.
    pub(crate) fn look_up(
        &mut self,
        policy: usize,
        fields: &str,
        cookie: Option<&Binding>,
        now_ms: u64,
        rule: Rule,
    ) -> Stick {
        let [hits, misses, evictions, sessions] = &self.counts;
        let tally = Tally {
            hits,
            misses,
            evictions,
            sessions,
        };
        let route = &self.snapshot.routes[policy];
        let visit = Visit {
            route,
            epoch: self.snapshot.epoch,
            now: now_ms / 1000,
            fallback: None,
        };
        let cookies = std::iter::once(fields.as_bytes());
        let stick = self.sessions.look_up(&visit, cookies, &tally);
        match cookie.filter(|_| policy == APPLICATION && stick.session.is_some()) {
            Some(cookie) => misled(stick, self.index, route, cookie, rule),
            None => stick,
        }
    }

    /// The backend to try next.
    pub(crate) fn choose(
        &mut self,
        stick: &Stick,
        route: &Route,
        tried: &[usize],
        now_ms: u64,
        rule: Rule,
    ) -> Option<usize> {
        let next = match rule {
            Rule::RetryByLoad if !tried.is_empty() => Next::Any,
            Rule::NoRetry if !tried.is_empty() => Next::Nobody,
            _ => stick.next(route, tried),
        };
        match next {
            Next::Backend(index) => Some(index),
            Next::Nobody => None,
            Next::Any => {
                let moment = Moment {
                    now_ms,
                    slow_start: Duration::ZERO,
                    number: NEWCOMER,
                };
                least_outstanding(&route.backends, tried, &mut self.turn, moment).ok()
            }
        }
    }

    /// The value of a cookie.
    pub(crate) fn seal(&self, binding: &Binding, nonce: [u8; NONCE_BYTES]) -> Value {
        self.sessions.seal(binding, nonce)
    }

    /// Counts a request that runs on a backend, or that has ended there.
    pub(crate) fn count(&self, route: &Route, backend: usize, has_begun: bool) {
        let outstanding = &route.backends[backend].counts.line(self.index).outstanding;
        if has_begun {
            outstanding.add(1);
        } else {
            outstanding.sub(1);
        }
    }
}

/// An empty table with the keys that all shards have.
fn sessions() -> Sessions {
    Sessions::new(Seals::new(&[Key {
        id: 1,
        secret: [7; 16],
    }]))
}

/// What a wrong rule makes of a right answer.
fn misled(stick: Stick, shard: usize, route: &Route, cookie: &Binding, rule: Rule) -> Stick {
    let backends = &route.backends;
    let named = backends.iter().position(|b| b.id_hash == cookie.backend);
    let own = named.filter(|&own| backends[own].is_in_service());
    let same_life = own.filter(|&own| backends[own].life == cookie.life);
    let first = |session| next_home(session, backends, &[]);
    let home = match rule {
        Rule::Product | Rule::RetryByLoad | Rule::NoRetry => return stick,
        Rule::ChecksIgnored => named.or(stick.home),
        Rule::HashOnly => first(cookie.session),
        Rule::RankNow => same_life.or_else(|| first(cookie.session)),
        Rule::RecoveryTakesBack => own.or(stick.home),
        Rule::RankByShard => same_life.or_else(|| first(mix(cookie.session, shard as u64))),
    };
    Stick { home, ..stick }
}
