//! Bodies pass through whole, in order, in both directions, and without being stored.

use std::io;
use std::thread;

use crate::harness::{After, Backend, Framing, Setup, Wire, get, post, reply};

/// How much is streamed: a gibibyte through the release build, less where checks cost time.
const STREAM_BYTES: usize = if cfg!(debug_assertions) {
    64 << 20
} else {
    1 << 30
};

/// How much more memory elbow may take while that passes.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// The byte at `offset` of a streamed body is `offset % PERIOD`, so what is lost or moved shows.
const PERIOD: usize = 251;

/// A block that begins at a multiple of [`PERIOD`] and is some 64 KiB long.
fn block() -> Vec<u8> {
    (0..=250).cycle().take(PERIOD * 256).collect()
}

/// Checks a streamed body piece by piece.
struct Checker {
    block: Vec<u8>,
    length: usize,
}

impl Checker {
    fn new() -> Self {
        Self {
            block: block(),
            length: 0,
        }
    }

    fn take(&mut self, piece: &[u8]) {
        for part in piece.chunks(32 * 1024) {
            let start = self.length % PERIOD;
            assert!(
                part == &self.block[start..start + part.len()],
                "wrong near {}",
                self.length
            );
            self.length += part.len();
        }
    }
}

/// Sends a body of [`STREAM_BYTES`].
fn send_stream(wire: &mut Wire) -> io::Result<()> {
    let block = block();
    let mut left = STREAM_BYTES;
    while left > 0 {
        let count = left.min(block.len());
        wire.try_send(&block[..count])?;
        left -= count;
    }
    Ok(())
}

#[test]
fn long_bodies_stream_in_constant_memory() {
    let backend = Backend::streaming(|request, wire| {
        if request.head.target() == "/download" {
            wire.try_send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {STREAM_BYTES}\r\n\r\n"
            ))?;
            send_stream(wire)?;
            return Ok(After::Keep);
        }
        let mut checker = Checker::new();
        wire.walk_body(request.head.request_framing(), &mut |piece| {
            checker.take(piece);
        })?;
        reply(wire, &checker.length.to_string())
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let before = elbow.resident_bytes_max();
    let mut wire = elbow.connect();

    wire.send(format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {STREAM_BYTES}\r\n\r\n"
    ));
    send_stream(&mut wire).expect("the upload is taken");
    assert_eq!(
        wire.response_to("PUT").body_text(),
        STREAM_BYTES.to_string()
    );

    wire.send(get("/download", &[]));
    let head = wire.read_head().expect("no error").expect("a response");
    let mut checker = Checker::new();
    let framing = head.response_framing("GET");
    wire.walk_body(framing, &mut |piece| checker.take(piece))
        .expect("a whole body");
    assert_eq!(checker.length, STREAM_BYTES);

    let growth = elbow.resident_bytes_max() - before;
    assert!(
        growth < GROWTH_BYTES_MAX,
        "{growth} bytes more while {STREAM_BYTES} passed"
    );
}

#[test]
fn slow_reader_holds_back_the_backend_and_not_the_memory() {
    let backend = Backend::streaming(|_, wire| {
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {STREAM_BYTES}\r\n\r\n"
        ))?;
        send_stream(wire)?;
        Ok(After::Keep)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let before = elbow.resident_bytes_max();
    let mut slow = elbow.connect();
    slow.send(get("/", &[]));
    slow.read_head().expect("no error").expect("a response");
    // While one client does not read, others are served; nothing of the first piles up.
    for _ in 0..200 {
        assert_eq!(elbow.ask(&get("/in-service", &[])).status(), 200);
    }
    let growth = elbow.resident_bytes_max() - before;
    assert!(
        growth < GROWTH_BYTES_MAX,
        "{growth} bytes wait for one client"
    );
}

#[test]
fn chunked_request_arrives_with_its_trailers() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
    wire.send("5\r\nhello\r\n");
    wire.send("7;note=1\r\n, world\r\n0\r\nX-Sum: 12\r\n\r\n");
    assert_eq!(wire.response_to("POST").body_text(), "one");
    let seen = backend.last();
    assert_eq!(seen.body, b"hello, world");
    assert_eq!(seen.trailers, "X-Sum: 12\r\n");
}

#[test]
fn chunked_response_arrives_with_its_trailers() {
    let backend = chunked_backend();
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    for _ in 0..3 {
        let response = wire.ask(&get("/", &[]));
        assert_eq!(response.body_text(), "hello, world");
        assert_eq!(response.trailers, "X-Sum: 12\r\n");
    }
}

fn chunked_backend() -> Backend {
    Backend::with(|_, wire| {
        wire.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
        wire.try_send("7\r\n, world\r\n0\r\nX-Sum: 12\r\n\r\n")?;
        Ok(After::Keep)
    })
}

#[test]
fn http_1_0_gets_a_chunked_response_without_the_chunks() {
    let backend = chunked_backend();
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    let response = wire.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert!(response.head.fields("Transfer-Encoding").is_empty());
    assert_eq!(response.body_text(), "hello, world");
    wire.expect_close();
}

#[test]
fn body_that_ends_with_the_connection_arrives_whole() {
    let text = "x".repeat(300_000);
    let sent = text.clone();
    let backend = Backend::with(move |_, wire| {
        wire.try_send("HTTP/1.1 200 OK\r\nServer: old\r\n\r\n")?;
        wire.try_send(&sent)?;
        Ok(After::Close)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    let response = wire.ask(&get("/", &[]));
    assert!(
        response.body_text() == text,
        "{} bytes",
        response.body.len()
    );
    if response.head.response_framing("GET") == Framing::UntilClose {
        wire.expect_close();
    }
}

#[test]
fn answer_that_ends_with_the_connection_is_not_lost_to_pipelined_requests() {
    let backend = Backend::with(|_, wire| {
        wire.try_send("HTTP/1.1 200 OK\r\n\r\nwhole")?;
        Ok(After::Close)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    for _ in 0..10 {
        let mut wire = elbow.connect();
        wire.send(get("/", &[]).repeat(1000));
        assert_eq!(wire.response_to("GET").body_text(), "whole");
    }
}

#[test]
fn responses_without_a_body_leave_the_connection_in_step() {
    let backend = Backend::with(|request, wire| {
        let head = match (
            request.head.start_line().starts_with("HEAD"),
            request.head.target(),
        ) {
            (true, _) => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
            (_, "/204") => "HTTP/1.1 204 No Content\r\n\r\n",
            (_, "/304") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        wire.try_send(head)?;
        Ok(After::Keep)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    let head = wire.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.head.field("Content-Length"), Some("1000"));
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "ok");
    assert_eq!(wire.ask(&get("/204", &[])).status(), 204);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "ok");
    assert_eq!(wire.ask(&get("/304", &[])).status(), 304);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "ok");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::with(|request, wire| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        reply(wire, &format!("{} {body}", request.head.target()))
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let requests: String = (0..20)
        .map(|n| match n % 2 {
            0 => get(&format!("/{n}"), &[]),
            _ => post(&format!("/{n}"), &[], "body"),
        })
        .collect();
    let mut wire = elbow.connect();
    wire.send(requests);
    for n in 0..20 {
        let body = if n % 2 == 0 { "" } else { "body" };
        assert_eq!(wire.response_to("GET").body_text(), format!("/{n} {body}"));
    }
}

#[test]
fn answer_does_not_wait_for_the_end_of_the_request() {
    let backend = Backend::streaming(|request, wire| {
        reply(wire, "early")?;
        wire.read_body(request.head.request_framing())?;
        Ok(After::Keep)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(wire.response_to("POST").body_text(), "early");
}

#[test]
fn refusal_in_the_middle_of_an_upload_reaches_the_client() {
    let backend = Backend::streaming(|_, wire| {
        wire.try_send(
            "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
        )?;
        Ok(After::Close)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    let mut twin = wire.twin();
    twin.send(format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {STREAM_BYTES}\r\n\r\n"
    ));
    // It ends with an error once elbow has closed, or when everything is taken.
    let upload = thread::spawn(move || drop(send_stream(&mut twin)));
    let response = wire.response_to("PUT");
    assert_eq!(
        (response.status(), response.body_text()),
        (413, "no".to_owned())
    );
    drop(wire);
    upload.join().expect("the upload ends");
}
