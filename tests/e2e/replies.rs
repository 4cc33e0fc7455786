//! The answers that elbow makes itself, to the letter of CLB (reason phrases included).

use std::time::{Duration, Instant};

use crate::harness::{After, Backend, Elbow, Gate, Response, Setup, eventually, get, reply};

/// Checks the parts that all own answers share.
fn assert_own(response: &Response, status_line: &str) {
    assert_eq!(response.head.start_line(), status_line);
    assert_eq!(response.head.field("Content-Length"), Some("0"));
    assert!(
        response.head.fields("Set-Cookie").is_empty(),
        "no cookie on an own answer"
    );
}

#[test]
fn without_backends_the_answer_is_503_in_full() {
    let elbow = Elbow::start(&Setup::sticky(&[], Some(60)).to_toml());
    let mut wire = elbow.connect();
    for _ in 0..3 {
        let response = wire.ask(&get("/", &[]));
        let line = "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity";
        assert_own(&response, line);
    }
}

#[test]
fn with_all_backends_out_of_service_the_answer_is_503_until_one_is_back() {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    let session = elbow.ask(&get("/", &[])).session();
    backend.fail_checks(true);
    let request = get("/", &[&format!("Cookie: AWSELB={session}")]);
    eventually("out of service", || elbow.ask(&request).status() == 503);
    backend.fail_checks(false);
    let mut response = None;
    eventually("in service", || {
        response = Some(elbow.ask(&request)).filter(|response| response.status() == 200);
        response.is_some()
    });
    let response = response.expect("the condition above held");
    assert_eq!(
        response.cookie("AWSELB"),
        None,
        "the session outlived the outage"
    );
}

#[test]
fn bad_request_is_400_and_closed() {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "?\r\n\r\n",
    ] {
        let mut wire = elbow.connect();
        assert_own(&wire.ask(request), "HTTP/1.1 400 BAD_REQUEST");
        wire.expect_close();
    }
}

#[test]
fn method_beyond_127_bytes_is_405() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let request = |length| format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(length));
    let mut wire = elbow.connect();
    assert_own(&wire.ask(&request(128)), "HTTP/1.1 405 METHOD_NOT_ALLOWED");
    wire.expect_close();
    assert_eq!(elbow.ask(&request(127)).status(), 200);
}

#[test]
fn client_that_stops_in_a_request_gets_408() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address])
        .attribute("idle_timeout = 1")
        .start(&[&backend]);
    for part in [
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let mut wire = elbow.connect();
        let start = Instant::now();
        assert_own(&wire.ask(part), "HTTP/1.1 408 REQUEST_TIMEOUT");
        wire.expect_close();
        let took = start.elapsed();
        assert!(
            took > Duration::from_millis(900) && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
}

#[test]
fn idle_connection_is_closed_without_a_word() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address])
        .attribute("idle_timeout = 1")
        .start(&[&backend]);
    let mut unused = elbow.connect();
    let mut used = elbow.connect();
    assert_eq!(used.ask(&get("/", &[])).status(), 200);
    let start = Instant::now();
    used.expect_close();
    assert!(
        start.elapsed() > Duration::from_millis(900),
        "{:?}",
        start.elapsed()
    );
    unused.expect_close();
}

#[test]
fn response_that_is_no_http_is_502() {
    let backend = Backend::with(|request, wire| {
        wire.try_send(BAD_RESPONSES[number(request.head.target())])?;
        Ok(After::Close)
    });
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    let mut wire = elbow.connect();
    for (index, bad) in BAD_RESPONSES.iter().enumerate() {
        let response = wire.ask(&get(&format!("/{index}"), &[]));
        assert_eq!(response.status(), 502, "{bad:?}: {}", response.head.text);
        assert_own(&response, "HTTP/1.1 502 BAD_GATEWAY");
    }
}

const BAD_RESPONSES: [&str; 9] = [
    "nonsense\r\n\r\n",
    "HTTP/1.1 abc OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTQ/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
];

fn number(target: &str) -> usize {
    target
        .trim_start_matches('/')
        .parse()
        .expect("the test asks by number")
}

#[test]
fn response_head_beyond_the_bound_is_502() {
    let backend = Backend::with(|_, wire| {
        let long = "a".repeat(40 * 1024);
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nX-Long: {long}\r\nContent-Length: 0\r\n\r\n"
        ))?;
        Ok(After::Close)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    assert_own(&elbow.ask(&get("/", &[])), "HTTP/1.1 502 BAD_GATEWAY");
}

#[test]
fn silent_backend_is_504() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::with(move |_, _| {
        held.pass();
        Ok(After::Close)
    });
    let elbow = Setup::sticky(&[backend.address], Some(60))
        .attribute("idle_timeout = 1")
        .start(&[&backend]);
    let start = Instant::now();
    let response = elbow.ask(&get("/", &[]));
    let took = start.elapsed();
    gate.open();
    assert_own(&response, "HTTP/1.1 504 GATEWAY_TIMEOUT");
    assert!(
        took > Duration::from_millis(900) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert_eq!(
        backend.count(),
        1,
        "what a backend may be working on is not asked twice"
    );
}

#[test]
fn backend_that_closes_without_an_answer_is_504() {
    let backend = Backend::with(|_, _| Ok(After::Close));
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    assert_own(&elbow.ask(&get("/", &[])), "HTTP/1.1 504 GATEWAY_TIMEOUT");
}

#[test]
fn connection_goes_on_after_an_error_of_the_backend() {
    let backend = Backend::with(|request, wire| {
        if request.head.target() == "/bad" {
            wire.try_send("nonsense\r\n\r\n")?;
            return Ok(After::Close);
        }
        reply(wire, "one")
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    assert_eq!(wire.ask(&get("/bad", &[])).status(), 502);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
}
