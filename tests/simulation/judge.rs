//! What must hold in every world, one name each, and whether it does.
//!
//! Judged is each step of each request, by what its shard knew then, against the world's
//! `history.rs`. Not here: any decision that the product makes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use elbow::health::Home;
use elbow::limits::BACKENDS_TRIED_MAX;
use elbow::state::{Route, Snapshot};
use elbow::sticky::{Binding, Stick};

use crate::history::{Belongs, History, Others};

/// The index of the route with the duration policy.
pub(crate) const DURATION: usize = 0;

/// The index of the route with the application policy.
pub(crate) const APPLICATION: usize = 1;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// A failure moves a session to one new backend, on all shards and in all requests in flight.
    /// Exempt: between two moves off one life, another backend came, went, or refused connections.
    /// Not judged: a shard that has not heard of the life in the cookie, and sessions whose home
    /// ended when nobody else was in service (`limits::OUTAGE_SETTLING_MS`).
    OneNewBackend,
    /// A session stays where it is as long as that is in service for the shard and takes
    /// connections. Under a duration policy that is its cookie's backend in any life.
    NoMoveWithoutFailure,
    /// An application's session never moves to a life that began after its own was over.
    NoReturnByRecovery,
    /// A request is refused only if nobody is in service for the shard, or whoever is has been
    /// tried, or as many as may be.
    ServedIfPossible,
    /// No request goes to a backend that is out of service for the shard.
    InServiceOnly,
    /// Shards that know the same give the same answer for every cookie ever issued.
    Agreement,
}

/// An invariant that did not hold.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) story: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.story)
    }
}

/// How much was judged.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Requests that reached a backend with a session.
    pub(crate) requests: u64,
    /// Those that reached another than the cookie's.
    pub(crate) moves: u64,
    /// Of these, those in calm worlds.
    pub(crate) calm_moves: u64,
    /// Those refused.
    pub(crate) refusals: u64,
    /// Moves that differ as another backend came, went or refused between them.
    pub(crate) exempt: u64,
    /// Requests at a shard that had not heard of the life that their cookie names.
    pub(crate) unborn: u64,
    /// Requests of sessions whose home ended when nobody else was in service.
    pub(crate) outages: u64,
    /// Cookies that the shards agreed on in the end.
    pub(crate) agreed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.moves += other.moves;
        self.calm_moves += other.calm_moves;
        self.refusals += other.refusals;
        self.exempt += other.exempt;
        self.unborn += other.unborn;
        self.outages += other.outages;
        self.agreed += other.agreed;
    }
}

/// One request at one shard, as far as it has come.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) policy: usize,
    /// What the cookie says by which the request has its session.
    pub(crate) cookie: Option<&'a Binding>,
    pub(crate) stick: &'a Stick,
    /// The backends that refused, as indices of the route's.
    pub(crate) tried: &'a [usize],
}

impl Case<'_> {
    fn route(&self) -> &Route {
        &self.snapshot.routes[self.policy]
    }
}

/// One move off a life, and what it depended on.
#[derive(Debug, PartialEq, Eq)]
struct Moved {
    to: u64,
    others: Others,
    refused: Vec<u64>,
}

/// A session and the life that it left.
type Departure = (u64, (u64, u32));

/// Who watches one world.
pub(crate) struct Judge {
    /// In a calm world no failure overlaps another, and nothing is exempt.
    is_calm: bool,
    history: History,
    moves: BTreeMap<Departure, Moved>,
    pub(crate) tally: Tally,
}

impl Judge {
    pub(crate) fn new(is_calm: bool) -> Self {
        Self {
            is_calm,
            history: History::default(),
            moves: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// Takes note of a snapshot.
    pub(crate) fn publish(&mut self, snapshot: &Arc<Snapshot>) {
        self.history.publish(snapshot);
    }

    /// A shard is about to connect to the backend of that index.
    pub(crate) fn connects(&self, case: &Case<'_>, to: usize) -> Result<(), Violation> {
        let target = &case.route().backends[to];
        if !target.is_in_service() {
            return Err(violation(Invariant::InServiceOnly, case, to, ""));
        }
        let (Some(cookie), true) = (case.cookie, case.tried.is_empty()) else {
            return Ok(());
        };
        if case.policy == DURATION {
            let mut backends = case.route().backends.iter();
            let own = backends.find(|b| b.id_hash == cookie.backend && b.is_in_service());
            if own.is_some_and(|own| own.id_hash != target.id_hash) {
                let what = "its own backend is in service";
                return Err(violation(Invariant::NoMoveWithoutFailure, case, to, what));
            }
            return Ok(());
        }
        let Belongs::At(home, since) = self.history.belongs(cookie, case.snapshot.epoch, |_| ())
        else {
            return Ok(());
        };
        if home.backend == target.id_hash {
            return Ok(());
        }
        let born = self.history.span(target.id_hash, target.life);
        let (invariant, what) = match (since, born) {
            (Some(since), Some(span)) if span.born > since => {
                (Invariant::NoReturnByRecovery, "that life began later")
            }
            (Some(_), _) => (Invariant::OneNewBackend, "another is the first by rank"),
            (None, _) => (Invariant::NoMoveWithoutFailure, "its home is in service"),
        };
        Err(violation(invariant, case, to, what))
    }

    /// A request has reached the backend of that index.
    pub(crate) fn reached(&mut self, case: &Case<'_>, to: usize) -> Result<(), Violation> {
        let Some(cookie) = case.cookie else {
            return Ok(());
        };
        let target = case.route().backends[to].id_hash;
        self.tally.requests += 1;
        let is_move = target != cookie.backend;
        self.tally.moves += u64::from(is_move);
        self.tally.calm_moves += u64::from(is_move && self.is_calm);
        let epoch = case.snapshot.epoch;
        let mut steps = Vec::new();
        let belongs = match case.policy {
            DURATION => self.history.named(cookie, epoch),
            _ => (self.history).belongs(cookie, epoch, |step| steps.push(step)),
        };
        let from = match belongs {
            Belongs::At(home, _) => home,
            Belongs::Unborn => {
                self.tally.unborn += 1;
                return Ok(());
            }
            Belongs::Outage => {
                self.tally.outages += 1;
                return Ok(());
            }
        };
        for (left, at, to) in steps {
            let moved = Moved {
                to,
                others: self.history.others(at, left.backend),
                refused: Vec::new(),
            };
            self.note(cookie.session, left, moved, case)?;
        }
        if target == from.backend {
            return Ok(());
        }
        let refused = case.tried.iter().map(|&b| case.route().backends[b].id_hash);
        let mut refused: Vec<u64> = refused.filter(|&b| b != from.backend).collect();
        refused.sort_unstable();
        let moved = Moved {
            to: target,
            others: self.history.others(epoch, from.backend),
            refused,
        };
        self.note(cookie.session, from, moved, case)
    }

    /// A shard gave up on a request.
    pub(crate) fn refuses(&mut self, case: &Case<'_>) -> Result<(), Violation> {
        self.tally.refusals += 1;
        let mut untried = case.route().backends.iter().enumerate();
        let is_left = untried.any(|(index, b)| b.is_in_service() && !case.tried.contains(&index));
        if is_left && case.tried.len() < BACKENDS_TRIED_MAX {
            let story = format!("{} with {:?} tried", described(case), case.tried);
            return Err(Violation {
                invariant: Invariant::ServedIfPossible,
                story,
            });
        }
        Ok(())
    }

    /// What two shards that know the same said of one cookie in the end.
    pub(crate) fn compare(
        &mut self,
        case: &Case<'_>,
        other: &Stick,
        cookie: &Binding,
    ) -> Result<(), Violation> {
        let fails = |what: String| Violation {
            invariant: Invariant::Agreement,
            story: format!("{} {what}", described(case)),
        };
        if case.stick != other {
            return Err(fails(format!("{:?} and {other:?}", case.stick)));
        }
        if case.policy == APPLICATION {
            let belongs = self.history.belongs(cookie, case.snapshot.epoch, |_| ());
            let home = case.stick.home.map(|home| &case.route().backends[home]);
            let home = home.map(|home| home.id_hash);
            if let Belongs::At(expected, _) = belongs
                && home != Some(expected.backend)
            {
                return Err(fails(format!("at {home:x?}, not {expected:x?}")));
            }
        }
        self.tally.agreed += 1;
        Ok(())
    }

    /// Takes note of a move, and compares it with an earlier one off the same life.
    fn note(
        &mut self,
        session: u64,
        from: Home,
        moved: Moved,
        case: &Case<'_>,
    ) -> Result<(), Violation> {
        let key = (session, (from.backend, from.life));
        let Some(before) = self.moves.get(&key) else {
            self.moves.insert(key, moved);
            return Ok(());
        };
        if before.to == moved.to {
            return Ok(());
        }
        let is_other_failure = (&before.others, &before.refused) != (&moved.others, &moved.refused);
        if is_other_failure && !self.is_calm {
            self.tally.exempt += 1;
            return Ok(());
        }
        let story = format!(
            "{} {from:x?}: {before:x?}, then {moved:x?}",
            described(case)
        );
        Err(Violation {
            invariant: Invariant::OneNewBackend,
            story,
        })
    }
}

fn violation(invariant: Invariant, case: &Case<'_>, to: usize, what: &str) -> Violation {
    let backend = &case.route().backends[to];
    let story = format!(
        "{} went to {} in life {} {what}",
        described(case),
        backend.id,
        backend.life
    );
    Violation { invariant, story }
}

fn described(case: &Case<'_>) -> String {
    let policy = ["duration", "application"][case.policy];
    let epoch = case.snapshot.epoch;
    match case.cookie {
        Some(Binding {
            session,
            backend,
            life,
            ..
        }) => format!("{policy}, epoch {epoch}, session {session:x} of {backend:x} life {life}:"),
        None => format!("{policy}, epoch {epoch}, no session:"),
    }
}
