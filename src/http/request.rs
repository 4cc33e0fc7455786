//! A request head: parsed, judged, and written anew for the backend.
//!
//! A [`Request`] exists only if its framing has one reading; that is the only type that can be
//! forwarded.

use httparse::Header;
use memchr::memchr;

use super::body::{BrokenBody, Framing};
use super::desync::{Verdict, classify};
use super::field::{ConnectionOptions, FieldSet, Name, is_alike};
use super::head::{FieldSlots, Rewrite, Version, line_of, list, write_rewritten};
use super::reply::Reply;
use crate::limits::{METHOD_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

/// Why a request is refused. The client is to blame for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not an HTTP/1 head.
    Malformed,
    /// The request line is longer than [`REQUEST_LINE_BYTES_MAX`].
    LongLine,
    /// The head is longer than [`REQUEST_HEAD_BYTES_MAX`], or has more than
    /// [`crate::limits::FIELDS_MAX`] fields.
    LargeHead,
    /// The method is longer than [`METHOD_BYTES_MAX`].
    LongMethod,
    /// CONNECT, which a reverse proxy does not serve.
    Connect,
    /// The target is neither a path nor an absolute URI, nor `*` for OPTIONS, or has a fragment.
    Target,
    /// HTTP/1.1 without Host, several Hosts, or one that is not a host.
    Host,
    /// Content-Length and Transfer-Encoding together, either of them twice, a length that is not
    /// all digits, or a transfer coding in HTTP/1.0: two readers could disagree about the body.
    Framing,
    /// A transfer coding that elbow does not know.
    TransferCoding,
    /// An expectation that elbow does not know.
    Expectation,
    /// The chunked body is malformed.
    Body,
    /// It has one reading, but the load balancer's [`DesyncMode`](super::DesyncMode) takes it for
    /// an attack.
    Desync,
    /// The body is longer than it may be.
    LargeBody,
}

impl Refusal {
    /// What the client is told.
    pub fn reply(self) -> Reply {
        match self {
            Self::LongLine => Reply::UriTooLong,
            Self::LargeHead => Reply::HeadTooLarge,
            Self::LargeBody => Reply::ContentTooLarge,
            Self::LongMethod => Reply::MethodNotAllowed,
            Self::TransferCoding => Reply::NotImplemented,
            Self::Expectation => Reply::ExpectationFailed,
            Self::Malformed
            | Self::Connect
            | Self::Target
            | Self::Host
            | Self::Framing
            | Self::Body
            | Self::Desync => Reply::BadRequest,
        }
    }
}

impl From<BrokenBody> for Refusal {
    fn from(broken: BrokenBody) -> Self {
        match broken {
            BrokenBody::Malformed => Self::Body,
            BrokenBody::TooLarge => Self::LargeBody,
        }
    }
}

/// Whether what has come in without being a whole head is already more than a head may be, and
/// which part of it is. Asked for every receive, so that nobody is listened to for longer.
pub fn excess(begun: &[u8]) -> Option<Refusal> {
    let line = &begun[..begun.len().min(REQUEST_LINE_BYTES_MAX + 1)];
    if line.len() > REQUEST_LINE_BYTES_MAX && memchr(b'\r', line).is_none() {
        let method = &line[..=METHOD_BYTES_MAX];
        return Some(match memchr(b' ', method) {
            None => Refusal::LongMethod,
            Some(_) => Refusal::LongLine,
        });
    }
    (begun.len() >= REQUEST_HEAD_BYTES_MAX).then_some(Refusal::LargeHead)
}

/// A request head that can be forwarded.
#[derive(Debug)]
pub struct Request<'b, 'h> {
    head: &'b [u8],
    method: &'b str,
    target: &'b str,
    fields: &'h [Header<'b>],
    options: ConnectionOptions<'b>,
    /// Fields that end here: hop-by-hop ones, and those that are written anew.
    cuts: FieldSet,
    cookies: FieldSet,
    forwarded_for: FieldSet,
    host: Option<usize>,
    /// The field that says how the body ends.
    framed_by: Option<usize>,
    upgrade: Upgrade,
    /// The client's version. What is sent to the backend is always HTTP/1.1.
    pub version: Version,
    /// How the body ends.
    pub framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// How far it is from what RFC 9112 has.
    pub verdict: Verdict,
}

/// What the `Upgrade` fields ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    No,
    /// One protocol or a list of them, in the field of that index.
    To(usize),
    /// Several fields do.
    Several,
}

/// What the backend is told beside the client's own words.
#[derive(Clone, Copy)]
pub struct Forwarding<'a> {
    /// The client's address, appended to `X-Forwarded-For`.
    pub client: &'a str,
    /// `http` or `https`, for `X-Forwarded-Proto`.
    pub protocol: &'a str,
    /// The listener's port, for `X-Forwarded-Port`.
    pub port: &'a str,
    /// The Host of an HTTP/1.0 request that has none: the listener's address (CLB.md §4.1).
    pub fallback_host: &'a str,
    /// What becomes of the values of the client's `Cookie` fields, each in its place.
    pub cookie: Option<Rewrite<'a>>,
    /// The name of a field that is the listener's own to write: the client's are cut, and those
    /// that a backend may take for it.
    pub cut: Option<&'a str>,
    /// The backend is asked for [`Request::upgrade`].
    pub upgrades: bool,
    /// Whole field lines that go behind the client's.
    pub extra_lines: &'a [u8],
}

impl<'b, 'h> Request<'b, 'h> {
    /// Parses and judges a whole head, its empty line included.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing of the request may be forwarded then.
    pub fn parse(head: &'b [u8], slots: &'h mut FieldSlots<'b>) -> Result<Self, Refusal> {
        let mut parsed = httparse::Request::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config.parse_request_with_uninit_headers(&mut parsed, head, slots);
        match status {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::LargeHead),
            Ok(_) | Err(_) => return Err(Refusal::Malformed),
        }
        let method = parsed.method.ok_or(Refusal::Malformed)?;
        let target = parsed.path.ok_or(Refusal::Malformed)?;
        let mut request = Self {
            head,
            method,
            target,
            fields: parsed.headers,
            options: ConnectionOptions::default(),
            cuts: FieldSet::default(),
            cookies: FieldSet::default(),
            forwarded_for: FieldSet::default(),
            host: None,
            framed_by: None,
            upgrade: Upgrade::No,
            version: Version::from_minor(parsed.version),
            framing: Framing::None,
            expects_continue: false,
            verdict: Verdict::COMPLIANT,
        };
        request.judge_line()?;
        request.judge_fields()?;
        Ok(request)
    }

    fn judge_line(&self) -> Result<(), Refusal> {
        if self.method.len() > METHOD_BYTES_MAX {
            return Err(Refusal::LongMethod);
        }
        if self.method == "CONNECT" {
            return Err(Refusal::Connect);
        }
        if self.method.len() + self.target.len() + "  HTTP/1.1".len() > REQUEST_LINE_BYTES_MAX {
            return Err(Refusal::LongLine);
        }
        // Some readers cut a fragment off, and others take it for part of the path.
        if memchr(b'#', self.target.as_bytes()).is_some() {
            return Err(Refusal::Target);
        }
        let is_path = self.target.starts_with('/');
        let is_asterisk = self.target == "*" && self.method == "OPTIONS";
        let is_absolute = split_absolute(self.target).is_some();
        if is_path || is_asterisk || is_absolute {
            Ok(())
        } else {
            Err(Refusal::Target)
        }
    }

    fn judge_fields(&mut self) -> Result<(), Refusal> {
        let mut content_length = None;
        let mut transfer_encoding = None;
        let mut has_lookalike = false;
        for (index, field) in self.fields.iter().enumerate() {
            match Name::of(field.name.as_bytes()) {
                Name::ContentLength => {
                    let length = parse_length(field.value).ok_or(Refusal::Framing)?;
                    if content_length.replace(length).is_some() {
                        return Err(Refusal::Framing);
                    }
                    self.framed_by = Some(index);
                }
                Name::TransferEncoding => {
                    if transfer_encoding.replace(field.value).is_some() {
                        return Err(Refusal::Framing);
                    }
                    self.framed_by = Some(index);
                }
                Name::Host => {
                    if self.host.replace(index).is_some() || !is_host(field.value) {
                        return Err(Refusal::Host);
                    }
                }
                Name::Connection => {
                    if !self.options.add(field.value) {
                        return Err(Refusal::Malformed);
                    }
                    self.cuts.insert(index);
                }
                Name::Expect => {
                    if !field.value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Refusal::Expectation);
                    }
                    self.expects_continue = self.version == Version::Http11;
                    self.cuts.insert(index);
                }
                Name::XForwardedFor => {
                    self.forwarded_for.insert(index);
                    self.cuts.insert(index);
                }
                Name::Upgrade => {
                    self.upgrade = match self.upgrade {
                        Upgrade::No => Upgrade::To(index),
                        Upgrade::To(_) | Upgrade::Several => Upgrade::Several,
                    };
                    self.cuts.insert(index);
                }
                Name::FramingLookalike => {
                    has_lookalike = true;
                    self.cuts.insert(index);
                }
                Name::KeepAlive
                | Name::ProxyConnection
                | Name::Te
                // What the backend reads there, it takes from elbow alone.
                | Name::XElbowStandby
                | Name::XForwardedPort
                | Name::XForwardedProto => self.cuts.insert(index),
                Name::Cookie => self.cookies.insert(index),
                Name::SetCookie | Name::Trailer | Name::Other => {}
            }
        }
        self.cuts = self.cuts.union(self.options.nominated(self.fields));
        self.judge_together((content_length, transfer_encoding), has_lookalike)
    }

    /// What its fields come to together: its `length` by Content-Length and Transfer-Encoding.
    fn judge_together(
        &mut self,
        length: (Option<u64>, Option<&[u8]>),
        has_lookalike: bool,
    ) -> Result<(), Refusal> {
        if self.lacks_host() && self.version == Version::Http11 {
            return Err(Refusal::Host);
        }
        self.framing = self.judge_framing(length)?;
        self.expects_continue &= self.framing != Framing::None;
        // All else that could be wrong has been refused.
        let is_get_or_head = matches!(self.method, "GET" | "HEAD");
        if has_lookalike || is_get_or_head && self.framing != Framing::None {
            self.verdict = classify(self.head);
        }
        Ok(())
    }

    fn judge_framing(
        &self,
        (content_length, transfer_encoding): (Option<u64>, Option<&[u8]>),
    ) -> Result<Framing, Refusal> {
        match (transfer_encoding, content_length) {
            (None, None) => Ok(Framing::None),
            (None, Some(length)) => Ok(Framing::Length(length)),
            (Some(_), Some(_)) => Err(Refusal::Framing),
            (Some(_), None) if self.version == Version::Http10 => Err(Refusal::Framing),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (Some(codings), None) => Err(refuse_coding(codings)),
        }
    }

    /// Whether the client's connection can carry another request after this one (RFC 9112 §9.3).
    pub fn wants_keep_alive(&self) -> bool {
        let by_default = self.version == Version::Http11 || self.options.has_keep_alive;
        by_default && !self.options.has_close
    }

    /// The protocol that the connection is to change to (RFC 9110 §7.8), as it is written. `None`
    /// also where there is a body, or several fields: what may be ignored is, where it would have
    /// two readings.
    pub fn upgrade(&self) -> Option<&'b [u8]> {
        match self.upgrade {
            Upgrade::To(index)
                if self.options.has_upgrade
                    && self.version == Version::Http11
                    && self.framing == Framing::None =>
            {
                Some(self.fields[index].value)
            }
            _ => None,
        }
    }

    /// Whether it names no host, so that one has to be made up (HTTP/1.0 only).
    pub fn lacks_host(&self) -> bool {
        self.host.is_none()
    }

    /// Whether the answer will have no body, as this is HEAD.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether sending it twice does what sending it once does (RFC 9110 §9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.method,
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        )
    }

    /// The values of the `Cookie` fields, in order.
    pub fn cookies(&self) -> impl Iterator<Item = &'b [u8]> + Clone {
        self.cookies.iter().map(|index| self.fields[index].value)
    }

    /// The value of the first field of that name, in any case; hop-by-hop fields are found too.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// Writes the head for the backend behind what is in `out`: hop-by-hop fields cut, HTTP/1.1,
    /// `X-Forwarded-*` as CLB.md §4.6 says, `Cookie` as `forwarding` says, the end of the body in
    /// the one way that every reader knows; every other byte as it came.
    pub fn write(&self, forwarding: &Forwarding<'_>, out: &mut Vec<u8>) {
        let absolute = split_absolute(self.target);
        self.write_line(absolute.map(|(_, path)| path), out);
        if let Some((authority, _)) = absolute {
            // RFC 9112 §3.2.2: the target's host replaces whatever Host says.
            write_field(out, "Host", authority);
        } else if self.lacks_host() {
            write_field(out, "Host", forwarding.fallback_host);
        }
        self.write_fields(absolute.is_some(), forwarding, out);
        out.extend_from_slice(forwarding.extra_lines);
        if self.forwarded_for.is_empty() {
            write_field(out, "X-Forwarded-For", forwarding.client);
        }
        write_field(out, "X-Forwarded-Proto", forwarding.protocol);
        write_field(out, "X-Forwarded-Port", forwarding.port);
        out.extend_from_slice(match forwarding.upgrades {
            true => b"Connection: upgrade\r\n\r\n",
            false => b"Connection: keep-alive\r\n\r\n",
        });
    }

    fn write_line(&self, path: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        match path {
            None => out.extend_from_slice(self.target.as_bytes()),
            Some("") if self.method == "OPTIONS" => out.push(b'*'),
            Some(path) => {
                if !path.starts_with('/') {
                    out.push(b'/');
                }
                out.extend_from_slice(path.as_bytes());
            }
        }
        out.extend_from_slice(b" HTTP/1.1\r\n");
    }

    /// Copies the fields in runs, from one that is edited to the next.
    fn write_fields(&self, cuts_host: bool, forwarding: &Forwarding<'_>, out: &mut Vec<u8>) {
        let Some(first) = self.fields.first() else {
            return;
        };
        let mut edits = self.cuts;
        if let Some(host) = self.host.filter(|_| cuts_host) {
            edits.insert(host);
        }
        if forwarding.cookie.is_some() {
            edits = edits.union(self.cookies);
        }
        if let (true, Upgrade::To(index)) = (forwarding.upgrades, self.upgrade) {
            edits.remove(index);
        }
        if let Some(name) = forwarding.cut {
            let name = name.as_bytes();
            let fields = self.fields.iter().enumerate();
            fields
                .filter(|(_, field)| is_alike(field.name.as_bytes(), name))
                .for_each(|(index, _)| edits.insert(index));
        }
        if let Some(index) = self.framed_by {
            edits.insert(index);
        }
        let mut run = line_of(self.head, first).start;
        for index in edits.iter() {
            let field = &self.fields[index];
            let line = line_of(self.head, field);
            out.extend_from_slice(&self.head[run..line.start]);
            run = line.end;
            if self.forwarded_for.iter().next() == Some(index) {
                self.write_forwarded_for(field.name, forwarding.client, out);
            } else if self.framed_by == Some(index) {
                self.write_framing(field, out);
            } else if let Some(rewrite) = forwarding.cookie
                && self.cookies.contains(index)
            {
                write_rewritten(self.head, field, rewrite, out);
            }
        }
        out.extend_from_slice(&self.head[run..self.head.len() - 2]);
    }

    /// How the body ends, in plain words: there are readers to whom `\tchunked` or `CHUNKED` is
    /// another coding, `\t5` no number, or `010` one of another base.
    fn write_framing(&self, field: &Header<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(match self.framing {
            Framing::Chunked => b"chunked",
            _ => without_leading_zeros(field.value),
        });
        out.extend_from_slice(b"\r\n");
    }

    /// All `X-Forwarded-For` lines as one, in the place and spelling of the first.
    fn write_forwarded_for(&self, name: &str, client: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        let values = self
            .forwarded_for
            .iter()
            .map(|index| self.fields[index].value);
        for value in values.filter(|value| !value.is_empty()) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(client.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Splits `http://authority/path` into authority and path; `None` for any other target.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let is_authority = !authority.is_empty() && is_host(authority.as_bytes());
    is_authority.then_some((authority, path))
}

/// Whether a value is of the form `uri-host [":" port]` (RFC 9110 §7.2), user information excluded.
fn is_host(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:[]%".contains(byte))
}

/// A Content-Length: digits and nothing else (RFC 9112 §6.3; `1*DIGIT`, so no sign, no list).
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        value
            .iter()
            .fold(0, |length, digit| length * 10 + u64::from(digit - b'0')),
    )
}

/// Of digits that [`parse_length`] has read, those that count.
fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    let counts = digits.iter().position(|&digit| digit != b'0');
    &digits[counts.unwrap_or(digits.len() - 1)..]
}

/// A list of other codings that ends in `chunked` is well formed but unknown here; all else leaves
/// the end of the body in doubt.
fn refuse_coding(codings: &[u8]) -> Refusal {
    let is_token = |coding: &[u8]| {
        coding
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    let chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let ends_chunked = list(codings).last().is_some_and(|last| chunked(&last));
    let once = list(codings).filter(chunked).count() == 1;
    if ends_chunked && once && list(codings).all(is_token) {
        Refusal::TransferCoding
    } else {
        Refusal::Framing
    }
}

#[cfg(test)]
mod tests;
