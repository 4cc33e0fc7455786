//! Backends that leave: drains of connections and of sessions.

use std::time::Duration;

use super::*;
use crate::config::DrainMode;

const WINDOW_MS: u64 = 30_000;

/// Both backends of `web` in service; connections drain for 60 s.
fn draining(connection_draining: Option<Duration>) -> State {
    let mut wanted = config();
    wanted.load_balancers[0].attributes.connection_draining = connection_draining;
    let listen = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut state = State::new(&wanted, &Bound::first(&listen), 2, Remembered::new(), 0);
    for id in ["i-1", "i-2"] {
        drop(apply(&mut state, checked(id, Outcome::Success)));
    }
    state
}

fn deregister(mode: Option<DrainMode>) -> Command {
    Command::Deregister {
        load_balancer: Arc::from("web"),
        backend: Arc::from("i-1"),
        mode,
    }
}

fn sessions(deadline_s: u64) -> Command {
    deregister(Some(DrainMode::Sessions {
        deadline: Duration::from_secs(deadline_s),
    }))
}

fn tick(state: &mut State, now_ms: u64) -> Effects {
    state.apply(Command::Tick, now_ms).expect("time passes")
}

/// What `i-1` takes; `None`: it is not registered.
fn admits(state: &State) -> Option<Admits> {
    let snapshot = state.snapshot();
    let mut backends = snapshot.routes[0].backends.iter();
    backends
        .find(|backend| &*backend.id == "i-1")
        .map(|backend| backend.admits)
}

fn hold_request(state: &State) -> Arc<PerShard<BackendLine>> {
    let counts = Arc::clone(&state.snapshot().routes[0].backends[0].counts);
    counts.line(0).outstanding.add(1);
    counts
}

/// Tells of so many sessions at `i-1` in the window that ends at that time.
fn window(state: &mut State, count: u64, now_ms: u64) {
    let slot = state.snapshot().routes[0].backends[0].slot;
    let mut sketch = Sketch::default();
    (0..count).for_each(|session| sketch.insert(session));
    drop(state.apply(Command::Counted(vec![(slot, sketch)]), now_ms));
    drop(tick(state, now_ms));
}

#[test]
fn sessions_are_seen_at_the_next_tick_amid_their_window() {
    let mut state = draining(None);
    drop(tick(&mut state, 0));
    assert!(!tick(&mut state, 100).changes_rows);
    let slot = state.snapshot().routes[0].backends[0].slot;
    let mut sketch = Sketch::default();
    sketch.insert(7);
    drop(state.apply(Command::Counted(vec![(slot, sketch)]), 150));
    assert!(tick(&mut state, 200).changes_rows);
    assert_eq!(state.health()[0].sessions, 1);
    assert!(!tick(&mut state, 300).changes_rows, "that was told");
}

fn only_drain(state: &State, now_ms: u64) -> DrainRow {
    let mut drains = state.drains(now_ms);
    assert_eq!(drains.len(), 1);
    drains.remove(0)
}

#[test]
fn requests_in_flight_finish_and_then_the_backend_is_gone() {
    let mut state = draining(Some(Duration::from_secs(60)));
    let counts = hold_request(&state);
    let effects = apply(&mut state, deregister(None));
    assert!(effects.is_new && effects.changes_checks && effects.changes_view);
    assert_eq!(admits(&state), Some(Admits::Nothing));
    let row = &state.health()[0];
    assert!(
        row.draining == Some(Stage::Connections) && row.status == Status::InService,
        "as CLB tells it"
    );
    assert_eq!(state.check_plans().len(), 1, "it is not checked any more");
    drop(tick(&mut state, 1000));
    assert_eq!(only_drain(&state, 1000).stage, Stage::Connections);
    assert!(admits(&state).is_some(), "a request is still on it");
    counts.line(0).outstanding.sub(1);
    let effects = tick(&mut state, 1100);
    assert!(effects.is_new && state.snapshot().cuts.is_empty());
    assert_eq!(admits(&state), None);
    assert_eq!(only_drain(&state, 1100).stage, Stage::Done(None));
}

#[test]
fn an_idle_backend_stays_until_all_shards_must_know() {
    let mut state = draining(Some(Duration::from_secs(60)));
    drop(apply(&mut state, deregister(None)));
    drop(tick(&mut state, limits::DRAIN_NOTICE_MS - 1));
    assert!(admits(&state).is_some());
    drop(tick(&mut state, limits::DRAIN_NOTICE_MS));
    assert_eq!(admits(&state), None);
}

#[test]
fn requests_beyond_the_timeout_are_cut_off_and_told() {
    let mut state = draining(Some(Duration::from_secs(60)));
    let counts = hold_request(&state);
    drop(apply(&mut state, deregister(None)));
    drop(tick(&mut state, 59_999));
    assert!(admits(&state).is_some());
    let effects = tick(&mut state, 60_000);
    let happening = effects.events.last().map(|event| event.what);
    assert_eq!(happening, Some(Happening::Deregistered { outstanding: 1 }));
    let snapshot = state.snapshot();
    assert_eq!(snapshot.cuts.len(), 1);
    assert_eq!(
        snapshot.cuts[0].before, snapshot.epoch,
        "all that began before"
    );
    counts.line(0).outstanding.sub(1);
    drop(tick(&mut state, 60_000 + CUTS_KEPT_MS + 1));
    assert!(state.snapshot().cuts.is_empty(), "shards have seen it");
}

#[test]
fn without_draining_requests_are_cut_off_at_once() {
    let mut state = draining(None);
    let counts = hold_request(&state);
    drop(apply(&mut state, deregister(None)));
    drop(tick(&mut state, 1));
    assert_eq!((admits(&state), state.snapshot().cuts.len()), (None, 1));
    counts.line(0).outstanding.sub(1);
    // The same goes for one that fails its checks (CLB.md §4.5).
    for _ in 0..2 {
        drop(apply(&mut state, checked("i-2", FAIL)));
    }
    assert_eq!(state.snapshot().cuts.len(), 2);
    let mut state = draining(Some(Duration::from_secs(60)));
    for _ in 0..2 {
        drop(apply(&mut state, checked("i-2", FAIL)));
    }
    assert_eq!(state.snapshot().cuts, [], "with draining they finish");
}

#[test]
fn a_backend_whose_sessions_drain_keeps_them_until_none_is_left() {
    let mut state = draining(None);
    for n in 1..=10 {
        window(&mut state, 100, n * WINDOW_MS);
    }
    let start = 10 * WINDOW_MS;
    let effects = state.apply(sessions(3600), start).expect("it is there");
    let began = Happening::DrainBegan { sessions: 100 };
    assert_eq!(effects.events.last().map(|event| event.what), Some(began));
    assert_eq!(admits(&state), Some(Admits::Sessions));
    assert_eq!(state.health()[0].weight, 0, "it takes over nobody");
    assert_eq!(state.check_plans().len(), 2, "and is checked as before");
    for n in 1..=9 {
        window(&mut state, 100 - 10 * n, start + n * WINDOW_MS);
    }
    let row = only_drain(&state, start + 9 * WINDOW_MS);
    assert_eq!((row.stage, row.sessions_at_start), (Stage::Sessions, 100));
    for n in 10..=18 {
        window(&mut state, 0, start + n * WINDOW_MS);
        // Alive is who was seen in one of the last nine windows that ended, or in this one.
        let left = only_drain(&state, start + n * WINDOW_MS).sessions_left;
        assert_eq!(left, 100 - 10 * (n - 8), "after window {n}");
    }
    assert_eq!(admits(&state), Some(Admits::Nothing));
    drop(tick(&mut state, start + 19 * WINDOW_MS));
    assert_eq!(admits(&state), None);
    let row = only_drain(&state, start + 20 * WINDOW_MS);
    assert_eq!(row.stage, Stage::Done(Some(DrainEnd::Idle)));
}

#[test]
fn a_drain_ends_at_its_deadline_with_sessions_left() {
    let mut state = draining(None);
    window(&mut state, 50, WINDOW_MS);
    drop(state.apply(sessions(60), WINDOW_MS));
    drop(tick(&mut state, WINDOW_MS + 59_999));
    assert_eq!(admits(&state), Some(Admits::Sessions));
    let effects = tick(&mut state, WINDOW_MS + 60_000);
    let ended = Happening::DrainEnded { sessions: 50 };
    assert_eq!(effects.events[0].what, ended);
    assert_eq!(admits(&state), Some(Admits::Nothing));
    drop(tick(&mut state, WINDOW_MS + 60_001));
    let row = only_drain(&state, WINDOW_MS + 60_001);
    assert_eq!(row.stage, Stage::Done(Some(DrainEnd::Deadline)));
}

#[test]
fn a_deadline_comes_also_while_nobody_has_been_counted() {
    let mut state = draining(None);
    drop(apply(&mut state, sessions(60)));
    assert_eq!(only_drain(&state, 0).ends_in, None, "nothing is known yet");
    drop(tick(&mut state, 59_999));
    assert_eq!(admits(&state), Some(Admits::Sessions));
    drop(tick(&mut state, 60_000));
    assert_eq!(admits(&state), Some(Admits::Nothing));
}

#[test]
fn sessions_nobody_has_counted_yet_are_waited_for() {
    let mut state = draining(None);
    // Nothing was ever reported, so nothing says that nobody is there.
    drop(state.apply(sessions(3600), 0));
    for n in 1..10 {
        drop(tick(&mut state, n * WINDOW_MS));
        assert_eq!(admits(&state), Some(Admits::Sessions), "after window {n}");
    }
    drop(tick(&mut state, 10 * WINDOW_MS));
    assert_eq!(admits(&state), Some(Admits::Nothing));
}

#[test]
fn a_cancelled_drain_leaves_everything_as_it_was() {
    let mut state = draining(None);
    drop(apply(&mut state, sessions(60)));
    let cancel = || Command::CancelDrain {
        load_balancer: Arc::from("web"),
        backend: Arc::from("i-1"),
    };
    drop(apply(&mut state, cancel()));
    assert_eq!(
        (admits(&state), state.health()[0].weight),
        (Some(Admits::All), 1)
    );
    assert!(state.drains(0).is_empty());
    assert_eq!(state.apply(cancel(), 0).err(), Some(Refusal::NotDraining));
    drop(tick(&mut state, 60_000));
    assert_eq!(admits(&state), Some(Admits::All));
}

#[test]
fn a_backend_that_is_registered_again_while_it_leaves_stays() {
    let mut state = draining(Some(Duration::from_secs(60)));
    let again = || Command::Register {
        load_balancer: Arc::from("web"),
        backend: backend("i-1", [10, 0, 0, 1], None),
    };
    drop(apply(&mut state, sessions(60)));
    drop(apply(&mut state, again()));
    assert_eq!(admits(&state), Some(Admits::All), "its life goes on");
    drop(apply(&mut state, deregister(None)));
    drop(apply(&mut state, again()));
    assert_eq!(
        admits(&state),
        Some(Admits::Nothing),
        "it has to be checked first"
    );
    drop(apply(&mut state, checked("i-1", Outcome::Success)));
    assert_eq!(
        (admits(&state), state.health()[0].life),
        (Some(Admits::All), 2)
    );
}

#[test]
fn without_stickiness_or_service_there_are_no_sessions_to_wait_for() {
    let mut state = draining(Some(Duration::from_secs(60)));
    for _ in 0..2 {
        drop(apply(&mut state, checked("i-1", FAIL)));
    }
    drop(apply(&mut state, sessions(3600)));
    assert_eq!(only_drain(&state, 0).stage, Stage::Connections);
}

#[test]
fn who_is_unknown_is_refused() {
    let mut state = draining(None);
    let unknown = |load_balancer: &str, id: &str| Command::Deregister {
        load_balancer: Arc::from(load_balancer),
        backend: Arc::from(id),
        mode: None,
    };
    let refusal = state.apply(unknown("none", "i-1"), 0).err();
    assert_eq!(refusal, Some(Refusal::NoLoadBalancer("none".to_owned())));
    let refusal = state.apply(unknown("web", "i-9"), 0).err();
    assert_eq!(refusal, Some(Refusal::NoBackend("i-9".to_owned())));
}

#[test]
fn what_is_written_without_a_backend_says_how_it_leaves() {
    for (mode, expected) in [
        (None, Admits::Nothing),
        (
            Some(DrainMode::Sessions {
                deadline: Duration::from_secs(60),
            }),
            Admits::Sessions,
        ),
    ] {
        let mut state = draining(None);
        let before = config().load_balancers.remove(0);
        let mut wanted = before.clone();
        wanted.backends.retain(|backend| backend.id != "i-1");
        let listeners = wanted.listeners.iter().zip(1..);
        let addresses: Vec<SocketAddr> = listeners
            .map(|(_, port)| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect();
        let put = Command::Put {
            wanted: Box::new(wanted),
            before: Some(Box::new(before)),
            bound: Bound::first(&addresses),
            mode,
        };
        drop(apply(&mut state, put));
        assert_eq!(admits(&state), Some(expected));
    }
}
