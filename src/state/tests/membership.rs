//! Backends that come, change and are found again after a restart.

use super::*;
use crate::health::Life;

fn register(backend: config::Backend) -> Command {
    Command::Register {
        load_balancer: Arc::from("web"),
        backend,
    }
}

fn row(state: &State, id: &str) -> HealthRow {
    let rows = state.health().into_iter();
    let mut rows = rows.filter(|row| &*row.backend == id);
    rows.next().expect("it is registered")
}

fn lives(state: &State, id: &str) -> Vec<Life> {
    let snapshot = state.snapshot();
    let chronicle = snapshot.routes[0].view.chronicle(id_hash(id));
    chronicle.map_or(Vec::new(), |chronicle| chronicle.lives().to_vec())
}

/// What the next process finds.
fn kept(state: &State) -> Remembered {
    let views = state.remembered().into_iter();
    views
        .map(|(name, view)| (name.to_string(), View::clone(&view)))
        .collect()
}

#[test]
fn a_new_backend_is_checked_before_it_serves() {
    let mut state = state();
    let effects = apply(&mut state, register(backend("i-3", [10, 0, 0, 3], None)));
    assert!(effects.is_new && effects.changes_checks);
    assert_eq!(state.check_plans().len(), 3);
    assert_eq!(row(&state, "i-3").status.reason_code(), "ELB");
    drop(apply(&mut state, checked("i-3", Outcome::Success)));
    assert!(state.is_in_service("web", "i-3"));
}

#[test]
fn a_new_weight_moves_nobody_and_is_written_down() {
    let mut state = state();
    drop(apply(&mut state, checked("i-1", Outcome::Success)));
    let wanted = config::Backend {
        weight: 5,
        ..backend("i-1", [10, 0, 0, 1], None)
    };
    let effects = apply(&mut state, register(wanted.clone()));
    assert!(effects.is_new && effects.changes_view && !effects.changes_checks);
    assert_eq!(row(&state, "i-1").weight, 5);
    assert!(state.is_in_service("web", "i-1"));
    let again = apply(&mut state, register(wanted));
    assert!(!again.is_new && again.events.is_empty(), "nothing is new");
}

#[test]
fn a_backend_at_another_address_is_the_same_one_and_checked_there() {
    let mut state = state();
    drop(apply(&mut state, checked("i-1", Outcome::Success)));
    let effects = apply(&mut state, register(backend("i-1", [10, 9, 9, 9], None)));
    assert!(effects.is_new && effects.changes_checks);
    assert_eq!(state.check_plans()[0].address.to_string(), "10.9.9.9:80");
    assert!(state.is_in_service("web", "i-1"));
    assert_eq!(lives(&state, "i-1").len(), 1, "its sessions stay");
    let snapshot = state.snapshot();
    assert_eq!(
        snapshot.routes[0].backends[0].address.to_string(),
        "10.9.9.9:8080"
    );
}

#[test]
fn more_backends_than_the_bound_are_refused() {
    let mut state = state();
    for n in 2..limits::BACKENDS_MAX {
        let id = format!("i-{}", n + 1);
        drop(apply(
            &mut state,
            register(backend(&id, [10, 0, 1, 1], None)),
        ));
    }
    let one_more = register(backend("one-more", [10, 0, 1, 1], None));
    assert_eq!(state.apply(one_more, 0).err(), Some(Refusal::TooMany));
}

#[test]
fn a_restart_finds_the_lives_that_were_open() {
    let mut before = state();
    for id in ["i-1", "i-2"] {
        drop(apply(&mut before, checked(id, Outcome::Success)));
    }
    drop(apply(&mut before, checked("i-2", FAIL)));
    drop(apply(&mut before, checked("i-2", FAIL)));
    let remembered = kept(&before);

    let listen = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut after = State::new(&config(), &Bound::first(&listen), 2, remembered, 9);
    assert!(after.is_in_service("web", "i-1") && !after.is_in_service("web", "i-2"));
    assert_eq!(row(&after, "i-1").life, 1, "the same life");
    assert_eq!(lives(&after, "i-2").len(), 1);
    drop(after.apply(checked("i-2", Outcome::Success), 10));
    assert_eq!(row(&after, "i-2").life, 2, "the next one");
}

#[test]
fn a_restart_without_a_backend_ends_its_life() {
    let mut before = state();
    drop(apply(&mut before, checked("i-1", Outcome::Success)));
    let remembered = kept(&before);
    let web = fixture::load_balancer("web", vec![listener(8080, Some(sticky(60)))], vec![]);
    let listen = [SocketAddr::from(([127, 0, 0, 1], 1))];
    let wanted = fixture::config(vec![web]);
    let after = State::new(&wanted, &Bound::first(&listen), 2, remembered, 9);
    assert!(lives(&after, "i-1")[0].died.is_some());
}

#[test]
fn who_has_more_than_its_share_takes_no_new_sessions() {
    let mut wanted = config();
    wanted.load_balancers[0]
        .attributes
        .affinity
        .load_bound_percent = Some(25);
    let listen = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut state = State::new(&wanted, &Bound::first(&listen), 2, Remembered::new(), 0);
    for id in ["i-1", "i-2"] {
        drop(apply(&mut state, checked(id, Outcome::Success)));
    }
    let slot = |index: usize| state.snapshot().routes[0].backends[index].slot;
    let (first, second) = (slot(0), slot(1));
    let counted = |sessions: std::ops::Range<u64>| {
        let mut sketch = Sketch::default();
        sessions.for_each(|session| sketch.insert(session));
        sketch
    };
    let window_ms = 30_000;
    let counts = vec![(first, counted(0..70)), (second, counted(70..100))];
    drop(state.apply(Command::Counted(counts), 1));
    let effects = state.apply(Command::Tick, window_ms).expect("time passes");
    assert!(effects.is_new);
    let over = |state: &State| {
        let snapshot = state.snapshot();
        let backends = snapshot.routes[0].backends.iter();
        backends
            .map(|backend| backend.is_over_bound)
            .collect::<Vec<_>>()
    };
    assert_eq!(over(&state), [true, false], "70 of 100 are more than 62.5");
    assert_eq!(row(&state, "i-1").sessions, 70);
    drop(state.apply(Command::Counted(vec![(second, counted(100..130))]), 30_001));
    drop(state.apply(Command::Tick, 2 * window_ms));
    assert_eq!(
        over(&state),
        [false, false],
        "70 of 130 are not more than 81.25"
    );
}
