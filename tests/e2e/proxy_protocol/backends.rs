//! PROXY headers to backends that ask for them: whose connection is it, and only that one's.

use std::collections::HashSet;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::{FROM_PROXY, ask_behind, binary_v4, say};
use crate::harness::{Elbow, Listener, PATIENCE, Setup, Wire, eventually, get, post};

/// A connection of a client whose own end is known.
fn connect_from(address: SocketAddr) -> (Wire, SocketAddr) {
    let stream = TcpStream::connect(address).expect("elbow listens");
    let source = stream.local_addr().expect("the socket is bound");
    (Wire::new(stream), source)
}

/// The header that tells of this connection.
fn header(version: &str, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (from, to) = (source.port(), destination.port());
    match (version, source.ip()) {
        ("v2", IpAddr::V4(ip)) => {
            let mut header = binary_v4(ip.octets(), from, to);
            header[20..24].copy_from_slice(&[127, 0, 0, 1]);
            header
        }
        (_, source) => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let destination = destination.ip();
            format!("PROXY {family} {source} {destination} {from} {to}\r\n").into_bytes()
        }
    }
}

/// elbow before these backends, whose connections begin with a header; all are in service.
fn announcing(setup: Setup, version: &'static str, backends: &[&Announced]) -> Elbow {
    let elbow = Elbow::start(&setup.proxy_protocol(8080, version).to_toml());
    let mut missing = backends.to_vec();
    eventually("all backends in service", || {
        let status = elbow.ask(&get("/in-service", &[])).status();
        assert!(matches!(status, 200 | 503 | 504), "{status}");
        missing.retain(|backend| backend.requests.try_iter().next().is_none());
        missing.is_empty()
    });
    backends.iter().for_each(|backend| backend.forget());
    elbow
}

#[test]
fn each_exchange_tells_its_client_on_a_connection_of_its_own() {
    for version in ["v1", "v2"] {
        let backend = Announced::start(true);
        let elbow = announcing(Setup::new(&[backend.address]), version, &[&backend]);
        let mut clients: Vec<_> = (0..3).map(|_| connect_from(elbow.address())).collect();
        let mut connections = HashSet::new();
        for round in 0..3 {
            for (wire, source) in &mut clients {
                // Too long for the block of its head, and short.
                let body = "x".repeat(if round == 1 { 200_000 } else { 5 });
                let request = post("/told", &[], &body);
                assert_eq!(wire.ask(&request).body_text(), "ok");
                let seen = backend.next();
                assert_eq!(seen.header, header(version, *source, elbow.address()));
                assert!(
                    seen.head.starts_with("POST /told HTTP/1.1\r\n"),
                    "{}",
                    seen.head
                );
                assert_eq!(seen.body_bytes, body.len());
                assert!(connections.insert(seen.connection), "a connection was kept");
            }
        }
        assert_eq!(elbow.sum("elbow_backend_pool_hits_total"), 0);
    }
}

#[test]
fn what_a_proxy_in_front_said_is_passed_on() {
    let backend = Announced::start(true);
    let setup = Setup::new(&[backend.address]).listener_line(FROM_PROXY);
    let elbow = announcing(setup, "v1", &[&backend]);
    let cases: [(&[u8], &str); 4] = [
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 80\r\n",
            "PROXY TCP6 2001:db8::7 2001:db8::1 50000 80\r\n",
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 50000 80\r\n",
            "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 50000 80\r\n",
        ),
        (
            &binary_v4([192, 0, 2, 7], 50000, 80),
            "PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n",
        ),
    ];
    for (told, passed_on) in cases {
        assert_eq!(ask_behind(&elbow, told, "/").status(), 200);
        assert_eq!(String::from_utf8_lossy(&backend.next().header), passed_on);
    }
}

#[test]
fn a_request_that_is_sent_again_has_one_header() {
    for version in ["v1", "v2"] {
        let (mute, well) = (Announced::start(false), Announced::start(true));
        let setup = Setup::new(&[mute.address, well.address]);
        let elbow = announcing(setup, version, &[&mute, &well]);
        let mut retried = 0;
        eventually("requests that met the mute backend", || {
            let (mut wire, source) = connect_from(elbow.address());
            assert_eq!(wire.ask(&get("/again", &[])).body_text(), "ok");
            let expected = header(version, source, elbow.address());
            for seen in mute.requests.try_iter().chain([well.next()]) {
                assert_eq!(seen.header, expected);
                assert!(
                    seen.head.starts_with("GET /again HTTP/1.1\r\n"),
                    "{}",
                    seen.head
                );
            }
            retried = elbow.sum("elbow_retries_total");
            retried > 3
        });
    }
}

#[test]
fn other_instance_ports_are_left_alone() {
    let backend = Announced::start(true);
    let on = |instance_port| Listener {
        instance_port,
        ..Listener::default()
    };
    let setup = Setup::new(&[backend.address])
        .host("shards = 1")
        .listeners(&[on(8080), on(8081)]);
    let elbow = announcing(setup, "v1", &[&backend]);
    let ask_by = |listener: usize| {
        let (mut wire, source) = connect_from(elbow.listeners[listener]);
        assert_eq!(wire.ask(&get("/", &[])).status(), 200);
        (backend.next(), source)
    };
    let (plain, _) = ask_by(1);
    assert_eq!(plain.header, b"");
    let (told, source) = ask_by(0);
    assert_eq!(told.header, header("v1", source, elbow.address()));
    let (plain_again, _) = ask_by(1);
    assert_eq!(plain_again.header, b"");
    assert_eq!(
        plain_again.connection, plain.connection,
        "those are kept as ever"
    );
}

#[test]
fn a_client_by_ipv6_is_told_as_such() {
    if TcpListener::bind("[::1]:0").is_err() {
        let told = "LEFT OUT: this machine has no ::1";
        assert!(env::var("CI").as_deref() != Ok("true"), "{told}");
        say(told);
        return;
    }
    let backend = Announced::start(true);
    let setup = Setup::new(&[backend.address]).listener_line("address = \"::1\"");
    let elbow = announcing(setup, "v1", &[&backend]);
    let (mut wire, source) = connect_from(elbow.address());
    assert!(source.is_ipv6());
    assert_eq!(wire.ask(&get("/", &[])).status(), 200);
    assert_eq!(backend.next().header, header("v1", source, elbow.address()));
}

/// A backend that takes a header, if there is one, off each connection, and tells of each request.
/// Health checks are answered and not told: elbow's carry no header.
struct Announced {
    address: SocketAddr,
    requests: Receiver<Request>,
}

/// A request, and how its connection began.
struct Request {
    connection: usize,
    header: Vec<u8>,
    head: String,
    body_bytes: usize,
}

impl Announced {
    /// Answers requests with `ok`, or closes without a word.
    fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let streams = listener.incoming().map_while(Result::ok);
            for (connection, stream) in streams.enumerate() {
                let sender = sender.clone();
                // How a connection ends is seen by the client.
                thread::spawn(move || drop(serve(stream, connection, answers, &sender)));
            }
        });
        Self { address, requests }
    }

    fn next(&self) -> Request {
        let next = self.requests.recv_timeout(PATIENCE);
        next.expect("a request came")
    }

    fn forget(&self) {
        self.requests.try_iter().for_each(drop);
    }
}

fn serve(
    stream: TcpStream,
    connection: usize,
    answers: bool,
    sender: &Sender<Request>,
) -> io::Result<()> {
    let mut answer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let header = read_header(&mut reader)?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let body_bytes = length.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        reader.read_exact(&mut vec![0; body_bytes])?;
        let is_check = head.starts_with("GET /health ");
        if !is_check {
            let request = Request {
                connection,
                header: header.clone(),
                head,
                body_bytes,
            };
            // A test that has seen enough has gone.
            drop(sender.send(request));
        }
        if !answers && !is_check {
            return Ok(());
        }
        answer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
}

/// The header that the connection begins with, to its last byte; empty if it begins with a request.
fn read_header(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    match reader.fill_buf()?.first() {
        Some(b'\r') => {
            header.resize(16, 0);
            reader.read_exact(&mut header)?;
            let mut rest = vec![0; usize::from(u16::from_be_bytes([header[14], header[15]]))];
            reader.read_exact(&mut rest)?;
            header.append(&mut rest);
        }
        Some(b'P') => {
            // A method that begins like this is POST, whose second byte is another.
            if reader.buffer().starts_with(b"PR") {
                reader.read_until(b'\n', &mut header)?;
            }
        }
        _ => {}
    }
    Ok(header)
}
