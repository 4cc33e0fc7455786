//! Many nodes, one answer to where a session lives: before a backend dies, when it does, and once
//! it is back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::lab::{Lab, say};
use crate::node::{BY_APP, BY_DURATION, Plan};
use crate::sessions::{Crowd, Doors, Session, touched};

/// The sessions of a large test.
const SESSIONS: usize = 1000;

/// How soon all nodes must have found all new homes; the aim is a second, on a machine with nothing
/// else to do.
const BOUND: Duration = Duration::from_secs(5);

#[test]
fn a_session_begun_on_any_node_goes_to_the_same_backend_through_all() {
    let Some(lab) = Lab::start(&Plan::new(3, 5)) else {
        return;
    };
    for port in [BY_DURATION, BY_APP] {
        let mut doors = Doors::open(&lab, port);
        let mut homes = BTreeSet::new();
        for number in 0..30 {
            let name = format!("session-{port}-{number}");
            let mut session = Session::begin(&name, port, number % 3, &mut doors);
            session.ask_all(&mut doors);
            session.ask_all(&mut doors);
            assert!(session.changes.is_empty(), "{name}: {:?}", session.changes);
            homes.insert(session.home);
        }
        assert!(homes.len() > 1, "all of them went to one: {homes:?}");
    }
    assert!(touched(&lab).values().all(|backends| backends.len() == 1));
}

/// Node and cookie are all that counts: those that sealed and those that open have never met.
#[test]
fn cookies_are_opened_by_nodes_that_have_not_heard_of_each_other() {
    let mut plan = Plan::new(3, 3);
    plan.is_apart = true;
    let Some(lab) = Lab::start(&plan) else {
        return;
    };
    for port in [BY_DURATION, BY_APP] {
        let mut doors = Doors::open(&lab, port);
        for number in 0..12 {
            let name = format!("session-{port}-{number}");
            let mut session = Session::begin(&name, port, number % 3, &mut doors);
            session.ask_all(&mut doors);
            assert!(session.changes.is_empty(), "{name}: {:?}", session.changes);
        }
    }
}

#[test]
fn when_a_backend_dies_all_nodes_move_each_of_its_sessions_once_and_to_the_same_place() {
    let mut plan = Plan::new(3, 5);
    // That it is down is not found by waiting for checks.
    plan.interval = "5s";
    let Some(mut lab) = Lab::start(&plan) else {
        return;
    };
    let crowd = Crowd::begin(&lab, SESSIONS);
    crowd.expect_rounds(2);
    let killed_at = Instant::now();
    lab.backends[2].stop();
    crowd.expect_rounds(3);
    lab.expect_in_service(&[0, 1, 2], 4);
    lab.expect_agreement("after a death");
    crowd.expect_rounds(1);
    let mut sessions = crowd.end();
    expect_moved_once(&lab, &sessions, killed_at);

    lab.revive(2);
    lab.expect_in_service(&[0, 1, 2], 5);
    lab.expect_agreement("after a return");
    expect_to_stay(&lab, &mut sessions);
}

/// Each session of the dead backend saw one change by each node, to the same place, and reached two
/// backends; all others saw none.
fn expect_moved_once(lab: &Lab, sessions: &[Session], killed_at: Instant) {
    let touched = touched(lab);
    let mut changed_at: Vec<Instant> = Vec::new();
    let mut moved_to = BTreeSet::new();
    for session in sessions {
        let Session { name, changes, .. } = session;
        let is_orphan = session.home == "b2";
        let reached = touched[name].len();
        assert_eq!(
            reached,
            1 + usize::from(is_orphan),
            "{name}: {:?}",
            touched[name]
        );
        let changed: Vec<usize> = changes.iter().map(|change| change.node).collect();
        let of_each_node = BTreeSet::from_iter(&changed).len();
        let expected = if is_orphan { lab.nodes.len() } else { 0 };
        assert_eq!(
            (changed.len(), of_each_node),
            (expected, expected),
            "{name}: {changes:?}"
        );
        let is_one_place = changes.iter().all(|change| change.to == session.place());
        assert!(is_one_place, "{name}: {changes:?}");
        changed_at.extend(changes.iter().map(|change| change.at));
        if is_orphan {
            moved_to.insert(session.place().to_owned());
        }
    }
    assert_eq!(moved_to.len(), 4, "the others share its sessions");
    let moves = changed_at.len() / lab.nodes.len();
    assert!(
        moves > SESSIONS / 10,
        "only {moves} sessions were on the one killed"
    );
    let first = changed_at.iter().min().expect("there are some");
    let last = changed_at.iter().max().expect("there are some");
    let took = last.duration_since(*first);
    say(&format!(
        "{moves} of {SESSIONS} sessions moved, by all nodes within {took:?} of the first failure, \
         {:?} of the kill",
        last.duration_since(killed_at)
    ));
    assert!(took < BOUND, "{took:?}");
}

/// Nobody moves as the backend is back; who has kept an old cookie for a duration does.
fn expect_to_stay(lab: &Lab, sessions: &mut [Session]) {
    let mut doors = [BY_DURATION, BY_APP].map(|port| (port, Doors::open(lab, port)));
    for session in sessions.iter_mut() {
        let orphaned_by = session.home.clone();
        session.settle();
        let (_, doors) = doors
            .iter_mut()
            .find(|(port, _)| *port == session.port)
            .expect("there are two");
        session.ask_all(doors);
        assert!(
            session.changes.is_empty(),
            "{}: {:?}",
            session.name,
            session.changes
        );
        let expected = match session.port {
            BY_DURATION => &orphaned_by,
            _ => &session.home,
        };
        let answers = session.ask_as_at_first(doors);
        assert!(
            answers.iter().all(|place| place == expected),
            "{}: {answers:?}",
            session.name
        );
    }
}
