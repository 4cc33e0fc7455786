//! Is a rival doing its work? One request at a time, before anything is timed.
//!
//! Not a load generator and not a conformance test. Invariant: no rival is timed that gives a wrong
//! status, a body of the wrong length, or another backend to a session that it has bound.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Failure;
use crate::backend::{BODIES, IDENTITY_FIELD};
use crate::process::{Process, look_until};
use crate::wrk::{BROWSER_FIELDS, cookie_field};

/// How long a rival may take from its start to its first 200, health checks included.
const READY_TIMEOUT: Duration = Duration::from_secs(40);

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests of one session that have to meet the same backend. By chance alone a balancer over two
/// backends passes once in 32,768 times.
const STICKY_REQUESTS: usize = 16;

/// Most fields in a response head.
const FIELDS_MAX: usize = 32;

/// What a request got.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Length of the body as it arrived.
    pub(crate) body_bytes: usize,
    /// The port of the backend that answered, if one did.
    pub(crate) backend: String,
    /// What the `Set-Cookie` fields set, ready for a `Cookie` field.
    pub(crate) cookies: String,
}

/// Asks until the answer is 200. A refused connection or a 503 only means: not yet.
///
/// # Errors
/// If it ends, or there is no 200 in time.
pub(crate) fn wait_until_ready(process: &mut Process, address: SocketAddr) -> Result<(), Failure> {
    let (path, _) = BODIES[0];
    let mut last = String::new();
    let outcome = look_until(READY_TIMEOUT, || {
        match process.exit_status() {
            Ok(None) => {}
            Ok(Some(status)) => return Some(Err(format!("ended before it served, {status}"))),
            Err(error) => return Some(Err(error.to_string())),
        }
        last = match fetch(address, path, "") {
            Ok(answer) if answer.status == 200 => return Some(Ok(())),
            Ok(answer) => format!("status {}", answer.status),
            Err(error) => error.to_string(),
        };
        None
    });
    let late = || Err(format!("no 200 within {READY_TIMEOUT:?}: {last}"));
    Ok(outcome.unwrap_or_else(late)?)
}

/// Checks every body, and if `is_sticky` that a session stays; returns the session's cookies.
///
/// # Errors
/// The first thing that is not as it has to be.
pub(crate) fn verify(address: SocketAddr, is_sticky: bool) -> Result<String, Failure> {
    for (path, body_bytes) in BODIES {
        let answer = fetch(address, path, "")?;
        if (answer.status, answer.body_bytes) != (200, body_bytes) {
            let Answer {
                status,
                body_bytes: got,
                ..
            } = answer;
            return Err(format!("{path}: {status} with {got} of {body_bytes} bytes").into());
        }
    }
    let (path, _) = BODIES[0];
    let first = fetch(address, path, "")?;
    if !is_sticky {
        return Ok(String::new());
    }
    if first.cookies.is_empty() {
        return Err("it sets no stickiness cookie".into());
    }
    for _ in 1..STICKY_REQUESTS {
        let answer = fetch(address, path, &first.cookies)?;
        if answer.backend != first.backend {
            let (from, to) = (first.backend, answer.backend);
            return Err(format!("a session moved from backend {from} to {to}").into());
        }
    }
    Ok(first.cookies)
}

/// Sends one request on a connection of its own and reads the whole answer.
///
/// # Errors
/// What the socket says, or that the answer is no HTTP/1.1 response.
pub(crate) fn fetch(address: SocketAddr, path: &str, cookies: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let fields = BROWSER_FIELDS.join("\r\n");
    let cookie = cookie_field(cookies);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         {fields}\r\n{cookie}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    parse(&received)
}

fn parse(received: &[u8]) -> io::Result<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = head.parse(received).map_err(io::Error::other)?
    else {
        return Err(io::Error::other(
            "the connection closed within the response head",
        ));
    };
    let values = |name: &str| -> Vec<String> {
        let matching = head
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        matching
            .map(|field| String::from_utf8_lossy(field.value).into_owned())
            .collect()
    };
    let cookies: Vec<String> = values("Set-Cookie")
        .iter()
        .filter_map(|field| field.split(';').next().map(str::to_owned))
        .collect();
    Ok(Answer {
        status: head.code.unwrap_or_default(),
        body_bytes: received.len() - head_bytes,
        backend: values(IDENTITY_FIELD).concat(),
        cookies: cookies.join("; "),
    })
}
