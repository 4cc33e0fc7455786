use super::fixture::{backend, listener, sticky};
use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::health::{Failure, Outcome};
use crate::limits;
use crate::sticky::Sketch;

mod leaving;
mod membership;
mod nodes;

const FAIL: Outcome = Outcome::Failure(Failure::Refused);

/// Two load balancers: `web` with two listeners and two backends, `empty` with none.
fn config() -> config::Config {
    fixture::config(vec![
        fixture::load_balancer(
            "web",
            vec![listener(8080, Some(sticky(60))), listener(9090, None)],
            vec![
                backend("i-1", [10, 0, 0, 1], None),
                backend("i-2", [10, 0, 0, 2], Some(7)),
            ],
        ),
        fixture::load_balancer("empty", vec![listener(8080, Some(sticky(60)))], vec![]),
    ])
}

/// The state of [`config`], its listeners bound to ports 1001, 1002 and 1003.
fn state() -> State {
    let listen = [1001, 1002, 1003].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    State::new(&config(), &Bound::first(&listen), 2, Remembered::new(), 0)
}

/// Applies what must not be refused.
fn apply(state: &mut State, command: Command) -> Effects {
    state.apply(command, 0).expect("nothing speaks against it")
}

fn checked(backend: &str, outcome: Outcome) -> Command {
    Command::Checked {
        load_balancer: Arc::from("web"),
        backend: Arc::from(backend),
        outcome,
    }
}

#[test]
fn routes_are_the_listeners_in_configuration_order() {
    let snapshot = state().snapshot();
    let ports: Vec<_> = snapshot
        .routes
        .iter()
        .map(|route| route.address.port())
        .collect();
    let names: Vec<_> = snapshot
        .routes
        .iter()
        .map(|route| &*route.load_balancer)
        .collect();
    assert_eq!((snapshot.epoch, ports), (1, vec![1001, 1002, 1003]));
    assert_eq!(names, ["web", "web", "empty"]);
    assert_eq!(snapshot.routes[0].stickiness.as_deref(), Some(&sticky(60)));
    assert_eq!(snapshot.routes[1].stickiness, None);
}

#[test]
fn a_backends_own_port_replaces_the_instance_port_and_the_checks() {
    let state = state();
    let addresses = |route: &Route| {
        route
            .backends
            .iter()
            .map(|backend| backend.address.to_string())
            .collect::<Vec<_>>()
    };
    let snapshot = state.snapshot();
    assert_eq!(
        addresses(&snapshot.routes[0]),
        ["10.0.0.1:8080", "10.0.0.2:7"]
    );
    assert_eq!(
        addresses(&snapshot.routes[1]),
        ["10.0.0.1:9090", "10.0.0.2:7"]
    );
    let plans: Vec<_> = state
        .check_plans()
        .iter()
        .map(|plan| plan.address.to_string())
        .collect();
    assert_eq!(plans, ["10.0.0.1:80", "10.0.0.2:7"]);
}

#[test]
fn scopes_differ_by_load_balancer_and_by_instance_port() {
    let snapshot = state().snapshot();
    let scopes: Vec<_> = snapshot.routes.iter().map(|route| route.scope).collect();
    assert_ne!(scopes[0], scopes[1]);
    assert_ne!(scopes[0], scopes[2]);
    assert_eq!(scopes[0], state().snapshot().routes[0].scope);
}

#[test]
fn nothing_is_in_service_before_a_check_succeeded() {
    let mut state = state();
    assert!(
        state.snapshot().routes[0]
            .backends
            .iter()
            .all(|backend| !backend.is_in_service())
    );
    let effects = apply(&mut state, checked("i-2", Outcome::Success));
    assert!(effects.is_new);
    let change = &effects.events[0];
    assert_eq!(
        (&*change.load_balancer, &*change.backend, change.life),
        ("web", "i-2", 1)
    );
    for route in &state.snapshot().routes[..2] {
        let seen: Vec<_> = route
            .backends
            .iter()
            .map(|b| (b.is_in_service(), b.life))
            .collect();
        assert_eq!(seen, [(false, 0), (true, 1)]);
    }
    assert!(state.is_in_service("web", "i-2") && !state.is_in_service("web", "i-1"));
}

#[test]
fn the_epoch_grows_only_when_something_changed() {
    let mut state = state();
    let story = [
        Outcome::Success,
        Outcome::Success,
        FAIL,
        FAIL,
        FAIL,
        Outcome::Success,
    ];
    let epochs: Vec<_> = story
        .into_iter()
        .map(|outcome| {
            let changed = apply(&mut state, checked("i-1", outcome)).is_new;
            (state.snapshot().epoch, changed)
        })
        .collect();
    let expected = [
        (2, true),
        (2, false),
        (2, false),
        (3, true),
        (3, false),
        (4, true),
    ];
    assert_eq!(epochs, expected);
}

#[test]
fn results_for_backends_that_do_not_exist_change_nothing() {
    let mut state = state();
    for (load_balancer, backend) in [("web", "i-3"), ("empty", "i-1"), ("none", "i-1")] {
        let command = Command::Checked {
            load_balancer: Arc::from(load_balancer),
            backend: Arc::from(backend),
            outcome: Outcome::Success,
        };
        assert!(state.apply(command, 0).is_err());
        assert!(!state.is_in_service(load_balancer, backend));
    }
    assert_eq!(state.snapshot().epoch, 1);
}

#[test]
fn checks_that_got_no_connection_are_counted_apart() {
    let mut state = state();
    for outcome in [
        Outcome::Failure(Failure::Refused),
        Outcome::Failure(Failure::Unreachable),
        Outcome::Failure(Failure::Handshake),
        Outcome::Failure(Failure::Status(500)),
        Outcome::Success,
    ] {
        assert!(state.apply(checked("i-1", outcome), 0).is_ok());
    }
    let rows = state.health();
    let unconnected = rows.iter().map(|row| row.checks.unconnected.value());
    assert_eq!(unconnected.collect::<Vec<_>>()[..2], [3, 0]);
}

#[test]
fn counters_survive_from_snapshot_to_snapshot() {
    let mut state = state();
    let old = state.snapshot();
    old.routes[0].counts.line(1).requests.add(3);
    old.routes[0].backends[0].counts.line(0).outstanding.add(2);
    drop(apply(&mut state, checked("i-1", Outcome::Success)));
    let new = state.snapshot();
    assert_eq!(new.routes[1].counts.sum(|line| &line.requests), 3);
    assert_eq!(
        new.routes[1].backends[0]
            .counts
            .sum(|line| &line.outstanding),
        2
    );
    assert_eq!(new.routes[2].counts.sum(|line| &line.requests), 0);
}

#[test]
fn health_tells_every_backend_in_order() {
    let mut state = state();
    drop(apply(&mut state, checked("i-1", Outcome::Success)));
    let rows: Vec<_> = state
        .health()
        .into_iter()
        .map(|row| {
            (
                row.backend.to_string(),
                row.status.name(),
                row.status.reason_code(),
                row.life,
            )
        })
        .collect();
    let expected = [
        ("i-1".to_owned(), "InService", "N/A", 1),
        ("i-2".to_owned(), "OutOfService", "ELB", 0),
    ];
    assert_eq!(rows, expected);
}

#[test]
#[should_panic(expected = "every listener is bound")]
fn a_listener_without_an_address_is_a_bug() {
    State::new(&config(), &[], 1, Remembered::new(), 0);
}
