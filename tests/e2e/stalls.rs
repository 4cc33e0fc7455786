//! One side stops in the middle: the exchange ends in time, says so to who is left, holds nothing.

use std::io::ErrorKind;
use std::thread;

use crate::harness::{After, Backend, Elbow, Gate, Setup, Wire, eventually, get, reply};

/// More than the kernel takes into the buffers of a connection whose client does not read.
const MORE_THAN_BUFFERS: usize = 64 << 20;

fn start(backend: &Backend) -> Elbow {
    Setup::new(&[backend.address])
        .attribute("idle_timeout = 1")
        .start(&[backend])
}

fn expect_nothing_held(elbow: &Elbow) {
    eventually("no exchange holds a backend", || {
        elbow.sum("elbow_backend_outstanding") == 0
    });
    eventually("no client is connected", || {
        elbow.sum("elbow_connections") == 0
    });
    eventually("no buffer is held", || elbow.sum("elbow_relay_blocks") == 0);
}

/// Sends that many bytes, as far as they are taken.
fn flood(wire: &mut Wire, bytes: usize) {
    let block = vec![b'x'; 1 << 20];
    for _ in 0..bytes / block.len() {
        if wire.try_send(&block).is_err() {
            return;
        }
    }
}

#[test]
fn client_that_stops_reading_is_dropped() {
    let backend = Backend::with(|_, wire| reply(wire, &"x".repeat(MORE_THAN_BUFFERS)));
    let elbow = start(&backend);
    let mut wire = elbow.connect();
    wire.send(get("/", &[]));
    wire.read_head().expect("no error").expect("a response");
    expect_nothing_held(&elbow);
}

#[test]
fn client_that_stops_reading_an_answer_that_overtook_its_upload_is_dropped() {
    let backend = Backend::streaming(|request, wire| {
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {MORE_THAN_BUFFERS}\r\n\r\nx"
        ))?;
        wire.read_body(request.head.request_framing())?;
        flood(wire, MORE_THAN_BUFFERS);
        Ok(After::Close)
    });
    let elbow = start(&backend);
    let mut wire = elbow.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    wire.read_head().expect("no error").expect("a response");
    wire.send("world");
    expect_nothing_held(&elbow);
}

#[test]
fn client_that_does_not_read_interim_answers_is_dropped() {
    let backend = Backend::with(|_, wire| {
        let early = format!(
            "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
            "x".repeat(30_000)
        );
        wire.try_send(&early)?;
        wire.try_send(&early)?;
        reply(wire, "one")
    });
    let elbow = start(&backend);
    let mut wire = elbow.connect();
    // Their answers are more than the kernel takes, and next to all of it is interim.
    wire.send(get("/", &[]).repeat(1000));
    expect_nothing_held(&elbow);
}

#[test]
fn body_that_stalls_never_looks_whole() {
    for request in [
        &get("/", &[])[..],
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
    ] {
        let gate = Gate::default();
        let held = gate.clone();
        let backend = Backend::streaming(move |_, wire| {
            wire.try_send("HTTP/1.1 200 OK\r\n\r\nonly this")?;
            held.pass();
            Ok(After::Close)
        });
        let elbow = start(&backend);
        // Several, as an end in front of the reset may go unseen.
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let mut wire = elbow.connect();
                wire.send(request);
                thread::spawn(move || wire.try_response("GET"))
            })
            .collect();
        for client in clients {
            let broken = client.join().expect("no panic");
            let kind = broken.expect_err("the end was not the backend's").kind();
            assert_eq!(kind, ErrorKind::ConnectionReset);
        }
        expect_nothing_held(&elbow);
        gate.open();
    }
}

#[test]
fn connection_goes_on_after_a_timeout_of_the_backend() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::with(move |request, wire| match request.head.target() {
        "/hold" => {
            held.pass();
            Ok(After::Close)
        }
        "/stale" if request.before > 0 => Ok(After::Close),
        "/until-close" => {
            wire.try_send("HTTP/1.1 200 OK\r\n\r\nwhole")?;
            Ok(After::Close)
        }
        _ => reply(wire, "one"),
    });
    let elbow = Setup::new(&[backend.address])
        .host("shards = 1")
        .attribute("idle_timeout = 1")
        .start(&[&backend]);
    let mut wire = elbow.connect();
    assert_eq!(wire.ask(&get("/hold", &[])).status(), 504);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(wire.ask(&get("/stale", &[])).body_text(), "one");
    assert_eq!(wire.ask(&get("/until-close", &[])).body_text(), "whole");
    gate.open();
}

#[test]
fn backend_that_stops_reading_an_upload_is_504() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::streaming(move |_, _| {
        held.pass();
        Ok(After::Close)
    });
    let elbow = start(&backend);
    let mut wire = elbow.connect();
    let mut twin = wire.twin();
    twin.send(format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {MORE_THAN_BUFFERS}\r\n\r\n"
    ));
    let upload = thread::spawn(move || flood(&mut twin, MORE_THAN_BUFFERS));
    assert_eq!(wire.response_to("PUT").status(), 504);
    drop(wire);
    upload.join().expect("the upload ends");
    expect_nothing_held(&elbow);
    gate.open();
}
