//! What the access log is to say of a request, or of a relayed connection, gathered as it goes.
//!
//! Not how a line is written (`access_log`) and not who takes it (`log.rs`). Invariants: where a
//! load balancer has no log a note is one load and nothing else; nothing here waits.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::access_log::{Entry, Http, More, Times};
use crate::limits::{LOGGED_TEXT_BYTES_MAX, RECORD_TEXT_BYTES_KEPT};
use crate::state::Route;
use crate::sticky::Verdict;
use crate::sys::{Moment, unix_micros};

/// A connection's place for the record of what goes on there.
#[derive(Default)]
pub(super) struct Slot(Cell<Option<Box<Record>>>);

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

impl Slot {
    /// Notes something, if there is a log.
    pub(super) fn note(&self, note: impl FnOnce(&mut Record)) {
        if let Some(mut record) = self.0.take() {
            note(&mut record);
            self.0.set(Some(record));
        }
    }

    /// Begins a record.
    pub(super) fn put(&self, record: Box<Record>) {
        self.0.set(Some(record));
    }

    /// Ends it.
    pub(super) fn take(&self) -> Option<Box<Record>> {
        self.0.take()
    }
}

/// One request, or one relayed connection.
#[derive(Debug)]
pub(super) struct Record {
    received_us: u64,
    received: Moment,
    sent: Option<Moment>,
    connecting: Option<Moment>,
    connected_in: Option<Duration>,
    answered: Option<Moment>,
    begun: Option<Moment>,
    backend: Option<SocketAddr>,
    status: u16,
    backend_status: u16,
    verdict: Option<Verdict>,
    reason: &'static str,
    received_bytes: u64,
    sent_bytes: u64,
    /// How much of either body was left ([`Body::left`](crate::http::Body::left)) at its beginning.
    left_up: u64,
    left_down: u64,
    /// Name of the load balancer, request line, host, user agent and id, one after the other.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: [usize; 5],
    port: u16,
    is_secure: bool,
    is_http: bool,
    /// The load balancer has files of its own.
    pub(super) is_kept: bool,
}

impl Record {
    /// One that has begun now, with what there is of a head; `None`: of a connection that is
    /// relayed. It has the memory of `before`.
    pub(super) fn begin(
        before: Option<Box<Self>>,
        route: &Route,
        head: Option<&[u8]>,
    ) -> Box<Self> {
        let mut record = before.unwrap_or_else(|| Box::new(Self::empty(Vec::new())));
        let mut text = std::mem::take(&mut record.text);
        text.clear();
        text.extend_from_slice(route.load_balancer.as_bytes());
        let name_end = text.len();
        let said = Said::of(head.unwrap_or_default());
        let [line_end, host_end, agent_end] =
            [said.request_line, said.host, said.user_agent].map(|part| {
                text.extend_from_slice(&part[..part.len().min(LOGGED_TEXT_BYTES_MAX)]);
                text.len()
            });
        *record = Self {
            ends: [name_end, line_end, host_end, agent_end, agent_end],
            port: route.address.port(),
            is_secure: route.protocol.is_secure(),
            is_http: head.is_some(),
            ..Self::empty(text)
        };
        record
    }

    fn empty(text: Vec<u8>) -> Self {
        Self {
            received_us: unix_micros(),
            received: Moment::now(),
            sent: None,
            connecting: None,
            connected_in: None,
            answered: None,
            begun: None,
            backend: None,
            status: 0,
            backend_status: 0,
            verdict: None,
            reason: NO_REASON,
            received_bytes: 0,
            sent_bytes: 0,
            left_up: 0,
            left_down: 0,
            text,
            ends: [0; 5],
            port: 0,
            is_secure: false,
            is_http: false,
            is_kept: false,
        }
    }

    /// Whether it is worth keeping for another request.
    pub(super) fn is_small(&self) -> bool {
        self.text.capacity() <= RECORD_TEXT_BYTES_KEPT
    }

    /// The load balancer's name.
    pub(super) fn load_balancer(&self) -> &str {
        str::from_utf8(&self.text[..self.ends[0]]).expect("names are ASCII")
    }

    /// Its head holds, stickiness has its verdict, and so much of its body is left.
    pub(super) fn judged(&mut self, verdict: Verdict, left: u64) {
        self.verdict = Some(verdict);
        self.left_up = left;
    }

    /// It came with that id, or was given it.
    pub(super) fn identified(&mut self, id: &[u8]) {
        let start = self.ends[3];
        self.text.truncate(start);
        self.text
            .extend_from_slice(&id[..id.len().min(LOGGED_TEXT_BYTES_MAX)]);
        self.ends[4] = self.text.len();
    }

    /// Of its body so much is left now.
    pub(super) fn received(&mut self, left: u64) {
        self.received_bytes = self.left_up - left;
    }

    /// It had to wait for a backend with room.
    pub(super) fn waited(&mut self) {
        self.reason = "waited";
    }

    /// The backend to which it belongs could not be reached.
    pub(super) fn refused(&mut self) {
        self.reason = "refused";
    }

    /// A backend is being connected to, for a connection that is relayed.
    pub(super) fn connecting(&mut self, since: Moment) {
        self.connecting = Some(since);
    }

    /// There is a connection to that backend.
    pub(super) fn connected(&mut self, backend: SocketAddr) {
        self.backend = Some(backend);
        let since = self.connecting.take();
        self.connected_in = since.map(|since| Moment::now().since(since));
        self.sent = None;
    }

    /// The first of it was sent to the backend.
    pub(super) fn sent(&mut self, at: Moment) {
        self.sent.get_or_insert(at);
    }

    /// The backend has begun to answer.
    pub(super) fn answered(&mut self, at: Moment) {
        self.answered.get_or_insert(at);
    }

    /// The backend of a connection that is relayed has said something.
    pub(super) fn spoken(&mut self) {
        self.answered.get_or_insert_with(Moment::now);
    }

    /// The backend's answer, of that status and with so much of a body, begins to go to the client.
    pub(super) fn passed_on(&mut self, status: u16, left: u64) {
        (self.status, self.backend_status) = (status, status);
        self.left_down = left;
        self.begun.get_or_insert_with(Moment::now);
    }

    /// What was taken of the answer has gone to the client, if `is_sent`; so much is left.
    pub(super) fn sent_down(&mut self, is_sent: bool, left: u64) {
        if is_sent {
            self.sent_bytes = self.left_down - left;
        }
    }

    /// So many bytes were relayed, up to the backend or down to the client.
    pub(super) fn relayed(&mut self, is_up: bool, bytes: u64) {
        if is_up {
            self.received_bytes += bytes;
            self.sent.get_or_insert_with(Moment::now);
        } else {
            self.sent_bytes += bytes;
            self.begun.get_or_insert_with(Moment::now);
        }
    }

    /// elbow has answered by itself.
    pub(super) fn replied(&mut self, status: u16) {
        self.status = status;
    }

    /// What is to be written, as far as it is known here.
    pub(super) fn entry<'a>(
        &'a self,
        client: SocketAddr,
        tls: Option<(&'a str, &'a str)>,
        shard: usize,
        epoch: u64,
    ) -> Entry<'a> {
        let part = |n: usize| &self.text[self.ends[n - 1]..self.ends[n]];
        let has_answered = self.begun.is_some() || (!self.is_http && self.sent.is_some());
        Entry {
            received_us: self.received_us,
            load_balancer: self.load_balancer(),
            client,
            backend: self.backend.filter(|_| has_answered || !self.is_http),
            times: if has_answered {
                self.times()
            } else {
                Times::default()
            },
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            http: self.is_http.then(|| Http {
                status: self.status,
                backend_status: self.backend_status,
                request_line: part(1),
                host: part(2),
                user_agent: part(3),
                port: self.port,
                is_secure: self.is_secure,
            }),
            tls,
            more: More {
                verdict: self.verdict.map_or(NO_REASON, Verdict::name),
                reason: self.reason,
                shard,
                epoch,
                request_id: part(4),
            },
        }
    }

    fn times(&self) -> Times {
        let between = |from: Option<Moment>, to: Option<Moment>| Some(to?.since(from?));
        Times {
            request: between(Some(self.received), self.sent),
            backend: self
                .connected_in
                .or_else(|| between(self.sent, self.answered)),
            response: between(self.answered, self.begun),
        }
    }
}

/// What stands for a verdict or a reason that is not there.
const NO_REASON: &str = "-";

/// What a client says of itself and of what it wants, whether its head holds or not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said<'h> {
    request_line: &'h [u8],
    host: &'h [u8],
    user_agent: &'h [u8],
}

impl<'h> Said<'h> {
    fn of(head: &'h [u8]) -> Self {
        let mut lines = Lines(head);
        let mut said = Self {
            request_line: lines.next().unwrap_or_default(),
            ..Self::default()
        };
        for line in lines {
            if said.host.is_empty() {
                said.host = value(line, b"host:").unwrap_or_default();
            }
            if said.user_agent.is_empty() {
                said.user_agent = value(line, b"user-agent:").unwrap_or_default();
            }
        }
        said
    }
}

/// The value of a field, if it has that name.
fn value<'h>(line: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Lines, without their ends.
struct Lines<'h>(&'h [u8]);

impl<'h> Iterator for Lines<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_found_also_where_its_head_does_not_hold() {
        let said = |head: &'static [u8]| {
            let Said {
                request_line,
                host,
                user_agent,
            } = Said::of(head);
            [request_line, host, user_agent].map(|part| str::from_utf8(part).unwrap())
        };
        let head = b"GET / HTTP/1.1\r\nUser-Agent:  a b \r\nHost: c\r\nhost: d\r\n\r\n";
        assert_eq!(said(head), ["GET / HTTP/1.1", "c", "a b"]);
        assert_eq!(
            said(b"GET / HTTP/1.1\nHOST:c\nUser-Agent"),
            ["GET / HTTP/1.1", "c", ""]
        );
        assert_eq!(said(b"\x16\x03\x01"), ["\x16\x03\x01", "", ""]);
        assert_eq!(said(b""), ["", "", ""]);
    }
}
