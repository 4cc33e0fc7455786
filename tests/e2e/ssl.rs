//! SSL listeners, and TCP listeners before backends that speak TLS: bytes as they are, and ends
//! that say no more than those that came.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use rustls::ServerConnection;

use crate::harness::{
    Elbow, Framing, Listener, PATIENCE, RawBackend, Setup, Site, TlsClient, Wire, eventually,
};

const HOST: &str = "site.test";

/// As much as several blocks of each size hold, and what else is on the way.
const STREAM_BYTES: usize = 8 << 20;

/// Elbow that relays to one backend whose connections the test answers; TLS is on its side of the
/// clients, of the backend, or of both.
struct Bench {
    site: Site,
    is_ended_here: bool,
    is_secured: bool,
    _backend: RawBackend,
    streams: Receiver<TcpStream>,
    elbow: Elbow,
}

impl Bench {
    fn new(is_ended_here: bool, is_secured: bool) -> Self {
        Self::with(is_ended_here, is_secured, "idle_timeout = 60")
    }

    fn with(is_ended_here: bool, is_secured: bool, attribute: &str) -> Self {
        let site = Site::new(HOST);
        let (backend, streams) = RawBackend::held();
        let listener = Listener {
            is_tcp: true,
            tls: is_ended_here.then(|| site.lines()),
            is_secured,
            ..Listener::default()
        };
        let setup = Setup::tcp(&[backend.address]).listeners(&[listener]);
        let elbow = Elbow::start(&setup.attribute(attribute).to_toml());
        eventually("the backend in service", || {
            elbow.sum("elbow_backend_in_service") == 1
        });
        Self {
            site,
            is_ended_here,
            is_secured,
            _backend: backend,
            streams,
            elbow,
        }
    }

    /// Both ends of a connection through elbow, after a first byte each way.
    fn connect(&self) -> (Wire, Wire) {
        let mut near = if self.is_ended_here {
            TlsClient::new(&[&self.site]).connect(self.elbow.address(), HOST)
        } else {
            self.elbow.connect()
        };
        near.send("?");
        let far = self.streams.recv_timeout(PATIENCE);
        let mut far = Wire::new(far.expect("it reaches a backend"));
        if self.is_secured {
            let session = ServerConnection::new(self.site.server_config());
            far.served = Some(Box::new(session.expect("the settings hold")));
        }
        expect(&mut far, b"?");
        far.send("!");
        expect(&mut near, b"!");
        (near, far)
    }

    fn expect_nothing_held(&self) {
        eventually("no connection is held", || {
            self.elbow.sum("elbow_backend_outstanding") == 0
                && self.elbow.sum("elbow_connections") == 0
        });
        assert_eq!(self.elbow.sum("elbow_panics_total"), 0);
    }
}

/// Where TLS is: with clients, with backends.
const SIDES: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];

fn expect(wire: &mut Wire, bytes: &[u8]) {
    let (read, _) = wire
        .read_body(Framing::Length(bytes.len() as u64))
        .expect("the bytes arrive");
    assert_eq!(read, bytes);
}

/// Reads to the end; whether it was announced where TLS is spoken, and a plain end else.
fn is_ended_well(wire: &mut Wire) -> bool {
    match wire.read_body(Framing::UntilClose) {
        Ok((rest, _)) => rest.is_empty(),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
        Err(error) => panic!("neither: {error}"),
    }
}

fn pattern(seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..STREAM_BYTES).map(|_| next()).collect()
}

#[test]
fn bytes_pass_whole_in_both_directions_and_announced_ends_are_announced() {
    for (is_ended_here, is_secured) in SIDES {
        let bench = Bench::new(is_ended_here, is_secured);
        let (mut near, mut far) = bench.connect();
        let echo = thread::spawn(move || {
            let (up, _) = far
                .read_body(Framing::Length(STREAM_BYTES as u64))
                .expect("all of it");
            assert!(up == pattern(1), "what goes up");
            far.send(pattern(2));
            far.end();
            assert!(is_ended_well(&mut far), "the client's end");
        });
        near.send(pattern(1));
        let (down, _) = near
            .read_body(Framing::Length(STREAM_BYTES as u64))
            .expect("all of it");
        assert!(down == pattern(2), "what comes down");
        assert!(is_ended_well(&mut near), "the backend's end");
        near.end();
        echo.join().expect("what the backend saw is right");
        bench.expect_nothing_held();
        assert_eq!(bench.elbow.sum("elbow_aborted_total"), 0);
        let up = bench.elbow.sum("elbow_relayed_up_bytes_total");
        assert_eq!(up, STREAM_BYTES as u64 + 1, "plaintext is counted");
    }
}

#[test]
fn both_directions_stream_at_once() {
    for (is_ended_here, is_secured) in SIDES {
        let bench = Bench::new(is_ended_here, is_secured);
        // Through a second elbow that speaks TLS the other way, so that both ends are plain and can
        // be written and read at once.
        let outer = Listener {
            is_tcp: true,
            is_secured: is_ended_here,
            ..Listener::default()
        };
        let inner = bench.elbow.address();
        let outer = Setup::tcp(&[inner]).listeners(&[outer]);
        let outer = Elbow::start(&outer.to_toml());
        eventually("the inner elbow in service", || {
            outer.sum("elbow_backend_in_service") == 1
        });
        if is_secured {
            // The far end would need two threads on one session; the other two have shown it.
            continue;
        }
        let mut near = outer.connect();
        near.send("?");
        let far = bench.streams.recv_timeout(PATIENCE);
        let mut far = Wire::new(far.expect("it reaches a backend"));
        expect(&mut far, b"?");
        let ends = [near, far].map(|mut wire| {
            let mut twin = wire.twin();
            let sender = thread::spawn(move || {
                twin.send(pattern(3));
                twin.end();
            });
            let reader = thread::spawn(move || {
                let (read, _) = wire.read_body(Framing::UntilClose).expect("an end");
                assert!(read == pattern(3));
            });
            (sender, reader)
        });
        for (sender, reader) in ends {
            sender.join().expect("all is sent");
            reader.join().expect("all is read");
        }
        bench.expect_nothing_held();
    }
}

#[test]
fn an_end_that_nobody_announced_is_passed_on_as_such() {
    for (is_ended_here, is_secured) in SIDES {
        let bench = Bench::new(is_ended_here, is_secured);
        let (near, mut far) = bench.connect();
        // The connection below ends, and TLS says nothing.
        near.finish();
        let was_announced = is_ended_well(&mut far);
        // Where clients speak in clear there is no other end than that.
        assert_eq!(was_announced, !is_secured || !is_ended_here);
        let (mut near, far) = bench.connect();
        far.finish();
        let was_announced = is_ended_well(&mut near);
        assert_eq!(was_announced, !is_ended_here || !is_secured);
    }
}

#[test]
fn a_reset_reaches_the_other_side() {
    for (is_ended_here, is_secured) in SIDES {
        let bench = Bench::new(is_ended_here, is_secured);
        let (near, mut far) = bench.connect();
        near.reset();
        let error = far.read_body(Framing::UntilClose).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        bench.expect_nothing_held();
    }
}

#[test]
fn silence_ends_connections() {
    let bench = Bench::with(true, true, "idle_timeout = \"300ms\"");
    let (mut near, mut far) = bench.connect();
    for wire in [&mut near, &mut far] {
        assert!(wire.read_body(Framing::UntilClose).is_err());
    }
    bench.expect_nothing_held();
}

#[test]
fn what_is_no_handshake_reaches_no_backend() {
    let bench = Bench::new(true, false);
    let mut wire = bench.elbow.connect();
    wire.send("? in clear");
    // An alert, in clear as well, then the end.
    drop(wire.read_body(Framing::UntilClose));
    assert!(bench.streams.try_recv().is_err());
    eventually("a failure that is counted", || {
        bench.elbow.sum("elbow_tls_handshake_failures_total") == 1
    });
    bench.expect_nothing_held();
}

#[test]
fn protocols_that_clients_name_are_theirs_to_agree_on() {
    let bench = Bench::new(true, false);
    for offered in [&["h2", "http/1.1"][..], &["mqtt"], &[]] {
        let client = TlsClient::with(&[&bench.site], rustls::ALL_VERSIONS, offered);
        let mut wire = client.connect(bench.elbow.address(), HOST);
        wire.send("?");
        let far = bench.streams.recv_timeout(PATIENCE);
        far.expect("it reaches the backend");
        let session = wire.tls.as_ref().expect("a connection of TLS");
        assert_eq!(session.alpn_protocol(), None);
    }
}

#[test]
fn a_connection_goes_past_a_backend_that_is_not_trusted() {
    let (site, other) = (Site::new(HOST), Site::new(HOST));
    // Two that speak TLS by the other elbow's listeners, with a key that is known and one that is
    // not.
    let backend = RawBackend::named("good");
    let fronts = [&site, &other].map(|site| {
        let listener = Listener {
            is_tcp: true,
            tls: Some(site.lines()),
            ..Listener::default()
        };
        let setup = Setup::tcp(&[backend.address]).listeners(&[listener]);
        Elbow::start(&setup.to_toml())
    });
    let addresses = [fronts[0].address(), fronts[1].address()];
    let listener = Listener {
        is_tcp: true,
        is_secured: true,
        ..Listener::default()
    };
    let keys = format!("public_keys = ['''{}''']", site.public_key());
    let setup = Setup::tcp(&addresses).listeners(&[listener]);
    let elbow = Elbow::start(&setup.backend_policy(8080, &keys).to_toml());
    eventually("all in service", || {
        let inner = fronts.iter().map(|f| f.sum("elbow_backend_in_service"));
        elbow.sum("elbow_backend_in_service") == 2 && inner.sum::<u64>() == 2
    });
    for _ in 0..6 {
        let mut wire = elbow.connect();
        wire.send("?");
        let (answer, _) = wire.read_body(Framing::UntilClose).expect("an end");
        assert_eq!(answer, b"good");
    }
    assert!(elbow.sum("elbow_backend_handshake_errors_total") > 0);
    assert_eq!(fronts[1].sum("elbow_tls_handshakes_total"), 0);
}

impl Wire {
    /// Ends sending, in a way that nobody can forge where TLS is spoken.
    fn end(&mut self) {
        if let Some(session) = &mut self.tls {
            session.send_close_notify();
        }
        if let Some(session) = &mut self.served {
            session.send_close_notify();
        }
        self.try_send("").expect("the other end reads");
        self.finish();
    }

    fn reset(self) {
        let socket = socket2::Socket::from(self.into_stream());
        let set = socket.set_linger(Some(Duration::ZERO));
        set.expect("a TCP socket");
    }
}
