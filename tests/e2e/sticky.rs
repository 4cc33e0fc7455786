//! Duration-based stickiness as CLB promises it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    After, Backend, Elbow, Gate, Listener, Response, Setup, Wire, eventually, get, reply,
};

/// Two backends that answer with their names.
fn pair() -> (Backend, Backend) {
    (Backend::named("one"), Backend::named("two"))
}

fn with_cookie(session: &str) -> String {
    get("/", &[&format!("Cookie: AWSELB={session}")])
}

/// The stickiness cookies of a response, as they are on the wire.
fn set_by_elbow(response: &Response) -> Vec<&str> {
    let mut lines = response.head.fields("Set-Cookie");
    lines.retain(|line| line.starts_with("AWS"));
    lines
}

fn start_sticky(one: &Backend, two: &Backend) -> Elbow {
    Setup::sticky(&[one.address, two.address], Some(60)).start(&[one, two])
}

#[test]
fn without_a_policy_no_cookie_is_set_and_requests_spread() {
    let (one, two) = pair();
    let elbow = Setup::new(&[one.address, two.address]).start(&[&one, &two]);
    let mut wire = elbow.connect();
    for _ in 0..20 {
        let response = wire.ask(&get("/", &[]));
        assert_eq!(response.status(), 200);
        assert!(response.head.fields("Set-Cookie").is_empty());
        assert!(response.head.fields("Cache-control").is_empty());
    }
    // One keep-alive connection, yet each request is balanced by itself.
    assert!(
        one.count() >= 5 && two.count() >= 5,
        "{} and {}",
        one.count(),
        two.count()
    );
}

#[test]
fn one_jar_reaches_one_backend_over_many_connections() {
    let (one, two) = pair();
    let elbow = Arc::new(start_sticky(&one, &two));
    let first = elbow.ask(&get("/", &[]));
    let (name, session) = (first.body_text(), first.session());
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let (elbow, request) = (Arc::clone(&elbow), with_cookie(&session));
            thread::spawn(move || {
                let mut wire = elbow.connect();
                (0..20).map(|_| wire.ask(&request)).collect::<Vec<_>>()
            })
        })
        .collect();
    for client in clients {
        for response in client.join().expect("each request is answered") {
            assert_eq!(
                (response.status(), response.body_text()),
                (200, name.clone())
            );
            assert!(
                set_by_elbow(&response).is_empty(),
                "a usable cookie is not replaced"
            );
        }
    }
    assert_eq!(one.count().max(two.count()), 1001);
}

#[test]
fn cookie_wins_over_load_and_its_absence_does_not() {
    let gate = Gate::default();
    let held = gate.clone();
    let one = Backend::with(move |request, wire| {
        if request.head.target() == "/hold" {
            held.pass();
        }
        reply(wire, "one")
    });
    let two = Backend::named("two");
    let elbow = start_sticky(&one, &two);
    let session = session_on("one", &elbow);
    let hold = get("/hold", &[&format!("Cookie: AWSELB={session}")]);
    let mut holding: Vec<_> = (0..3).map(|_| elbow.connect()).collect();
    holding.iter_mut().for_each(|wire| wire.send(&hold));
    gate.expect_waiting(3);

    for _ in 0..10 {
        assert_eq!(
            elbow.ask(&get("/", &[])).body_text(),
            "two",
            "the least loaded one"
        );
        assert_eq!(
            elbow.ask(&with_cookie(&session)).body_text(),
            "one",
            "the bound one"
        );
    }
    gate.open();
    for wire in &mut holding {
        assert_eq!(wire.response_to(&hold).body_text(), "one");
    }
}

/// A session that is bound to the backend of that name.
fn session_on(name: &str, elbow: &Elbow) -> String {
    let mut session = String::new();
    eventually("a session on that backend", || {
        let response = elbow.ask(&get("/", &[]));
        session = response.session();
        response.body_text() == name
    });
    session
}

#[test]
fn first_response_sets_one_cookie_in_the_form_of_clb() {
    let app = Backend::with(|_, wire| {
        wire.try_send(
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/; HttpOnly\r\nCache-Control: private\r\n\
             Set-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
        )?;
        Ok(After::Keep)
    });
    for (period, attributes) in [
        (Some(60), ";PATH=/;MAX-AGE=60"),
        (Some(1), ";PATH=/;MAX-AGE=1"),
        (Some(1_000_000), ";PATH=/;MAX-AGE=1000000"),
        (None, ";PATH=/"),
    ] {
        let elbow = Setup::sticky(&[app.address], period).start(&[&app]);
        let response = elbow.ask(&get("/", &[]));
        let session = response.session();
        assert_eq!(session.len(), 138);
        assert!(
            session
                .bytes()
                .all(|c| matches!(c, b'0'..=b'9' | b'A'..=b'F')),
            "{session}"
        );
        // The application's own lines are untouched and come first.
        let own = format!("AWSELB={session}{attributes}");
        assert_eq!(
            response.head.fields("Set-Cookie"),
            ["a=1; Path=/; HttpOnly", "b=2", &own]
        );
        let line = "\r\nCache-control: no-cache=\"set-cookie\"\r\n";
        assert!(response.head.text.contains(line), "{}", response.head.text);
        assert!(
            response
                .head
                .text
                .contains("\r\nCache-Control: private\r\n")
        );
    }
}

#[test]
fn value_tells_nothing_and_no_two_are_alike() {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    let (first, second) = (
        elbow.ask(&get("/", &[])).session(),
        elbow.ask(&get("/", &[])).session(),
    );
    let alike = first
        .bytes()
        .zip(second.bytes())
        .filter(|(a, b)| a == b)
        .count();
    assert_ne!(first, second);
    assert!(
        alike < 60,
        "{alike} of 138 digits are alike:\n{first}\n{second}"
    );
    let text: String = backend
        .address
        .to_string()
        .bytes()
        .map(|b| format!("{b:02X}"))
        .collect();
    assert!(
        !first.contains(&text) && !first.contains("7F000001"),
        "the address is in {first}"
    );
}

#[test]
fn cookie_works_beyond_its_max_age_and_is_never_refreshed() {
    let (one, two) = pair();
    let elbow = Setup::sticky(&[one.address, two.address], Some(1)).start(&[&one, &two]);
    let first = elbow.ask(&get("/", &[]));
    let request = with_cookie(&first.session());
    let expired = Instant::now() + Duration::from_millis(1500);
    let mut wire = elbow.connect();
    loop {
        let is_expired = Instant::now() > expired;
        let response = wire.ask(&request);
        assert_eq!(response.body_text(), first.body_text());
        assert!(set_by_elbow(&response).is_empty());
        if is_expired {
            break;
        }
    }
}

#[test]
fn client_that_dropped_its_cookie_gets_a_new_session() {
    let (one, two) = pair();
    let elbow = start_sticky(&one, &two);
    let mut wire = elbow.connect();
    let names: Vec<String> = (0..10)
        .map(|_| {
            let response = wire.ask(&get("/", &[]));
            assert_eq!(set_by_elbow(&response).len(), 1);
            response.body_text()
        })
        .collect();
    assert!(
        names.contains(&"one".to_owned()) && names.contains(&"two".to_owned()),
        "{names:?}"
    );
}

#[test]
fn every_status_and_method_gets_the_cookie() {
    let app = Backend::with(|request, wire| {
        let status = request.head.target().trim_start_matches('/');
        wire.try_send(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))?;
        Ok(After::Keep)
    });
    let elbow = Setup::sticky(&[app.address], Some(60)).start(&[&app]);
    for status in ["200", "204", "302", "304", "404", "500", "503"] {
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            let request = format!("{method} /{status} HTTP/1.1\r\nHost: elbow.test\r\n\r\n");
            let response = elbow.ask(&request);
            assert_eq!(response.status().to_string(), status);
            assert_eq!(set_by_elbow(&response).len(), 1, "{method} {status}");
        }
    }
}

#[test]
fn session_of_a_failed_backend_moves_once_with_a_new_cookie() {
    let (one, two) = pair();
    let elbow = start_sticky(&one, &two);
    let old = session_on("one", &elbow);
    one.fail_checks(true);
    let mut moved = None;
    eventually("the session has moved", || {
        let response = elbow.ask(&with_cookie(&old));
        assert_eq!(response.status(), 200, "stickiness costs no error");
        let name = response.body_text();
        moved = response.cookie("AWSELB");
        assert_eq!(
            moved.is_some(),
            name == "two",
            "a new cookie exactly for the new backend"
        );
        name == "two"
    });
    let new = moved.expect("the condition above held");

    one.fail_checks(false);
    elbow.expect_in_service(&[&one, &two]);
    let response = elbow.ask(&with_cookie(&new));
    assert_eq!(
        response.body_text(),
        "two",
        "stays although the old one is back"
    );
    assert!(set_by_elbow(&response).is_empty());
    // A client that was idle meanwhile still holds the old cookie, which names a healthy backend.
    assert_eq!(elbow.ask(&with_cookie(&old)).body_text(), "one");
}

#[test]
fn parallel_requests_of_a_session_agree_on_its_next_home() {
    const CLIENTS: usize = 8;
    let mut lost = Backend::named("lost");
    let rest: Vec<Backend> = ["a", "b", "c", "d"].map(Backend::named).into();
    let mut addresses = vec![lost.address];
    addresses.extend(rest.iter().map(|backend| backend.address));
    let setup = Setup::sticky(&addresses, Some(60));
    let mut all: Vec<&Backend> = rest.iter().collect();
    all.push(&lost);
    let elbow = Arc::new(setup.start(&all));
    let request = with_cookie(&session_on("lost", &elbow));

    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (elbow, request) = (Arc::clone(&elbow), request.clone());
            thread::spawn(move || {
                let mut homes = Vec::new();
                let mut wire = elbow.connect();
                // Before, while and long after the checks notice; the cookie stays the old one.
                while homes.len() < 500 {
                    let name = wire.ask(&request).body_text();
                    if name != "lost" {
                        homes.push(name);
                    }
                }
                homes
            })
        })
        .collect();
    eventually("all clients are at it", || lost.count() > 10 * CLIENTS);
    lost.stop();
    let mut homes: Vec<String> = Vec::new();
    for client in clients {
        homes.extend(client.join().expect("no client saw an error"));
    }
    homes.sort_unstable();
    homes.dedup();
    assert_eq!(homes.len(), 1, "{homes:?}");
}

#[test]
fn cookie_is_good_for_one_instance_port() {
    let (one, two) = pair();
    let on = |instance_port| Listener {
        is_sticky: true,
        instance_port,
        ..Listener::default()
    };
    let elbow = Setup::sticky(&[one.address, two.address], Some(60))
        .listeners(&[on(8080), on(9090), on(8080)])
        .start(&[&one, &two]);
    let ask =
        |listener: usize, request: &str| Wire::connect(elbow.listeners[listener]).ask(request);
    let first = ask(0, &get("/", &[]));
    let request = with_cookie(&first.session());
    for _ in 0..5 {
        assert_eq!(
            set_by_elbow(&ask(1, &request)).len(),
            1,
            "another instance port: a new cookie"
        );
        let shared = ask(2, &request);
        assert_eq!(
            shared.body_text(),
            first.body_text(),
            "the same instance port shares it"
        );
        assert!(set_by_elbow(&shared).is_empty());
    }
}
