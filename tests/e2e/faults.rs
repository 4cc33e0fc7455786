//! What goes wrong on the way, wherever it does: who is to blame is told, nobody else notices, and
//! afterwards elbow serves as before and holds no more than before.

mod clock;
mod descriptors;
mod processes;
mod resets;
mod vanished;

use std::io;

use crate::harness::{After, Backend, Elbow, Gate, Setup, Wire, eventually, get, reply};

/// How often each fault comes: what one leaves behind must not hide in what comes and goes, which
/// is a connection to the admin address and a check of each backend.
const ROUNDS: usize = 8;

/// elbow between two backends, with a session on each.
struct Stage {
    elbow: Elbow,
    backends: [Backend; 2],
    /// The fields by which the sessions are known.
    cookies: [String; 2],
    /// Descriptors that it had before the first request.
    descriptors: usize,
}

impl Stage {
    fn start(backends: [Backend; 2], attributes: &[&str]) -> Self {
        let setup = Setup::sticky(&backends.each_ref().map(|b| b.address), Some(60));
        let setup = attributes.iter().fold(setup, |s, line| s.attribute(line));
        let elbow = Elbow::start(&setup.to_toml());
        eventually("in service", || elbow.sum("elbow_backend_in_service") == 2);
        let descriptors = elbow.descriptors();
        let cookies = ["one", "two"].map(|name| session_on(&elbow, name));
        Self {
            elbow,
            backends,
            cookies,
            descriptors,
        }
    }

    /// Each session is where it was, for a client that comes now, and nothing is left of those that
    /// came before: no exchange, no buffer, no descriptor.
    fn expect_unharmed(mut self) {
        for (name, cookie) in ["one", "two"].iter().zip(&self.cookies) {
            let answer = self.elbow.ask(&get("/", &[cookie]));
            assert_eq!((answer.status(), answer.body_text().as_str()), (200, *name));
            assert_eq!(answer.cookie("AWSELB"), None, "it stays where it is");
        }
        assert_eq!(self.elbow.sum("elbow_panics_total"), 0);
        // Ends the connections that rest.
        self.backends.iter_mut().for_each(Backend::stop);
        expect_nothing_left(&self.elbow, self.descriptors);
    }
}

/// The field of a session on the backend of that name.
fn session_on(elbow: &Elbow, name: &str) -> String {
    let mut cookie = String::new();
    eventually("a session there", || {
        let answer = elbow.ask(&get("/", &[]));
        cookie = format!("Cookie: AWSELB={}", answer.session());
        answer.body_text() == name
    });
    cookie
}

/// Answers with its name; `/hold` once the gate is open, and `/endless` without an end.
fn gated(name: &'static str, gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::with(move |request, wire| {
        match request.head.target() {
            "/hold" => gate.pass(),
            "/endless" => return answer_endlessly(wire),
            _ => {}
        }
        reply(wire, name)
    })
}

/// Sends an answer until its client has had enough.
fn answer_endlessly(wire: &mut Wire) -> io::Result<After> {
    let length = u64::MAX / 2;
    wire.try_send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
    ))?;
    let block = [b'x'; 16 * 1024];
    loop {
        wire.try_send(block)?;
    }
}

/// Waits until nothing goes on, and no more descriptors are open than that.
fn expect_nothing_left(elbow: &Elbow, descriptors: usize) {
    for gauge in [
        "elbow_connections",
        "elbow_backend_outstanding",
        "elbow_upstream_idle",
        "elbow_relay_blocks",
    ] {
        eventually(gauge, || elbow.sum(gauge) == 0);
    }
    eventually("no descriptor is left behind", || {
        elbow.descriptors() <= descriptors
    });
}

/// Sends a request on a connection of its own, and does not wait for the answer.
fn send(elbow: &Elbow, request: &str) -> Wire {
    let mut wire = elbow.connect();
    wire.send(request);
    wire
}
