//! Connections that are reset, by either side, at each step of an exchange.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{ROUNDS, Stage, gated, send, session_on};
use crate::harness::{
    After, Backend, Elbow, Gate, Listener, Setup, Wire, eventually, get, post, reply,
};
use crate::tcp::reset;

/// Answers with its name, or does to its connection what the target says.
fn faulty(name: &'static str) -> Backend {
    Backend::with(move |request, wire| {
        let is_first = request.before == 0;
        match request.head.target() {
            "/silence" if name == "one" => Ok(After::Reset),
            "/silence-of-all" => Ok(After::Reset),
            "/stale" if !is_first => Ok(After::Reset),
            "/head" => break_off(wire, "HTTP/1.1 200 OK\r\nContent-Le"),
            "/length" => break_off(wire, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"),
            "/chunks" => break_off(
                wire,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
            ),
            "/until-close" => break_off(wire, "HTTP/1.1 200 OK\r\n\r\npart"),
            "/whole" => {
                reply(wire, name)?;
                Ok(After::Reset)
            }
            _ => reply(wire, name),
        }
    })
}

fn break_off(wire: &mut Wire, beginning: &str) -> io::Result<After> {
    wire.try_send(beginning)?;
    Ok(After::Reset)
}

#[test]
fn a_request_whose_client_resets_before_it_is_whole_is_nobodys() {
    const BEGINNINGS: [&str; 4] = [
        "",
        "GET / HTTP/1.1\r\nHo",
        "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart",
        "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
    ];
    let ends = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let backend = |name| {
        let ends = Arc::clone(&ends);
        Backend::streaming(move |request, wire| {
            if request.head.target() != "/upload" {
                return reply(wire, name);
            }
            let read = wire.read_body(request.head.request_framing());
            ends[usize::from(read.is_ok())].fetch_add(1, Ordering::SeqCst);
            read.and_then(|_| reply(wire, name))
        })
    };
    let stage = Stage::start(["one", "two"].map(backend), &[]);
    let count = || stage.backends.iter().map(Backend::count).sum::<usize>();
    for beginning in BEGINNINGS {
        let before = (count(), stage.elbow.sum("elbow_connections_accepted_total"));
        let wires: Vec<Wire> = (0..ROUNDS).map(|_| send(&stage.elbow, beginning)).collect();
        eventually("all have come", || {
            let accepted = stage.elbow.sum("elbow_connections_accepted_total");
            let is_forwarded = beginning.starts_with("POST");
            let forwarded = usize::from(is_forwarded) * ROUNDS;
            accepted == before.1 + ROUNDS as u64 && count() == before.0 + forwarded
        });
        wires.into_iter().for_each(|wire| reset(wire.into_stream()));
    }
    eventually("backends see that the bodies are not whole", || {
        ends[0].load(Ordering::SeqCst) == 2 * ROUNDS
    });
    assert_eq!(ends[1].load(Ordering::SeqCst), 0, "none seemed to be");
    let blamed = stage.elbow.sum("elbow_backend_response_errors_total");
    assert_eq!(blamed, 0, "no backend is to blame");
    stage.expect_unharmed();
}

#[test]
fn an_answer_whose_client_has_reset_is_dropped_and_counted() {
    let gate = Gate::default();
    let stage = Stage::start(["one", "two"].map(|name| gated(name, &gate)), &[]);
    let aborted = || stage.elbow.sum("elbow_aborted_total");

    let all_send = |request: &str| (0..ROUNDS).map(|_| send(&stage.elbow, request)).collect();
    let mut waiting: Vec<Wire> = all_send(&get("/hold", &[]));
    gate.expect_waiting(ROUNDS);
    waiting.drain(..).for_each(|wire| reset(wire.into_stream()));
    gate.open();
    eventually("in front of the answer", || aborted() == ROUNDS as u64);

    let reading: Vec<Wire> = all_send(&get("/endless", &[]));
    for mut wire in reading {
        wire.read_head().expect("no error").expect("an answer");
        reset(wire.into_stream());
    }
    eventually("amid the answer", || aborted() == 2 * ROUNDS as u64);

    for _ in 0..ROUNDS {
        let mut wire = stage.elbow.connect();
        assert_eq!(wire.ask(&get("/", &[])).status(), 200);
        reset(wire.into_stream());
    }
    eventually("all are gone", || stage.elbow.sum("elbow_connections") == 0);
    assert_eq!(aborted(), 2 * ROUNDS as u64, "those were whole");
    stage.expect_unharmed();
}

#[test]
fn what_a_backend_resets_unanswered_goes_to_another_if_it_may_and_is_504_if_not() {
    let stage = Stage::start(["one", "two"].map(faulty), &[]);
    let [one, _] = &stage.backends;
    let cookie: &[&str] = &[&stage.cookies[0]];
    let ask = |request: &str| stage.elbow.ask(request);
    for _ in 0..ROUNDS {
        let answer = ask(&get("/silence", cookie));
        assert_eq!((answer.status(), &*answer.body_text()), (200, "two"));
        assert_eq!(ask(&get("/silence-of-all", cookie)).status(), 504);
        one.forget();
        assert_eq!(ask(&post("/silence", cookie, "pay")).status(), 504);
        assert_eq!(one.count(), 1, "the POST came once");
    }
    assert!(stage.elbow.sum("elbow_retries_total") >= 2 * ROUNDS as u64);
    stage.expect_unharmed();
}

#[test]
fn a_body_whose_backend_resets_while_it_goes_up_is_504() {
    let backend = |name| {
        Backend::streaming(move |request, wire| match request.head.target() {
            "/upload" => Ok(After::Reset),
            _ => reply(wire, name),
        })
    };
    let stage = Stage::start(["one", "two"].map(backend), &[]);
    for _ in 0..ROUNDS {
        let part = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart";
        let mut wire = send(&stage.elbow, part);
        assert_eq!(wire.response_to(part).status(), 504);
        wire.expect_close();
    }
    stage.expect_unharmed();
}

#[test]
fn an_answer_that_its_backend_resets_never_looks_whole() {
    let stage = Stage::start(["one", "two"].map(faulty), &[]);
    for _ in 0..ROUNDS {
        let mut wire = stage.elbow.connect();
        assert_eq!(wire.ask(&get("/head", &[])).status(), 502);
        assert_eq!(wire.ask(&get("/", &[])).status(), 200, "it goes on");
        for target in ["/length", "/chunks", "/until-close"] {
            let mut wire = send(&stage.elbow, &get(target, &[]));
            let error = wire.try_response("GET").expect_err(target);
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{target}");
        }
    }
    let sum = |name| stage.elbow.sum(name);
    assert_eq!(sum("elbow_backend_response_errors_total"), ROUNDS as u64);
    assert_eq!(sum("elbow_aborted_total"), 3 * ROUNDS as u64);
    assert_eq!(sum("elbow_retries_total"), 0, "they had begun");
    stage.expect_unharmed();
}

#[test]
fn nobody_sees_that_a_connection_that_rested_was_reset() {
    let stage = Stage::start(["one", "two"].map(faulty), &[]);
    let [one, _] = &stage.backends;
    let cookie: &[&str] = &[&stage.cookies[0]];
    let mut wire = stage.elbow.connect();
    for _ in 0..ROUNDS {
        let whole = wire.ask(&get("/whole", cookie));
        assert_eq!((whole.status(), &*whole.body_text()), (200, "one"));
    }
    for _ in 0..ROUNDS {
        let retried = wire.ask(&get("/stale", cookie));
        assert_eq!((retried.status(), &*retried.body_text()), (200, "one"));
    }
    one.forget();
    assert_eq!(wire.ask(&get("/", cookie)).status(), 200);
    assert_eq!(wire.ask(&post("/stale", cookie, "pay")).status(), 504);
    assert_eq!(one.count(), 2, "the POST came once");
    drop(wire);
    stage.expect_unharmed();
}

#[test]
fn a_backend_that_resets_all_that_it_accepts_costs_no_get_an_error() {
    let resetting = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = resetting.local_addr().expect("it is bound");
    thread::spawn(move || resetting.incoming().map_while(Result::ok).for_each(reset));
    let two = Backend::named("two");
    let setup = Setup::tcp(&[address, two.address]).listeners(&[Listener {
        is_sticky: true,
        ..Listener::default()
    }]);
    let elbow = Elbow::start(&setup.to_toml());
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 2);
    let cookie = session_on(&elbow, "two");
    for _ in 0..4 * ROUNDS {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), "two");
        let status = elbow.ask(&post("/", &[], "pay")).status();
        assert!(matches!(status, 200 | 504), "{status}");
        assert_eq!(elbow.ask(&post("/", &[&cookie], "pay")).status(), 200);
    }
    assert!(elbow.sum("elbow_retries_total") > 0);
}
