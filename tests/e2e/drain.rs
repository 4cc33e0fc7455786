//! SIGTERM: what runs finishes, nothing new begins, and the end comes in time.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Backend, Elbow, Gate, Setup, Wire, eventually, get, reply};

/// A backend that holds `/hold` at a gate, and elbow before it.
fn start(shutdown_timeout: &str) -> (Backend, Gate, Elbow) {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::with(move |request, wire| {
        if request.head.target() == "/hold" {
            held.pass();
        }
        reply(wire, "one")
    });
    let elbow = Setup::new(&[backend.address])
        .host(format!("shutdown_timeout = {shutdown_timeout:?}"))
        .start(&[&backend]);
    (backend, gate, elbow)
}

/// A client whose request is at the backend.
fn hold(elbow: &Elbow, gate: &Gate) -> Wire {
    let mut wire = elbow.connect();
    wire.send(get("/hold", &[]));
    gate.expect_waiting(1);
    wire
}

#[test]
fn exchange_in_flight_finishes_and_the_process_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_backend, gate, mut elbow) = start("30s");
        let mut idle = elbow.connect();
        assert_eq!(idle.ask(&get("/", &[])).status(), 200);
        let mut held = hold(&elbow, &gate);

        elbow.signal(signal);
        idle.expect_close();
        let address = elbow.address();
        eventually("new connections are refused", || {
            TcpStream::connect(address).is_err()
        });
        gate.open();
        let response = held.response_to("GET");
        assert_eq!(response.body_text(), "one");
        let connection = response.head.field("Connection").map(str::to_lowercase);
        assert_eq!(connection.as_deref(), Some("close"), "the client is told");
        held.expect_close();
        assert_eq!(elbow.wait().code(), Some(0), "after {signal:?}");
    }
}

#[test]
fn without_work_it_ends_at_once() {
    let (_backend, _gate, mut elbow) = start("30s");
    let start = Instant::now();
    elbow.signal(Signal::TERM);
    assert_eq!(elbow.wait().code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn signal_right_after_ready_is_heard() {
    for _ in 0..20 {
        let mut elbow = Elbow::start(&Setup::new(&[]).to_toml());
        elbow.signal(Signal::TERM);
        assert_eq!(elbow.wait().code(), Some(0));
    }
}

#[test]
fn drain_is_seen_on_the_admin_address() {
    let (_backend, gate, elbow) = start("30s");
    let _held = hold(&elbow, &gate);
    let health = || Wire::connect(elbow.admin).ask(&get("/healthz", &["Connection: close"]));
    assert_eq!(health().status(), 200);
    elbow.signal(Signal::TERM);
    eventually("unhealthy while draining", || health().status() == 503);
    gate.open();
}

#[test]
fn timeout_ends_what_does_not_end() {
    let (_backend, gate, mut elbow) = start("1s");
    let mut held = hold(&elbow, &gate);
    let start = Instant::now();
    elbow.signal(Signal::TERM);
    elbow.wait();
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(900) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert!(held.try_response("GET").is_err(), "cut off");
    gate.open();
}

#[test]
fn second_signal_ends_it_at_once() {
    let (_backend, gate, mut elbow) = start("60s");
    let mut held = hold(&elbow, &gate);
    elbow.signal(Signal::TERM);
    let address = elbow.address();
    eventually("the drain has begun", || {
        TcpStream::connect(address).is_err()
    });
    let start = Instant::now();
    elbow.signal(Signal::TERM);
    elbow.wait();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(held.try_response("GET").is_err(), "cut off");
    gate.open();
}

#[test]
fn client_that_asks_once_more_is_answered_and_told() {
    let (_backend, _gate, mut elbow) = start("30s");
    let mut clients: Vec<Wire> = (0..8).map(|_| elbow.connect()).collect();
    for wire in &mut clients {
        assert_eq!(wire.ask(&get("/", &[])).status(), 200);
    }
    elbow.signal(Signal::TERM);
    let address = elbow.address();
    eventually("the drain has begun", || {
        TcpStream::connect(address).is_err()
    });
    // Their next requests may have been on their way as the signal came.
    for wire in &mut clients {
        let response = wire.ask(&get("/", &[]));
        assert_eq!(response.body_text(), "one");
        assert_eq!(response.head.field("Connection"), Some("close"));
        wire.expect_close();
    }
    assert_eq!(elbow.wait().code(), Some(0));
}
