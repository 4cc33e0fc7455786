use std::sync::Arc;

use super::super::seal::Key;
use super::super::{Next, next_home};
use super::*;
use crate::config::ApplicationPolicy;
use crate::health::{Clock, View, id_hash};
use crate::state::{Admits, Backend, fixture};

struct World {
    sessions: Sessions,
    route: Route,
    clock: Clock,
    epoch: u64,
    now: u64,
    fallback: Option<u64>,
    counts: [Count; 4],
}

impl World {
    /// Backends `a`, `b` and `c`, all in their first life, and a duration policy.
    fn new() -> Self {
        let mut clock = Clock::new(0);
        let mut view = View::default();
        let backends = ["a", "b", "c"].map(|id| {
            view.chronicle_mut(id_hash(id)).begin(clock.stamp(1));
            Backend {
                admits: Admits::All,
                life: 1,
                ..fixture::unknown_backend(id)
            }
        });
        let route = Route {
            view: Arc::new(view),
            ..fixture::route(Stickiness::Duration(duration()), backends.into())
        };
        let seals = Seals::new(&[Key {
            id: 1,
            secret: [1; 16],
        }]);
        Self {
            sessions: Sessions::new(seals),
            route,
            clock,
            epoch: 1,
            now: 1000,
            fallback: None,
            counts: Default::default(),
        }
    }

    fn with(policy: Stickiness) -> Self {
        let mut world = Self::new();
        world.route.stickiness = Some(Arc::new(policy));
        world
    }

    fn of_app() -> Self {
        Self::with(Stickiness::Application(ApplicationPolicy::new("p", "app")))
    }

    fn strict(mut self) -> Self {
        Arc::make_mut(&mut self.route.attributes).affinity.is_strict = true;
        self
    }

    fn goes(&mut self, id: &str, is_up: bool) {
        self.epoch += 1;
        let now = self.clock.stamp(self.now * 1000);
        let chronicle = Arc::make_mut(&mut self.route.view).chronicle_mut(id_hash(id));
        let backend = self.route.backends.iter_mut().find(|b| &*b.id == id);
        let backend = backend.expect("one of the three");
        if is_up {
            backend.life = chronicle.begin(now);
            backend.admits = Admits::All;
        } else {
            chronicle.end(now);
            backend.admits = Admits::Nothing;
        }
    }

    /// A cookie of scope 7, life 1, sealed at 1000 s for a session that began then.
    fn cookie(&self, backend: &str, session: u64) -> String {
        self.sealed(Binding {
            backend: id_hash(backend),
            session,
            ..BINDING
        })
    }

    fn sealed(&self, binding: Binding) -> String {
        let value = self.sessions.seal(&binding, [3; NONCE_BYTES]);
        format!("AWSELB={}", std::str::from_utf8(&value).unwrap())
    }

    fn look_up(&mut self, cookie: &str) -> Stick {
        let [hits, misses, evictions, sessions] = &self.counts;
        let tally = Tally {
            hits,
            misses,
            evictions,
            sessions,
        };
        let visit = Visit {
            route: &self.route,
            epoch: self.epoch,
            now: self.now,
            fallback: self.fallback,
        };
        let fields = std::iter::once(cookie.as_bytes());
        self.sessions.look_up(&visit, fields, &tally)
    }

    fn verdict(&mut self, cookie: &str) -> (Verdict, Option<usize>) {
        let stick = self.look_up(cookie);
        (stick.verdict, stick.home)
    }
}

const BINDING: Binding = Binding {
    scope: 7,
    backend: 0,
    life: 1,
    issued: 1000,
    session: 9,
    began: 1000,
};

fn duration() -> DurationPolicy {
    DurationPolicy::new("p", None)
}

#[test]
fn no_cookie_no_verdict() {
    assert_eq!(World::new().look_up("a=b"), Stick::NOWHERE);
    let mut world = World::new();
    let cookie = world.cookie("b", 9);
    world.route.stickiness = None;
    assert_eq!(
        world.look_up(&cookie),
        Stick::NOWHERE,
        "without a policy none is read"
    );
}

#[test]
fn a_cookie_leads_to_its_backend_first_by_opening_then_by_the_table() {
    let mut world = World::new();
    let cookie = world.cookie("b", 9);
    for _ in 0..3 {
        let expected = Stick {
            verdict: Verdict::Valid,
            session: Some(9),
            home: Some(1),
            standby: None,
            began: 1000,
            renews: false,
        };
        assert_eq!(world.look_up(&cookie), expected);
    }
    assert_eq!((world.counts[0].value(), world.counts[1].value()), (2, 1));
}

#[test]
fn a_cookie_of_another_scope_is_not_ours() {
    let mut world = World::new();
    let foreign = world.sealed(Binding {
        scope: 8,
        ..BINDING
    });
    assert_eq!(world.verdict(&foreign), (Verdict::Invalid, None));
}

#[test]
fn the_first_cookie_whose_backend_is_in_service_wins() {
    let mut world = World::new();
    world.goes("a", false);
    let foreign = world.sealed(Binding {
        scope: 8,
        ..BINDING
    });
    let [down, good] = [world.cookie("a", 2), world.cookie("b", 3)];
    let stick = world.look_up(&format!("AWSELB=0;{foreign};{down};{good}"));
    assert_eq!(
        (stick.verdict, stick.session, stick.home),
        (Verdict::Valid, Some(3), Some(1))
    );
}

#[test]
fn a_session_whose_backend_is_out_has_one_next_home() {
    let mut world = World::new();
    let cookie = world.cookie("a", 9);
    world.goes("a", false);
    let stick = world.look_up(&cookie);
    assert_eq!((stick.verdict, stick.session), (Verdict::Down, Some(9)));
    assert_eq!(stick.home, next_home(9, &world.route.backends, &[]));
    assert!(stick.home.is_some_and(|home| home != 0));
    // Under a duration policy its own backend has it again once it is back.
    world.goes("a", true);
    assert_eq!(world.verdict(&cookie), (Verdict::Valid, Some(0)));
}

#[test]
fn a_refused_session_goes_on_by_rank_and_a_strict_one_nowhere() {
    let mut world = World::new();
    let cookie = world.cookie("a", 9);
    let stick = world.look_up(&cookie);
    assert_eq!(stick.next(&world.route, &[]), Next::Backend(0));
    let second = next_home(9, &world.route.backends, &[0]).expect("three are in service");
    assert_eq!(stick.next(&world.route, &[0]), Next::Backend(second));
    assert_eq!(stick.next(&world.route, &[0, 1, 2]), Next::Nobody);
    assert_eq!(Stick::NOWHERE.next(&world.route, &[0]), Next::Any);
    let world = world.strict();
    assert_eq!(stick.next(&world.route, &[0]), Next::Nobody);
}

#[test]
fn under_an_app_policy_a_session_stays_where_it_moved() {
    let mut world = World::of_app();
    let fields = format!("app=1; {}", world.cookie("a", 9));
    assert_eq!(world.verdict(&fields), (Verdict::Valid, Some(0)));
    let refused = next_home(9, &world.route.backends, &[0]);
    world.goes("a", false);
    let (verdict, home) = world.verdict(&fields);
    assert_eq!(verdict, Verdict::Moved);
    assert_eq!(
        home, refused,
        "a refused connection goes where the view will say"
    );
    world.goes("a", true);
    assert_eq!(world.verdict(&fields), (Verdict::Moved, home));
    // A cookie of the new life stays on it.
    let newer = world.sealed(Binding {
        backend: id_hash("a"),
        life: 2,
        ..BINDING
    });
    assert_eq!(
        world.verdict(&format!("app=1; {newer}")),
        (Verdict::Valid, Some(0))
    );
}

#[test]
fn without_the_apps_cookie_its_session_is_over() {
    let mut world = World::of_app();
    let cookie = world.cookie("a", 9);
    assert_eq!(world.verdict(&cookie), (Verdict::AppCookieMissing, None));
    assert_eq!(world.verdict("app=1"), (Verdict::None, None));
    assert_eq!(
        world.verdict(&format!("xapp=1; {cookie}")).0,
        Verdict::AppCookieMissing
    );
}

#[test]
fn one_cookie_means_different_things_to_different_policies_of_one_scope() {
    let mut world = World::of_app();
    let fields = format!("app=1; {}", world.cookie("a", 9));
    world.goes("a", false);
    world.goes("a", true);
    assert_eq!(world.verdict(&fields).0, Verdict::Moved);
    let app = world
        .route
        .stickiness
        .replace(Arc::new(Stickiness::Duration(duration())));
    assert_eq!(world.verdict(&fields), (Verdict::Valid, Some(0)));
    world.route.stickiness = app;
    assert_eq!(world.verdict(&fields).0, Verdict::Moved);
}

#[test]
fn a_new_epoch_is_resolved_anew() {
    let mut world = World::new();
    let cookie = world.cookie("c", 9);
    assert_eq!(world.look_up(&cookie).home, Some(2));
    world.route.backends.remove(0);
    world.epoch += 1;
    assert_eq!(world.look_up(&cookie).home, Some(1));
    world.route.backends.remove(1);
    world.epoch += 1;
    assert_eq!(world.verdict(&cookie), (Verdict::Gone, Some(0)));
}

#[test]
fn a_backend_that_leaves_keeps_its_sessions_and_takes_none_over() {
    let mut world = World::new();
    let (own, other) = (world.cookie("a", 9), world.cookie("b", 9));
    world.route.backends[0].admits = Admits::Sessions;
    assert_eq!(world.verdict(&own), (Verdict::Valid, Some(0)));
    world.goes("b", false);
    assert_eq!(world.verdict(&other), (Verdict::Down, Some(2)));
}

#[test]
fn with_nothing_in_service_there_is_no_home() {
    let mut world = World::new();
    let cookie = world.cookie("a", 9);
    for id in ["a", "b", "c"] {
        world.goes(id, false);
    }
    assert_eq!(world.verdict(&cookie), (Verdict::Down, None));
    let mut world = World::of_app();
    for id in ["a", "b", "c"] {
        world.goes(id, false);
    }
    assert_eq!(
        world.verdict(&format!("app=1; {cookie}")),
        (Verdict::Down, None)
    );
}

#[test]
fn a_strict_session_moves_only_when_its_backend_is_not_registered_any_more() {
    for mut world in [World::new().strict(), World::of_app().strict()] {
        let fields = format!("app=1; {}", world.cookie("a", 9));
        world.goes("a", false);
        assert_eq!(world.verdict(&fields), (Verdict::Strict, None));
        world.goes("a", true);
        assert_eq!(world.verdict(&fields), (Verdict::Valid, Some(0)));
        world.goes("a", false);
        world.route.backends.remove(0);
        world.epoch += 1;
        assert!(world.look_up(&fields).home.is_some());
    }
}

#[test]
fn limits_end_sessions_and_a_clock_put_back_does_not() {
    let policy = DurationPolicy {
        idle_limit: Some(Duration::from_secs(160)),
        absolute_limit: Some(Duration::from_secs(1000)),
        ..duration()
    };
    let mut world = World::with(Stickiness::Duration(policy));
    let cookie = world.cookie("b", 9);
    for (now, verdict, renews) in [
        (500, Verdict::Valid, false),
        (1009, Verdict::Valid, false),
        (1010, Verdict::Valid, true),
        (1160, Verdict::Valid, true),
        (1161, Verdict::Expired, false),
    ] {
        world.now = now;
        let stick = world.look_up(&cookie);
        assert_eq!((stick.verdict, stick.renews), (verdict, renews), "at {now}");
    }
    let renewed = world.sealed(Binding {
        backend: id_hash("b"),
        issued: 1950,
        ..BINDING
    });
    world.now = 2000;
    assert_eq!(world.verdict(&renewed), (Verdict::Valid, Some(1)));
    world.now = 2001;
    assert_eq!(world.verdict(&renewed), (Verdict::Expired, None));
}

#[test]
fn cookies_are_renewed_as_the_policy_says() {
    for (refresh, at_29, at_30) in [
        (Refresh::Never, false, false),
        (Refresh::HalfLife, false, true),
        (Refresh::Always, true, true),
    ] {
        let policy = DurationPolicy {
            refresh,
            ..DurationPolicy::new("p", std::num::NonZeroU32::new(60))
        };
        let mut world = World::with(Stickiness::Duration(policy));
        let cookie = world.cookie("b", 9);
        for (age, renews) in [(29, at_29), (30, at_30)] {
            world.now = 1000 + age;
            assert_eq!(
                world.look_up(&cookie).renews,
                renews,
                "{refresh:?} after {age} s"
            );
        }
    }
}

#[test]
fn a_client_without_a_cookie_is_known_by_its_fallback() {
    let mut world = World::new();
    world.fallback = Some(77);
    let stick = world.look_up("a=b");
    assert_eq!(
        (stick.verdict, stick.session),
        (Verdict::Fallback, Some(77))
    );
    assert_eq!(stick.home, next_home(77, &world.route.backends, &[]));
    let home = stick.home.expect("three are in service");
    world.route.backends[home].is_over_bound = true;
    assert!(world.look_up("a=b").home.is_some_and(|other| other != home));
    let cookie = world.cookie("b", 9);
    assert_eq!(
        world.look_up(&cookie).session,
        Some(9),
        "a cookie goes first"
    );
}

#[test]
fn the_standby_is_where_the_session_goes_next() {
    let mut world = World::new();
    Arc::make_mut(&mut world.route.attributes)
        .affinity
        .sends_standby = true;
    let cookie = world.cookie("a", 9);
    let standby = world.look_up(&cookie).standby;
    world.goes("a", false);
    assert_eq!(world.look_up(&cookie).home, standby);
}

/// Where sessions were seen to have gone, and how many.
fn moves(world: &mut World) -> Vec<(u64, u64, u64)> {
    let (moves, missed) = world.sessions.take_moves();
    assert_eq!(missed, 0);
    let told = moves
        .iter()
        .map(|one| (one.from, one.to, one.sessions.estimate()));
    told.collect()
}

#[test]
fn a_session_whose_backend_died_is_seen_to_move_once_by_each_kind_of_policy() {
    for mut world in [World::new(), World::of_app()] {
        let cookie = format!("{}; app=1", world.cookie("a", 9));
        world.look_up(&cookie);
        assert_eq!(moves(&mut world), [], "it is where it was");
        world.goes("a", false);
        let home = world.look_up(&cookie).home.expect("two are in service");
        let to = world.route.backends[home].id_hash;
        world.look_up(&cookie);
        assert_eq!(moves(&mut world), [(id_hash("a"), to, 1)]);
        world.look_up(&cookie);
        assert_eq!(moves(&mut world), [], "nothing has changed since");
    }
}

#[test]
fn a_session_that_follows_its_application_moved_when_its_backend_died_and_not_ever_since() {
    let mut world = World::of_app();
    let cookie = format!("{}; app=1", world.cookie("a", 9));
    world.goes("a", false);
    world.now += MOVES_SHOWN_FOR.as_secs() + 1;
    assert_eq!(world.verdict(&cookie).0, Verdict::Moved);
    assert_eq!(moves(&mut world), [], "that is long ago");
}

#[test]
fn a_session_that_moved_twice_is_seen_to_come_from_where_it_was_last() {
    let mut world = World::of_app();
    let cookie = format!("{}; app=1", world.cookie("a", 9));
    world.goes("a", false);
    let first = world.look_up(&cookie).home.expect("two are in service");
    let first = Arc::clone(&world.route.backends[first].id);
    moves(&mut world);
    world.goes(&first, false);
    let second = world.look_up(&cookie).home.expect("one is in service");
    let second = world.route.backends[second].id_hash;
    assert_eq!(moves(&mut world), [(id_hash(&first), second, 1)]);
}
