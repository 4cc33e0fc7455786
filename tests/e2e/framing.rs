//! Requests that are no HTTP/1.1 or have two readings: the cases are data, in `tests/cases`.
//!
//! Each is sent in one piece and byte by byte, and the backend behind must not have got a whole
//! request out of one that was refused.

use std::io;

use crate::cases;
use crate::harness::{Backend, Elbow, Setup, Wire, get, post, reply};

struct Case {
    name: String,
    status: u16,
    closes: bool,
    bytes: Vec<u8>,
}

#[test]
fn lengths_with_two_readings_are_refused() {
    run("length.http");
}

#[test]
fn broken_chunks_are_refused() {
    run("chunks.http");
}

#[test]
fn malformed_heads_are_refused() {
    run("heads.http");
}

#[test]
fn heads_beyond_the_bounds_are_refused() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let fields: Vec<String> = (0..200).map(|n| format!("X-{n}: 1")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    for (request, status) in [
        (get(&format!("/{}", "a".repeat(17 * 1024)), &[]), 414),
        (
            get("/", &[&format!("X-Long: {}", "a".repeat(70 * 1024))]),
            431,
        ),
        (get("/", &fields), 431),
    ] {
        let mut wire = elbow.connect();
        wire.send(&request);
        let response = wire.response_to(&request);
        assert_eq!(response.status(), status, "{} bytes", request.len());
        wire.expect_close();
    }
    assert_eq!(backend.count(), 0);
    let long = get(
        &format!("/{}", "a".repeat(15 * 1024)),
        &[&format!("X: {}", "b".repeat(15 * 1024))],
    );
    assert_eq!(elbow.ask(&long).status(), 200, "within the bounds");
}

#[test]
fn nothing_that_follows_a_refused_request_is_served() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let bad =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut wire = elbow.connect();
    wire.send(format!("{bad}0\r\n\r\n{}", get("/smuggled", &[])));
    assert_eq!(wire.response_to("POST").status(), 400);
    wire.expect_close();
    assert_eq!(backend.count(), 0);
}

#[test]
fn body_that_is_cut_short_never_looks_whole_to_the_backend() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut wire = elbow.connect();
        wire.send(request);
        wire.finish();
        // Either an answer (400, 408) or a close; both end it.
        match wire.try_response("POST") {
            Ok(response) => assert!((400..500).contains(&response.status())),
            Err(error) => assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "neither"),
        }
    }
    assert_eq!(elbow.ask(&post("/", &[], "whole")).status(), 200);
    assert_eq!(backend.count(), 1, "only the whole one is a request");
}

/// Sends all cases of one file, whole and in single bytes.
fn run(file: &str) {
    let backend = Backend::with(|request, wire| reply(wire, request.head.target()));
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    for case in read(file) {
        backend.forget();
        let is_good = case.status == 200;
        check(&elbow, &case, &mut |wire| wire.try_send(&case.bytes));
        check(&elbow, &case, &mut |wire| {
            case.bytes
                .iter()
                .try_for_each(|byte| wire.try_send([*byte]))
        });
        assert_eq!(
            backend.count(),
            if is_good { 2 } else { 0 },
            "{}: at the backend",
            case.name
        );
    }
}

fn check(elbow: &Elbow, case: &Case, send: &mut dyn FnMut(&mut Wire) -> io::Result<()>) {
    let mut wire = elbow.connect();
    // A refusal may come while bytes are still being sent.
    drop(send(&mut wire));
    let response = wire.try_response("GET");
    let response = response.unwrap_or_else(|error| panic!("{}: no response: {error}", case.name));
    assert_eq!(
        response.status(),
        case.status,
        "{}: {}",
        case.name,
        response.head.text
    );
    if case.closes {
        wire.expect_close();
    } else {
        assert_eq!(
            wire.ask(&get("/in-service", &[])).status(),
            200,
            "{}: not open",
            case.name
        );
    }
}

/// The cases of one file.
fn read(file: &str) -> Vec<Case> {
    cases::read(file)
        .into_iter()
        .map(|case| {
            let (status, end) = case
                .note("expect")
                .split_once(' ')
                .expect("a status and an end");
            Case {
                status: status.parse().expect("a status is a number"),
                closes: end == "close",
                name: case.name,
                bytes: case.bytes,
            }
        })
        .collect()
}

#[test]
fn empty_lines_in_front_of_a_request_are_passed_over_however_they_come() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address])
        .attribute("idle_timeout = 1")
        .start(&[&backend]);
    for _ in 0..20 {
        let mut wire = elbow.connect();
        for byte in "\r\n\r\n".chars() {
            wire.send(byte.to_string());
        }
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    }
    let mut wire = elbow.connect();
    wire.send("\r");
    wire.send("\n");
    wire.expect_close();
}
