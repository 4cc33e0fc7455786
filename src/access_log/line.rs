//! A line as the Classic Load Balancer has it.
//!
//! Invariant: fields are separated by one blank, and only the two that are quoted can have others.

use std::net::SocketAddr;
use std::time::Duration;

use super::when::{TIMESTAMP_BYTES, write_micros};
use super::{Entry, Http, More, parts, write_url};

/// What a request line stands for that cannot be read as one; a connection has it too.
const NO_REQUEST: &[u8] = b"\"- - - \"";

/// A time that it did not come to.
const NEVER: &[u8] = b"-1";

/// Appends the fields up to `ssl_protocol`.
pub(super) fn write(entry: &Entry<'_>, timestamp: &[u8; TIMESTAMP_BYTES], out: &mut Vec<u8>) {
    out.extend_from_slice(timestamp);
    field(entry.load_balancer.as_bytes(), out);
    out.push(b' ');
    write_address(entry.client, out);
    out.push(b' ');
    match entry.backend {
        Some(backend) => write_address(backend, out),
        None => out.push(b'-'),
    }
    for time in [
        entry.times.request,
        entry.times.backend,
        entry.times.response,
    ] {
        out.push(b' ');
        write_time(time, out);
    }
    match &entry.http {
        Some(http) => {
            number(http.status.into(), out);
            number(http.backend_status.into(), out);
        }
        None => out.extend_from_slice(b" - -"),
    }
    number(entry.received_bytes, out);
    number(entry.sent_bytes, out);
    out.push(b' ');
    write_request(entry.http.as_ref(), out);
    let (cipher, protocol) = entry.tls.unwrap_or(("-", "-"));
    field(cipher.as_bytes(), out);
    field(protocol.as_bytes(), out);
}

/// Appends what elbow alone has.
pub(super) fn write_more(more: &More<'_>, out: &mut Vec<u8>) {
    field(more.verdict.as_bytes(), out);
    field(more.reason.as_bytes(), out);
    number(more.shard as u64, out);
    number(more.epoch, out);
    out.extend_from_slice(b" \"");
    match more.request_id {
        [] => out.push(b'-'),
        id => escape(id, out),
    }
    out.push(b'"');
}

/// The two quoted fields.
fn write_request(http: Option<&Http<'_>>, out: &mut Vec<u8>) {
    let Some(http) = http else {
        out.extend_from_slice(NO_REQUEST);
        return out.extend_from_slice(b" \"-\"");
    };
    match parts(http.request_line) {
        Some([method, target, version]) => {
            out.push(b'"');
            escape(method, out);
            out.push(b' ');
            write_url(http, target, |part| escape(part, out));
            out.push(b' ');
            escape(version, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(NO_REQUEST),
    }
    out.extend_from_slice(b" \"");
    if http.user_agent.is_empty() {
        out.push(b'-');
    } else {
        escape(http.user_agent, out);
    }
    out.push(b'"');
}

fn field(text: &[u8], out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(text);
}

fn number(number: u64, out: &mut Vec<u8>) {
    field(itoa::Buffer::new().format(number).as_bytes(), out);
}

/// Not by `Display`, which takes three times as long as the rest of the line.
fn write_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address {
        SocketAddr::V4(v4) => {
            for (at, octet) in v4.ip().octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        SocketAddr::V6(v6) => {
            use std::io::Write;
            write!(out, "[{}]", v6.ip()).expect("a vector takes every write");
        }
    }
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(address.port()).as_bytes());
}

/// Seconds with six decimals.
fn write_time(time: Option<Duration>, out: &mut Vec<u8>) {
    let Some(time) = time else {
        return out.extend_from_slice(NEVER);
    };
    out.extend_from_slice(itoa::Buffer::new().format(time.as_secs()).as_bytes());
    let mut decimals = *b".000000";
    write_micros(time.subsec_micros().into(), &mut decimals[1..]);
    out.extend_from_slice(&decimals);
}

/// What a client has said, with all bytes that could end a field or a line as `\xHH`.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| is_odd(*byte)) {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        out.extend_from_slice(b"\\x");
        out.extend_from_slice(&digits);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn is_odd(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\'
}
