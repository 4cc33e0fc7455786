//! Backends that are spoken to over TLS: whom elbow takes for one, what passes, and that a session
//! is used again only where that is safe.

use std::fs;
use std::io::Write;
use std::thread;

use rustix::process::Signal;

use crate::harness::{
    After, Backend, Directory, Elbow, Framing, Outcome, Setup, Site, eventually, get, post, reply,
};

const PORT: u16 = 8080;

/// Elbow in clear before backends that speak TLS, with these lines about them.
fn setup(backends: &[&Backend], lines: &str) -> Setup {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let setup = Setup::new(&addresses).secured();
    if lines.is_empty() {
        setup
    } else {
        setup.backend_policy(PORT, lines)
    }
}

fn named(site: &Site, name: &'static str) -> Backend {
    Backend::secure(site, move |_, wire| reply(wire, name))
}

/// Waits until requests are refused, as no backend can be trusted.
fn expect_refusals(elbow: &Elbow) {
    eventually("refusals", || elbow.ask(&get("/", &[])).status() == 503);
}

#[test]
fn by_default_any_certificate_will_do_and_no_name_is_sent() {
    let site = Site::new("whoever.test");
    let backend = named(&site, "one");
    let elbow = setup(&[&backend], "").start(&[&backend]);
    let mut wire = elbow.connect();
    for _ in 0..100 {
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    }
    let last = backend.last();
    assert_eq!(last.server_name, None);
    assert!(last.before >= 90, "the connection is kept: {}", last.before);
    assert_eq!(last.head.field("X-Forwarded-Proto"), Some("http"));
}

#[test]
fn bodies_pass_whole_both_ways() {
    let site = Site::new("whoever.test");
    let backend = Backend::secure(&site, |request, wire| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        reply(wire, &body)
    });
    let elbow = setup(&[&backend], "").start(&[&backend]);
    let mut wire = elbow.connect();
    for length in [0, 1, 16 << 10, (16 << 10) + 1, 64 << 10, 3 << 20] {
        let body: String = ('a'..='z').cycle().take(length).collect();
        let answer = wire.ask(&post("/", &[], &body));
        assert!(answer.body == body.as_bytes(), "{length}");
    }
}

#[test]
fn sessions_with_backends_resume() {
    let site = Site::new("whoever.test");
    let backend = Backend::secure(&site, |_, wire| {
        reply(wire, "one")?;
        Ok(After::Close)
    });
    let setup = setup(&[&backend], "").host("shards = 1");
    let elbow = setup.start(&[&backend]);
    for _ in 0..5 {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    }
    let requests = backend.requests();
    assert_eq!(requests.len(), 5);
    let resumed = requests.iter().filter(|request| request.is_resumed);
    assert!(resumed.count() >= 4, "all but the first, at least");
}

#[test]
fn a_backend_is_known_by_its_public_key_whatever_it_calls_itself() {
    let (site, other) = (Site::new("one.test"), Site::new("two.test"));
    let backend = named(&site, "one");
    let keys = format!(
        "public_keys = ['''{}''', '''{}''']",
        other.public_key(),
        site.public_key()
    );
    let elbow = setup(&[&backend], &keys).start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(elbow.sum("elbow_backend_handshake_errors_total"), 0);
}

#[test]
fn a_backend_whose_key_has_changed_gets_nothing_and_counts_as_unreachable() {
    let (site, other) = (Site::new("one.test"), Site::new("two.test"));
    let backend = Backend::secure(&site, |_, wire| {
        reply(wire, "one")?;
        // So that the next request needs a new connection.
        Ok(After::Close)
    });
    let keys = format!("public_keys = ['''{}''']", site.public_key());
    // One shard: a connection that has been trusted and rests on another would still be used.
    let setup = setup(&[&backend], &keys).host("shards = 1");
    let elbow = setup.start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    let errors = elbow.sum("elbow_backend_connect_errors_total");
    backend.show(&other);
    backend.forget();
    expect_refusals(&elbow);
    assert_eq!(backend.count(), 0, "no request has reached it");
    assert!(elbow.sum("elbow_backend_connect_errors_total") > errors);
    assert!(elbow.sum("elbow_backend_handshake_errors_total") > 0);
    eventually("a line in the log", || {
        let log = elbow.log();
        log.matches("backend fails the TLS handshake").count() == 1
    });
    // And back: nothing has to be told.
    backend.show(&site);
    eventually("an answer", || elbow.ask(&get("/", &[])).status() == 200);
}

#[test]
fn requests_go_past_a_backend_that_is_not_trusted() {
    let (site, other) = (Site::new("one.test"), Site::new("two.test"));
    let (good, bad) = (named(&site, "good"), named(&other, "bad"));
    let keys = format!("public_keys = ['''{}''']", site.public_key());
    let elbow = setup(&[&good, &bad], &keys).start(&[&good]);
    for _ in 0..20 {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), "good");
    }
    assert_eq!(bad.count(), 0);
    assert!(elbow.sum("elbow_redispatches_total") > 0);
}

#[test]
fn an_authority_vouches_for_the_name_that_is_asked_for() {
    let site = Site::new("app.internal");
    let backend = named(&site, "one");
    let ca = format!("ca = {:?}\n", site.file);
    let trusted = format!("{ca}server_name = \"app.internal\"");
    let elbow = setup(&[&backend], &trusted).start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(backend.last().server_name.as_deref(), Some("app.internal"));
    drop(elbow);
    let other = Site::new("app.internal");
    for lines in [
        // Another name, no name, another authority.
        format!("{ca}server_name = \"other.internal\""),
        ca,
        format!("ca = {:?}\nserver_name = \"app.internal\"", other.file),
    ] {
        backend.forget();
        let elbow = Elbow::start(&setup(&[&backend], &lines).to_toml());
        eventually("a handshake that fails", || {
            elbow.ask(&get("/", &[]));
            elbow.sum("elbow_backend_handshake_errors_total") > 0
        });
        assert_eq!(backend.count(), 0, "{lines}");
    }
}

#[test]
fn authorities_are_read_again_when_their_file_changes() {
    let (site, other) = (Site::new("app.internal"), Site::new("app.internal"));
    let backend = named(&site, "one");
    let lines = format!("ca = {:?}\nserver_name = \"app.internal\"", other.file);
    let elbow = Elbow::start(&setup(&[&backend], &lines).to_toml());
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    expect_refusals(&elbow);
    // What does not hold changes nothing.
    fs::write(&other.file, "no certificate").expect("the file is ours");
    elbow.signal(Signal::HUP);
    eventually("an error that is counted", || {
        elbow.sum("elbow_certificate_renewal_errors_total") > 0
    });
    expect_refusals(&elbow);
    fs::copy(&site.file, &other.file).expect("the files are ours");
    eventually("an answer", || elbow.ask(&get("/", &[])).status() == 200);
}

#[test]
fn a_file_of_authorities_that_does_not_hold_stops_the_start() {
    let site = Site::new("app.internal");
    let backend = named(&site, "one");
    let setup = setup(&[&backend], "ca = \"absent.pem\"");
    let directory = Directory::new();
    let file = directory.write("elbow.toml", &setup.to_toml());
    let file = file.to_str().expect("the path is ASCII");
    for command in ["check", "run"] {
        let outcome = Outcome::of(&[command, "--config", file]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.text);
        let expected = "web to port 8080: absent.pem: ";
        assert!(outcome.stderr.contains(expected), "{}", outcome.text);
    }
}

/// What would be served as the next client's answer.
#[test]
fn surplus_bytes_over_tls_are_nobodys_answer() {
    let site = Site::new("whoever.test");
    let backend = Backend::secure(&site, |request, wire| {
        let body = request.head.target().repeat(20_000);
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
        if request.head.target().ends_with('1') {
            // The body ends within a record.
            wire.try_send(answer + forged)?;
        } else {
            // And with one, before another that has come as well.
            wire.try_send(&answer[..answer.len() - 1])?;
            let session = wire.served.as_mut().expect("a connection of TLS");
            session
                .writer()
                .write_all(&answer.as_bytes()[answer.len() - 1..])?;
            session.writer().write_all(forged.as_bytes())?;
            wire.try_send("")?;
        }
        Ok(After::Keep)
    });
    let elbow = setup(&[&backend], "").start(&[&backend]);
    let mut wire = elbow.connect();
    for target in ["/1", "/2"].repeat(25) {
        let answer = wire.ask(&get(target, &[]));
        assert!(answer.body_text() == target.repeat(20_000), "{target}");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole_if_that_was_announced() {
    let site = Site::new("whoever.test");
    let backend = Backend::secure(&site, |request, wire| {
        wire.try_send("HTTP/1.1 200 OK\r\n\r\nto the end")?;
        match request.head.target() {
            "/announced" => Ok(After::Close),
            _ => Err(std::io::ErrorKind::ConnectionAborted.into()),
        }
    });
    let elbow = setup(&[&backend], "").start(&[&backend]);
    let answer = elbow.ask(&get("/announced", &[]));
    assert_eq!(answer.body_text(), "to the end");
    let mut wire = elbow.connect();
    wire.send(get("/cut", &[]));
    assert!(wire.try_response("GET").is_err(), "it may be cut short");
}

#[test]
fn a_body_goes_up_while_the_answer_comes_down() {
    const PIECES: usize = 32;
    let site = Site::new("whoever.test");
    let backend = Backend::streaming(|request, wire| {
        // Half of the answer is out before the body has come.
        let half = "x".repeat(1 << 20);
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{half}",
            2 * half.len()
        ))?;
        let mut count = 0;
        wire.walk_body(request.head.request_framing(), &mut |piece| {
            count += piece.len();
        })?;
        assert_eq!(count, PIECES << 16);
        wire.try_send(&half)?;
        Ok(After::Keep)
    });
    backend.show(&site);
    let elbow = setup(&[&backend], "").start(&[&backend]);
    let mut wire = elbow.connect();
    let mut twin = wire.twin();
    let sender = thread::spawn(move || {
        let length = PIECES << 16;
        twin.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        ));
        for _ in 0..PIECES {
            twin.send(vec![b'b'; 1 << 16]);
        }
    });
    let head = wire.read_head().expect("no error").expect("an answer");
    assert_eq!(head.status(), 200);
    let (body, _) = wire
        .read_body(Framing::Length(2 << 20))
        .expect("a whole body");
    assert_eq!(body.len(), 2 << 20);
    sender.join().expect("the backend takes it all");
}

#[test]
fn a_backend_that_does_not_shake_hands_is_passed_over() {
    let site = Site::new("whoever.test");
    // In clear: it waits for a request and gets the beginning of a handshake.
    let (plain, good) = (Backend::named("plain"), named(&site, "good"));
    let elbow = setup(&[&plain, &good], "").start(&[&good]);
    assert_eq!(elbow.ask(&get("/", &[])).body_text(), "good");
    assert_eq!(plain.count(), 0);
}

#[test]
fn a_proxy_header_stands_in_front_of_the_handshake() {
    let site = Site::new("whoever.test");
    let back = named(&site, "one");
    // An elbow that takes the header off and speaks TLS stands for such a backend.
    let front_site = Site::new("front.test");
    let inner = Setup::new(&[back.address])
        .secured()
        .https(&front_site.lines())
        .listener_line("accept_proxy_protocol = [\"127.0.0.1\"]");
    let inner = Elbow::start(&inner.to_toml());
    let outer = Setup::new(&[inner.listeners[1]])
        .secured()
        .proxy_protocol(PORT, "v2");
    let outer = Elbow::start(&outer.to_toml());
    let mut wire = outer.connect();
    eventually("an answer", || {
        wire = outer.connect();
        wire.ask(&get("/", &[])).status() == 200
    });
    let client = wire.local_address();
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    let seen = back.last().head;
    let expected = format!("{0}, {0}", client.ip());
    assert_eq!(seen.field("X-Forwarded-For"), Some(expected.as_str()));
    assert_eq!(seen.field("X-Forwarded-Proto"), Some("https"));
    assert_eq!(inner.sum("elbow_proxy_headers_refused_total"), 0);
}
