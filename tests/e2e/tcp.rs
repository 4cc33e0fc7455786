//! TCP listeners: bytes as they are, ends as what they were, and nothing left behind.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{
    Backend, BackendProcess, Directory, Elbow, Listener, Outcome, PATIENCE, RawBackend, Setup,
    Wire, dial, eventually, get,
};

/// elbow with that setup, once that many backends are in service.
pub(super) fn start(setup: &Setup, in_service: u64) -> Elbow {
    let elbow = Elbow::start(&setup.to_toml());
    eventually("backends in service", || {
        elbow.sum("elbow_backend_in_service") == in_service
    });
    elbow
}

/// One backend whose connections the test answers, and elbow before it.
pub(super) fn start_held(attributes: &[&str]) -> (RawBackend, Receiver<TcpStream>, Elbow) {
    let (backend, streams) = RawBackend::held();
    let setup = Setup::tcp(&[backend.address]);
    let setup = attributes.iter().fold(setup, |s, line| s.attribute(line));
    let elbow = start(&setup, 1);
    (backend, streams, elbow)
}

/// Both ends of a connection through elbow, after a first byte.
pub(super) fn connect(elbow: &Elbow, streams: &Receiver<TcpStream>) -> (TcpStream, TcpStream) {
    let mut near = dial(elbow.address()).expect("elbow listens");
    near.write_all(b"?").expect("elbow takes it");
    let mut far = streams
        .recv_timeout(PATIENCE)
        .expect("it reaches a backend");
    expect(&mut far, b"?");
    (near, far)
}

/// Reads exactly these bytes.
pub(super) fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).expect("the bytes arrive");
    assert_eq!(read, bytes);
}

/// Reads an end of sending, and nothing before.
pub(super) fn expect_end(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0]).expect("an end, not a reset"), 0);
}

/// Reads a reset, and nothing before.
pub(super) fn expect_reset(stream: &mut TcpStream) {
    let error = stream.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub(super) fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket
        .set_linger(Some(Duration::ZERO))
        .expect("a TCP socket");
}

/// Who answers on a new connection; `None`: it was reset.
fn who(elbow: &Elbow) -> Option<String> {
    let ask = |mut stream: TcpStream| {
        let mut name = String::new();
        stream.write_all(b"?")?;
        stream.read_to_string(&mut name).map(|_| name)
    };
    match dial(elbow.address()).and_then(ask) {
        Ok(name) => Some(name),
        Err(error) => {
            let is_reset = matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            );
            assert!(is_reset, "{error}");
            None
        }
    }
}

pub(super) fn expect_nothing_held(elbow: &Elbow) {
    eventually("no backend is held", || {
        elbow.sum("elbow_backend_outstanding") == 0
    });
    eventually("no client is connected", || {
        elbow.sum("elbow_connections") == 0
    });
}

#[test]
fn bytes_pass_as_they_are() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (mut near, mut far) = connect(&elbow, &streams);
    // What an HTTP listener would add lines to, refuse, or answer.
    let texts = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"\r\n\r\n\0\xff not a head\n\n",
    ];
    for text in texts {
        near.write_all(text).expect("elbow takes it");
        expect(&mut far, text);
        far.write_all(text).expect("elbow takes it");
        expect(&mut near, text);
    }
    let bytes = texts.concat().len() as u64;
    eventually("all bytes are counted", || {
        let counts = ["up", "down"].map(|way| format!("elbow_relayed_{way}_bytes_total"));
        counts.map(|name| elbow.sum(&name)) == [1 + bytes, bytes]
    });
    assert_eq!(elbow.sum("elbow_requests_total"), 0);
    assert_eq!(elbow.sum("elbow_relays_total"), 1);
    assert_eq!(elbow.sum("elbow_latency_seconds_count"), 1);
    drop((near, far));
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 0);
}

#[test]
fn an_end_of_sending_is_passed_on_and_the_other_way_goes_on() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (near, far) = connect(&elbow, &streams);
    let (far_first, near_first) = connect(&elbow, &streams);
    for (mut first, mut second) in [(near, far), (near_first, far_first)] {
        first.write_all(b"last words").expect("elbow takes it");
        first.shutdown(Shutdown::Write).expect("it is open");
        expect(&mut second, b"last words");
        expect_end(&mut second);
        for _ in 0..3 {
            second.write_all(b"an answer").expect("elbow takes it");
            expect(&mut first, b"an answer");
        }
        second.shutdown(Shutdown::Write).expect("it is open");
        expect_end(&mut first);
    }
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 0);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (near, mut far) = connect(&elbow, &streams);
    reset(near);
    expect_reset(&mut far);
    let (mut near, far) = connect(&elbow, &streams);
    reset(far);
    expect_reset(&mut near);
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 2);
}

#[test]
fn a_reset_after_an_end_of_sending_is_passed_on_too() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (near, mut far) = connect(&elbow, &streams);
    near.shutdown(Shutdown::Write).expect("it is open");
    expect_end(&mut far);
    reset(far);
    let mut near = near;
    expect_reset(&mut near);
    expect_nothing_held(&elbow);
}

#[test]
fn what_was_sent_before_a_reset_arrives() {
    let (_backend, streams, elbow) = start_held(&[]);
    for _ in 0..20 {
        let (mut near, mut far) = connect(&elbow, &streams);
        near.write_all(b"more than it reads")
            .expect("elbow takes it");
        far.peek(&mut [0]).expect("it has come");
        far.write_all(b"no more, please").expect("elbow takes it");
        // Bytes that were not read make this a reset.
        drop(far);
        expect(&mut near, b"no more, please");
        expect_reset(&mut near);
    }
    expect_nothing_held(&elbow);
}

#[test]
fn a_refused_connection_goes_to_the_next_backend() {
    let (mut one, two) = (RawBackend::named("one"), RawBackend::named("two"));
    let elbow = start(&Setup::tcp(&[one.address, two.address]), 2);
    one.stop();
    // At once: before any check can have noticed.
    for _ in 0..8 {
        assert_eq!(who(&elbow).as_deref(), Some("two"));
    }
    assert!(elbow.sum("elbow_redispatches_total") > 0);
    eventually("out of service, as it was reported", || {
        elbow.sum("elbow_backend_in_service") == 1
    });
}

#[test]
fn without_a_backend_a_connection_is_reset() {
    let mut one = RawBackend::named("one");
    let elbow = start(&Setup::tcp(&[one.address]), 1);
    one.stop();
    assert_eq!(who(&elbow), None, "unreachable");
    let unreachable = elbow.sum("elbow_relays_unserved_total");
    assert!(unreachable > 0);
    eventually("out of service", || {
        elbow.sum("elbow_backend_in_service") == 0
    });
    assert_eq!(who(&elbow), None, "out of service");
    assert!(elbow.sum("elbow_relays_unserved_total") > unreachable);
    expect_nothing_held(&elbow);
}

#[test]
fn silence_both_ways_ends_a_connection_on_both_sides() {
    let (_backend, streams, elbow) = start_held(&["idle_timeout = 1"]);
    let (mut near, mut far) = connect(&elbow, &streams);
    let (mut silent_near, mut silent_far) = connect(&elbow, &streams);
    let start = Instant::now();
    // One way is enough to keep it, whichever.
    while start.elapsed() < Duration::from_secs(2) {
        thread::sleep(Duration::from_millis(200));
        far.write_all(b"x").expect("elbow takes it");
        expect(&mut near, b"x");
    }
    expect_reset(&mut silent_near);
    expect_reset(&mut silent_far);
    near.write_all(b"y").expect("elbow takes it");
    expect(&mut far, b"y");
    let last = Instant::now();
    expect_reset(&mut near);
    assert!(last.elapsed() > Duration::from_millis(900), "not before");
    expect_reset(&mut far);
    expect_nothing_held(&elbow);
}

#[test]
fn connections_go_round() {
    let backends = ["one", "two", "three"].map(RawBackend::named);
    let setup = Setup::tcp(&backends.each_ref().map(|backend| backend.address));
    let elbow = start(&setup, 3);
    for _ in 0..90 {
        assert!(who(&elbow).is_some());
    }
    let counts = backends.each_ref().map(RawBackend::count);
    // Each of the two shards goes round exactly.
    assert!(counts.iter().all(|n| n.abs_diff(30) <= 2), "{counts:?}");
}

#[test]
fn a_client_stays_with_a_backend_where_its_address_says_so() {
    let mut backends = ["one", "two", "three"].map(RawBackend::named);
    let addresses = backends.each_ref().map(|backend| backend.address);
    let setup = Setup::tcp(&addresses).attribute("fallback_affinity = \"client-address\"");
    let elbow = start(&setup, 3);
    let home = who(&elbow);
    for _ in 0..20 {
        assert_eq!(who(&elbow), home);
    }
    let reached = backends.iter_mut().find(|backend| backend.count() > 0);
    reached.expect("one was").stop();
    let next = who(&elbow);
    assert!(next.is_some() && next != home);
    for _ in 0..20 {
        assert_eq!(who(&elbow), next);
    }
}

/// Orders the backend to leave.
fn drain(elbow: &Elbow, backend: &RawBackend) {
    let wanted = json!({ "load_balancer": "web", "instance": backend.address.to_string() });
    let (status, _) = elbow.admin("POST", "/v1/drains", &wanted.to_string());
    assert_eq!(status, 202);
}

fn expect_deregistered(elbow: &Elbow) {
    eventually("deregistered", || {
        elbow.admin("GET", "/v1/backends", "").1 == json!([])
    });
}

#[test]
fn a_backend_that_leaves_keeps_its_connections_until_they_end() {
    let (backend, streams, elbow) = start_held(&["connection_draining = 60"]);
    let (mut near, mut far) = connect(&elbow, &streams);
    drain(&elbow, &backend);
    let (_, rows) = elbow.admin("GET", "/v1/drains", "");
    assert_eq!(rows[0]["requests_in_flight"], 1);
    eventually("nothing new", || who(&elbow).is_none());
    near.write_all(b"still here").expect("elbow takes it");
    expect(&mut far, b"still here");
    far.write_all(b"so am I").expect("elbow takes it");
    expect(&mut near, b"so am I");
    drop((near, far));
    expect_deregistered(&elbow);
}

#[test]
fn a_backend_that_leaves_keeps_its_connections_no_longer_than_it_may() {
    for (draining, least) in [("\"1s\"", 900), ("false", 0)] {
        let attribute = format!("connection_draining = {draining}");
        let (backend, streams, elbow) = start_held(&[&attribute]);
        let (mut near, mut far) = connect(&elbow, &streams);
        let ordered = Instant::now();
        drain(&elbow, &backend);
        expect_reset(&mut near);
        assert!(ordered.elapsed() > Duration::from_millis(least));
        expect_reset(&mut far);
        expect_deregistered(&elbow);
        expect_nothing_held(&elbow);
    }
}

#[test]
fn a_backend_that_fails_its_checks_keeps_its_connections_only_if_it_drains() {
    for is_draining in [true, false] {
        let attribute = format!("connection_draining = {is_draining}");
        let (mut backend, streams, elbow) = start_held(&[&attribute]);
        let (mut near, mut far) = connect(&elbow, &streams);
        backend.stop();
        eventually("out of service", || {
            elbow.sum("elbow_backend_in_service") == 0
        });
        if is_draining {
            near.write_all(b"still here").expect("elbow takes it");
            expect(&mut far, b"still here");
            drop((near, far));
        } else {
            expect_reset(&mut near);
            expect_reset(&mut far);
        }
        expect_nothing_held(&elbow);
    }
}

#[test]
fn a_killed_backend_ends_its_connections() {
    let mut backend = BackendProcess::named("one");
    let elbow = start(&Setup::tcp(&[backend.address]), 1);
    let mut wires: Vec<Wire> = (0..4).map(|_| elbow.connect()).collect();
    for wire in &mut wires {
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    }
    backend.kill();
    wires.iter_mut().for_each(Wire::expect_close);
    expect_nothing_held(&elbow);
}

#[test]
fn the_end_of_the_process_waits_for_connections() {
    let (_backend, streams, mut elbow) = start_held(&[]);
    let (mut near, mut far) = connect(&elbow, &streams);
    elbow.signal(Signal::TERM);
    let address = elbow.address();
    eventually("new connections are refused", || {
        TcpStream::connect(address).is_err()
    });
    near.write_all(b"last words").expect("elbow takes it");
    expect(&mut far, b"last words");
    drop((near, far));
    assert_eq!(elbow.wait().code(), Some(0));
}

#[test]
fn http_and_tcp_listeners_share_a_load_balancer() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let sticky = Listener {
        is_sticky: true,
        ..Listener::default()
    };
    let tcp = Listener {
        is_tcp: true,
        ..Listener::default()
    };
    let elbow = Setup::sticky(&[one.address, two.address], Some(60))
        .listeners(&[sticky, tcp])
        .start(&[&one, &two]);
    let first = elbow.ask(&get("/", &[]));
    let request = get("/", &[&format!("Cookie: AWSELB={}", first.session())]);
    let relayed = || Wire::connect(elbow.listeners[1]).ask(&request);
    let mut names = Vec::new();
    for _ in 0..8 {
        assert_eq!(elbow.ask(&request).body_text(), first.body_text(), "sticky");
        let answer = relayed();
        assert_eq!(answer.cookie("AWSELB"), None, "no cookie on TCP (R-008)");
        names.push(answer.body_text());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["one", "two"], "the cookie is not looked at");
    let forwarded = |backend: &Backend| {
        let requests = backend.requests().into_iter();
        requests
            .filter(|r| r.head.field("X-Forwarded-For").is_none())
            .count()
    };
    assert_eq!(
        forwarded(&one) + forwarded(&two),
        8,
        "nothing is added on TCP"
    );
    let admin = elbow.admin.to_string();
    let port = elbow.listeners[1].port().to_string();
    let told = Outcome::of(&[
        "explain",
        "--admin",
        &admin,
        "--load-balancer",
        "web",
        "--port",
        &port,
        "--cookie",
        "x",
    ]);
    assert_eq!(told.code, Some(0), "{}", told.text);
    assert!(told.text.contains("relays bytes"), "{}", told.text);
    assert!(told.text.contains("in turn"), "{}", told.text);
    let (_, rows) = elbow.admin("GET", "/v1/load-balancers", "");
    let protocols = [0, 1].map(|at| rows[0]["listeners"][at]["protocol"].clone());
    assert_eq!(protocols, ["HTTP", "TCP"]);
}

#[test]
fn stickiness_policies_are_for_http_alone() {
    let address = "192.0.2.1:80".parse().expect("an address");
    let sticky_tcp = Listener {
        is_tcp: true,
        is_sticky: true,
        ..Listener::default()
    };
    let directory = Directory::new();
    for setup in [
        Setup::sticky(&[address], Some(60)),
        Setup::app(&[address], "app"),
    ] {
        let toml = setup.listeners(std::slice::from_ref(&sticky_tcp)).to_toml();
        let file = directory.write("elbow.toml", &toml);
        let file = file.to_str().expect("the path is ASCII");
        let outcome = Outcome::of(&["check", "--config", file]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let expected = "a stickiness policy needs HTTP or HTTPS";
        assert!(outcome.stderr.contains(expected), "{outcome:?}");
    }
}
