//! What one client may take: how slowly it may send and read, and how many connections it has.
//!
//! Sizes of heads and bodies are cases of `tests/rfc/limits.http`.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::harness::{Backend, Elbow, Setup, Wire, dial, eventually, get, reply};

/// How long a client that drips waits for an answer before its next byte.
const DRIP: Duration = Duration::from_millis(100);

/// Drips after which a client has had its way: many idle timeouts.
const DRIPS_MAX: usize = 150;

fn start(backend: &Backend, attributes: &[&str]) -> Elbow {
    let setup = Setup::new(&[backend.address]).attribute("idle_timeout = 1");
    let lines = attributes.iter();
    lines
        .fold(setup, |setup, line| setup.attribute(line))
        .start(&[backend])
}

/// Sends `bytes` over and over, a pause after each time, until something comes back: what it is.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream
        .set_read_timeout(Some(DRIP))
        .expect("the timeout is not zero");
    let mut answer = [0; 1000];
    for _ in 0..DRIPS_MAX {
        // elbow may have closed; what it has said before can still be read.
        drop(stream.write_all(bytes));
        match stream.read(&mut answer) {
            Ok(count) => return String::from_utf8_lossy(&answer[..count]).into_owned(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("neither an answer nor an end: {error}"),
        }
    }
    panic!("{DRIPS_MAX} drips, and no answer");
}

#[test]
fn client_that_drips_its_body_gets_408() {
    let backend = Backend::named("one");
    let elbow = start(&backend, &["min_rate = \"1KiB\""]);
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n",
    ] {
        let mut stream = dial(elbow.address()).expect("elbow accepts");
        stream.write_all(head.as_bytes()).expect("elbow reads");
        let answer = drip(&mut stream, b"x");
        assert!(
            answer.starts_with("HTTP/1.1 408 REQUEST_TIMEOUT\r\n"),
            "{answer}"
        );
    }
    assert_eq!(backend.count(), 0, "no whole request");
}

#[test]
fn client_that_drips_its_head_gets_408_and_empty_lines_are_none() {
    let backend = Backend::named("one");
    let elbow = start(&backend, &[]);
    let mut stream = dial(elbow.address()).expect("elbow accepts");
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n";
    stream.write_all(head).expect("elbow reads");
    let answer = drip(&mut stream, b"X: y\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 408 REQUEST_TIMEOUT\r\n"),
        "{answer}"
    );
    let mut stream = dial(elbow.address()).expect("elbow accepts");
    assert_eq!(drip(&mut stream, b"\r\n"), "", "closed without a word");
}

#[test]
fn client_that_reads_in_sips_is_dropped_and_counted() {
    let backend = Backend::with(|_, wire| reply(wire, &"x".repeat(64 << 20)));
    let elbow = start(&backend, &["min_rate = \"1MiB\""]);
    let mut stream = dial(elbow.address()).expect("elbow accepts");
    let request = get("/", &[]);
    stream.write_all(request.as_bytes()).expect("elbow reads");
    // The pauses are those of a clock that a condition is asked by.
    let mut sip = [0; 64];
    let mut is_dropped = false;
    eventually("dropped", || {
        is_dropped |= stream.read(&mut sip).is_err();
        is_dropped || elbow.sum("elbow_slow_readers_total") == 1
    });
    eventually("counted", || elbow.sum("elbow_slow_readers_total") == 1);
    eventually("nothing is held", || {
        elbow.sum("elbow_backend_outstanding") == 0 && elbow.sum("elbow_relay_blocks") == 0
    });
}

/// A connection from another address of this host.
fn dial_from(source: Ipv4Addr, address: SocketAddr) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source = SocketAddr::from((IpAddr::V4(source), 0));
    socket
        .bind(&source.into())
        .and_then(|()| socket.connect(&address.into()))
        .expect("elbow accepts");
    Wire::new(socket.into())
}

#[test]
fn client_has_no_more_connections_than_it_may_on_all_shards_together() {
    const MOST: usize = 8;
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address])
        .attribute("max_connections_per_client = 8")
        .start(&[&backend]);
    eventually("those of the start are gone", || {
        elbow.sum("elbow_connections") == 0
    });
    let mut wires: Vec<Wire> = (0..MOST).map(|_| elbow.connect()).collect();
    for wire in &mut wires {
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    }
    elbow.connect().expect_close();
    assert_eq!(elbow.sum("elbow_clients_refused_total"), 1);
    let mut other = dial_from(Ipv4Addr::new(127, 0, 0, 2), elbow.address());
    assert_eq!(other.ask(&get("/", &[])).body_text(), "one");
    wires.pop();
    eventually("there is place again", || {
        let mut wire = elbow.connect();
        wire.try_send(get("/", &[])).is_ok() && wire.try_response("GET").is_ok()
    });
}
