//! From the cookies of a request to the backend of its session.

use crate::health;
use crate::limits::SESSIONS_PER_SHARD;
use crate::state::{Backend, Count, Route};

use super::cookie::candidates;
use super::seal::{Binding, NONCE_BYTES, Seals, VALUE_BYTES, Value};
use super::table::{Known, Table};

/// What came of the lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// No stickiness cookie in the request.
    None,
    /// The cookie's backend is in service.
    Valid,
    /// The cookie is ours, its backend is not in service.
    Down,
    /// There are cookies of our names, none is ours for this listener.
    Invalid,
}

impl Verdict {
    /// The verdicts' names, in the order of their index, for metrics.
    pub const NAMES: [&'static str; 4] = ["none", "valid", "down", "invalid"];
}

/// Where a request belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stick {
    /// What the cookies said.
    pub verdict: Verdict,
    /// The session, if a cookie named one.
    pub session: Option<u64>,
    /// The session's backend, as an index of the route's; `None`: it has to be chosen, or there
    /// is none in service.
    pub backend: Option<usize>,
}

/// One shard's memory of sessions, and the keys to cookies that it has not seen.
#[derive(Debug)]
pub struct Sessions {
    table: Table,
    seals: Seals,
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
        }
    }

    /// Finds the backend of a request from the values of its `Cookie` fields: the first cookie
    /// that opens for this route and whose backend is in service. If there is none but one opened,
    /// the session's next home by rank, the same on every shard.
    pub fn look_up<'b>(
        &mut self,
        route: &Route,
        epoch: u64,
        cookies: impl Iterator<Item = &'b [u8]>,
        tally: &Tally<'_>,
    ) -> Stick {
        let mut stick = Stick {
            verdict: Verdict::None,
            session: None,
            backend: None,
        };
        for candidate in candidates(cookies) {
            let Some((session, place)) = self.read(route, epoch, candidate, tally) else {
                if stick.verdict == Verdict::None {
                    stick.verdict = Verdict::Invalid;
                }
                continue;
            };
            if place.is_some_and(|place| route.backends[place].is_in_service) {
                return Stick {
                    verdict: Verdict::Valid,
                    session: Some(session),
                    backend: place,
                };
            }
            stick.verdict = Verdict::Down;
            stick.session.get_or_insert(session);
        }
        stick.backend = stick
            .session
            .and_then(|session| next_home(session, &route.backends, &[]));
        stick
    }

    /// Session and backend of one candidate; `None` if it is not ours for this route.
    fn read(
        &mut self,
        route: &Route,
        epoch: u64,
        candidate: &[u8],
        tally: &Tally<'_>,
    ) -> Option<(u64, Option<usize>)> {
        let value: &Value = candidate.first_chunk::<VALUE_BYTES>()?;
        if candidate.len() != VALUE_BYTES {
            return None;
        }
        if let Some(entry) = self
            .table
            .find(value)
            .filter(|entry| entry.scope == route.scope)
        {
            tally.hits.add(1);
            if entry.epoch != epoch {
                entry.place = place_of(entry.backend, &route.backends);
                entry.epoch = epoch;
            }
            return Some((entry.session, entry.place));
        }
        tally.misses.add(1);
        let binding = self
            .seals
            .open(value)
            .filter(|binding| binding.scope == route.scope)?;
        let place = place_of(binding.backend, &route.backends);
        let known = Known {
            scope: binding.scope,
            backend: binding.backend,
            session: binding.session,
            epoch,
            place,
        };
        tally.evictions.add(self.table.insert(value, known).into());
        tally.sessions.set(self.table.len() as u64);
        Some((binding.session, place))
    }

    /// The value of a new cookie.
    pub fn seal(&self, binding: &Binding, nonce: [u8; NONCE_BYTES]) -> Value {
        self.seals.seal(binding, nonce)
    }
}

/// The first backend in service by the session's rank, leaving out those already tried.
pub fn next_home(session: u64, backends: &[Backend], tried: &[usize]) -> Option<usize> {
    let in_service = backends
        .iter()
        .enumerate()
        .filter(|(index, backend)| backend.is_in_service && !tried.contains(index));
    let candidates = in_service.map(|(index, backend)| health::rank::Candidate {
        index,
        id_hash: backend.id_hash,
        weight: 1,
    });
    health::rank::first(session, candidates).map(|first| first.index)
}

fn place_of(id_hash: u64, backends: &[Backend]) -> Option<usize> {
    backends
        .iter()
        .position(|backend| backend.id_hash == id_hash)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::seal::Key;
    use super::*;
    use crate::state::PerShard;

    struct World {
        sessions: Sessions,
        route: Route,
        counts: [Count; 4],
    }

    impl World {
        fn new() -> Self {
            let backends = ["a", "b", "c"].map(|id| Backend {
                id: id.into(),
                id_hash: health::id_hash(id),
                address: "127.0.0.1:1".parse().unwrap(),
                is_in_service: true,
                life: 1,
                counts: Arc::new(PerShard::new(1)),
            });
            let route = Route {
                load_balancer: "lb".into(),
                counts: Arc::new(PerShard::new(1)),
                address: "127.0.0.1:80".parse().unwrap(),
                scope: 7,
                stickiness: None,
                is_secure: false,
                idle_timeout: Duration::from_secs(60),
                backends: backends.into(),
            };
            let seals = Seals::new(&[Key {
                id: 1,
                secret: [1; 16],
            }]);
            Self {
                sessions: Sessions::new(seals),
                route,
                counts: Default::default(),
            }
        }

        fn cookie(&self, backend: &str, scope: u64, session: u64) -> String {
            let binding = Binding {
                scope,
                backend: health::id_hash(backend),
                life: 1,
                issued: 0,
                session,
            };
            let value = self.sessions.seal(&binding, [3; NONCE_BYTES]);
            format!("AWSELB={}", std::str::from_utf8(&value).unwrap())
        }

        fn look_up(&mut self, epoch: u64, cookie: &str) -> Stick {
            let [hits, misses, evictions, sessions] = &self.counts;
            let tally = Tally {
                hits,
                misses,
                evictions,
                sessions,
            };
            let fields = std::iter::once(cookie.as_bytes());
            self.sessions.look_up(&self.route, epoch, fields, &tally)
        }
    }

    #[test]
    fn no_cookie_no_verdict() {
        let expected = Stick {
            verdict: Verdict::None,
            session: None,
            backend: None,
        };
        assert_eq!(World::new().look_up(1, "a=b"), expected);
    }

    #[test]
    fn a_cookie_leads_to_its_backend_first_by_opening_then_by_the_table() {
        let mut world = World::new();
        let cookie = world.cookie("b", 7, 9);
        for _ in 0..3 {
            let expected = Stick {
                verdict: Verdict::Valid,
                session: Some(9),
                backend: Some(1),
            };
            assert_eq!(world.look_up(1, &cookie), expected);
        }
        assert_eq!((world.counts[0].value(), world.counts[1].value()), (2, 1));
    }

    #[test]
    fn a_cookie_of_another_scope_is_not_ours() {
        let mut world = World::new();
        let cookie = world.cookie("b", 8, 9);
        let expected = Stick {
            verdict: Verdict::Invalid,
            session: None,
            backend: None,
        };
        assert_eq!(world.look_up(1, &cookie), expected);
    }

    #[test]
    fn the_first_cookie_whose_backend_is_in_service_wins() {
        let mut world = World::new();
        world.route.backends[0].is_in_service = false;
        let [foreign, down, good] = [
            world.cookie("c", 8, 1),
            world.cookie("a", 7, 2),
            world.cookie("b", 7, 3),
        ];
        let stick = world.look_up(1, &format!("AWSELB=0;{foreign};{down};{good}"));
        let expected = Stick {
            verdict: Verdict::Valid,
            session: Some(3),
            backend: Some(1),
        };
        assert_eq!(stick, expected);
    }

    #[test]
    fn a_session_whose_backend_is_down_has_one_next_home() {
        let mut world = World::new();
        let cookie = world.cookie("a", 7, 9);
        world.route.backends[0].is_in_service = false;
        let stick = world.look_up(1, &cookie);
        assert_eq!((stick.verdict, stick.session), (Verdict::Down, Some(9)));
        assert_eq!(stick.backend, next_home(9, &world.route.backends, &[]));
        assert!(stick.backend.is_some_and(|backend| backend != 0));
    }

    #[test]
    fn a_new_epoch_is_resolved_anew() {
        let mut world = World::new();
        let cookie = world.cookie("c", 7, 9);
        assert_eq!(world.look_up(1, &cookie).backend, Some(2));
        world.route.backends.remove(0);
        assert_eq!(world.look_up(2, &cookie).backend, Some(1));
        world.route.backends.remove(1);
        assert_eq!(world.look_up(3, &cookie).verdict, Verdict::Down);
    }

    #[test]
    fn with_nothing_in_service_there_is_no_home() {
        let mut world = World::new();
        let cookie = world.cookie("a", 7, 9);
        for backend in &mut world.route.backends {
            backend.is_in_service = false;
        }
        assert_eq!(world.look_up(1, &cookie).backend, None);
    }
}
