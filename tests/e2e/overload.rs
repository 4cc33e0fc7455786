//! Backends that take a bounded number of requests: the bound holds, the rest waits its turn or is
//! refused as the Classic Load Balancer does.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{
    After, Backend, Elbow, Gate, Listener, PATIENCE, Setup, Wire, dial, eventually, get, reply,
};
use crate::tcp;

/// What elbow says when nobody has room.
const AT_CAPACITY: &str = "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity";

/// A backend that answers with its name, at the gate where the request's target says so.
fn gated(name: &'static str) -> (Backend, Gate) {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::with(move |request, wire| {
        if request.head.target() == "/hold" {
            held.pass();
        }
        reply(wire, name)
    });
    (backend, gate)
}

/// One request at a time for each of these backends.
fn one_at_a_time(addresses: &[SocketAddr]) -> Setup {
    Setup::sticky(addresses, Some(60)).attribute("max_outstanding = 1")
}

fn expect_queue(elbow: &Elbow, length: u64) {
    eventually("so many wait", || {
        elbow.sum("elbow_surge_queue_length") == length
    });
}

/// Sends a request that is not answered yet.
fn send(elbow: &Elbow, request: &str) -> Wire {
    let mut wire = elbow.connect();
    wire.send(request);
    wire
}

/// One request holds the only place of a gated backend.
fn hold(elbow: &Elbow, gate: &Gate) -> Wire {
    let wire = send(elbow, &get("/hold", &[]));
    gate.expect_waiting(1);
    wire
}

fn answer(mut wire: Wire) -> String {
    let response = wire.response_to("GET");
    assert_eq!(response.status(), 200, "{}", response.head.text);
    response.body_text()
}

fn expect_all_given_back(elbow: &Elbow) {
    expect_queue(elbow, 0);
    eventually("no place is held", || {
        elbow.sum("elbow_backend_outstanding") == 0
    });
}

#[test]
fn a_bound_is_never_exceeded_and_all_are_served_in_the_end() {
    const CLIENTS: usize = 50;
    const REQUESTS: usize = 20;
    for max in [1, 3] {
        let most = Arc::new(AtomicUsize::new(0));
        let (now, seen) = (AtomicUsize::new(0), Arc::clone(&most));
        let backend = Backend::with(move |_, wire| {
            let at_once = now.fetch_add(1, Ordering::SeqCst) + 1;
            seen.fetch_max(at_once, Ordering::SeqCst);
            // Others have their chance to come in.
            (0..20).for_each(|_| thread::yield_now());
            now.fetch_sub(1, Ordering::SeqCst);
            reply(wire, "one")
        });
        let elbow = Setup::new(&[backend.address])
            .attribute(&format!("max_outstanding = {max}"))
            .start(&[&backend]);
        let elbow = Arc::new(elbow);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let elbow = Arc::clone(&elbow);
                thread::spawn(move || {
                    let mut wire = elbow.connect();
                    for _ in 0..REQUESTS {
                        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("all are served");
        }
        assert_eq!(most.load(Ordering::SeqCst), max, "at once");
        assert_eq!(backend.count(), CLIENTS * REQUESTS);
        assert!(elbow.sum("elbow_surge_waits_total") > 0);
        expect_all_given_back(&elbow);
        let lost = ["spillover", "surge_timeouts", "aborted"];
        assert_eq!(lost.map(|n| elbow.sum(&format!("elbow_{n}_total"))), [0; 3]);
    }
}

#[test]
fn who_came_first_is_served_first_on_whichever_shard() {
    const CLIENTS: usize = 24;
    let (one, gate) = gated("one");
    let elbow = one_at_a_time(&[one.address]).start(&[&one]);
    let held = hold(&elbow, &gate);
    let waiting: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let wire = send(&elbow, &get(&format!("/{number}"), &[]));
            expect_queue(&elbow, number as u64 + 1);
            wire
        })
        .collect();
    gate.open();
    waiting
        .into_iter()
        .chain([held])
        .for_each(|wire| drop(answer(wire)));
    let served: Vec<_> = one
        .requests()
        .iter()
        .map(|r| r.head.target().to_owned())
        .collect();
    let mut expected: Vec<_> = (0..CLIENTS).map(|number| format!("/{number}")).collect();
    expected.insert(0, "/hold".to_owned());
    assert_eq!(served, expected);
    assert_eq!(elbow.sum("elbow_surge_waits_total"), CLIENTS as u64);
    expect_all_given_back(&elbow);
}

#[test]
fn at_the_bound_of_the_queue_who_comes_is_told_so_at_once() {
    let (one, gate) = gated("one");
    let elbow = one_at_a_time(&[one.address])
        .attribute("surge_queue = 2")
        .start(&[&one]);
    let held = hold(&elbow, &gate);
    let waiting: Vec<_> = (1..=2)
        .map(|length| {
            let wire = send(&elbow, &get("/", &[]));
            expect_queue(&elbow, length);
            wire
        })
        .collect();
    let mut refused = elbow.connect();
    for count in 1..=3 {
        let response = refused.ask(&get("/", &[]));
        assert_eq!(response.head.start_line(), AT_CAPACITY);
        assert_eq!(response.head.field("Connection"), Some("keep-alive"));
        assert_eq!(elbow.sum("elbow_spillover_total"), count);
    }
    // Where the next request would begin is not known.
    let mut upload = send(
        &elbow,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel",
    );
    let response = upload.response_to("POST");
    assert_eq!(response.head.start_line(), AT_CAPACITY);
    assert_eq!(response.head.field("Connection"), Some("close"));
    gate.open();
    waiting
        .into_iter()
        .chain([held])
        .for_each(|wire| drop(answer(wire)));
    assert_eq!(refused.ask(&get("/", &[])).body_text(), "one");
    expect_all_given_back(&elbow);
}

#[test]
fn without_a_queue_nobody_waits() {
    let (one, gate) = gated("one");
    let elbow = one_at_a_time(&[one.address])
        .attribute("surge_queue = 0")
        .start(&[&one]);
    let held = hold(&elbow, &gate);
    assert_eq!(elbow.ask(&get("/", &[])).head.start_line(), AT_CAPACITY);
    assert_eq!(elbow.sum("elbow_surge_waits_total"), 0);
    gate.open();
    answer(held);
}

#[test]
fn who_waits_too_long_is_refused_and_no_backend_hears_of_it() {
    let (one, gate) = gated("one");
    let elbow = one_at_a_time(&[one.address])
        .attribute("queue_timeout = \"200ms\"")
        .start(&[&one]);
    let held = hold(&elbow, &gate);
    let mut wire = elbow.connect();
    for count in 1..=2 {
        let response = wire.ask(&get("/late", &[]));
        assert_eq!(response.head.start_line(), AT_CAPACITY);
        assert_eq!(elbow.sum("elbow_surge_timeouts_total"), count);
    }
    expect_queue(&elbow, 0);
    gate.open();
    answer(held);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    let targets: Vec<_> = one
        .requests()
        .iter()
        .map(|r| r.head.target().to_owned())
        .collect();
    assert_eq!(targets, ["/hold", "/"]);
    assert_eq!(elbow.sum("elbow_spillover_total"), 0);
}

#[test]
fn a_session_waits_for_its_own_backend_while_others_pass() {
    let (one, gate_one) = gated("one");
    let (two, gate_two) = gated("two");
    let elbow = one_at_a_time(&[one.address, two.address]).start(&[&one, &two]);
    let first = elbow.ask(&get("/", &[]));
    let (cookie, home) = (
        format!("Cookie: AWSELB={}", first.session()),
        first.body_text(),
    );
    let (gate, other) = match &*home {
        "one" => (&gate_one, "two"),
        _ => (&gate_two, "one"),
    };
    let held = send(&elbow, &get("/hold", &[&cookie]));
    gate.expect_waiting(1);
    let waiting = send(&elbow, &get("/", &[&cookie]));
    expect_queue(&elbow, 1);
    for _ in 0..10 {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), other);
    }
    expect_queue(&elbow, 1);
    gate.open();
    assert_eq!(answer(waiting), home);
    answer(held);
    expect_all_given_back(&elbow);
}

#[test]
fn sessions_that_wait_for_a_backend_that_goes_out_of_service_move_as_ever() {
    for strict in [false, true] {
        let (one, gate_one) = gated("one");
        let (two, gate_two) = gated("two");
        let elbow = one_at_a_time(&[one.address, two.address])
            .attribute(&format!("strict = {strict}"))
            .attribute("connection_draining = true")
            .start(&[&one, &two]);
        let first = elbow.ask(&get("/", &[]));
        let (cookie, home) = (
            format!("Cookie: AWSELB={}", first.session()),
            first.body_text(),
        );
        let (ill, gate, other) = match &*home {
            "one" => (&one, &gate_one, "two"),
            _ => (&two, &gate_two, "one"),
        };
        let held = send(&elbow, &get("/hold", &[&cookie]));
        gate.expect_waiting(1);
        let mut waiting = send(&elbow, &get("/", &[&cookie]));
        expect_queue(&elbow, 1);
        ill.fail_checks(true);
        let moved = waiting.response_to("GET");
        if strict {
            assert_eq!(moved.head.start_line(), AT_CAPACITY);
        } else {
            assert_eq!(moved.body_text(), other);
            assert_ne!(moved.session(), first.session(), "bound to the new one");
        }
        gate.open();
        answer(held);
        expect_all_given_back(&elbow);
    }
}

#[test]
fn with_the_last_backend_those_who_wait_are_told_that_nobody_is_there() {
    let (one, gate) = gated("one");
    let elbow = one_at_a_time(&[one.address])
        .attribute("connection_draining = true")
        .start(&[&one]);
    let held = hold(&elbow, &gate);
    let mut waiting = send(&elbow, &get("/", &[]));
    expect_queue(&elbow, 1);
    one.fail_checks(true);
    assert_eq!(waiting.response_to("GET").head.start_line(), AT_CAPACITY);
    let counts = ["spillover", "surge_timeouts"].map(|n| elbow.sum(&format!("elbow_{n}_total")));
    assert_eq!(counts, [0, 0]);
    gate.open();
    answer(held);
}

#[test]
fn what_was_on_a_backend_that_dies_waits_for_another() {
    let (mut one, gate_one) = gated("one");
    let (two, gate_two) = gated("two");
    let elbow = one_at_a_time(&[one.address, two.address]).start(&[&one, &two]);
    let both = [(); 2].map(|()| send(&elbow, &get("/hold", &[])));
    gate_one.expect_waiting(1);
    gate_two.expect_waiting(1);
    let waiting = send(&elbow, &get("/", &[]));
    expect_queue(&elbow, 1);
    one.stop();
    expect_queue(&elbow, 2);
    gate_two.open();
    for wire in both.into_iter().chain([waiting]) {
        assert_eq!(answer(wire), "two");
    }
    expect_all_given_back(&elbow);
    gate_one.open();
}

#[test]
fn a_reload_that_makes_room_lets_those_go_who_wait() {
    let (one, gate) = gated("one");
    let (two, _) = gated("two");
    let setup = |addresses: &[SocketAddr], max: &str| {
        Setup::new(addresses).attribute(&format!("max_outstanding = {max}"))
    };
    let elbow = setup(&[one.address], "1").start(&[&one]);
    let held = hold(&elbow, &gate);
    let first = send(&elbow, &get("/", &[]));
    expect_queue(&elbow, 1);
    assert!(elbow.reload(&setup(&[one.address], "2").to_toml()));
    assert_eq!(answer(first), "one");
    let second = send(&elbow, &get("/hold", &[]));
    gate.expect_waiting(2);
    let third = send(&elbow, &get("/", &[]));
    expect_queue(&elbow, 1);
    assert!(elbow.reload(&setup(&[one.address, two.address], "2").to_toml()));
    assert_eq!(answer(third), "two");
    gate.open();
    answer(held);
    answer(second);
    expect_all_given_back(&elbow);
}

#[test]
fn who_waits_is_served_also_where_its_listener_has_left() {
    let (one, gate) = gated("one");
    let setup = one_at_a_time(&[one.address]);
    let both = setup
        .clone()
        .listeners(&[Listener::default(), Listener::default()]);
    let elbow = both.start(&[&one]);
    let held = hold(&elbow, &gate);
    let mut waiting = Wire::connect(elbow.listeners[1]);
    waiting.send(get("/", &[]));
    expect_queue(&elbow, 1);
    let first = setup.listeners(&[Listener::default()]);
    assert!(elbow.reload(&first.to_toml()));
    eventually("the second listener has left", || {
        elbow.listeners_of("web").len() == 1
    });
    gate.open();
    assert_eq!(answer(waiting), "one");
    answer(held);
    expect_all_given_back(&elbow);
}

#[test]
fn a_bound_that_comes_with_a_reload_counts_what_runs_already() {
    let (one, gate) = gated("one");
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let held = hold(&elbow, &gate);
    let bounded = Setup::new(&[one.address]).attribute("max_outstanding = 1");
    assert!(elbow.reload(&bounded.to_toml()));
    let mut waiting = None;
    // Until the reload has reached both shards.
    eventually("somebody waits", || {
        waiting = Some(send(&elbow, &get("/", &[])));
        let mut is_waiting = false;
        eventually("it waits or is served", || {
            is_waiting = elbow.sum("elbow_surge_queue_length") == 1;
            is_waiting || elbow.sum("elbow_backend_outstanding") == 1
        });
        is_waiting
    });
    gate.open();
    assert_eq!(answer(waiting.expect("it waits")), "one");
    answer(held);
}

#[test]
fn who_gives_up_while_it_waits_costs_no_backend_anything() {
    let (one, gate) = gated("one");
    let elbow = one_at_a_time(&[one.address]).start(&[&one]);
    let held = hold(&elbow, &gate);
    let gone = send(&elbow, &get("/gone", &[]));
    expect_queue(&elbow, 1);
    // The next request behind it does not hide its end.
    let mut hasty = send(&elbow, &get("/gone", &[]).repeat(2));
    expect_queue(&elbow, 2);
    let patient = send(&elbow, &get("/", &[]));
    expect_queue(&elbow, 3);
    drop(gone);
    hasty.finish();
    expect_queue(&elbow, 1);
    hasty.expect_close();
    assert_eq!(elbow.sum("elbow_aborted_total"), 2);
    gate.open();
    assert_eq!(answer(patient), "one");
    answer(held);
    let targets: Vec<_> = one
        .requests()
        .iter()
        .map(|r| r.head.target().to_owned())
        .collect();
    assert_eq!(targets, ["/hold", "/"]);
}

#[test]
fn bodies_that_stream_wait_too_and_arrive_whole() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::with(move |request, wire| {
        if request.head.target() == "/hold" {
            held.pass();
        }
        reply(wire, &String::from_utf8_lossy(&request.body))
    });
    let elbow = one_at_a_time(&[backend.address]).start(&[&backend]);
    let first = hold(&elbow, &gate);
    let mut upload = send(
        &elbow,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    );
    expect_queue(&elbow, 1);
    let mut asking = send(
        &elbow,
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    let head = asking.read_head().expect("whole").expect("at once");
    assert_eq!(head.status(), 100);
    expect_queue(&elbow, 2);
    gate.open();
    upload.send("6\r\n world\r\n0\r\n\r\n");
    asking.send("again");
    assert_eq!(answer(upload), "hello world");
    assert_eq!(answer(asking), "again");
    answer(first);
    expect_all_given_back(&elbow);
}

#[test]
fn sockets_of_clients_that_have_changed_their_protocol_count() {
    let backend = Backend::with(|request, wire| match request.head.field("Upgrade") {
        None => reply(wire, "one"),
        Some(_) => {
            wire.try_send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\n\r\n",
            )?;
            // Up to the client's end.
            drop(wire.read_head());
            Ok(After::Close)
        }
    });
    let elbow = one_at_a_time(&[backend.address]).start(&[&backend]);
    let asks = ["Connection: Upgrade", "Upgrade: websocket"];
    let mut socket = send(&elbow, &get("/", &asks));
    let head = socket.read_head().expect("whole").expect("an answer");
    assert_eq!(head.status(), 101);
    let waiting = send(&elbow, &get("/", &[]));
    expect_queue(&elbow, 1);
    assert_eq!(elbow.sum("elbow_backend_outstanding"), 1);
    drop(socket);
    assert_eq!(answer(waiting), "one");
    expect_all_given_back(&elbow);
}

#[test]
fn connections_of_tcp_listeners_wait_and_are_reset_where_the_queue_is_full() {
    let lines = ["max_outstanding = 1", "surge_queue = 2"];
    let (_backend, streams, elbow) = tcp::start_held(&lines);
    let (near, far) = tcp::connect(&elbow, &streams);
    let dialled = |text: &[u8], length| {
        let mut near = dial(elbow.address()).expect("elbow listens");
        near.write_all(text).expect("elbow takes it");
        expect_queue(&elbow, length);
        near
    };
    let gone = dialled(b"", 1);
    let mut second = dialled(b"?", 2);
    // It may be over before it is told to have begun.
    if let Ok(mut refused) = dial(elbow.address()) {
        tcp::expect_reset(&mut refused);
    }
    let counts = || {
        let names = ["spillover", "relays_unserved", "surge_waits", "aborted"];
        names.map(|name| elbow.sum(&format!("elbow_{name}_total")))
    };
    assert_eq!(counts(), [1, 1, 2, 0]);
    // Who has nothing more to say has gone, unless what it has said is still to be passed on.
    drop(gone);
    expect_queue(&elbow, 1);
    assert_eq!(counts(), [1, 1, 2, 1]);
    second.shutdown(Shutdown::Write).expect("it is open");
    assert!(streams.try_recv().is_err(), "the backend has one");
    drop((near, far));
    let mut far = streams.recv_timeout(PATIENCE).expect("the second");
    tcp::expect(&mut far, b"?");
    tcp::expect_end(&mut far);
    far.write_all(b"!").expect("elbow takes it");
    drop(far);
    tcp::expect(&mut second, b"!");
    drop(second);
    tcp::expect_nothing_held(&elbow);
    expect_queue(&elbow, 0);
}
