//! More clients than there are descriptors, and ten thousand where there are enough.

use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Instant;

use elbow::limits::{ACCEPT_PAUSE, IDLE_CONNECTION_BYTES_MAX, POSTED_ACCEPTS};
use elbow::sys::thread::raise_open_files;
use socket2::{Domain, Socket, Type};

use super::{ROUNDS, Stage};
use crate::harness::{
    Backend, Directory, Elbow, Gate, PATIENCE, Setup, Wire, eventually, get, reply, sum_of,
};

/// The value of a metric, asked for on a connection that is open already.
fn sum(admin: &mut Wire, name: &str) -> u64 {
    sum_of(&admin.ask(&get("/metrics", &[])).body_text(), name)
}

/// Clients of the session on each backend by turns, which are connected.
fn clients<'s>(stage: &'s Stage, count: usize) -> Vec<(Wire, &'static str, &'s str)> {
    let homes = ["one", "two"].into_iter().zip(&stage.cookies).cycle();
    let client = |(home, cookie): (_, &'s String)| (stage.elbow.connect(), home, &**cookie);
    homes.take(count).map(client).collect()
}

/// Waits until more checks could not be made than it takes to condemn a backend. None is condemned
/// for that, and nobody is busy with what cannot be done.
fn expect_calm(elbow: &Elbow, admin: &mut Wire) {
    let (start, time) = (Instant::now(), elbow.shards_time());
    let errors = sum(admin, "elbow_accept_errors_total");
    eventually("checks that cannot be made", || {
        sum(admin, "elbow_checks_unmade_total") >= 2 * 4
    });
    assert_eq!(sum(admin, "elbow_backend_in_service"), 2, "they are well");
    let errors = sum(admin, "elbow_accept_errors_total") - errors;
    let (elapsed, time) = (start.elapsed(), elbow.shards_time() - time);
    assert!(errors > 0, "descriptors are short");
    let pauses = elapsed.as_millis() / ACCEPT_PAUSE.as_millis() + 2;
    assert!(u128::from(errors) <= pauses * 2 * POSTED_ACCEPTS as u128);
    assert!(time < elapsed / 2, "{time:?} of {elapsed:?} at work");
}

#[test]
fn without_a_free_descriptor_newcomers_wait_and_nobody_else_notices() {
    const CLIENTS: usize = 2 * ROUNDS;
    // Enough for the newcomers and their backends, and for the hogs that never got in.
    const FREE: u64 = 80;
    const HOGS: u64 = FREE + 16;
    let gates = [Gate::default(), Gate::default()];
    let backend = |name| {
        let gates = gates.clone();
        Backend::with(move |request, wire| {
            match request.head.target() {
                "/hold" => gates[0].pass(),
                "/hold-again" => gates[1].pass(),
                _ => {}
            }
            reply(wire, name)
        })
    };
    let stage = Stage::start(["one", "two"].map(backend), &[]);
    let elbow = &stage.elbow;
    let mut admin = Wire::connect(elbow.admin);
    // Each of the first has a connection to its backend that rests, and the others have none.
    let mut clients = [(); 2].map(|()| clients(&stage, CLIENTS));
    let [first, others] = &mut clients;
    for (wire, _, cookie) in &mut *first {
        wire.send(get("/hold", &[cookie]));
    }
    gates[0].expect_waiting(CLIENTS);
    gates[0].open();
    for (wire, home, _) in &mut *first {
        assert_eq!(wire.response_to("GET").body_text(), *home);
    }
    elbow.limit_descriptors(elbow.descriptors() as u64 + FREE);
    let hogs: Vec<Wire> = (0..HOGS).map(|_| elbow.connect()).collect();
    let late_admin = Wire::connect(elbow.admin);

    expect_calm(elbow, &mut admin);
    for (wire, home, cookie) in &mut *first {
        assert_eq!(wire.ask(&get("/", &[cookie])).body_text(), *home);
    }

    // Who finds no connection at rest is told so, and not taken to another backend that has one.
    for (wire, _, cookie) in first.iter_mut().chain(&mut *others) {
        wire.send(get("/hold-again", &[cookie]));
    }
    eventually("all are held or refused", || {
        let held = sum(&mut admin, "elbow_backend_outstanding");
        held + sum(&mut admin, "elbow_sockets_short_total") == 2 * CLIENTS as u64
    });
    assert!(sum(&mut admin, "elbow_sockets_short_total") >= CLIENTS as u64);
    gates[1].open();
    for (wire, home, _) in first.iter_mut().chain(&mut *others) {
        let answer = wire.response_to("GET");
        let got = (answer.status(), answer.body_text());
        assert!(got == (200, (*home).to_owned()) || got.0 == 503, "{got:?}");
    }

    let mut newcomers = self::clients(&stage, CLIENTS);
    drop(hogs);
    eventually("newcomers are let in", || {
        sum(&mut admin, "elbow_connections") == 3 * CLIENTS as u64
    });
    for (wire, home, cookie) in &mut newcomers {
        assert_eq!(wire.ask(&get("/", &[cookie])).body_text(), *home);
    }
    let told = elbow.log().matches("cannot accept").count();
    assert!((1..10).contains(&told), "{told} lines");
    drop((clients, newcomers, admin, late_admin));
    stage.expect_unharmed();
}

#[test]
fn clients_that_only_hold_connections_leave_descriptors_for_the_requests_of_others() {
    const FILES: usize = 400;
    const LET_IN: usize = FILES / 4 * 3;
    let backends = ["one", "two"].map(Backend::named);
    let addresses = backends.each_ref().map(|backend| backend.address);
    let directory = Directory::new();
    let file = directory.write("elbow.toml", &Setup::sticky(&addresses, Some(60)).to_toml());
    let mut command = Command::new("sh");
    let becoming = format!("ulimit -n {FILES} && exec \"$0\" run --config \"$1\"");
    command
        .args(["-c", &becoming, env!("CARGO_BIN_EXE_elbow")])
        .arg(file);
    let elbow = Elbow::spawn_by(command);
    let mut admin = Wire::connect(elbow.admin);
    eventually("in service", || {
        sum(&mut admin, "elbow_backend_in_service") == 2
    });

    let mut hogs: Vec<Wire> = (0..FILES).map(|_| elbow.connect()).collect();
    eventually("no more are let in", || {
        sum(&mut admin, "elbow_accepts_paused_total") > 0
            && sum(&mut admin, "elbow_connections") >= LET_IN as u64
    });
    let room = FILES as u64 - sum(&mut admin, "elbow_connections");
    assert!(room > FILES as u64 / 8, "{room} descriptors for all else");
    elbow.expect_logged("clients have their part of the descriptors");
    // Those who came first are in.
    for wire in hogs.iter_mut().take(LET_IN / 4) {
        assert_eq!(wire.ask(&get("/", &[])).status(), 200);
    }
    assert_eq!(sum(&mut admin, "elbow_sockets_short_total"), 0);
    assert_eq!(sum(&mut admin, "elbow_accept_errors_total"), 0);
    let mut newcomer = elbow.connect();
    newcomer.send(get("/", &[]));
    drop(hogs);
    assert_eq!(newcomer.response_to("GET").status(), 200, "there is room");
}

const CONNECTIONS: usize = 10_000;

/// Threads that open them, each from an address of its own.
const CLIENTS: u8 = 8;

/// Descriptors that either process has for other things, those of other tests included.
const OTHER_DESCRIPTORS: usize = 5000;

/// Connections of one of them on which a request is under way at the same time.
const AT_ONCE: usize = 50;

/// A connection from that address to elbow.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
    let from = SocketAddr::from((from, 0));
    socket.bind(&from.into()).expect("a port is free");
    socket
        .connect_timeout(&to.into(), PATIENCE)
        .expect("elbow listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

/// Reads an answer whose body is that name, and no more.
fn expect_answer(stream: &mut TcpStream, name: &str) {
    let mut answer = Vec::new();
    let mut block = [0; 1024];
    while !answer.ends_with(name.as_bytes()) {
        let count = stream.read(&mut block).expect("an answer");
        answer.extend_from_slice(&block[..count]);
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

/// Opens all connections, then has each ask once, then closes them.
fn ask_all_at_once(stage: &Stage) {
    let address = stage.elbow.address();
    let requests = stage.cookies.each_ref().map(|cookie| get("/", &[cookie]));
    let open = |client: u8| {
        let from = Ipv4Addr::new(127, 0, 2, client);
        let all = (0..CONNECTIONS / usize::from(CLIENTS)).map(|_| connect_from(from, address));
        all.collect::<Vec<_>>()
    };
    let ask = |streams: &mut Vec<TcpStream>| {
        for some in streams.chunks_mut(AT_ONCE) {
            let homes = || requests.iter().zip(["one", "two"]).cycle();
            for (stream, (request, _)) in some.iter_mut().zip(homes()) {
                stream.write_all(request.as_bytes()).expect("elbow reads");
            }
            for (stream, (_, name)) in some.iter_mut().zip(homes()) {
                expect_answer(stream, name);
            }
        }
    };
    let mut clients: Vec<_> = thread::scope(|scope| {
        let opening: Vec<_> = (1..=CLIENTS)
            .map(|n| scope.spawn(move || open(n)))
            .collect();
        let opened = opening.into_iter().map(|thread| thread.join());
        opened
            .map(|streams| streams.expect("all are open"))
            .collect()
    });
    eventually("all are open at once", || {
        stage.elbow.sum("elbow_connections") == CONNECTIONS as u64
    });
    thread::scope(|scope| {
        for streams in &mut clients {
            scope.spawn(|| ask(streams));
        }
    });
    drop(clients);
    eventually("all are closed", || {
        stage.elbow.sum("elbow_connections") == 0
    });
}

#[test]
fn ten_thousand_clients_at_once_are_answered_and_leave_nothing_behind() {
    if !has_descriptors() {
        return;
    }
    let stage = Stage::start(["one", "two"].map(Backend::named), &[]);
    ask_all_at_once(&stage);
    let before = stage.elbow.resident_bytes_max();
    ask_all_at_once(&stage);
    let growth = stage.elbow.resident_bytes_max().saturating_sub(before);
    let bound = (CONNECTIONS * IDLE_CONNECTION_BYTES_MAX / 4) as u64;
    assert!(growth < bound, "{growth} bytes beside those of the first");
    assert_eq!(stage.elbow.sum("elbow_accept_errors_total"), 0);
    assert_eq!(stage.elbow.sum("elbow_sockets_short_total"), 0);
    stage.expect_unharmed();
}

/// Whether this process and its child may open enough connections. Where they may not, the test is
/// left out, but not in CI.
fn has_descriptors() -> bool {
    let limit = raise_open_files().expect("the soft limit can be raised to the hard one");
    let needed = (CONNECTIONS + OTHER_DESCRIPTORS) as u64;
    if limit >= needed {
        return true;
    }
    let told = format!("LEFT OUT: needs {needed} open files, the hard limit is {limit}");
    assert!(env::var("CI").as_deref() != Ok("true"), "{told}");
    // Past the test runner, which shows only what failed.
    drop(writeln!(io::stderr(), "ten thousand clients: {told}"));
    false
}
