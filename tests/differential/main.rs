//! What elbow forwards is read by others as elbow has read it.
//!
//! Random requests are made of good and of nasty pieces (`grammar.rs`), several on a connection.
//! `elbow::http` parses them and writes them anew as the shards do; what it has written is then
//! read by two servers that share nothing with each other (`readers.rs`). Each may refuse what it
//! gets, but what it takes must be the same requests: as many, with the same methods, targets and
//! bodies.
//!
//! Invariant: a run in which a reader takes too little has proved nothing, and fails.
#![expect(
    clippy::disallowed_types,
    reason = "a reader keeps its record on a thread of its own"
)]

mod grammar;
mod readers;

use elbow::http::{
    Body, Forwarding, HeadEnd, Request, excess, field_slots, find_end, leading_blank,
};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use readers::{Hyper, Reader, Tiny};

/// Connections that are tried.
const CONNECTIONS: u32 = 5000;

/// One request as somebody has read it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    method: String,
    target: String,
    body: Vec<u8>,
}

/// What elbow makes of a client's bytes: what it reads, and what it sends to the backend for that.
#[derive(Debug, Default)]
struct Forwarded {
    readings: Vec<Reading>,
    bytes: Vec<u8>,
}

/// Reads and writes as `shard/serve.rs` does, until a request is refused, is not whole, or says
/// that it is the last.
fn forward(mut received: &[u8]) -> Forwarded {
    let mut forwarded = Forwarded::default();
    loop {
        received = &received[leading_blank(received)..];
        let HeadEnd::At(head_bytes) = find_end(received, 0) else {
            return forwarded;
        };
        let (head, behind) = received.split_at(head_bytes);
        if excess(head).is_some() {
            return forwarded;
        }
        let mut slots = field_slots();
        let Ok(request) = Request::parse(head, &mut slots) else {
            return forwarded;
        };
        let mut body = Body::new(request.framing);
        let Ok(taken) = body.pass(behind) else {
            return forwarded;
        };
        if !body.is_done() {
            return forwarded;
        }
        let mut content = behind[..taken].to_vec();
        let unchunked = Body::new(request.framing).unchunk(&mut content);
        let (kept, _) = unchunked.expect("it has passed");
        content.truncate(kept);

        let mut written = Vec::new();
        request.write(&FORWARDING, &mut written);
        let line = written.split(|byte| *byte == b'\r').next();
        let line = String::from_utf8_lossy(line.expect("a request line")).into_owned();
        let mut words = line.split(' ').map(str::to_owned);
        forwarded.readings.push(Reading {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            body: content,
        });
        forwarded.bytes.extend(written);
        forwarded.bytes.extend(&behind[..taken]);
        if !request.wants_keep_alive() {
            return forwarded;
        }
        received = &behind[taken..];
    }
}

const FORWARDING: Forwarding<'_> = Forwarding {
    client: "192.0.2.7",
    protocol: "http",
    port: "80",
    fallback_host: "198.51.100.1",
    cookie: None,
    cut: None,
    upgrades: false,
    extra_lines: b"",
};

/// Tries many connections with one reader.
fn check(reader: &dyn Reader) {
    let mut runner = TestRunner::new(Config {
        cases: CONNECTIONS,
        failure_persistence: None,
        ..Config::default()
    });
    let (mut sent, mut read) = (0, 0);
    let counts = std::cell::RefCell::new((&mut sent, &mut read));
    let tried = runner.run(&grammar::connection(), |received| {
        let forwarded = forward(&received);
        let readings = reader.read(&forwarded.bytes);
        let mut counts = counts.borrow_mut();
        *counts.0 += forwarded.readings.len();
        *counts.1 += readings.len();
        if forwarded.readings.starts_with(&readings) {
            return Ok(());
        }
        Err(TestCaseError::fail(format!(
            "received {}\nsent {}\nby elbow {:?}\nby the other {readings:?}",
            received.escape_ascii(),
            forwarded.bytes.escape_ascii(),
            forwarded.readings
        )))
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
    assert!(
        sent > CONNECTIONS as usize && read > sent / 2,
        "{read} of {sent} requests were read: too few to tell anything"
    );
}

#[test]
fn hyper_reads_what_elbow_has_read() {
    check(&Hyper::default());
}

#[test]
fn tiny_http_reads_what_elbow_has_read() {
    check(&Tiny::start());
}

#[test]
fn what_elbow_reads_is_what_it_forwards() {
    let forwarded = forward(
        b"POST http://b/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
          2;a\r\nhi\r\n0\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\nGET /z HTTP/1.1\r\n\r\n",
    );
    let reading = |method: &str, target: &str, body: &[u8]| Reading {
        method: method.to_owned(),
        target: target.to_owned(),
        body: body.to_vec(),
    };
    let expected = [reading("POST", "/x", b"hi"), reading("GET", "/y", b"")];
    assert_eq!(forwarded.readings, expected);
    for reader in [&Hyper::default() as &dyn Reader, &Tiny::start()] {
        assert_eq!(reader.read(&forwarded.bytes), expected);
    }
}
