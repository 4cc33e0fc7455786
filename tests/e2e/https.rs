//! HTTPS listeners, by a client that checks certificates: what passes in clear passes over TLS, and
//! what TLS adds holds.

use std::fs;
use std::io;
use std::process::Command;

use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CipherSuite, HandshakeKind, ProtocolVersion};

use crate::harness::{
    After, Backend, Directory, Elbow, Framing, Gate, Listener, Outcome, Setup, Site, TlsClient,
    Wire, eventually, get, post, reply,
};

const HOST: &str = "site.test";

/// Elbow before one backend, in clear on its first listener and by HTTPS on its second.
struct Bench {
    backend: Backend,
    elbow: Elbow,
    site: Site,
}

impl Bench {
    fn new(backend: Backend) -> Self {
        let site = Site::new(HOST);
        let setup = Setup::new(&[backend.address]).https(&site.lines());
        let elbow = setup.start(&[&backend]);
        Self {
            backend,
            elbow,
            site,
        }
    }

    fn client(&self) -> TlsClient {
        TlsClient::new(&[&self.site])
    }

    fn connect(&self) -> Wire {
        self.client().connect(self.elbow.listeners[1], HOST)
    }
}

fn kind(wire: &Wire) -> Option<HandshakeKind> {
    wire.tls
        .as_ref()
        .and_then(|session| session.handshake_kind())
}

/// Whether an error is this alert.
fn is_alert(error: &io::Error, alert: AlertDescription) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref());
    error == Some(&rustls::Error::AlertReceived(alert))
}

#[test]
fn many_requests_pass_on_one_connection_and_backends_hear_of_https() {
    let bench = Bench::new(Backend::named("one"));
    let mut wire = bench.connect();
    for _ in 0..500 {
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    }
    let seen = bench.backend.last().head;
    assert_eq!(seen.field("X-Forwarded-Proto"), Some("https"));
    let port = bench.elbow.listeners[1].port().to_string();
    assert_eq!(seen.field("X-Forwarded-Port"), Some(port.as_str()));
    assert_eq!(bench.elbow.sum("elbow_tls_handshakes_total"), 1);
    assert_eq!(bench.elbow.sum("elbow_tls_handshakes_in_progress"), 0);
    // New keys, which the client asks elbow for too; its own come with the next answer.
    let session = wire.tls.as_mut().expect("a connection of TLS");
    session.refresh_traffic_keys().expect("TLS 1.3 has them");
    // Pipelined: several requests in one record.
    wire.send(get("/", &[]).repeat(10));
    for _ in 0..10 {
        assert_eq!(wire.response_to("GET").body_text(), "one");
    }
}

#[test]
fn bodies_pass_whole_both_ways() {
    let backend = Backend::with(|request, wire| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        reply(wire, &body)
    });
    let bench = Bench::new(backend);
    let mut wire = bench.connect();
    for length in [
        0,
        1,
        2048,
        16 << 10,
        (16 << 10) + 1,
        64 << 10,
        1 << 20,
        3 << 20,
    ] {
        let body: String = ('a'..='z').cycle().take(length).collect();
        let request = post("/", &[], &body);
        // In one go, and in pieces that are no records.
        for piece in [request.len(), 10_000] {
            for bytes in request.as_bytes().chunks(piece) {
                wire.send(bytes);
            }
            let answer = wire.response_to("POST");
            assert!(answer.body == body.as_bytes(), "{length} in {piece}");
        }
    }
}

#[test]
fn chunks_head_and_answers_without_a_length_pass() {
    let backend = Backend::with(|request, wire| match request.head.target() {
        "/chunks" => {
            wire.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
            wire.try_send("7\r\n, world\r\n0\r\n\r\n")?;
            Ok(After::Keep)
        }
        "/close" => {
            wire.try_send("HTTP/1.1 200 OK\r\n\r\n")?;
            wire.try_send("x".repeat(100_000))?;
            Ok(After::Close)
        }
        _ => {
            wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")?;
            Ok(After::Keep)
        }
    });
    let bench = Bench::new(backend);
    let mut wire = bench.connect();
    assert_eq!(wire.ask(&get("/chunks", &[])).body_text(), "hello, world");
    let head = wire.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.head.field("Content-Length"), Some("7"));
    wire.send("POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.send("3\r\nabc\r\n");
    wire.send("0\r\n\r\n");
    assert_eq!(wire.response_to("POST").body_text(), "hello, world");
    assert_eq!(bench.backend.last().body, b"abc");
    // A client that was not told of the end could not tell this answer from one cut short.
    let answer = wire.ask(&get("/close", &[]));
    assert_eq!(answer.body.len(), 100_000);
}

#[test]
fn answer_comes_down_while_the_body_goes_up() {
    const PIECES: usize = 64;
    let backend = Backend::streaming(|request, wire| {
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            PIECES << 14
        ))?;
        let mut result = Ok(());
        let mut twin = wire.twin();
        wire.walk_body(request.head.request_framing(), &mut |piece| {
            if result.is_ok() {
                result = twin.try_send(piece);
            }
        })?;
        result.map(|()| After::Keep)
    });
    let bench = Bench::new(backend);
    let mut wire = bench.connect();
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        PIECES << 14
    ));
    let head = wire.read_head().expect("no error").expect("an answer");
    assert_eq!(head.status(), 200);
    for piece in 0..PIECES {
        let bytes = vec![b'a' + u8::try_from(piece % 26).expect("a letter"); 1 << 14];
        wire.send(&bytes);
        if piece % 8 == 0 {
            let session = wire.tls.as_mut().expect("a connection of TLS");
            session.refresh_traffic_keys().expect("TLS 1.3 has them");
        }
        // Each piece has come back before the next goes out.
        let (echo, _) = wire.read_body(Framing::Length(1 << 14)).expect("the echo");
        assert!(echo == bytes, "piece {piece}");
    }
    assert_eq!(bench.elbow.sum("elbow_panics_total"), 0);
}

#[test]
fn an_answer_that_overtakes_its_request_ends_with_an_announced_close() {
    let backend = Backend::streaming(|_, wire| reply(wire, "enough"));
    let bench = Bench::new(backend);
    let mut wire = bench.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello");
    assert_eq!(wire.response_to("POST").body_text(), "enough");
    assert!(wire.is_close_announced(), "while the client may still send");
    eventually("the connection is closed", || {
        bench.elbow.sum("elbow_connections") == 0
    });
}

#[test]
fn both_versions_are_spoken_and_sessions_resume_on_any_shard() {
    let bench = Bench::new(Backend::named("one"));
    let versions = [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ];
    for (version, expected) in versions {
        let client = TlsClient::with(&[&bench.site], &[version], &["http/1.1"]);
        let mut resumed = 0;
        for _ in 0..20 {
            let mut wire = client.connect(bench.elbow.listeners[1], HOST);
            assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
            let session = wire.tls.as_ref().expect("a connection of TLS");
            assert_eq!(session.protocol_version(), Some(expected));
            assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
            resumed += u32::from(kind(&wire) == Some(HandshakeKind::Resumed));
        }
        // The kernel spreads connections over two shards: nearly never all to one.
        assert_eq!(resumed, 19, "all but the first, {expected:?}");
    }
    assert_eq!(bench.elbow.sum("elbow_tls_resumed_total"), 38);
    let text = bench.elbow.metrics();
    let of_shard = |shard: &str| {
        let name = format!("elbow_tls_resumed_total{{shard=\"{shard}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|value| value.parse::<u32>().ok())
    };
    assert!(of_shard("0") > Some(0) && of_shard("1") > Some(0), "{text}");
}

#[test]
fn a_ticket_comes_before_the_first_request() {
    let bench = Bench::new(Backend::named("one"));
    let mut wire = bench.connect();
    eventually("a ticket", || wire.receive_session() == 1);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(wire.receive_session(), 1, "and no other");
}

/// Another implementation of TLS than elbow's and that of the other tests.
#[test]
fn curl_speaks_with_elbow_by_both_versions() {
    let backend = Backend::with(|request, wire| {
        let length = request.body.len();
        reply(wire, &format!("got {length}"))
    });
    let bench = Bench::new(backend);
    let address = bench.elbow.listeners[1];
    let directory = Directory::new();
    let body = directory.write("body", &"x".repeat(1 << 20));
    let url = format!("https://{HOST}:{}/", address.port());
    for version in ["1.2", "1.3"] {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "15", "--noproxy", "*", "-H", "Expect:"])
            .args(["--resolve", &format!("{HOST}:{}:127.0.0.1", address.port())])
            .args(["--cacert", &bench.site.file, &format!("--tlsv{version}")])
            .args(["--tls-max", version, "--data-binary"])
            .arg(format!("@{}", body.display()))
            .args([&url, &url])
            .output()
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text, "got 1048576got 1048576", "{output:?}");
    }
}

#[test]
fn the_name_that_a_client_asks_for_picks_the_certificate() {
    let backend = Backend::named("one");
    let (first, second) = (Site::new(HOST), Site::new("second.test"));
    let lines = format!("{}\ncertificates = [{:?}]", first.lines(), second.file);
    let elbow = Setup::new(&[backend.address])
        .https(&lines)
        .start(&[&backend]);
    let client = TlsClient::new(&[&first, &second]);
    for site in [&first, &second] {
        let mut wire = client.connect(elbow.listeners[1], site.host);
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
        assert!(site.is_shown(&wire), "{}", site.host);
    }
    // Nobody's name: the default, which this client does not take for that host.
    let mut wire = client.connect(elbow.listeners[1], "third.test");
    wire.try_send(get("/", &[])).expect_err("the wrong host");
    eventually("the client's alert is counted", || {
        let failed = elbow.metrics();
        let alerted = failed.lines().filter(|l| l.contains("reason=\"alerted\""));
        alerted.filter(|line| !line.ends_with(" 0")).count() == 1
    });
}

#[test]
fn a_policy_of_ones_own_is_all_that_clients_are_offered() {
    let backend = Backend::named("one");
    let site = Site::new(HOST);
    let lines = format!("{}\nssl_policy = \"strict\"", site.lines());
    let policy = "name = \"strict\"\n\
        attributes = [\"Protocol-TLSv1.2\", \"ECDHE-ECDSA-AES256-GCM-SHA384\"]";
    let elbow = Setup::new(&[backend.address])
        .https(&lines)
        .section("ssl_negotiation_policy", policy)
        .start(&[&backend]);
    let mut wire = TlsClient::new(&[&site]).connect(elbow.listeners[1], HOST);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    let session = wire.tls.as_ref().expect("a connection of TLS");
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    let expected = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    assert_eq!(suite, Some(expected));

    let client = TlsClient::with(&[&site], &[&TLS13], &[]);
    let mut wire = client.connect(elbow.listeners[1], HOST);
    let error = wire.try_send(get("/", &[])).expect_err("no TLS 1.3 here");
    assert!(
        is_alert(&error, AlertDescription::ProtocolVersion),
        "{error}"
    );
    eventually("it is counted", || {
        elbow.metrics().contains("reason=\"incompatible\"} 1")
    });
}

#[test]
fn a_client_that_speaks_http_2_alone_is_told() {
    let bench = Bench::new(Backend::named("one"));
    let client = TlsClient::with(&[&bench.site], rustls::ALL_VERSIONS, &["h2"]);
    let mut wire = client.connect(bench.elbow.listeners[1], HOST);
    let error = wire.try_send(get("/", &[])).expect_err("no HTTP/2 here");
    assert!(
        is_alert(&error, AlertDescription::NoApplicationProtocol),
        "{error}"
    );
    eventually("it is counted", || {
        bench.elbow.sum("elbow_tls_handshake_failures_total") == 1
    });
    assert!(bench.elbow.metrics().contains("reason=\"incompatible\""));
}

#[test]
fn a_request_in_clear_is_not_answered() {
    let bench = Bench::new(Backend::named("one"));
    let mut wire = Wire::connect(bench.elbow.listeners[1]);
    wire.send(get("/", &[]));
    wire.expect_close();
    let count = |text: &str| {
        let lines = text.lines().filter(|l| l.contains("reason=\"not_tls\""));
        lines.filter(|line| line.ends_with(" 1")).count()
    };
    eventually("it is counted", || count(&bench.elbow.metrics()) == 1);
    assert_eq!(bench.backend.count(), 0);
}

#[test]
fn either_side_announces_the_close() {
    let bench = Bench::new(Backend::named("one"));
    let mut wire = bench.connect();
    let answer = wire.ask(&get("/", &["Connection: close"]));
    assert_eq!(answer.body_text(), "one");
    assert!(wire.is_close_announced(), "after `Connection: close`");

    let mut wire = bench.connect();
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    wire.close_notify();
    assert!(wire.is_close_announced(), "in answer to the client's");

    let mut wire = bench.connect();
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    wire.finish();
    assert!(wire.is_close_announced(), "though the client did not");

    let mut wire = bench.connect();
    assert_eq!(wire.ask("BAD\r\n\r\n").status(), 400);
    assert!(wire.is_close_announced(), "after a refusal");
}

#[test]
fn an_answer_that_breaks_off_does_not_seem_to_end() {
    let backend = Backend::with(|_, wire| {
        wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")?;
        Ok(After::Close)
    });
    let bench = Bench::new(backend);
    let mut wire = bench.connect();
    wire.send(get("/", &[]));
    wire.read_head().expect("no error").expect("a head");
    let error = wire.read_body(Framing::Length(100)).expect_err("cut short");
    // The harness has its own words for an announced end.
    assert_ne!(error.to_string(), "the body is cut short");
}

#[test]
fn bytes_that_are_not_the_clients_end_the_connection() {
    let bench = Bench::new(Backend::named("one"));
    let mut wire = bench.connect();
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    let mut forger = wire.forge();
    // A record of application data that no key has sealed.
    forger.send(
        [23, 3, 3, 0, 32]
            .into_iter()
            .chain([7; 32])
            .collect::<Vec<u8>>(),
    );
    let error = wire.read_head().expect_err("an alert");
    assert!(is_alert(&error, AlertDescription::BadRecordMac), "{error}");
    assert_eq!(bench.backend.count(), 1);
}

#[test]
fn a_drain_answers_what_is_in_flight_and_drops_handshakes_that_hang() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::with(move |request, wire| {
        if request.head.target() == "/hold" {
            held.pass();
        }
        reply(wire, "one")
    });
    let mut bench = Bench::new(backend);
    let mut idle = bench.connect();
    assert_eq!(idle.ask(&get("/", &[])).body_text(), "one");
    let mut wire = bench.connect();
    wire.send(get("/hold", &[]));
    gate.expect_waiting(1);
    let mut silent = Wire::connect(bench.elbow.listeners[1]);
    eventually("the handshake is in progress", || {
        bench.elbow.sum("elbow_tls_handshakes_in_progress") == 1
    });

    bench.elbow.signal(Signal::TERM);
    assert!(idle.is_close_announced(), "to an idle client");
    silent.expect_close();
    gate.open();
    let answer = wire.response_to("GET");
    assert_eq!(answer.body_text(), "one");
    assert_eq!(answer.head.field("Connection"), Some("close"));
    assert!(wire.is_close_announced(), "to the one that was served");
    assert_eq!(bench.elbow.wait().code(), Some(0));
}

#[test]
fn deadlines_hold_over_tls() {
    let backend = Backend::named("one");
    let site = Site::new(HOST);
    let elbow = Setup::new(&[backend.address])
        .https(&site.lines())
        .attribute("idle_timeout = \"500ms\"")
        .start(&[&backend]);
    let client = TlsClient::new(&[&site]);
    let connect = || client.connect(elbow.listeners[1], HOST);
    let mut idle = connect();
    assert_eq!(idle.ask(&get("/", &[])).body_text(), "one");
    let mut in_head = connect();
    in_head.send("GET / HTTP/1.1\r\nHost:");
    let mut in_body = connect();
    in_body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    let mut in_record = connect();
    assert_eq!(in_record.ask(&get("/", &[])).body_text(), "one");
    in_record.forge().send([23, 3, 3, 0, 99, 1]);

    assert!(idle.is_close_announced(), "to an idle client");
    assert!(in_record.is_close_announced(), "within a record");
    for wire in [&mut in_head, &mut in_body] {
        assert_eq!(wire.response_to("GET").status(), 408);
        assert!(wire.is_close_announced(), "after 408");
    }
    assert_eq!(elbow.sum("elbow_panics_total"), 0);
}

#[test]
fn a_client_that_does_not_read_is_dropped_without_an_announced_end() {
    let backend = Backend::with(|_, wire| {
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            64 << 20
        ))?;
        // Its end is elbow's doing.
        drop(wire.try_send(vec![b'x'; 64 << 20]));
        Ok(After::Close)
    });
    let site = Site::new(HOST);
    let elbow = Setup::new(&[backend.address])
        .https(&site.lines())
        .attribute("idle_timeout = \"500ms\"")
        .start(&[&backend]);
    let mut wire = TlsClient::new(&[&site]).connect(elbow.listeners[1], HOST);
    wire.send(get("/", &[]));
    wire.read_head().expect("no error").expect("a head");
    eventually("the exchange is given up", || {
        elbow.sum("elbow_aborted_total") == 1
    });
    let error = wire
        .read_body(Framing::Length(64 << 20))
        .expect_err("cut short");
    assert_ne!(error.to_string(), "the body is cut short");
}

#[test]
fn both_cookies_hold_over_https() {
    let backends = [Backend::named("one"), Backend::named("two")];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let site = Site::new(HOST);
    let elbow = Setup::sticky(&addresses, Some(60))
        .https(&site.lines())
        .start(&backends.each_ref());
    let client = TlsClient::new(&[&site]);
    let ask = |request: &str| client.connect(elbow.listeners[1], HOST).ask(request);
    let first = ask(&get("/", &[]));
    let session = first.session();
    assert_eq!(first.cookie("AWSALBCORS"), Some(session.clone()));
    let lines = first.head.fields("Set-Cookie");
    let second = lines.iter().find(|line| line.starts_with("AWSALBCORS="));
    let second = second.expect("the second cookie");
    assert!(second.ends_with("SECURE;SAMESITE=None"), "{second}");
    for name in ["AWSELB", "AWSALBCORS"] {
        for _ in 0..8 {
            let line = format!("Cookie: {name}={session}");
            assert_eq!(ask(&get("/", &[&line])).body_text(), first.body_text());
        }
    }
    // In clear, on the same instance port, the session is the same.
    let line = format!("Cookie: AWSELB={session}");
    assert_eq!(
        elbow.ask(&get("/", &[&line])).body_text(),
        first.body_text()
    );
}

#[test]
fn certificates_that_do_not_hold_are_told_by_check_and_run_alike() {
    let site = Site::new(HOST);
    let absent = site.file.replace("site.pem", "absent.pem");
    let listener = Listener {
        tls: Some(format!("certificate = {absent:?}")),
        ..Listener::default()
    };
    let toml = Setup::new(&[]).listeners(&[listener]).to_toml();
    let file = site.file.replace("site.pem", "elbow.toml");
    fs::write(&file, toml).expect("the directory is writable");
    for command in ["check", "run"] {
        let outcome = Outcome::of(&[command, "--config", &file]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.text);
        let expected = format!("elbow: web on 127.0.0.1:0: {absent}: No such file");
        assert!(outcome.stderr.contains(&expected), "{}", outcome.stderr);
    }
}

#[test]
fn the_days_of_a_certificate_are_counted() {
    let bench = Bench::new(Backend::named("one"));
    let name = "elbow_certificate_days_left";
    let expected = format!("{name}{{certificate=\"{}\"}} ", bench.site.file);
    let text = bench.elbow.metrics();
    let days = text.lines().find_map(|line| line.strip_prefix(&expected));
    let days: i64 = days.and_then(|days| days.parse().ok()).expect("a gauge");
    assert!(days > 1000, "{days}");
}

#[test]
fn its_own_tls_is_not_told_as_tls_in_front() {
    let bench = Bench::new(Backend::named("one"));
    let (_, rows) = bench.elbow.admin("GET", "/v1/load-balancers", "");
    let listeners = rows[0]["listeners"].as_array().expect("a list");
    let row = listeners.iter().find(|row| row["protocol"] == "HTTPS");
    assert_eq!(row.expect("it is listed")["behind_tls"], false);
}

#[test]
fn certificates_change_under_connections_that_go_on() {
    let bench = Bench::new(Backend::named("one"));
    let (next, elbow) = (Site::new(HOST), &bench.elbow);
    let early_client = bench.client();
    let mut early = early_client.connect(elbow.listeners[1], HOST);
    assert_eq!(early.ask(&get("/", &[])).body_text(), "one");

    fs::rename(&next.file, &bench.site.file).expect("both are in one place");
    elbow.signal(Signal::HUP);
    let shown = || {
        let client = TlsClient::new(&[&bench.site, &next]);
        let mut wire = client.connect(elbow.listeners[1], HOST);
        assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
        wire
    };
    eventually("the next certificate", || next.is_shown(&shown()));
    assert_eq!(early.ask(&get("/", &[])).body_text(), "one");
    let mut resumed = early_client.connect(elbow.listeners[1], HOST);
    assert_eq!(resumed.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(kind(&resumed), Some(HandshakeKind::Resumed));

    // By itself, as the file has changed.
    fs::write(&bench.site.file, "not a certificate").expect("it is writable");
    eventually("the refusal", || {
        elbow.sum("elbow_certificate_renewal_errors_total") == 1
    });
    assert!(next.is_shown(&shown()));
    // And because it is asked to, though it has not.
    elbow.signal(Signal::HUP);
    eventually("another refusal", || {
        elbow.sum("elbow_certificate_renewal_errors_total") == 2
    });
}

#[test]
fn a_certificate_changes_by_itself_while_the_api_is_asked_without_a_pause() {
    let bench = Bench::new(Backend::named("one"));
    let (next, elbow) = (Site::new(HOST), &bench.elbow);
    fs::rename(&next.file, &bench.site.file).expect("both are in one place");
    eventually("the next certificate", || {
        elbow.change("Action=DescribeLoadBalancers");
        let client = TlsClient::new(&[&bench.site, &next]);
        let mut wire = client.connect(elbow.listeners[1], HOST);
        assert_eq!(wire.ask(&get("/", &[])).status(), 200);
        next.is_shown(&wire)
    });
}

#[test]
fn a_hangup_ends_no_elbow_without_certificates() {
    let backend = Backend::named("one");
    let elbow = Setup::new(&[backend.address]).start(&[&backend]);
    elbow.signal(Signal::HUP);
    elbow.expect_in_service(&[&backend]);
}
