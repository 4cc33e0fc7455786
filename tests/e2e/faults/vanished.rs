//! Hosts that are gone without a word, whoever waits for them, and backends that say none.
//!
//! A socket whose filter drops all that comes in is such a host to the other end: nothing is
//! acknowledged, nothing is reset. That needs no privileges.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockFilter, SockRef, Socket, Type};

use super::{ROUNDS, Stage, answer_endlessly, expect_nothing_left, gated, send, session_on};
use crate::harness::{After, Backend, Elbow, Gate, Listener, Setup, Wire, eventually, get, reply};
use crate::tcp::{expect_reset, start_held};
use crate::upgrade::{AGREES, ASKS};

const SECOND: &[&str] = &["idle_timeout = 1"];

/// From now on nothing that is sent to this socket arrives, and its kernel says nothing to it.
fn vanish(socket: &impl AsFd) {
    const RETURN_CONSTANT: u16 = 0x06;
    let take_no_byte = [SockFilter::new(RETURN_CONSTANT, 0, 0, 0)];
    let socket = SockRef::from(socket);
    socket
        .attach_filter(&take_no_byte)
        .expect("anybody may filter what comes to a socket");
}

#[test]
fn clients_that_have_vanished_are_let_go_after_the_idle_timeout() {
    let gate = Gate::default();
    let reset_tunnels = Arc::new(AtomicUsize::new(0));
    let backend = |name| {
        let (held, resets) = (gate.clone(), Arc::clone(&reset_tunnels));
        Backend::streaming(move |request, wire| match request.head.target() {
            "/hold" => {
                held.pass();
                reply(wire, name)
            }
            "/endless" => answer_endlessly(wire),
            "/tunnel" => {
                wire.try_send(AGREES)?;
                expect_reset(&mut wire.twin().into_stream());
                resets.fetch_add(1, Ordering::SeqCst);
                Ok(After::Close)
            }
            _ => {
                wire.read_body(request.head.request_framing())?;
                reply(wire, name)
            }
        })
    };
    let stage = Stage::start(["one", "two"].map(backend), SECOND);
    // Those that have begun to hear an answer, and those that have not.
    let (mut reading, mut waiting) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for request in [
            "GET / HTTP/1.1\r\nHo",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart",
            &get("/hold", &[]),
        ] {
            let wire = send(&stage.elbow, request);
            vanish(wire.stream());
            waiting.push(wire);
        }
        for request in [get("/", &[]), get("/endless", &[]), get("/tunnel", &ASKS)] {
            let mut wire = send(&stage.elbow, &request);
            let head = wire.read_head().expect("no error").expect("an answer");
            vanish(wire.stream());
            assert!(matches!(head.status(), 200 | 101));
            reading.push(wire);
        }
    }
    gate.expect_waiting(ROUNDS);
    eventually("all are let go", || {
        stage.elbow.sum("elbow_connections") == 0
    });
    eventually("the other ends of tunnels are reset", || {
        reset_tunnels.load(Ordering::SeqCst) == ROUNDS
    });
    for wire in &waiting {
        let stream = wire.stream();
        stream.set_nonblocking(true).expect("it is open");
        let heard = stream.peek(&mut [0]).map_err(|error| error.kind());
        assert_eq!(heard, Err(ErrorKind::WouldBlock), "no answer and no end");
    }
    gate.open();
    stage.expect_unharmed();
}

#[test]
fn a_backend_that_has_vanished_costs_its_requests_the_idle_timeout_and_no_more() {
    let backend = |name| {
        Backend::with(move |request, wire| {
            let beginning = match request.head.target() {
                "/accepted" if name == "one" => "",
                "/head" => "HTTP/1.1 200 OK\r\nContent-Le",
                "/body" => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
                "/tunnel" => AGREES,
                "/resting" => {
                    vanish(wire.stream());
                    reply(wire, name)?;
                    return Ok(After::Leave);
                }
                _ => return reply(wire, name),
            };
            vanish(wire.stream());
            wire.try_send(beginning)?;
            Ok(After::Leave)
        })
    };
    let stage = Stage::start(["one", "two"].map(backend), SECOND);
    let cookie: &[&str] = &[&stage.cookies[0]];
    let all = |target: &str, lines: &[&str]| -> Vec<Wire> {
        (0..ROUNDS)
            .map(|_| send(&stage.elbow, &get(target, &[cookie, lines].concat())))
            .collect()
    };
    let late = [all("/accepted", &[]), all("/head", &[])];
    let broken = all("/body", &[]);
    let tunnels = all("/tunnel", &ASKS);
    for mut wire in late.into_iter().flatten() {
        assert_eq!(wire.response_to("GET").status(), 504);
    }
    for mut wire in broken {
        assert!(wire.try_response("GET").is_err(), "it is not whole");
    }
    for mut wire in tunnels {
        let head = wire.read_head().expect("no error").expect("an answer");
        assert_eq!(head.status(), 101);
        expect_reset(&mut wire.into_stream());
    }
    // The second goes where the first came from, of which nothing tells that it is gone.
    let requests = [get("/resting", cookie), get("/", cookie)];
    let mut wire = send(&stage.elbow, &requests.concat());
    assert_eq!(wire.response_to("GET").body_text(), "one");
    assert_eq!(wire.response_to("GET").status(), 504);
    drop(wire);
    stage.expect_unharmed();
}

#[test]
fn a_relayed_connection_of_which_a_side_has_vanished_is_reset_on_the_other() {
    let (_backend, streams, elbow) = start_held(SECOND);
    let before = elbow.descriptors();
    let pairs: Vec<_> = (0..2 * ROUNDS)
        .map(|_| crate::tcp::connect(&elbow, &streams))
        .collect();
    let mut gone = Vec::new();
    let mut left = Vec::new();
    for (number, (near, far)) in pairs.into_iter().enumerate() {
        let (vanishing, staying) = match number % 2 {
            0 => (near, far),
            _ => (far, near),
        };
        vanish(&vanishing);
        gone.push(vanishing);
        left.push(staying);
    }
    left.iter_mut().for_each(expect_reset);
    expect_nothing_left(&elbow, before);
}

#[test]
fn requests_that_a_backend_never_answers_hold_up_nobody_else() {
    const HUNG: usize = 100;
    let gate = Gate::default();
    let stage = Stage::start(["one", "two"].map(|name| gated(name, &gate)), SECOND);
    let [one, two] = stage.cookies.each_ref().map(|cookie| [&**cookie]);
    let hung: Vec<Wire> = (0..HUNG)
        .map(|_| send(&stage.elbow, &get("/hold", &one)))
        .collect();
    let mut other = stage.elbow.connect();
    for _ in 0..HUNG {
        assert_eq!(other.ask(&get("/", &two)).body_text(), "two");
    }
    assert_eq!(stage.elbow.ask(&get("/", &one)).body_text(), "one");
    for mut wire in hung {
        assert_eq!(wire.response_to("GET").status(), 504);
    }
    gate.open();
    drop(other);
    stage.expect_unharmed();
}

/// A backend that accepts, and ends what it has accepted, until it is told to do so no more.
struct Listening {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    acceptor: JoinHandle<TcpListener>,
}

impl Listening {
    fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a port is free");
        socket.listen(1).expect("it is bound");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("it is bound");
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let acceptor = thread::spawn(move || {
            while listener.accept().is_ok() && !over.load(Ordering::SeqCst) {}
            listener
        });
        Self {
            address,
            is_over,
            acceptor,
        }
    }

    /// Accepts no more, and has so many connections wait that no other can; all of that lasts as
    /// long as what is given back.
    fn fill(self) -> (TcpListener, Vec<TcpStream>) {
        const WAIT: Duration = Duration::from_millis(200);
        self.is_over.store(true, Ordering::SeqCst);
        let connect = || TcpStream::connect_timeout(&self.address, WAIT).ok();
        // The last one that is accepted.
        drop(connect());
        let listener = self.acceptor.join().expect("it does not panic");
        (listener, std::iter::from_fn(connect).collect())
    }
}

#[test]
fn a_backend_whose_accept_queue_is_full_is_passed_over_and_taken_out() {
    let full = Listening::start();
    let two = Backend::with(|request, wire| {
        if request.head.target() == "/until-close" {
            wire.try_send("HTTP/1.1 200 OK\r\n\r\ntwo")?;
            return Ok(After::Close);
        }
        reply(wire, "two")
    });
    let setup = Setup::tcp(&[full.address, two.address]).listeners(&[Listener {
        is_sticky: true,
        ..Listener::default()
    }]);
    let elbow = Elbow::start(&setup.to_toml());
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 2);
    let cookie = session_on(&elbow, "two");
    let _queue = full.fill();
    let part = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart";
    let requests = [get("/", &[]), get("/until-close", &[]), part.to_owned()];
    let asking = requests.each_ref().map(|request| {
        let sent = (0..2 * ROUNDS).map(|_| send(&elbow, request));
        sent.collect::<Vec<Wire>>()
    });
    let mut other = elbow.connect();
    eventually("it is out of service, and others are served", || {
        assert_eq!(other.ask(&get("/", &[&cookie])).body_text(), "two");
        elbow.sum("elbow_backend_in_service") == 1
    });
    for (request, wires) in requests.iter().zip(asking) {
        for mut wire in wires {
            if request == part {
                wire.send(" rest");
            }
            let answer = wire.response_to(request);
            let got = (answer.status(), answer.body_text());
            assert_eq!(got, (200, "two".to_owned()), "{request}");
        }
    }
    assert!(elbow.sum("elbow_redispatches_total") > 0);
}
