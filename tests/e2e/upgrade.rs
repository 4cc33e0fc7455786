//! Connections of HTTP listeners that change to another protocol: only after a 101 that says so,
//! and then byte by byte.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::net::connect_unspec;
use tungstenite::protocol::{CloseFrame, Message, WebSocketConfig, frame::coding::CloseCode};

use crate::harness::{
    After, Backend, Elbow, Framing, Listener, PATIENCE, Setup, Site, TlsClient, Wire, dial,
    eventually, get, post, reply,
};
use crate::tcp::{expect, expect_end, expect_nothing_held, expect_reset, reset};

const HOST: &str = "elbow.test";

pub(super) const ASKS: [&str; 2] = ["Connection: Upgrade", "Upgrade: websocket"];

pub(super) const AGREES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";

/// Answers 101 and then sends everything back, up to its end; to other requests its name.
fn echo(name: &'static str) -> Backend {
    Backend::with(move |request, wire| match request.head.field("Upgrade") {
        None => reply(wire, name),
        Some(_) => {
            wire.try_send(AGREES)?;
            pass_back(wire)
        }
    })
}

fn pass_back(wire: &Wire) -> io::Result<After> {
    // No byte may have come before the answer was sent, or this fails.
    let stream = wire.twin().into_stream();
    io::copy(&mut &stream, &mut &stream)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(After::Close)
}

/// Answers each request with these words, and hands over what the test may talk on.
fn held(answer: &'static str) -> (Backend, Receiver<TcpStream>) {
    let (sender, streams) = mpsc::channel();
    let backend = Backend::with(move |_, wire| {
        wire.try_send(answer)?;
        // A test that has ended takes no more of them.
        drop(sender.send(wire.twin().into_stream()));
        Ok(After::Leave)
    });
    (backend, streams)
}

/// A client's connection after its backend has agreed.
fn switch(elbow: &Elbow, lines: &[&str]) -> (TcpStream, String) {
    let mut wire = elbow.connect();
    wire.send(get("/chat", &[&ASKS[..], lines].concat()));
    let head = wire.read_head().expect("it is whole").expect("an answer");
    assert_eq!(head.status(), 101, "{}", head.text);
    (wire.into_stream(), head.text)
}

#[test]
fn bytes_pass_both_ways_after_a_101_and_the_head_says_so() {
    let one = echo("one");
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let (mut near, head) = switch(&elbow, &["Sec-WebSocket-Key: x", "Keep-Alive: 5"]);
    assert!(head.contains("Upgrade: WebSocket\r\n"), "{head}");
    assert!(head.ends_with("Connection: upgrade\r\n\r\n"), "{head}");
    let request = one.last().head;
    assert_eq!(request.field("Upgrade"), Some("websocket"));
    assert_eq!(request.fields("Connection"), ["upgrade"]);
    assert_eq!(request.field("Sec-WebSocket-Key"), Some("x"));
    assert_eq!(request.field("Keep-Alive"), None);
    for text in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\xff", b"\r\n\r\n"] {
        near.write_all(text).expect("elbow takes it");
        expect(&mut near, text);
    }
    assert_eq!(elbow.sum("elbow_backend_outstanding"), 1);
    near.shutdown(Shutdown::Write).expect("it is open");
    expect_end(&mut near);
    drop(near);
    expect_nothing_held(&elbow);
    let counted = ["upgrades", "aborted"].map(|n| elbow.sum(&format!("elbow_{n}_total")));
    assert_eq!(counted, [1, 0]);
}

#[test]
fn what_a_client_says_before_the_101_waits_for_it() {
    let one = echo("one");
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let mut wire = elbow.connect();
    // As one request and what could be a second one.
    wire.send(get("/", &ASKS) + "GET /smuggled HTTP/1.1\r\n\r\n");
    let head = wire.read_head().expect("it is whole").expect("an answer");
    assert_eq!(head.status(), 101);
    let early = "GET /smuggled HTTP/1.1\r\n\r\n".len() as u64;
    let (echoed, _) = wire
        .read_body(Framing::Length(early))
        .expect("it comes back");
    assert_eq!(echoed, b"GET /smuggled HTTP/1.1\r\n\r\n");
    assert_eq!(one.last().head.target(), "/");
}

#[test]
fn what_a_backend_says_with_its_101_is_passed_on() {
    let (one, streams) = held(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst words",
    );
    let elbow = Setup::new(&[one.address]).start(&[]);
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    let mut wire = elbow.connect();
    wire.send(get("/", &ASKS));
    assert_eq!(wire.read_head().expect("whole").expect("one").status(), 101);
    let _far = streams.recv_timeout(PATIENCE).expect("it was asked");
    let words = wire.read_body(Framing::Length(11)).expect("they come").0;
    assert_eq!(words, b"first words");
}

#[test]
fn a_backend_that_does_not_agree_is_answered_as_ever() {
    let one = Backend::with(|request, wire| {
        assert_eq!(request.head.field("Upgrade"), Some("websocket"));
        wire.try_send(
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\nUpgrade: h2c\r\n\r\nno",
        )?;
        Ok(After::Keep)
    });
    let elbow = Setup::new(&[one.address]).start(&[]);
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    let mut wire = elbow.connect();
    for _ in 0..2 {
        let answer = wire.ask(&get("/", &ASKS));
        assert_eq!((answer.status(), &*answer.body_text()), (426, "no"));
        assert_eq!(answer.head.field("Upgrade"), None);
    }
    assert_eq!(elbow.sum("elbow_upgrades_total"), 0);
}

/// What may be ignored is, and the request is one like any other.
#[test]
fn what_does_not_ask_for_a_protocol_of_the_list_is_not_passed_on() {
    let one = echo("one");
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let [connection, upgrade] = ASKS;
    for lines in [
        &[connection][..],
        &[upgrade],
        &[connection, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"],
        &[connection, "Upgrade: websocket, h2c"],
        &[connection, upgrade, "Upgrade: h2c"],
        &[connection, "Upgrade: tcp"],
        &["Connection: keep-alive", upgrade],
    ] {
        let answer = elbow.ask(&get("/", lines));
        assert_eq!(answer.body_text(), "one", "{lines:?}");
        let request = one.last().head;
        assert_eq!(request.fields("Connection"), ["keep-alive"], "{lines:?}");
    }
    let answer = elbow.ask(&post("/", &ASKS, "body"));
    assert_eq!(answer.body_text(), "one", "with a body");
    let old = format!("GET / HTTP/1.0\r\nHost: a\r\n{connection}\r\n{upgrade}\r\n\r\n");
    assert_eq!(elbow.ask(&old).body_text(), "one", "HTTP/1.0");
    assert_eq!(elbow.sum("elbow_upgrades_total"), 0);
}

#[test]
fn the_list_of_protocols_is_the_operators() {
    let one = Backend::with(|request, wire| match request.head.field("Upgrade") {
        Some("tcp") => {
            wire.try_send("HTTP/1.1 101 OK\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n")?;
            pass_back(wire)
        }
        _ => reply(wire, "one"),
    });
    let setup = Setup::new(&[one.address]).attribute("upgrades = [\"tcp\"]");
    let elbow = setup.start(&[&one]);
    assert_eq!(elbow.ask(&get("/", &ASKS)).body_text(), "one");
    let mut wire = elbow.connect();
    wire.send(get("/", &[ASKS[0], "Upgrade: TCP"]));
    drop(wire.ask(&get("/", &[])));
    let mut wire = elbow.connect();
    wire.send(get("/", &[ASKS[0], "Upgrade: tcp"]));
    assert_eq!(wire.read_head().expect("whole").expect("one").status(), 101);
}

/// The backend and the client would no longer speak the same, or its next words would be taken for
/// an answer.
#[test]
fn a_101_that_was_not_asked_for_ends_with_502() {
    for (answer, lines) in [
        (AGREES, &[][..]),
        ("HTTP/1.1 101 OK\r\nUpgrade: h2c\r\n\r\n", &ASKS),
        ("HTTP/1.1 101 OK\r\nUpgrade: websocket, h2c\r\n\r\n", &ASKS),
        (
            "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
            &ASKS,
        ),
        ("HTTP/1.1 101 OK\r\n\r\n", &ASKS),
        ("HTTP/1.0 101 OK\r\nUpgrade: websocket\r\n\r\n", &ASKS),
    ] {
        let (one, _streams) = held(answer);
        let elbow = Setup::new(&[one.address]).start(&[]);
        eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
        let answered = elbow.ask(&get("/", lines));
        assert_eq!(answered.status(), 502, "{answer}");
        assert_eq!(elbow.sum("elbow_upgrades_total"), 0);
        assert_eq!(elbow.sum("elbow_idle_upstream_connections"), 0, "{answer}");
        expect_nothing_held(&elbow);
    }
}

#[test]
fn a_handshake_is_sticky() {
    let (one, two) = (echo("one"), echo("two"));
    let setup = Setup::sticky(&[one.address, two.address], Some(60));
    let elbow = setup.start(&[&one, &two]);
    let mut first = elbow.connect();
    let answer = first.ask(&get("/", &[]));
    let cookie = format!("Cookie: AWSELB={}", answer.session());
    let home = answer.body_text();
    let home = [&one, &two][usize::from(home == "two")];
    for _ in 0..4 {
        home.forget();
        let (_near, head) = switch(&elbow, &[&cookie]);
        assert!(!head.contains("AWSELB"), "{head}");
        assert_eq!(home.last().head.target(), "/chat");
    }
    let (_near, head) = switch(&elbow, &[]);
    assert!(head.contains("Set-Cookie: AWSELB="), "{head}");
}

#[test]
fn an_end_of_either_side_is_passed_on_and_the_other_goes_on() {
    let (one, streams) = held(AGREES);
    let elbow = Setup::new(&[one.address]).start(&[]);
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    for is_clients in [true, false] {
        let (near, _) = switch(&elbow, &[]);
        let far = streams.recv_timeout(PATIENCE).expect("it was asked");
        let (mut first, mut second) = if is_clients { (near, far) } else { (far, near) };
        first.write_all(b"last words").expect("elbow takes it");
        first.shutdown(Shutdown::Write).expect("it is open");
        expect(&mut second, b"last words");
        expect_end(&mut second);
        second.write_all(b"an answer").expect("elbow takes it");
        expect(&mut first, b"an answer");
    }
}

#[test]
fn a_reset_of_either_side_is_passed_on_as_a_reset() {
    let (one, streams) = held(AGREES);
    let elbow = Setup::new(&[one.address]).start(&[]);
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    for is_clients in [true, false] {
        let (near, _) = switch(&elbow, &[]);
        let far = streams.recv_timeout(PATIENCE).expect("it was asked");
        if is_clients {
            reset(near);
            expect_reset(&mut { far });
        } else {
            connect_unspec(&far).expect("it is open");
            expect_reset(&mut { near });
        }
    }
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 2);
}

#[test]
fn a_silent_connection_ends_after_the_idle_timeout_and_one_that_speaks_does_not() {
    let one = echo("one");
    let setup = Setup::new(&[one.address]).attribute("idle_timeout = \"600ms\"");
    let elbow = setup.start(&[&one]);
    let (mut speaking, _) = switch(&elbow, &[]);
    let (mut silent, _) = switch(&elbow, &[]);
    let is_over = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (over, still) = is_over;
        scope.spawn(move || {
            while still
                .recv_timeout(Duration::from_millis(50))
                .is_err_and(|e| e == mpsc::RecvTimeoutError::Timeout)
            {
                speaking.write_all(b"x").expect("it goes on");
                expect(&mut speaking, b"x");
            }
        });
        expect_reset(&mut silent);
        drop(over);
    });
}

#[test]
fn a_client_over_tls_changes_the_protocol_too() {
    let one = echo("one");
    let site = Site::new(HOST);
    let elbow = Setup::new(&[one.address])
        .https(&site.lines())
        .start(&[&one]);
    let mut wire = TlsClient::new(&[&site]).connect(elbow.listeners[1], HOST);
    wire.send(get("/", &ASKS));
    assert_eq!(wire.read_head().expect("whole").expect("one").status(), 101);
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\necho");
    let answer = wire.try_response("GET").expect("what was sent comes back");
    assert_eq!(answer.body_text(), "echo");
}

/// A backend that speaks WebSocket and sends every message back.
struct Echo(SocketAddr);

fn roomy() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(16 << 20))
        .max_frame_size(Some(16 << 20))
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || serve(stream));
            }
        });
        Self(address)
    }
}

fn serve(stream: TcpStream) {
    // A health check says nothing.
    let Ok(mut socket) = tungstenite::accept_with_config(stream, Some(roomy())) else {
        return;
    };
    while let Ok(message) = socket.read() {
        let sent = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message),
            // Answered by the library.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                socket.flush()
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn start_before(echo: &Echo) -> Elbow {
    let setup = Setup::tcp(&[echo.0]).listeners(&[Listener {
        is_sticky: true,
        ..Listener::default()
    }]);
    let elbow = Elbow::start(&setup.to_toml());
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    elbow
}

type Socket = tungstenite::WebSocket<TcpStream>;

fn open(elbow: &Elbow) -> Socket {
    let stream = dial(elbow.address()).expect("elbow listens");
    let url = format!("ws://{}/", elbow.address());
    let (socket, response) =
        tungstenite::client::client_with_config(url, stream, Some(roomy())).expect("it agrees");
    assert!(response.headers().contains_key("Set-Cookie"));
    socket
}

#[test]
fn messages_of_every_kind_and_size_come_back_as_they_were() {
    let echo = Echo::start();
    let elbow = start_before(&echo);
    let mut socket = open(&elbow);
    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 10 << 20] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
        socket
            .send(Message::binary(bytes.clone()))
            .expect("it goes");
        assert_eq!(
            socket.read().expect("it comes"),
            Message::binary(bytes),
            "{size}"
        );
    }
    let text = "\u{e9}\u{20ac}\u{1f600}".repeat(1000);
    socket.send(Message::text(text.clone())).expect("it goes");
    assert_eq!(socket.read().expect("it comes"), Message::text(text));
}

#[test]
fn pings_fragments_and_the_words_of_a_close_pass() {
    use tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };
    let echo = Echo::start();
    let elbow = start_before(&echo);
    let mut socket = open(&elbow);
    socket
        .send(Message::Ping(b"are you there".to_vec().into()))
        .expect("it goes");
    assert_eq!(
        socket.read().expect("it comes"),
        Message::Pong(b"are you there".to_vec().into())
    );
    for (index, part) in ["one ", "two ", "three"].iter().enumerate() {
        let kind = if index == 0 {
            Data::Text
        } else {
            Data::Continue
        };
        let frame = Frame::message(part.as_bytes().to_vec(), OpCode::Data(kind), index == 2);
        socket.send(Message::Frame(frame)).expect("it goes");
    }
    assert_eq!(
        socket.read().expect("it comes"),
        Message::text("one two three")
    );
    let words = CloseFrame {
        code: CloseCode::Library(4321),
        reason: "enough".into(),
    };
    socket.close(Some(words.clone())).expect("it goes");
    assert_eq!(
        socket.read().expect("it comes"),
        Message::Close(Some(words))
    );
    drop(socket);
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 0);
}

#[test]
fn a_thousand_sockets_speak_at_once() {
    const SOCKETS: usize = 1000;
    let echo = Echo::start();
    let elbow = start_before(&echo);
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|_| open(&elbow)).collect();
    assert_eq!(elbow.sum("elbow_connections"), SOCKETS as u64);
    for round in 0..3 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket
                .send(Message::text(format!("{round} {number}")))
                .expect("it goes");
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            let expected = Message::text(format!("{round} {number}"));
            assert_eq!(socket.read().expect("it comes"), expected);
        }
    }
    drop(sockets);
    expect_nothing_held(&elbow);
}

/// It ends as a connection of a TCP listener does: once the time for a drain is over.
#[test]
fn an_instance_that_leaves_keeps_its_sockets_for_the_time_of_its_drain() {
    let (one, streams) = held(AGREES);
    let setup = Setup::new(&[one.address]).attribute("connection_draining = \"1s\"");
    let elbow = setup.start(&[]);
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    let (mut near, _) = switch(&elbow, &[]);
    let mut far = streams.recv_timeout(PATIENCE).expect("it was asked");
    let place = format!("/v1/load-balancers/web/instances/{}", one.address);
    assert_eq!(elbow.admin("DELETE", &place, "").0, 202);
    near.write_all(b"still").expect("elbow takes it");
    expect(&mut far, b"still");
    let ended = near.read(&mut [0]);
    assert!(
        ended.is_err(),
        "a reset, as nobody had said the last word: {ended:?}"
    );
}
