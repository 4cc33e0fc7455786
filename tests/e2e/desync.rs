//! The modes of desync mitigation: who is served, who is refused, and which connections go on.
//!
//! The cases are data, in `tests/cases/desync.http`. Each is sent with another request right behind
//! it, which is served where the connection stays open and must not be where it is closed.

use crate::cases::{self, Case};
use crate::harness::{Backend, Elbow, Setup, Wire, get, post, reply};

const MODES: [&str; 3] = ["monitor", "defensive", "strictest"];

/// One shard, so that a backend's connection that is kept is the one that is used next.
fn setup(backend: &Backend, mode: &str) -> Setup {
    Setup::new(&[backend.address])
        .host("shards = 1")
        .attribute(&format!("desync_mode = {mode:?}"))
}

#[test]
fn a_mode_decides_who_is_served_and_which_connections_go_on() {
    let backend = Backend::with(|request, wire| {
        let is_head = request.head.start_line().starts_with("HEAD ");
        reply(wire, if is_head { "" } else { "one" })
    });
    for mode in MODES {
        let elbow = setup(&backend, mode).start(&[&backend]);
        for case in cases::read("desync.http") {
            backend.forget();
            let before = counts(&elbow);
            check(&elbow, &backend, &case, mode);
            let counted = counts(&elbow).into_iter().zip(before);
            let counted = counted.filter(|(now, before)| now.1 > before.1);
            let counted: Vec<String> = counted.map(|(now, _)| now.0).collect();
            let expected = Some(case.note("counted")).filter(|&name| name != "nothing");
            assert_eq!(counted, Vec::from_iter(expected), "{}, {mode}", case.name);
        }
    }
}

fn check(elbow: &Elbow, backend: &Backend, case: &Case, mode: &str) {
    let what = format!("{}, {mode}", case.name);
    let (status, end) = case.note(mode).split_once(' ').expect("a status, an end");
    let method = case.bytes.split(|&byte| byte == b' ').next();
    let method = String::from_utf8_lossy(method.expect("a method"));
    let mut wire = elbow.connect();
    wire.send([&case.bytes, get("/behind", &[]).as_bytes()].concat());
    let response = wire.response_to(&method);
    assert_eq!(response.status().to_string(), status, "{what}");
    if end == "open" {
        assert_eq!(wire.response_to("GET").status(), 200, "{what}: not open");
    } else {
        assert_eq!(response.head.field("Connection"), Some("close"), "{what}");
        wire.expect_close();
    }
    let requests = backend.requests();
    let targets: Vec<&str> = requests
        .iter()
        .map(|request| request.head.target())
        .collect();
    match (status, end) {
        ("200", "open") => assert_eq!(targets, ["/", "/behind"], "{what}"),
        ("200", "close") => assert_eq!(targets, ["/"], "{what}"),
        _ => return assert!(targets.is_empty(), "{what}: {targets:?}"),
    }
    let (head, _) = requests[0]
        .head
        .text
        .split_once("X-Forwarded-For")
        .expect("elbow's own");
    assert_eq!(head.replace("\r\n", "|"), case.note("backend"), "{what}");
    elbow.ask(&get("/after", &[]));
    let goes_on = backend.last().connection == requests[0].connection;
    assert_eq!(goes_on, end == "open", "{what}: the backend's connection");
}

/// How many heads of each classification have been counted.
fn counts(elbow: &Elbow) -> Vec<(String, u64)> {
    let text = elbow.metrics();
    let prefix = "elbow_desync_requests_total{load_balancer=\"web\",classification=\"";
    let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
    let counts = lines.map(|line| {
        let (name, count) = line.split_once("\"} ").expect("a label and a count");
        (name.to_owned(), count.parse().expect("a whole number"))
    });
    counts.collect()
}

#[test]
fn a_body_that_comes_later_is_isolated_too() {
    let backend = Backend::named("one");
    let elbow = setup(&backend, "defensive").start(&[&backend]);
    let mut wire = elbow.connect();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabcde");
    wire.send(format!("fghij{}", get("/behind", &[])));
    let response = wire.response_to("GET");
    assert_eq!(response.head.field("Connection"), Some("close"));
    wire.expect_close();
    assert_eq!(backend.last().body, b"abcdefghij");
    elbow.ask(&get("/after", &[]));
    let [first, after] = &backend.requests()[..] else {
        panic!("not two requests: {:?}", backend.requests());
    };
    assert_ne!(first.connection, after.connection);
}

#[test]
fn a_mode_holds_from_the_next_request_on_whoever_sets_it() {
    let backend = Backend::named("one");
    let elbow = setup(&backend, "strictest").start(&[&backend]);
    let zero = get("/", &["Content-Length: 0"]);
    assert_eq!(elbow.ask(&zero).status(), 400);
    let mut wire = elbow.connect();
    assert_eq!(wire.ask(&get("/", &[])).status(), 200);
    assert!(elbow.reload(&setup(&backend, "monitor").to_toml()));
    assert_eq!(wire.ask(&zero).status(), 200);
    modify(&elbow, "strictest");
    assert_eq!(wire.ask(&zero).status(), 400);
}

/// Asks the ELB API for a mode.
fn modify(elbow: &Elbow, mode: &str) {
    let member = "LoadBalancerAttributes.AdditionalAttributes.member.1";
    let body = format!(
        "Action=ModifyLoadBalancerAttributes&Version=2012-06-01&LoadBalancerName=web&\
         {member}.Key=elb.http.desyncmitigationmode&{member}.Value={mode}"
    );
    let form = "Content-Type: application/x-www-form-urlencoded";
    let answer = Wire::connect(elbow.admin).ask(&post("/", &[form, "Connection: close"], &body));
    assert_eq!(answer.status(), 200, "{}", answer.body_text());
}
