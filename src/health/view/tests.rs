use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::chronicle::tests::{at, chronicles};
use super::super::id_hash;
use super::*;
use crate::limits::LIVES_KEPT;

/// What may happen to one of the backends.
#[derive(Debug, Clone, Copy)]
enum Event {
    Up(usize),
    Down(usize),
    Weight(usize, u32),
}

const BACKENDS: usize = 5;

fn backend(index: usize) -> u64 {
    id_hash(&format!("i-{index}"))
}

fn events() -> impl Strategy<Value = Event> {
    let index = 0..BACKENDS;
    prop_oneof![
        4 => index.clone().prop_map(Event::Up),
        3 => index.clone().prop_map(Event::Down),
        1 => (index, 0_u32..4).prop_map(|(index, weight)| Event::Weight(index, weight)),
    ]
}

fn stories() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(events(), 0..60)
}

/// A view as one node writes it: one event each millisecond or, with `slow`, each two minutes.
#[derive(Default, Clone)]
struct World {
    view: View,
    now: u64,
    step: u64,
}

impl World {
    fn of(story: &[Event], step: u64) -> Self {
        let mut world = Self {
            step,
            ..Self::default()
        };
        story.iter().for_each(|event| world.happens(*event));
        world
    }

    fn happens(&mut self, event: Event) {
        self.now += self.step;
        let now = at(self.now);
        match event {
            Event::Up(index) => drop(self.view.chronicle_mut(backend(index)).begin(now)),
            Event::Down(index) => self.view.chronicle_mut(backend(index)).end(now),
            Event::Weight(index, weight) => {
                self.view.chronicle_mut(backend(index)).reweigh(now, weight);
            }
        }
    }

    fn resolve(&self, session: u64, home: Home) -> Option<Home> {
        self.view.resolve(session, home, |_| ())
    }

    fn is_alive(&self, home: Home) -> bool {
        let chronicle = self.view.chronicle(home.backend);
        let open = chronicle.and_then(Chronicle::open);
        open.is_some_and(|life| life.number == home.life)
    }

    fn alive(&self) -> Vec<Home> {
        let open = |(backend, chronicle): (u64, &Chronicle)| {
            let life = chronicle.open()?.number;
            Some(Home { backend, life })
        };
        self.view.chronicles().filter_map(open).collect()
    }
}

/// Two minutes between two events: whatever comes back after an outage comes too late to share.
const SLOW: u64 = 2 * OUTAGE_SETTLING_MS;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_session_lives_on_a_live_backend_as_long_as_there_is_one(
        story in stories(), step in prop_oneof![Just(1), Just(SLOW)],
        session: u64, index in 0..BACKENDS, life in 0_u32..8,
    ) {
        let world = World::of(&story, step);
        let home = world.resolve(session, Home { backend: backend(index), life });
        match home {
            Some(home) => prop_assert!(world.alive().iter().any(|alive| alive.backend == home.backend)),
            None => prop_assert!(world.alive().is_empty()),
        }
    }

    /// Any event but the death of its home leaves a session where it is: recoveries, newcomers,
    /// weights, the deaths of others.
    #[test]
    fn a_session_moves_only_when_its_home_dies(
        before in stories(), after in stories(), session: u64, pick in any::<prop::sample::Index>(),
    ) {
        let mut world = World::of(&before, SLOW);
        // A cookie is sealed for a life that there was.
        let lived = |(backend, chronicle): (u64, &Chronicle)| {
            (1..=chronicle.last_number()).map(move |life| Home { backend, life })
        };
        let cookies: Vec<_> = world.view.chronicles().flat_map(lived).collect();
        if cookies.is_empty() {
            return Ok(());
        }
        let cookie = *pick.get(&cookies);
        let Some(mut home) = world.resolve(session, cookie) else { return Ok(()) };
        for event in after {
            let was_alone = world.alive().len() <= 1;
            world.happens(event);
            let now = world.resolve(session, cookie);
            if world.is_alive(home) {
                prop_assert_eq!(now, Some(home));
            } else if let Some(now) = now {
                prop_assert!(now != home);
                home = now;
            } else {
                prop_assert!(was_alone, "others lived when its home died");
                break;
            }
        }
    }

    /// What a shard knew before it knew more is a view too: the answer depends on nothing else.
    #[test]
    fn the_answer_does_not_depend_on_the_order_in_which_views_were_merged(
        story in stories(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        shuffle in any::<prop::sample::Index>(), session: u64, index in 0..BACKENDS, life in 0_u32..8,
    ) {
        let whole = World::of(&story, 1);
        let mut parts: Vec<View> = cuts
            .iter()
            .map(|cut| World::of(&story[..cut.index(story.len() + 1)], 1).view)
            .collect();
        parts.push(whole.view.clone());
        let middle = shuffle.index(parts.len());
        parts.rotate_left(middle);
        let mut merged = View::default();
        for part in &parts {
            merged.merge(part);
        }
        prop_assert_eq!(&merged, &whole.view);
        let home = Home { backend: backend(index), life };
        prop_assert_eq!(merged.resolve(session, home, |_| ()), whole.resolve(session, home));
    }

    /// Chronicles that no single node would write, as clocks far apart make them: still an answer,
    /// still the same in every order, and on a backend that lives.
    #[test]
    fn resolve_is_total_on_any_chronicles(
        pool in prop::collection::vec(chronicles(), 1..5), session: u64, index in 0_u64..6, life in 0_u32..70,
    ) {
        let numbered = || pool.iter().enumerate().map(|(id, chronicle)| (id as u64, chronicle));
        let view = View { chronicles: numbered().map(|(id, c)| (id, c.clone())).collect() };
        let mut backwards = View::default();
        for (id, chronicle) in numbered().rev() {
            backwards.merge(&View { chronicles: [(id, chronicle.clone())].into() });
        }
        let home = Home { backend: index, life };
        let answer = view.resolve(session, home, |_| ());
        prop_assert_eq!(answer, backwards.resolve(session, home, |_| ()));
        let open = |home: Home| view.chronicle(home.backend).and_then(Chronicle::open);
        match answer {
            Some(answer) => prop_assert!(open(answer).is_some()),
            None => prop_assert!(view.chronicles().all(|(_, chronicle)| chronicle.open().is_none())),
        }
    }
}

fn five_alive() -> World {
    World::of(&[0, 1, 2, 3, 4].map(Event::Up), SLOW)
}

fn home(index: usize, life: u32) -> Home {
    Home {
        backend: backend(index),
        life,
    }
}

#[test]
fn a_recovered_backend_takes_back_no_session_that_moved() {
    let mut world = five_alive();
    world.happens(Event::Down(0));
    let moved: Vec<_> = (0..1000).map(|s| world.resolve(s, home(0, 1))).collect();
    assert!(
        moved
            .iter()
            .flatten()
            .all(|home| home.backend != backend(0))
    );
    world.happens(Event::Up(0));
    let after: Vec<_> = (0..1000).map(|s| world.resolve(s, home(0, 1))).collect();
    assert_eq!(moved, after);
    assert_eq!(
        world.resolve(1, home(0, 2)),
        Some(home(0, 2)),
        "newer sessions stay"
    );
}

#[test]
fn a_death_moves_only_its_own_sessions_and_spreads_them_evenly() {
    let mut world = five_alive();
    world.happens(Event::Down(2));
    let mut taken = [0_u64; BACKENDS];
    for session in 0..10_000 {
        for index in [0, 1, 3, 4] {
            assert_eq!(world.resolve(session, home(index, 1)), Some(home(index, 1)));
        }
        let next = world.resolve(session, home(2, 1)).expect("four live");
        let index = (0..BACKENDS).find(|&index| backend(index) == next.backend);
        taken[index.expect("one of the five")] += 1;
    }
    assert_eq!(taken[2], 0);
    for index in [0, 1, 3, 4] {
        assert!(taken[index].abs_diff(2500) <= 250, "{taken:?}");
    }
}

#[test]
fn sessions_move_in_proportion_to_the_weights_of_that_moment() {
    let mut world = five_alive();
    world.happens(Event::Weight(1, 3));
    world.happens(Event::Weight(3, 0));
    world.happens(Event::Down(0));
    let homes: Vec<_> = (0..5000).map(|s| world.resolve(s, home(0, 1))).collect();
    let on = |index| {
        homes
            .iter()
            .filter(|home| **home == Some(self::home(index, 1)))
            .count()
    };
    assert_eq!(on(3), 0, "weight 0 takes nobody over");
    assert!(
        on(1).abs_diff(3000) < 150 && on(2).abs_diff(1000) < 150,
        "{} {}",
        on(1),
        on(2)
    );
    world.happens(Event::Weight(1, 1));
    let later: Vec<_> = (0..5000).map(|s| world.resolve(s, home(0, 1))).collect();
    assert_eq!(homes, later, "a later weight moves nobody");
}

#[test]
fn after_an_outage_those_that_come_back_together_share_the_sessions() {
    let mut world = five_alive();
    for index in 0..BACKENDS {
        world.happens(Event::Down(index));
    }
    assert_eq!(world.resolve(1, home(0, 1)), None);
    world.happens(Event::Up(3));
    let all_on_one = (0..100).all(|s| world.resolve(s, home(0, 1)) == Some(home(3, 2)));
    assert!(all_on_one, "there is no other");
    world.step = OUTAGE_SETTLING_MS;
    world.happens(Event::Up(1));
    let shared: Vec<_> = (0..100).map(|s| world.resolve(s, home(0, 1))).collect();
    let homes: BTreeSet<_> = shared.iter().flatten().map(|home| home.backend).collect();
    assert_eq!(homes, BTreeSet::from([backend(1), backend(3)]));
    world.happens(Event::Up(2));
    let later: Vec<_> = (0..100).map(|s| world.resolve(s, home(0, 1))).collect();
    assert_eq!(shared, later, "too late to share");
}

#[test]
fn each_step_of_a_session_is_told() {
    let mut world = five_alive();
    world.happens(Event::Down(0));
    let died = at(world.now);
    let first = world.resolve(9, home(0, 1)).expect("four live");
    let index = (0..BACKENDS).find(|&index| backend(index) == first.backend);
    world.happens(Event::Down(index.expect("one of the five")));
    let mut steps = Vec::new();
    let last = world.view.resolve(9, home(0, 1), |step| steps.push(step));
    let second = last.expect("three live");
    let expected = [
        Move {
            from: home(0, 1),
            at: Some(died),
            to: first,
        },
        Move {
            from: first,
            at: Some(at(world.now)),
            to: second,
        },
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_cookie_older_than_the_history_has_one_answer() {
    let mut world = five_alive();
    for _ in 0..=LIVES_KEPT {
        world.happens(Event::Down(0));
        world.happens(Event::Up(0));
    }
    let oldest = world.view.chronicle(backend(0)).expect("it lives").lives()[0];
    assert!(oldest.number > 1);
    // Life 1 and the one before the oldest are forgotten alike: over when the oldest began.
    let mut told = None;
    let moved = world.view.resolve(5, home(0, 1), |step| told = Some(step));
    assert_eq!(told.map(|step| step.at), Some(Some(oldest.born)));
    assert_eq!(moved, world.resolve(5, home(0, oldest.number - 1)));
    assert!(moved.is_some_and(|home| world.is_alive(home)));
}

#[test]
fn a_cookie_newer_than_the_view_stays_if_its_backend_lives() {
    let mut world = five_alive();
    assert_eq!(world.resolve(5, home(0, 9)), Some(home(0, 1)));
    world.happens(Event::Down(0));
    let moved = world.resolve(5, home(0, 9));
    assert!(moved.is_some_and(|home| home.backend != backend(0)));
}

#[test]
fn a_backend_nobody_has_heard_of_leaves_its_sessions_to_others_for_good() {
    let mut world = five_alive();
    let mut told = None;
    let home = Home {
        backend: 1,
        life: 1,
    };
    let moved = world.view.resolve(5, home, |step| told = Some(step.at));
    assert!(moved.is_some_and(|home| world.is_alive(home)));
    assert_eq!(told, Some(None));
    world.happens(Event::Up(0));
    assert_eq!(
        world.resolve(5, home),
        moved,
        "who comes later moves nobody"
    );
    assert_eq!(View::default().resolve(5, home, |_| ()), None);
}

#[test]
fn chronicles_are_bounded_and_the_living_are_not_forgotten() {
    let mut view = View::default();
    for id in 0..CHRONICLES_KEPT as u64 {
        let chronicle = view.chronicle_mut(id);
        chronicle.begin(at(1 + id));
        if id > 0 {
            chronicle.end(at(5000 + id));
        }
    }
    view.chronicle_mut(u64::MAX).begin(at(9999));
    assert_eq!(view.chronicles.len(), CHRONICLES_KEPT);
    assert!(view.chronicle(0).is_some(), "it lives");
    assert!(view.chronicle(1).is_none(), "the longest dead");
    assert!(view.chronicle(2).is_some());
}
