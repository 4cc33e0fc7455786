//! Instances that come, change and leave while elbow runs (`/v1`, `elbow drain`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Backend, Elbow, Gate, Outcome, Setup, Wire, eventually, get, reply};

/// A backend that holds `/hold` at a gate.
fn gated(name: &'static str) -> (Backend, Gate) {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::with(move |request, wire| {
        if request.head.target() == "/hold" {
            held.pass();
        }
        reply(wire, name)
    });
    (backend, gate)
}

/// A client whose request is at the backend.
fn hold(elbow: &Elbow, gate: &Gate) -> Wire {
    let mut wire = elbow.connect();
    wire.send(get("/hold", &[]));
    gate.expect_waiting(1);
    wire
}

fn drain(elbow: &Elbow, backend: &Backend, more: Value) -> (u16, Value) {
    let mut wanted = json!({ "load_balancer": "web", "instance": backend.address.to_string() });
    for (key, value) in more.as_object().expect("an object") {
        wanted[key] = value.clone();
    }
    elbow.admin("POST", "/v1/drains", &wanted.to_string())
}

/// The drain of that backend, or its last one.
fn drain_of(elbow: &Elbow, backend: &Backend) -> Value {
    let target = format!("/v1/drains?instance={}", backend.address);
    elbow.admin("GET", &target, "").1[0].clone()
}

fn is_registered(elbow: &Elbow, backend: &Backend) -> bool {
    let (_, rows) = elbow.admin("GET", "/v1/backends", "");
    let id = backend.address.to_string();
    rows.as_array()
        .expect("a list")
        .iter()
        .any(|row| row["backend"] == id)
}

/// Two backends, and elbow before them with sessions that count as ended after a second.
fn sticky_pair() -> (Backend, Backend, Elbow) {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = Setup::sticky(&[one.address, two.address], Some(60))
        .host("session_window = \"100ms\"")
        .start(&[&one, &two]);
    (one, two, elbow)
}

/// The `Cookie` field of a session on the backend of that name.
fn session_on(name: &str, elbow: &Elbow) -> String {
    let mut field = String::new();
    eventually("a session on that backend", || {
        let response = elbow.ask(&get("/", &[]));
        field = format!("Cookie: AWSELB={}", response.session());
        response.body_text() == name
    });
    field
}

fn expect_newcomers_only_at(name: &str, elbow: &Elbow) {
    for _ in 0..20 {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), name);
    }
}

#[test]
fn requests_in_flight_finish_where_connections_drain() {
    let (one, gate) = gated("one");
    let elbow = Setup::new(&[one.address])
        .attribute("connection_draining = 60")
        .start(&[&one]);
    let mut held = hold(&elbow, &gate);
    let (status, row) = drain(&elbow, &one, json!({}));
    assert_eq!((status, &row["stage"]), (202, &json!("connections")));
    let (_, rows) = elbow.admin("GET", "/v1/backends", "");
    assert_eq!(rows[0]["state"], "InService");
    assert_eq!(
        rows[0]["description"],
        "Instance deregistration currently in progress."
    );
    assert_eq!(elbow.ask(&get("/", &[])).status(), 503, "nothing new");
    assert_eq!(drain_of(&elbow, &one)["requests_in_flight"], 1);

    gate.open();
    assert_eq!(held.response_to("GET").body_text(), "one");
    eventually("deregistered", || !is_registered(&elbow, &one));
    assert_eq!(drain_of(&elbow, &one)["stage"], "done");
}

#[test]
fn requests_in_flight_are_cut_where_nothing_drains() {
    let (one, gate) = gated("one");
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let mut held = hold(&elbow, &gate);
    let place = format!("/v1/load-balancers/web/instances/{}", one.address);
    assert_eq!(elbow.admin("DELETE", &place, "").0, 202);
    let is_whole = held
        .try_response("GET")
        .is_ok_and(|answer| answer.status() == 200);
    assert!(!is_whole, "it was cut");
    gate.open();
    eventually("deregistered", || !is_registered(&elbow, &one));
}

#[test]
fn sessions_stay_until_they_end_and_newcomers_go_elsewhere() {
    let (one, _two, elbow) = sticky_pair();
    let session = session_on("one", &elbow);
    let (status, row) = drain(&elbow, &one, json!({ "mode": "session" }));
    assert_eq!((status, &row["stage"]), (202, &json!("sessions")));
    expect_newcomers_only_at("two", &elbow);
    // Longer than a session counts as alive without requests.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        assert_eq!(elbow.ask(&get("/", &[&session])).body_text(), "one");
    }
    assert_eq!(drain_of(&elbow, &one)["stage"], "sessions", "one is alive");

    eventually("its last session ended", || !is_registered(&elbow, &one));
    assert_eq!(drain_of(&elbow, &one)["sessions_ended"], "idle");
    let answer = elbow.ask(&get("/", &[&session]));
    assert_eq!(answer.body_text(), "two");
    assert_eq!(answer.session().len(), 138, "it has moved");
}

#[test]
fn at_the_deadline_sessions_move() {
    let (one, _two, elbow) = sticky_pair();
    let session = session_on("one", &elbow);
    let wanted = json!({ "mode": "session", "deadline_seconds": 1 });
    assert_eq!(drain(&elbow, &one, wanted).0, 202);
    assert_eq!(elbow.ask(&get("/", &[&session])).body_text(), "one");
    eventually("the deadline", || {
        let answer = elbow.ask(&get("/", &[&session]));
        assert_eq!(answer.status(), 200, "nobody is turned away");
        answer.body_text() == "two"
    });
    eventually("deregistered", || !is_registered(&elbow, &one));
    assert_eq!(drain_of(&elbow, &one)["sessions_ended"], "deadline");
}

#[test]
fn a_drain_that_is_cancelled_leaves_no_trace() {
    let (one, _two, elbow) = sticky_pair();
    let session = session_on("one", &elbow);
    assert_eq!(drain(&elbow, &one, json!({ "mode": "session" })).0, 202);
    expect_newcomers_only_at("two", &elbow);
    let place = format!("/v1/drains/web/{}", one.address);
    assert_eq!(elbow.admin("DELETE", &place, "").0, 204);
    assert_eq!(elbow.ask(&get("/", &[&session])).body_text(), "one");
    session_on("one", &elbow);
    assert!(drain_of(&elbow, &one).is_null());
    assert_eq!(elbow.admin("DELETE", &place, "").0, 409);
}

#[test]
fn an_instance_is_registered_weighed_and_deregistered() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let place = "/v1/load-balancers/web/instances/i-2";
    let body = |weight| {
        json!({ "address": "127.0.0.1", "port": two.address.port(), "weight": weight }).to_string()
    };
    assert_eq!(elbow.admin("PUT", place, &body(1)).0, 201);
    elbow.expect_in_service(&[&one, &two]);
    let (status, row) = elbow.admin("PUT", place, &body(0));
    assert_eq!(
        (status, &row["weight"], &row["life"]),
        (200, &json!(0), &json!(1))
    );
    eventually("the shards know the weight", || {
        two.forget();
        (0..20).for_each(|_| drop(elbow.ask(&get("/", &[]))));
        two.count() == 0
    });
    assert_eq!(elbow.admin("PUT", place, &body(1)).0, 200);
    elbow.expect_in_service(&[&one, &two]);
    elbow.deregister(place);
    eventually("it is gone", || {
        let (_, rows) = elbow.admin("GET", "/v1/backends", "");
        rows.as_array().expect("a list").len() == 1
    });
    expect_newcomers_only_at("one", &elbow);
}

#[test]
fn the_command_drains_watches_and_cancels() {
    let (one, two, elbow) = sticky_pair();
    let admin = elbow.admin.to_string();
    let run = |backend: &Backend, more: &[&str]| {
        let id = backend.address.to_string();
        let arguments = ["drain", "web", &id, "--admin", &admin];
        Outcome::of(&[&arguments, more].concat())
    };
    let begun = run(&one, &["--mode", "session", "--deadline", "1h"]);
    assert_eq!(begun.code, Some(0), "{}", begun.text);
    assert!(begun.text.contains("at the latest in "), "{}", begun.text);
    let cancelled = run(&one, &["--cancel"]);
    assert_eq!(cancelled.text, format!("{} stays\n", one.address));
    let watched = run(&one, &["--mode", "session", "--watch"]);
    assert_eq!(watched.code, Some(0), "{}", watched.text);
    assert!(watched.text.contains(": sessions"), "{}", watched.text);
    let last = watched.text.lines().last().unwrap_or_default();
    assert!(last.contains("has left"), "{}", watched.text);
    assert!(!is_registered(&elbow, &one) && is_registered(&elbow, &two));
    let json = run(&two, &["--json", "--mode", "session"]);
    let row: Value = serde_json::from_str(&json.text).expect("a line of JSON");
    assert_eq!(row["stage"], "sessions");

    let refused = run(&one, &[]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("no instance `"),
        "{}",
        refused.stderr
    );
    assert_eq!(run(&two, &["--deadline", "soon"]).code, Some(2));
}
