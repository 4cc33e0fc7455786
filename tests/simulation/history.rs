//! What was published in a world, and where that says that a session belongs.
//!
//! The judge's own reading of the rules: a session is at its home until the snapshot in which that
//! life is over, then at the first by rank of those in service in that very snapshot. Chronicles
//! and stamps, by which the product knows, it never reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow::health::Home;
use elbow::state::{Backend, Snapshot};
use elbow::sticky::{Binding, next_home};

use crate::judge::APPLICATION;

/// When a life was seen to begin and to end, in epochs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) born: u64,
    pub(crate) died: Option<u64>,
}

/// Where a session belongs by the history.
pub(crate) enum Belongs {
    /// There; it came by the end of a life in that epoch, or is where its cookie says.
    At(Home, Option<u64>),
    /// The cookie names a life that the shard has not heard of.
    Unborn,
    /// Its home ended when nobody was in service: `limits::OUTAGE_SETTLING_MS` has the rule.
    Outage,
}

/// Who could take a session over, by id hash and weight.
pub(crate) type Others = Vec<(u64, u32)>;

/// All snapshots of one world, and the lives in them.
#[derive(Default)]
pub(crate) struct History {
    snapshots: BTreeMap<u64, Arc<Snapshot>>,
    lives: BTreeMap<(u64, u32), Span>,
}

impl History {
    /// Takes note of a snapshot.
    pub(crate) fn publish(&mut self, snapshot: &Arc<Snapshot>) {
        let epoch = snapshot.epoch;
        let backends = &snapshot.routes[APPLICATION].backends;
        let alive: Vec<_> = backends.iter().filter(|b| b.is_in_service()).collect();
        for (&(id_hash, life), span) in &mut self.lives {
            let is_alive = |b: &&Backend| (b.id_hash, b.life) == (id_hash, life);
            if span.died.is_none() && !alive.iter().copied().any(|b| is_alive(&b)) {
                span.died = Some(epoch);
            }
        }
        for backend in alive {
            let born = Span {
                born: epoch,
                died: None,
            };
            self.lives
                .entry((backend.id_hash, backend.life))
                .or_insert(born);
        }
        self.snapshots.insert(epoch, Arc::clone(snapshot));
    }

    /// When a life was seen, if it was.
    pub(crate) fn span(&self, backend: u64, life: u32) -> Option<&Span> {
        self.lives.get(&(backend, life))
    }

    /// Where a session belongs, by what was published up to `epoch`. `on_move` hears from which
    /// home it went, in which epoch, and to whom.
    pub(crate) fn belongs(
        &self,
        cookie: &Binding,
        epoch: u64,
        mut on_move: impl FnMut((Home, u64, u64)),
    ) -> Belongs {
        let mut since = None;
        let mut home = Home {
            backend: cookie.backend,
            life: cookie.life,
        };
        loop {
            let Some(span) = self.lives.get(&(home.backend, home.life)) else {
                return Belongs::Unborn;
            };
            if span.born > epoch {
                return Belongs::Unborn;
            }
            let Some(died) = span.died.filter(|&died| died <= epoch) else {
                return Belongs::At(home, since);
            };
            let backends = &self.snapshots[&died].routes[APPLICATION].backends;
            let Some(next) = next_home(cookie.session, backends, &[]) else {
                return Belongs::Outage;
            };
            on_move((home, died, backends[next].id_hash));
            since = Some(died);
            home = Home {
                backend: backends[next].id_hash,
                life: backends[next].life,
            };
        }
    }

    /// Where a session belongs that stays with its cookie's backend in any life.
    pub(crate) fn named(&self, cookie: &Binding, epoch: u64) -> Belongs {
        let backend = cookie.backend;
        let lives = self
            .lives
            .range((backend, cookie.life)..=(backend, u32::MAX));
        let mut begun = lives.filter(|(_, span)| span.born <= epoch);
        match begun.next_back() {
            Some((&(backend, life), _)) => Belongs::At(Home { backend, life }, None),
            None => Belongs::Unborn,
        }
    }

    pub(crate) fn others(&self, epoch: u64, without: u64) -> Others {
        let backends = &self.snapshots[&epoch].routes[APPLICATION].backends;
        let others = backends.iter().filter(|b| b.is_in_service());
        let others = others.filter(|b| b.id_hash != without);
        let mut others: Others = others.map(|b| (b.id_hash, b.weight_for_others())).collect();
        others.sort_unstable();
        others
    }
}
