//! PROXY headers from clients: believed from those who may send them. To backends: `backends.rs`.

mod backends;

use std::env;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::harness::{
    Backend, Elbow, PATIENCE, RawBackend, Response, Setup, Site, Wire, eventually, get,
};

/// The first bytes of a binary header.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The address of the proxy that listeners trust. Not the one that everything else on this machine
/// connects from, such as a health check that has lost its backend.
const PROXY: &str = "127.0.0.2";

const FROM_PROXY: &str = "accept_proxy_protocol = [\"127.0.0.2/31\"]";

/// A binary header that names these ends of a connection over IPv4.
fn binary_v4(source: [u8; 4], source_port: u16, port: u16) -> Vec<u8> {
    let mut header = [SIGNATURE, &[0x21, 0x11, 0, 12]].concat();
    header.extend_from_slice(&source);
    header.extend_from_slice(&[198, 51, 100, 1]);
    header.extend_from_slice(&source_port.to_be_bytes());
    header.extend_from_slice(&port.to_be_bytes());
    header
}

/// elbow before one backend, with this line in its listener; both are in service.
fn listening(line: &str) -> (Elbow, Backend) {
    let backend = Backend::named("one");
    let setup = Setup::new(&[backend.address]).listener_line(line);
    (setup.start(&[&backend]), backend)
}

/// A connection by the proxy.
fn connect(elbow: &Elbow) -> Wire {
    let connect = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let source: IpAddr = PROXY.parse().expect("an address");
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&elbow.address().into(), PATIENCE)?;
        io::Result::Ok(Wire::new(socket.into()))
    };
    connect().unwrap_or_else(|error| panic!("cannot connect from {PROXY}: {error}"))
}

/// One request behind `header` on a new connection by the proxy; both in one send.
fn ask_behind(elbow: &Elbow, header: &[u8], target: &str) -> Response {
    let mut wire = connect(elbow);
    let request = get(target, &[]);
    wire.send([header, request.as_bytes()].concat());
    wire.response_to(&request)
}

fn client_of_last(backend: &Backend) -> String {
    let head = backend.last().head;
    head.field("X-Forwarded-For").expect("it is set").to_owned()
}

#[test]
fn a_trusted_header_names_the_client_of_all_requests_behind_it() {
    let (elbow, backend) = listening(FROM_PROXY);
    let cases: [(Vec<u8>, &str); 5] = [
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n".to_vec(),
            "192.0.2.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 80\r\n".to_vec(),
            "2001:db8::7",
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.9 ::1 50000 80\r\n".to_vec(),
            "192.0.2.9",
        ),
        (binary_v4([192, 0, 2, 8], 50000, 80), "192.0.2.8"),
        (b"PROXY UNKNOWN whatever\r\n".to_vec(), PROXY),
    ];
    for (header, client) in cases {
        let mut wire = connect(&elbow);
        wire.send(&header);
        for target in ["/first", "/second"] {
            assert_eq!(wire.ask(&get(target, &[])).status(), 200);
            assert_eq!(backend.last().head.target(), target);
            assert_eq!(client_of_last(&backend), client);
        }
        assert_eq!(ask_behind(&elbow, &header, "/at-once").status(), 200);
        assert_eq!(client_of_last(&backend), client);
    }
    assert_eq!(elbow.sum("elbow_proxy_headers_refused_total"), 0);
}

#[test]
fn a_header_comes_whole_however_it_is_cut() {
    let (elbow, backend) = listening(FROM_PROXY);
    let mut with_extensions = binary_v4([192, 0, 2, 7], 50000, 80);
    // Longer than the block that an idle connection holds.
    let extension = [&[0xe0, 0x0b, 0xb8][..], &[0xaa; 3000]].concat();
    let length = u16::try_from(12 + extension.len()).expect("below the bound");
    with_extensions[14..16].copy_from_slice(&length.to_be_bytes());
    with_extensions.extend_from_slice(&extension);
    let headers: [&[u8]; 2] = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n",
        &with_extensions,
    ];
    for header in headers {
        let request = get("/cut", &[]);
        let bytes = [header, request.as_bytes()].concat();
        let mut wire = connect(&elbow);
        for (index, byte) in bytes.iter().enumerate() {
            wire.send([*byte]);
            // Lets most of what was sent arrive alone; whether it does changes no answer.
            if index % 16 == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(wire.response_to(&request).status(), 200);
        assert_eq!(client_of_last(&backend), "192.0.2.7");
    }
}

#[test]
fn a_trusted_connection_without_a_whole_header_is_closed_and_counted() {
    let (elbow, backend) = listening(FROM_PROXY);
    let request = get("/", &[]);
    let too_long = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    let wrong: [&[u8]; 5] = [
        request.as_bytes(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\n",
        b"PROXY TCP4 192.0.2.300 198.51.100.1 50000 80\r\n",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        &too_long,
    ];
    for bytes in wrong {
        let mut wire = connect(&elbow);
        wire.send(bytes);
        wire.expect_close();
    }
    let mut cut_short = connect(&elbow);
    cut_short.send("PROXY TCP4 192.0.2.7");
    cut_short.finish();
    cut_short.expect_close();
    let refused = || elbow.sum("elbow_proxy_headers_refused_total");
    assert_eq!(refused(), 6);
    // Nobody is refused who said nothing: so do balancers that only look whether elbow listens.
    let mut silent = connect(&elbow);
    silent.finish();
    silent.expect_close();
    assert_eq!(refused(), 6);
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_header_that_does_not_end_in_time_ends_the_connection() {
    let backend = Backend::named("one");
    let setup = Setup::new(&[backend.address])
        .listener_line(FROM_PROXY)
        .attribute("idle_timeout = \"300ms\"");
    let elbow = Elbow::start(&setup.to_toml());
    let mut wire = connect(&elbow);
    wire.send("PROXY TCP4 192.0.2.7");
    wire.expect_close();
    assert_eq!(elbow.sum("elbow_proxy_headers_refused_total"), 1);
    connect(&elbow).expect_close();
    assert_eq!(elbow.sum("elbow_proxy_headers_refused_total"), 1);
}

#[test]
fn a_header_from_elsewhere_is_no_request_and_never_believed() {
    for line in [FROM_PROXY, ""] {
        let (elbow, backend) = listening(line);
        let headers = [
            b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            binary_v4([192, 0, 2, 7], 50000, 80),
        ];
        for header in headers {
            let mut wire = elbow.connect();
            wire.send([&header, get("/", &[]).as_bytes()].concat());
            assert_eq!(wire.response_to("GET").status(), 400);
        }
        assert_eq!(backend.count(), 0);
        // Who sends none is served as ever.
        assert_eq!(elbow.ask(&get("/", &[])).status(), 200);
        assert_eq!(client_of_last(&backend), "127.0.0.1");
    }
}

#[test]
fn clients_behind_a_proxy_are_kept_apart_by_their_addresses() {
    let backends = [Backend::named("one"), Backend::named("two")];
    let setup = Setup::new(&[backends[0].address, backends[1].address])
        .listener_line(FROM_PROXY)
        .attribute("fallback_affinity = \"client-address\"");
    let elbow = Elbow::start(&setup.to_toml());
    let body_for = |client: u8, target: &str| {
        let header = format!("PROXY TCP4 192.0.2.{client} 198.51.100.1 50000 80\r\n");
        ask_behind(&elbow, header.as_bytes(), target).body_text()
    };
    let mut clients = (0..=255).cycle();
    let mut missing = vec![&backends[0], &backends[1]];
    eventually("both in service", || {
        body_for(clients.next().expect("it has no end"), "/in-service");
        missing.retain(|backend| !backend.take_reached());
        missing.is_empty()
    });
    let homes: Vec<String> = (0..32).map(|client| body_for(client, "/")).collect();
    let again: Vec<String> = (0..32).map(|client| body_for(client, "/")).collect();
    assert_eq!(homes, again);
    assert!(
        homes.contains(&"one".to_owned()) && homes.contains(&"two".to_owned()),
        "{homes:?}"
    );
}

#[test]
fn curl_is_taken_for_who_it_says_it_is() {
    if Command::new("curl").arg("--version").output().is_err() {
        let told = "LEFT OUT: curl is not there";
        assert!(env::var("CI").as_deref() != Ok("true"), "{told}");
        say(told);
        return;
    }
    let (elbow, backend) = listening(FROM_PROXY);
    let url = format!("http://{}/curl", elbow.address());
    let output = Command::new("curl")
        .args([
            "--silent",
            "--fail",
            "--noproxy",
            "*",
            "--max-time",
            "15",
            "--interface",
            PROXY,
            "--haproxy-protocol",
        ])
        .arg(url)
        .output()
        .expect("curl starts");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"one");
    assert_eq!(backend.last().head.target(), "/curl");
    assert_eq!(client_of_last(&backend), PROXY);
}

#[test]
fn on_an_https_listener_the_header_stands_in_front_of_tls() {
    let site = Site::new("site.test");
    let backend = Backend::named("one");
    let setup = Setup::new(&[backend.address]).https(&site.lines());
    let elbow = setup.listener_line(FROM_PROXY).start(&[&backend]);
    let port = elbow.listeners[1].port();
    let output = Command::new("curl")
        .args(["-sS", "--fail", "--max-time", "15", "--noproxy", "*"])
        .args(["--interface", PROXY, "--haproxy-protocol"])
        .args(["--resolve", &format!("site.test:{port}:127.0.0.1")])
        .args(["--cacert", &site.file])
        .arg(format!("https://site.test:{port}/tls"))
        .output()
        .expect("curl is installed");
    assert_eq!(output.stdout, b"one", "{output:?}");
    assert_eq!(client_of_last(&backend), PROXY);
}

/// A relayed connection begins with the header at its backend, whether it says who connected or
/// passes on what a proxy in front said, and what came behind that follows.
#[test]
fn a_relayed_connection_begins_with_the_header() {
    for (line, sent, begins) in [
        ("", "hello", "PROXY TCP4 127.0.0.2 127.0.0.1 "),
        (
            FROM_PROXY,
            "PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\nhello",
            "PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n",
        ),
    ] {
        let (backend, streams) = RawBackend::held();
        let setup = Setup::tcp(&[backend.address]).listener_line(line);
        let elbow = Elbow::start(&setup.proxy_protocol(8080, "v1").to_toml());
        eventually("the backend in service", || {
            elbow.sum("elbow_backend_in_service") == 1
        });
        let mut near = connect(&elbow);
        near.send(sent);
        let mut far = streams.recv_timeout(PATIENCE).expect("it is reached");
        let mut got = Vec::new();
        while !got.ends_with(b"hello") {
            let mut byte = [0];
            far.read_exact(&mut byte).expect("the bytes arrive");
            got.push(byte[0]);
        }
        let got = String::from_utf8(got).expect("it is text");
        assert!(got.starts_with(begins), "{got:?}");
        assert_eq!(got.matches("PROXY").count(), 1, "{got:?}");
        assert!(got.ends_with("\r\nhello"), "{got:?}");
    }
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn say(text: &str) {
    eprintln!("{text}");
}
