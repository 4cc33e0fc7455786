//! What elbow changes in heads, and that it changes nothing else.

use crate::harness::{After, Backend, Head, Setup, get, post, reply};

/// The fields of one request as a backend behind plain HTTP sees them.
fn forwarded(lines: &[&str]) -> Head {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", lines)).status(), 200);
    backend.last().head
}

#[test]
fn backend_learns_client_protocol_and_port() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    elbow.ask(&get("/", &[]));
    let head = backend.last().head;
    assert_eq!(head.field("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(head.field("X-Forwarded-Proto"), Some("http"));
    let port = elbow.address().port().to_string();
    assert_eq!(head.field("X-Forwarded-Port"), Some(port.as_str()));
}

#[test]
fn forwarded_for_grows_and_the_others_are_replaced() {
    let head = forwarded(&[
        "X-Forwarded-For: 203.0.113.7, 10.0.0.1",
        "x-forwarded-proto: https",
        "X-Forwarded-Proto: ftp",
        "X-FORWARDED-PORT: 1",
    ]);
    assert_eq!(
        head.field("X-Forwarded-For"),
        Some("203.0.113.7, 10.0.0.1, 127.0.0.1")
    );
    assert_eq!(head.field("X-Forwarded-Proto"), Some("http"));
    assert_ne!(head.field("X-Forwarded-Port"), Some("1"));
}

#[test]
fn several_forwarded_for_lines_become_one() {
    let head = forwarded(&[
        "X-Forwarded-For: 203.0.113.7",
        "X-A: b",
        "x-forwarded-for: 10.0.0.1",
    ]);
    assert_eq!(
        head.field("X-Forwarded-For"),
        Some("203.0.113.7, 10.0.0.1, 127.0.0.1")
    );
    assert_eq!(head.field("X-A"), Some("b"));
}

#[test]
fn requests_have_the_id_that_they_came_with_or_one_of_their_own() {
    let backend = Backend::named("one");
    let setup = Setup::new(&[backend.address]).attribute("request_id = \"X-Request-Id\"");
    let elbow = setup.start(&[&backend]);
    let id = |lines: &[&str]| {
        assert_eq!(elbow.ask(&get("/", lines)).status(), 200);
        let head = backend.last().head;
        head.field("X-Request-Id").expect("it has one").to_owned()
    };
    let own = [id(&[]), id(&[])];
    assert_ne!(own[0], own[1]);
    for id in own {
        assert!(
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
    }
    assert_eq!(id(&["x-request-id: of the client"]), "of the client");
    assert_eq!(id(&["X-Request-Id:"]), "", "it has said what it is");
}

#[test]
fn behind_a_tls_terminator_the_protocol_is_https() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address])
        .behind_tls()
        .start(&[&backend]);
    elbow.ask(&get("/", &["X-Forwarded-Proto: http"]));
    assert_eq!(
        backend.last().head.field("X-Forwarded-Proto"),
        Some("https")
    );
}

#[test]
fn all_else_reaches_the_backend_as_it_was_sent() {
    let lines = [
        "hOsT-2: a",
        "Accept: */*",
        "X-Empty:",
        "X-Twice: 1",
        "x-twice: 2",
        "Referer: a;b",
    ];
    let head = forwarded(&lines);
    let arrived: Vec<&str> = head.text.lines().collect();
    assert_eq!(arrived[0], "GET / HTTP/1.1");
    assert!(arrived.contains(&"Host: localhost"));
    let positions: Vec<usize> = lines
        .iter()
        .map(|line| {
            arrived
                .iter()
                .position(|seen| seen == line)
                .expect("the line arrived")
        })
        .collect();
    assert!(positions.is_sorted(), "order is kept: {arrived:?}");
    for name in ["Via", "Forwarded", "X-Amzn-Trace-Id"] {
        assert!(head.fields(name).is_empty(), "{name} is not added");
    }
}

#[test]
fn fields_of_the_clients_connection_end_at_elbow() {
    let head = forwarded(&[
        "Connection: X-Mine, keep-alive",
        "X-Mine: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "X-Other: 2",
    ]);
    for name in ["X-Mine", "Keep-Alive", "Proxy-Connection"] {
        assert!(
            head.fields(name).is_empty(),
            "{name} is hop by hop:\n{}",
            head.text
        );
    }
    assert_eq!(head.field("X-Other"), Some("2"));
}

#[test]
fn fields_of_the_backends_connection_end_at_elbow() {
    let backend = Backend::with(|_, wire| {
        wire.try_send(
            "HTTP/1.1 200 OK\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
             Server: app/1\r\nX-Other: 2\r\nContent-Length: 2\r\n\r\nok",
        )?;
        Ok(After::Close)
    });
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    for _ in 0..3 {
        let response = wire.ask(&get("/", &[]));
        assert_eq!(response.body_text(), "ok", "the client's connection stays");
        assert!(response.head.fields("X-Mine").is_empty());
        assert!(response.head.fields("Keep-Alive").is_empty());
        assert_ne!(response.head.field("Connection"), Some("close"));
        assert_eq!(response.head.field("Server"), Some("app/1"));
        assert_eq!(response.head.field("X-Other"), Some("2"));
        assert!(response.head.fields("Via").is_empty());
    }
}

#[test]
fn client_that_wants_to_close_is_closed_and_the_backend_kept() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address])
        .host("shards = 1")
        .start(&[&backend]);
    for _ in 0..5 {
        let mut wire = elbow.connect();
        let response = wire.ask(&get("/", &["Connection: close"]));
        assert_eq!(
            response.head.field("Connection").map(str::to_lowercase),
            Some("close".into())
        );
        wire.expect_close();
    }
    let connections: Vec<usize> = backend.requests().iter().map(|r| r.connection).collect();
    assert!(
        connections.iter().all(|one| *one == connections[0]),
        "{connections:?}"
    );
}

#[test]
fn http_1_0_gets_a_host_and_goes_on_as_1_1() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let mut wire = elbow.connect();
    assert_eq!(wire.ask("GET /old HTTP/1.0\r\n\r\n").body_text(), "one");
    wire.expect_close();
    let head = backend.last().head;
    assert_eq!(head.start_line(), "GET /old HTTP/1.1");
    assert!(
        head.field("Host")
            .is_some_and(|host| host.starts_with("127.0.0.1")),
        "{}",
        head.text
    );
}

#[test]
fn expect_is_answered_at_once_and_not_passed_on() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    let request = post("/", &["Expect: 100-continue"], "hello");
    let (head, body) = request.split_at(request.len() - 5);
    let mut wire = elbow.connect();
    wire.send(head);
    let interim = wire
        .read_head()
        .expect("no error")
        .expect("an interim response");
    assert_eq!(interim.start_line(), "HTTP/1.1 100 Continue");
    wire.send(body);
    assert_eq!(wire.response_to("POST").body_text(), "one");
    let seen = backend.last();
    assert!(seen.head.fields("Expect").is_empty());
    assert_eq!(seen.body, b"hello");
}

#[test]
fn interim_responses_pass_to_clients_that_know_them() {
    let backend = Backend::with(|_, wire| {
        wire.try_send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")?;
        reply(wire, "one")
    });
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    let mut wire = elbow.connect();
    wire.send(get("/", &[]));
    let interim = wire
        .read_head()
        .expect("no error")
        .expect("an interim response");
    assert_eq!(interim.status(), 103);
    assert_eq!(interim.field("Link"), Some("</a.css>"));
    assert!(
        interim.fields("Set-Cookie").is_empty(),
        "the cookie waits for the final response"
    );
    let response = wire.response_to("GET");
    assert_eq!(
        (response.status(), response.body_text()),
        (200, "one".to_owned())
    );
    assert!(response.cookie("AWSELB").is_some());

    let old = elbow.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(old.status(), 200, "HTTP/1.0 knows no interim responses");
}

#[test]
fn however_many_interim_responses_come_the_final_one_follows() {
    let backend = Backend::with(|_, wire| {
        let link = format!("</{}>", "x".repeat(10_000));
        for _ in 0..20 {
            wire.try_send(format!("HTTP/1.1 103 Early Hints\r\nLink: {link}\r\n\r\n"))?;
        }
        reply(wire, "one")
    });
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    let mut wire = elbow.connect();
    wire.send(get("/", &[]));
    for _ in 0..20 {
        let interim = wire.read_head().expect("no error").expect("a response");
        assert_eq!(interim.status(), 103);
    }
    assert_eq!(wire.response_to("GET").body_text(), "one");
}
