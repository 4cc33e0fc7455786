//! The access log: one line for each request, and for each connection of a TCP or SSL listener, as
//! the Classic Load Balancer writes them (CLB.md §4.12) or as JSON.
//!
//! Not who gathers what is in a line (`shard::record`), and not where lines go (`control::log`).
//! Invariants: what a client says never ends a line or a quoted field; each line has all fields of
//! its format.

mod json;
mod line;
mod when;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Attributes, Format};
use when::Seconds;

/// What is known of a request, or of a connection, at its end.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When its head had come or the connection was accepted, in microseconds since 1970.
    pub received_us: u64,
    /// The load balancer's name.
    pub load_balancer: &'a str,
    /// The client's address, a PROXY header's if there was one.
    pub client: SocketAddr,
    /// The backend that answered; `None`: none did in time.
    pub backend: Option<SocketAddr>,
    /// What it took. `None`: it did not come to that.
    pub times: Times,
    /// Bytes of the request's body, or all that the client has sent.
    pub received_bytes: u64,
    /// Bytes of the answer's body, or all that the client has got.
    pub sent_bytes: u64,
    /// `None`: a connection that is relayed.
    pub http: Option<Http<'a>>,
    /// Cipher and protocol, as OpenSSL names them.
    pub tls: Option<(&'a str, &'a str)>,
    /// What elbow alone has.
    pub more: More<'a>,
}

/// The three times of a line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// From the request's receipt until it was sent to the backend.
    pub request: Option<Duration>,
    /// From there until the head of the answer had come; of a connection, what it took to connect.
    pub backend: Option<Duration>,
    /// From there until it was being sent to the client.
    pub response: Option<Duration>,
}

/// What only a request has.
#[derive(Debug, Clone, Copy)]
pub struct Http<'a> {
    /// The status that the client got; 0: it got none.
    pub status: u16,
    /// The status that the backend has answered with; 0: none.
    pub backend_status: u16,
    /// The first line of the head, as it came.
    pub request_line: &'a [u8],
    /// The value of the first `Host` field, as it came; empty: there was none.
    pub host: &'a [u8],
    /// The value of the first `User-Agent` field, as it came; empty: there was none.
    pub user_agent: &'a [u8],
    /// The listener's port.
    pub port: u16,
    /// It came over TLS.
    pub is_secure: bool,
}

/// What elbow alone has.
#[derive(Debug, Clone, Copy)]
pub struct More<'a> {
    /// The verdict on stickiness; `-`: none was given.
    pub verdict: &'a str,
    /// Why the request is not where its verdict says: `refused` by its backend, or in its place
    /// only after it has `waited`; `-` otherwise.
    pub reason: &'a str,
    /// The shard that served it.
    pub shard: usize,
    /// The epoch of the view that it was served by.
    pub epoch: u64,
    /// The id that the request came with or was given; empty: it has none.
    pub request_id: &'a [u8],
}

/// Lines on their way to whoever writes them.
#[derive(Debug, Default)]
pub struct Lines {
    /// The load balancer that they are of, by its name and with its
    /// [`Bucket`](crate::config::Bucket), where they are for its own files; `None`: for where all
    /// go.
    pub of: Option<(Arc<str>, Arc<Attributes>)>,
    /// The lines, each with its end.
    pub text: Vec<u8>,
    /// How many they are.
    pub count: u64,
}

/// What there is to do for whoever writes them.
#[derive(Debug)]
pub enum ToWrite {
    /// Write these.
    Lines(Lines),
    /// Open the file again: it has been moved away.
    Reopen,
    /// This is the end.
    End,
}

/// Writes lines, one after the other.
#[derive(Debug, Default)]
pub struct Writer {
    format: Format,
    seconds: Seconds,
}

impl Writer {
    /// One for that format.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            seconds: Seconds::default(),
        }
    }

    /// Appends one line and its line end.
    pub fn write(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let timestamp = self.seconds.timestamp(entry.received_us);
        match self.format {
            Format::Clb => line::write(entry, &timestamp, out),
            Format::ClbAndMore => {
                line::write(entry, &timestamp, out);
                line::write_more(&entry.more, out);
            }
            Format::Json => json::write(entry, &timestamp, out),
        }
        out.push(b'\n');
    }
}

/// The three parts of a request line, if it has as many.
fn parts(request_line: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = request_line.split(|byte| *byte == b' ');
    let three = [parts.next()?, parts.next()?, parts.next()?];
    (parts.next().is_none() && three.iter().all(|part| !part.is_empty())).then_some(three)
}

/// Appends the URL that a request is about: scheme, the host that the client named, the listener's
/// port and the target as it came.
fn write_url(http: &Http<'_>, target: &[u8], mut append: impl FnMut(&[u8])) {
    let scheme = if http.is_secure { "https" } else { "http" };
    if target.starts_with(b"http://") || target.starts_with(b"https://") {
        return append(target);
    }
    append(scheme.as_bytes());
    append(b"://");
    append(without_port(http.host));
    append(b":");
    let mut digits = itoa::Buffer::new();
    append(digits.format(http.port).as_bytes());
    // `*` and what else is no path.
    if !target.starts_with(b"/") {
        append(b"/");
    }
    append(target);
}

/// A host as a Host field has it, without the port that it may have.
fn without_port(host: &[u8]) -> &[u8] {
    let end = match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if !host[at..].contains(&b']') => at,
        Some(_) | None => host.len(),
    };
    if end == 0 { b"-" } else { &host[..end] }
}

#[cfg(test)]
mod tests;
