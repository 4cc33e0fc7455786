//! What clients see when backends fail: as little as can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::harness::{After, Backend, BackendProcess, Gate, Setup, eventually, get, post, reply};

/// Answers, and drops every request for `/stale` that comes on a connection already used.
fn forgetful() -> Backend {
    Backend::with(|request, wire| {
        if request.head.target() == "/stale" && request.before > 0 {
            return Ok(After::Close);
        }
        reply(wire, "one")
    })
}

#[test]
fn stale_connection_costs_a_retry_and_no_error() {
    let backend = forgetful();
    let elbow = Setup::new(&[backend.address])
        .host("shards = 1")
        .start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", &[])).status(), 200);
    assert_eq!(elbow.ask(&get("/stale", &[])).body_text(), "one");
    let requests = backend.requests();
    assert_eq!(requests.len(), 3, "sent again exactly once");
    assert_ne!(requests[1].connection, requests[2].connection);
}

#[test]
fn what_is_not_safe_to_repeat_is_not_repeated() {
    let backend = forgetful();
    let elbow = Setup::new(&[backend.address])
        .host("shards = 1")
        .start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", &[])).status(), 200);
    assert_eq!(elbow.ask(&post("/stale", &[], "pay")).status(), 504);
    assert_eq!(backend.count(), 2, "the POST came once");
}

#[test]
fn backend_that_closes_after_each_response_costs_no_error() {
    let backend = Backend::with(|_, wire| {
        reply(wire, "one")?;
        Ok(After::Close)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    for _ in 0..100 {
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    }
}

#[test]
fn refused_connection_is_a_redispatch_and_not_an_error() {
    let (mut one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = Setup::sticky(&[one.address, two.address], Some(60)).start(&[&one, &two]);
    let mut session = String::new();
    eventually("a session on the first backend", || {
        let response = elbow.ask(&get("/", &[]));
        session = response.session();
        response.body_text() == "one"
    });
    one.stop();
    let bound = get("/", &[&format!("Cookie: AWSELB={session}")]);
    // At once: before any check can have noticed.
    let moved = elbow.ask(&bound);
    assert_eq!((moved.status(), moved.body_text()), (200, "two".to_owned()));
    assert_ne!(
        moved.session(),
        session,
        "a cookie for the backend that answered"
    );
    for _ in 0..50 {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), "two");
        assert_eq!(elbow.ask(&post("/", &[], "body")).body_text(), "two");
    }
    one.restart();
    elbow.expect_in_service(&[&one, &two]);
}

#[test]
fn backend_killed_under_load_costs_no_error() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 250;
    let mut killed = BackendProcess::named("killed");
    let survivor = Backend::named("survivor");
    let setup = Setup::sticky(&[killed.address, survivor.address], Some(60));
    let elbow = Arc::new(setup.start(&[&survivor]));
    eventually("both in service", || {
        elbow.ask(&get("/", &[])).body_text() == "killed"
    });

    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let (elbow, answered) = (Arc::clone(&elbow), Arc::clone(&answered));
            thread::spawn(move || {
                let mut wire = elbow.connect();
                let mut line = "X-Session: none".to_owned();
                for number in 0..REQUESTS {
                    let response = wire.ask(&get("/", &[&line]));
                    assert_eq!(response.status(), 200, "client {index}, request {number}");
                    if let Some(session) = response.cookie("AWSELB") {
                        line = format!("Cookie: AWSELB={session}");
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    eventually("a quarter is answered", || {
        answered.load(Ordering::Relaxed) > CLIENTS * REQUESTS / 4
    });
    killed.kill();
    for client in clients {
        client.join().expect("no client saw an error");
    }
}

#[test]
fn response_that_breaks_off_never_looks_whole() {
    let backend = Backend::with(|request, wire| {
        let length = match request.head.target() {
            "/length" => "Content-Length: 100",
            _ => "Transfer-Encoding: chunked",
        };
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\n{length}\r\n\r\n64\r\nonly this"
        ))?;
        Ok(After::Close)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    for target in ["/length", "/chunked"] {
        let mut wire = elbow.connect();
        wire.send(get(target, &[]));
        let broken = wire.try_response("GET");
        assert!(broken.is_err(), "{target}: {broken:?}");
    }
    assert_eq!(
        backend.count(),
        2,
        "an answer that has begun is not asked for again"
    );
}

#[test]
fn broken_chunks_in_a_response_break_off_the_response() {
    let backend = Backend::with(|_, wire| {
        wire.try_send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        )?;
        Ok(After::Keep)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    wire.send(get("/", &[]));
    match wire.try_response("GET") {
        Ok(response) => assert_eq!(response.status(), 502),
        Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "neither"),
    }
}

#[test]
fn client_that_goes_away_takes_nobody_with_it() {
    let backend = Backend::with(|request, wire| {
        if request.head.target() == "/long" {
            return reply(wire, &"x".repeat(8 << 20));
        }
        reply(wire, "one")
    });
    let elbow = Setup::new(&[backend.address])
        .host("shards = 1")
        .start(&[&backend]);
    for _ in 0..20 {
        let mut leaving = elbow.connect();
        leaving.send(get("/long", &[]));
        leaving.read_head().expect("no error").expect("a response");
        drop(leaving);
        let mut leaving = elbow.connect();
        leaving.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart");
        drop(leaving);
        // A connection that still carries the rest of a response must not answer this.
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    }
}

const ONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none";
const FORGED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

#[test]
fn bytes_behind_a_response_are_not_taken_for_the_next() {
    let backend = Backend::with(|_, wire| {
        wire.try_send([ONE, FORGED].concat())?;
        Ok(After::Keep)
    });
    let elbow = Setup::new(&[backend.address])
        .host("shards = 1")
        .start(&[&backend]);
    for _ in 0..20 {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    }
}

#[test]
fn bytes_on_a_resting_connection_are_not_taken_for_the_next_response() {
    let gate = Gate::default();
    let is_sent = Arc::new(AtomicBool::new(false));
    let (held, sent) = (gate.clone(), Arc::clone(&is_sent));
    let backend = Backend::with(move |_, wire| {
        wire.try_send(ONE)?;
        held.pass();
        wire.try_send(FORGED)?;
        sent.store(true, Ordering::SeqCst);
        Ok(After::Keep)
    });
    let elbow = Setup::new(&[backend.address])
        .host("shards = 1")
        .start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    gate.open();
    eventually("the forged response lies in the connection", || {
        is_sent.load(Ordering::SeqCst)
    });
    assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
}
