use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::super::Sessions;
use super::super::seal::{Key, NONCE_BYTES};
use super::super::sessions::Tally;
use super::*;
use crate::config::{ApplicationPolicy, Attributes, DurationPolicy, Failover};
use crate::health::{Clock, id_hash};
use crate::state::{Count, fixture};

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const NOW: u64 = 10_000;

/// A listener whose backends have a past.
#[derive(Debug, Clone)]
struct World {
    route: Route,
    clock: Clock,
}

/// One thing that happens to a backend.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Comes,
    Dies,
    Weighs(u32),
    Drains,
    Goes,
}

impl World {
    fn new(stickiness: Stickiness, attributes: Attributes) -> Self {
        let route = Route {
            attributes: Arc::new(attributes),
            is_secure: true,
            ..fixture::route(stickiness, IDS.map(fixture::unknown_backend).into())
        };
        Self {
            route,
            clock: Clock::new(0),
        }
    }

    fn happen(&mut self, id: &str, what: Happens) {
        let now = self.clock.stamp(1);
        let Some(index) = self.route.backends.iter().position(|b| &*b.id == id) else {
            return;
        };
        let chronicle = Arc::make_mut(&mut self.route.view).chronicle_mut(id_hash(id));
        let backend = &mut self.route.backends[index];
        match what {
            Happens::Comes => {
                backend.life = chronicle.begin(now);
                backend.admits = Admits::All;
            }
            Happens::Dies => {
                chronicle.end(now);
                backend.admits = Admits::Nothing;
            }
            Happens::Weighs(weight) => {
                chronicle.reweigh(now, weight);
                backend.weight = weight;
            }
            Happens::Drains if backend.is_in_service() => {
                chronicle.reweigh(now, 0);
                backend.admits = Admits::Sessions;
            }
            Happens::Drains => {}
            Happens::Goes => {
                chronicle.end(now);
                self.route.backends.remove(index);
            }
        }
    }

    /// The same listener, if it relayed bytes.
    fn of_tcp(mut self) -> Self {
        self.route.protocol = crate::config::Protocol::Tcp;
        self.route.stickiness = None;
        self
    }

    fn question<'a>(&'a self, cookies: &'a [&'a [u8]], without: Option<&'a str>) -> Question<'a> {
        Question {
            visit: Visit {
                route: &self.route,
                epoch: 3,
                now: NOW,
                fallback: None,
            },
            cookies,
            without,
        }
    }

    fn explain(&self, cookies: &str, without: Option<&str>) -> Explanation {
        explain(&self.question(&[cookies.as_bytes()], without), &seals()).expect("it is registered")
    }

    /// Verdict, session, home and standby as the data path has them.
    fn look_up(&self, cookies: &str) -> [Option<String>; 4] {
        let counts: [Count; 4] = Default::default();
        let tally = Tally {
            hits: &counts[0],
            misses: &counts[1],
            evictions: &counts[2],
            sessions: &counts[3],
        };
        let fields = std::iter::once(cookies.as_bytes());
        let visit = self.question(&[], None).visit;
        let stick = Sessions::new(seals()).look_up(&visit, fields, &tally);
        let name = |index: usize| self.route.backends[index].id.to_string();
        [
            Some(stick.verdict.name().to_owned()),
            stick.session.map(|session| format!("{session:016x}")),
            stick.home.map(name),
            stick.standby.map(name),
        ]
    }
}

fn told(explanation: Explanation) -> [Option<String>; 4] {
    let Explanation {
        verdict,
        session,
        home,
        standby,
        ..
    } = explanation;
    [Some(verdict), session, home, standby]
}

fn seals() -> Seals {
    Seals::new(&[Key {
        id: 1,
        secret: [1; 16],
    }])
}

fn cookie(binding: &Binding) -> String {
    let value = seals().seal(binding, [3; NONCE_BYTES]);
    format!("AWSELB={}", std::str::from_utf8(&value).unwrap())
}

fn bound(id: &str, life: u32, session: u64) -> Binding {
    Binding {
        scope: 7,
        backend: id_hash(id),
        life,
        issued: NOW - 5,
        session,
        began: 9_000,
    }
}

fn app() -> Stickiness {
    Stickiness::Application(ApplicationPolicy::new("p", "app"))
}

fn worlds() -> impl Strategy<Value = World> {
    let happens = prop_oneof![
        5 => Just(Happens::Comes),
        4 => Just(Happens::Dies),
        1 => (0_u32..4).prop_map(Happens::Weighs),
        1 => Just(Happens::Drains),
        1 => Just(Happens::Goes),
    ];
    let story = prop::collection::vec((prop::sample::select(&IDS[..]), happens), 0..24);
    let limit = prop::option::of((1_u64..2000).prop_map(Duration::from_secs));
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (story, switches, limit).prop_map(|(story, switches, limit)| {
        let (follows_app, is_strict, sends_standby, by_load) = switches;
        let stickiness = if follows_app {
            let policy = ApplicationPolicy::new("p", "app");
            Stickiness::Application(ApplicationPolicy {
                absolute_limit: limit,
                ..policy
            })
        } else {
            Stickiness::Duration(DurationPolicy {
                idle_limit: limit,
                ..DurationPolicy::new("p", NonZeroU32::new(60))
            })
        };
        let mut attributes = Attributes::default();
        attributes.affinity.is_strict = is_strict;
        attributes.affinity.sends_standby = sends_standby;
        if by_load {
            attributes.affinity.failover = Failover::LeastOutstanding;
        }
        let mut world = World::new(stickiness, attributes);
        for (id, what) in story {
            world.happen(id, what);
        }
        world
    })
}

/// A `Cookie` value with up to three of ours, good and bad, and perhaps the application's.
fn cookies() -> impl Strategy<Value = String> {
    let names = prop::sample::select(&["a", "b", "c", "d", "unknown"][..]);
    let binding = (names, 0_u32..5, 7_u64..9, 7_000..NOW + 10, any::<u64>());
    let binding = binding.prop_map(|(id, life, scope, issued, session)| Binding {
        scope,
        issued,
        began: u32::try_from(issued - 10).unwrap(),
        ..bound(id, life, session)
    });
    let one = prop_oneof![
        9 => binding.prop_map(|binding| cookie(&binding)),
        1 => Just("AWSELB=0".to_owned()),
    ];
    (prop::collection::vec(one, 0..4), any::<bool>()).prop_map(|(mut all, has_app)| {
        if has_app {
            all.insert(0, "app=1".to_owned());
        }
        all.join("; ")
    })
}

#[test]
fn a_tcp_listener_reads_no_cookies_and_goes_round() {
    let mut world = World::new(app(), Attributes::default()).of_tcp();
    let told = world.explain("AWSELB=x", None);
    assert_eq!(told.verdict, "none");
    assert_eq!(
        told.because,
        "the listener relays bytes and sees no cookies"
    );
    assert!(
        told.goes.ends_with("the connection is reset"),
        "{}",
        told.goes
    );
    world.happen("b", Happens::Comes);
    assert_eq!(world.explain("", None).goes, "to the backend in turn");
}

proptest! {
    #[test]
    fn it_tells_what_the_data_path_does(world in worlds(), cookies in cookies()) {
        let explanation = world.explain(&cookies, None);
        if let (Some(last), Some(home)) = (explanation.moves.last(), &explanation.home) {
            prop_assert_eq!(&last.to.backend, home, "the chain ends at the home");
        }
        prop_assert_eq!(told(explanation), world.look_up(&cookies));
    }

    #[test]
    fn what_if_is_what_happens(world in worlds(), cookies in cookies(), which in 0_usize..4) {
        let Some(id) = world.route.backends.get(which).map(|b| b.id.to_string()) else {
            return Ok(());
        };
        let foreseen = world.explain(&cookies, Some(&id));
        let mut after = world;
        after.happen(&id, Happens::Dies);
        prop_assert_eq!(told(foreseen), after.look_up(&cookies));
    }
}

#[test]
fn a_chain_of_failures_is_told_move_by_move() {
    let mut world = World::new(app(), Attributes::default());
    for id in ["a", "b", "c"] {
        world.happen(id, Happens::Comes);
    }
    let cookies = format!("app=1; {}", cookie(&bound("a", 1, 9)));
    world.happen("a", Happens::Dies);
    let first = world.explain(&cookies, None).home.expect("two are left");
    world.happen("a", Happens::Comes);
    world.happen(&first, Happens::Dies);
    let explanation = world.explain(&cookies, None);
    let steps: Vec<_> = explanation
        .moves
        .iter()
        .map(|step| (step.from.backend.clone(), step.to.backend.clone()))
        .collect();
    let home = explanation.home.expect("two are left");
    assert_eq!(steps, [("a".to_owned(), first.clone()), (first, home)]);
    assert!(explanation.moves.iter().all(|step| step.ended_ms.is_some()));
    assert_eq!(explanation.verdict, "moved");
    assert_eq!(explanation.ranked.len(), 2);
}

#[test]
fn the_lines_that_would_be_sent_have_words_for_the_value() {
    let policy = DurationPolicy::new("p", NonZeroU32::new(60));
    let mut world = World::new(Stickiness::Duration(policy), Attributes::default());
    assert!(world.explain("", None).sends.is_empty(), "nobody answers");
    world.happen("a", Happens::Comes);
    let expected = [
        "Set-Cookie: AWSELB=<138 hex digits>;PATH=/;MAX-AGE=60",
        "Set-Cookie: AWSALBCORS=<138 hex digits>;PATH=/;MAX-AGE=60;SECURE;SAMESITE=None",
        "Cache-control: no-cache=\"set-cookie\"",
    ];
    assert_eq!(world.explain("", None).sends, expected);
    let good = cookie(&bound("a", 1, 9));
    assert!(world.explain(&good, None).sends.is_empty(), "it has one");
}

#[test]
fn an_unknown_backend_is_told_by_its_hash_and_cannot_be_left_out() {
    let mut world = World::new(app(), Attributes::default());
    world.happen("a", Happens::Comes);
    let cookies = format!("app=1; {}", cookie(&bound("gone", 1, 9)));
    let said = world.explain(&cookies, None).cookie.expect("it opens");
    assert_eq!(said.bound_to.backend, format!("{:016x}", id_hash("gone")));
    let question = world.question(&[], Some("gone"));
    assert_eq!(explain(&question, &seals()), None);
}

#[test]
fn an_expired_cookie_is_still_read_out() {
    let policy = DurationPolicy {
        idle_limit: Some(Duration::from_secs(1)),
        ..DurationPolicy::new("p", None)
    };
    let mut world = World::new(Stickiness::Duration(policy), Attributes::default());
    world.happen("a", Happens::Comes);
    let explanation = world.explain(&cookie(&bound("a", 1, 9)), None);
    assert_eq!(
        (&*explanation.verdict, explanation.session),
        ("expired", None)
    );
    let said = explanation.cookie.expect("it opens");
    assert_eq!((said.issued, said.began), (NOW - 5, 9_000));
}
