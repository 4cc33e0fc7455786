//! The admin address and clients that mean it no good: what they send is refused with the right
//! status and counted, what they hold is bounded, and nobody else is kept waiting.

use std::io::Write;
use std::iter;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{Backend, Elbow, Response, Setup, Traffic, Wire, dial, eventually, post};

/// Bytes of a body that nobody should read.
const HUGE: usize = 100_000_000;

/// Bytes of it that may be on their way when it is refused: what the kernel keeps for both ends.
const ON_ITS_WAY_MAX: usize = 32_000_000;

/// Memory that elbow may take for all of such bodies.
const GROWTH_BYTES_MAX: u64 = 8_000_000;

fn start() -> (Backend, Elbow) {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    (backend, elbow)
}

/// Sends pieces until the other end takes no more of them, and reads the answer.
fn pour(elbow: &Elbow, head: &str, pieces: impl Iterator<Item = Vec<u8>>) -> (Response, usize) {
    let mut wire = Wire::connect(elbow.admin);
    wire.send(head);
    let mut sent = 0;
    for piece in pieces {
        if wire.try_send(&piece).is_err() {
            break;
        }
        sent += piece.len();
    }
    (wire.try_response("POST").expect("an answer"), sent)
}

/// A body in pieces of this size, or in chunks of it.
fn body(is_chunked: bool) -> impl Iterator<Item = Vec<u8>> {
    const PIECE: usize = 100_000;
    let mut piece = vec![b'a'; PIECE];
    if is_chunked {
        piece.splice(..0, format!("{PIECE:x}\r\n").into_bytes());
        piece.extend(b"\r\n");
    }
    iter::repeat_n(piece, HUGE / PIECE)
}

/// The code of an answer in the shape of AWS.
fn code(answer: &Response) -> String {
    let text = answer.body_text();
    assert!(text.contains("<ErrorResponse xmlns="), "{text}");
    assert!(text.contains("<RequestId>"), "{text}");
    let code = text
        .split("<Code>")
        .nth(1)
        .and_then(|rest| rest.split("</Code>").next());
    code.expect("a code").to_owned()
}

#[test]
fn bodies_without_end_are_refused_unread() {
    let (_backend, elbow) = start();
    let before = elbow.resident_bytes_max();
    let descriptors = elbow.descriptors();
    let framings = [
        (false, format!("Content-Length: {HUGE}")),
        (true, "Transfer-Encoding: chunked".to_owned()),
    ];
    for (target, status) in [("/", 400), ("/v1/drains", 413), ("/healthz", 405)] {
        for (is_chunked, framing) in &framings {
            let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
            let (answer, sent) = pour(&elbow, &head, body(*is_chunked));
            assert_eq!(answer.status(), status, "{head}{}", answer.head.text);
            assert!(sent < ON_ITS_WAY_MAX, "{sent} bytes went to {target}");
            if target == "/" {
                assert_eq!(code(&answer), "InvalidQueryParameter");
            }
        }
    }
    // And many at once.
    thread::scope(|scope| {
        for _ in 0..8 {
            let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
            let elbow = &elbow;
            scope.spawn(move || pour(elbow, head, body(true)));
        }
    });
    let grown = elbow.resident_bytes_max() - before;
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes");
    eventually("all is closed", || elbow.descriptors() <= descriptors);
}

#[test]
fn slow_clients_keep_nobody_out() {
    const SLOW: usize = 1_000;
    /// What elbow has for connections at its admin address.
    const PLACES: usize = 64;
    raise_descriptor_limit();
    let (_backend, elbow) = start();
    let descriptors = elbow.descriptors();
    let traffic = Traffic::begin(&elbow, true);
    let mut slow = Vec::new();
    for count in 1..=SLOW {
        let mut stream = dial(elbow.admin).expect("it is accepted");
        // By turns they say nothing, begin a head, and begin a body.
        let begun: &[u8] = match count % 3 {
            0 => b"",
            1 => b"POST / HT",
            _ => b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\nAct",
        };
        stream.write_all(begun).expect("it is open");
        slow.push(stream);
        if count % 50 == 0 {
            let form = "Action=DescribeLoadBalancers";
            assert_eq!(elbow.api(form).0, 200, "beside {count} of them");
        }
    }
    traffic.end();
    let displaced = elbow.sum("elbow_admin_connections_displaced_total");
    assert!((800..=1_100).contains(&displaced), "{displaced}");
    assert_eq!(elbow.sum("elbow_admin_connections_refused_total"), 0);
    // On each of two shards a client of the traffic leaves a connection to the backend at most.
    let descriptors = descriptors + 2 * Traffic::CLIENTS;
    eventually("the others are closed", || {
        elbow.descriptors() <= descriptors + PLACES
    });
    drop(slow);
    eventually("all is closed", || elbow.descriptors() <= descriptors);
}

/// Lets this process hold as many descriptors as it may.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("it is allowed up to the maximum");
}

#[test]
fn what_makes_no_sense_is_refused_and_counted() {
    let (_backend, elbow) = start();
    let descriptors = elbow.descriptors();
    let many: String = (0..10_000).map(|n| format!("P{n}={n}&")).collect();
    let forms = [
        ("", 400, "MissingAction"),
        ("Version=2012-06-01", 400, "MissingAction"),
        ("Action=DescribeLoadBalancers", 400, "MissingParameter"),
        ("Action=Nothing&Version=2012-06-01", 400, "InvalidAction"),
        (
            "Action=DescribeLoadBalancers&Version=2015-12-01",
            400,
            "InvalidAction",
        ),
        (
            "Action=DescribeLoadBalancers&Version=2012-06-01&Action=X",
            400,
            "InvalidQueryParameter",
        ),
        ("Action=%zz&Version=2012-06-01", 404, "MalformedQueryString"),
        (
            "Action=%ff%fe&Version=2012-06-01",
            404,
            "MalformedQueryString",
        ),
        ("a.b.c.d.e.f.g.h.i.j=1", 400, "InvalidQueryParameter"),
        (
            "Action=CreateLoadBalancer&Version=2012-06-01",
            400,
            "ValidationError",
        ),
        (&many, 400, "InvalidQueryParameter"),
    ];
    for (form, status, expected) in forms {
        let answer = Wire::connect(elbow.admin).ask(&post("/", &[], form));
        let shown = &form[..form.len().min(80)];
        assert_eq!(
            (answer.status(), &*code(&answer)),
            (status, expected),
            "{shown}"
        );
    }
    for field in ["Host: evil.example", "Origin: http://evil.example"] {
        for target in ["/", "/v1/drains"] {
            let request = format!("POST {target} HTTP/1.1\r\n{field}\r\nContent-Length: 0\r\n\r\n");
            let answer = Wire::connect(elbow.admin).ask(&request);
            assert_eq!(answer.status(), 403, "{request}");
            if target == "/" {
                assert_eq!(code(&answer), "AccessDenied");
            }
        }
    }
    let mut refused = forms.len() + 4;
    for (bytes, status) in no_requests() {
        let mut wire = Wire::connect(elbow.admin);
        // It may be refused before all of it is sent.
        drop(wire.try_send(&bytes));
        let answer = wire.try_response("GET").expect("an answer");
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert_eq!(answer.status(), status, "{shown}");
        refused += 1;
    }
    assert_eq!(
        elbow.sum("elbow_admin_requests_refused_total"),
        refused as u64
    );
    assert_eq!(elbow.admin("GET", "/v1/drains", "").0, 200);
    eventually("all is closed", || elbow.descriptors() <= descriptors);
}

/// What HTTP does not know, and how it is answered.
fn no_requests() -> Vec<(Vec<u8>, u16)> {
    let field = |count: usize, bytes: usize| {
        let line = format!("x: {}\r\n", "y".repeat(bytes));
        format!("GET /metrics HTTP/1.1\r\n{}\r\n", line.repeat(count)).into_bytes()
    };
    vec![
        (field(1, 100_000), 431),
        (field(10_000, 1), 431),
        (field(200, 1), 431),
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)).into_bytes(),
            431,
        ),
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n".to_vec(), 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n".to_vec(),
            400,
        ),
        (
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\xff\r\n\r\n".to_vec(),
            400,
        ),
        (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n".to_vec(), 403),
        (
            b"GET /v1/explain?load_balancer=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            404,
        ),
    ]
}
