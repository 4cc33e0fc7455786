//! The view: everybody's chronicles, and from them where a session lives.
//!
//! [`View::resolve`] is why elbow exists: a pure function of session, cookie and view, the same on
//! every shard and node that has heard the same things. Not here: who writes the chronicles
//! (`state`), and sessions that may go back to where they were (duration policies ask only who is
//! in service now). Invariant: a session moves only when the life that it is bound to ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rank::{self, Candidate};
use super::{Chronicle, Life, Stamp, mix};
use crate::limits::{CHRONICLES_KEPT, OUTAGE_SETTLING_MS};

/// Where a session lives: a backend, by its [`super::id_hash`], and one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The backend's id hash.
    pub backend: u64,
    /// The number of the life.
    pub life: u32,
}

/// One step of a session on its way to where it lives now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Where it was.
    pub from: Home,
    /// When that life was over; `None`: before all that is known.
    pub at: Option<Stamp>,
    /// Where it went.
    pub to: Home,
}

/// The chronicles of a load balancer's backends, those of the past included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct View {
    chronicles: BTreeMap<u64, Chronicle>,
}

impl View {
    /// The chronicle of a backend, if there is one.
    pub fn chronicle(&self, backend: u64) -> Option<&Chronicle> {
        self.chronicles.get(&backend)
    }

    /// The chronicle of a backend, to write on. Beyond [`CHRONICLES_KEPT`] the one of which
    /// nothing was heard for longest is forgotten, if it has no open life.
    pub fn chronicle_mut(&mut self, backend: u64) -> &mut Chronicle {
        if !self.chronicles.contains_key(&backend) {
            self.make_room();
        }
        self.chronicles.entry(backend).or_default()
    }

    fn make_room(&mut self) {
        if self.chronicles.len() < CHRONICLES_KEPT {
            return;
        }
        let over = self.chronicles.iter().filter(|(_, c)| c.open().is_none());
        if let Some((&oldest, _)) = over.min_by_key(|(_, chronicle)| chronicle.latest()) {
            self.chronicles.remove(&oldest);
        }
    }

    /// Takes in what another node knows. A join, as [`Chronicle::merge`] is, below the bound.
    pub fn merge(&mut self, other: &Self) {
        for (&backend, theirs) in &other.chronicles {
            self.chronicle_mut(backend).merge(theirs);
        }
    }

    /// All chronicles, by backend.
    pub fn chronicles(&self) -> impl Iterator<Item = (u64, &Chronicle)> {
        self.chronicles
            .iter()
            .map(|(&backend, chronicle)| (backend, chronicle))
    }

    /// A hash of all of it, the same on all machines.
    pub fn hash(&self) -> u64 {
        let of_all = self.chronicles.iter().filter(|(_, one)| !one.is_empty());
        of_all.fold(0, |sum, (&backend, one)| {
            sum.wrapping_add(mix(backend, one.hash()))
        })
    }

    /// The latest moment of which it tells.
    pub fn latest(&self) -> Stamp {
        self.chronicles
            .values()
            .map(Chronicle::latest)
            .max()
            .unwrap_or_default()
    }

    /// Where a session lives that a cookie binds to `home`. `on_move` hears of each
    /// step from there. `None`: no backend has lived since its last home was over.
    ///
    /// * While the life is open it stays, whoever else comes, goes or returns.
    /// * When a life ends, its sessions go to the first by rank of those that lived then, and stay
    ///   there although the old one may return.
    /// * Where nobody lived then, the first by rank of those that came back within
    ///   [`OUTAGE_SETTLING_MS`] of the first one has it: not all to the one that was quickest.
    /// * A life that is older than the chronicle was over when the oldest that is kept began. One
    ///   that is newer is that backend's last: what the cookie knows has not come here yet.
    /// * A backend without a chronicle was over before all that is known.
    pub fn resolve(&self, session: u64, home: Home, mut on_move: impl FnMut(Move)) -> Option<Home> {
        let mut home = home;
        loop {
            let end = match self.chronicles.get(&home.backend) {
                Some(chronicle) if chronicle.last_number() > 0 => {
                    let Some(end) = chronicle.end_of(home.life) else {
                        home.life = home.life.min(chronicle.last_number());
                        return Some(home);
                    };
                    Some(end)
                }
                Some(_) | None => None,
            };
            let to = self.successor(session, end.unwrap_or_default())?;
            on_move(Move {
                from: home,
                at: end,
                to,
            });
            home = to;
        }
    }

    /// Where the sessions go whose home ended at that moment.
    fn successor(&self, session: u64, end: Stamp) -> Option<Home> {
        let alive = self.first_of(session, |chronicle| {
            let life = chronicle.open_at(end)?;
            Some((life, chronicle.weight_at(end)))
        });
        alive.or_else(|| self.first_back(session, end))
    }

    fn first_back(&self, session: u64, outage: Stamp) -> Option<Home> {
        let returns = self
            .chronicles
            .values()
            .filter_map(|c| c.first_after(outage));
        let settled_ms = returns.map(|life| life.born).min()?.wall_ms + OUTAGE_SETTLING_MS;
        self.first_of(session, |chronicle| {
            let life = chronicle.first_after(outage)?;
            (life.born.wall_ms <= settled_ms).then(|| (life, chronicle.weight_at(life.born)))
        })
    }

    fn first_of(
        &self,
        session: u64,
        candidate: impl Fn(&Chronicle) -> Option<(Life, u32)>,
    ) -> Option<Home> {
        let candidates = self.chronicles.iter().filter_map(|(&id_hash, chronicle)| {
            let (life, weight) = candidate(chronicle)?;
            let index = usize::try_from(life.number).expect("a life's number fits");
            Some(Candidate {
                index,
                id_hash,
                weight,
            })
        });
        let first = rank::first(session, candidates)?;
        Some(Home {
            backend: first.id_hash,
            life: u32::try_from(first.index).expect("it was a life's number"),
        })
    }
}

#[cfg(test)]
mod tests;
