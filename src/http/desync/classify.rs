//! The verdict on any head, also on one that is no HTTP: each line is looked at for itself.
//!
//! Not a parser: nothing is taken out of a head here that could be acted upon. It is asked about
//! the few heads that may not be compliant, so it is plain rather than quick. Invariant: what is
//! worst decides; of equally bad things the first in this order: lines that cannot be read, fields,
//! codings, lengths, the two together, method, version, target.

use super::{Reason, Verdict};
use crate::http::field::{Name, framing_lookalike, is_token};
use crate::http::request::parse_length;

/// The transfer codings that a request may be in (RFC 9112 §7).
const CODINGS: [&[u8]; 5] = [b"chunked", b"compress", b"deflate", b"gzip", b"identity"];

/// Says what is wrong with a head. One that breaks off is judged by the lines that are there.
pub fn classify(head: &[u8]) -> Verdict {
    let mut lines = head.split_inclusive(|&byte| byte == b'\n');
    let mut reading = Verdict::COMPLIANT;
    let request_line = RequestLine::read(lines.next().unwrap_or_default(), &mut reading);
    let mut fields = Fields::default();
    for line in lines {
        let line = without_end(line, &mut reading);
        if line.is_empty() {
            break;
        }
        fields.take(line, &mut reading);
    }
    reading
        .or(fields.verdict)
        .or(fields.framing(&request_line))
        .or(request_line.verdict())
}

/// The line without CRLF.
fn without_end<'b>(line: &'b [u8], reading: &mut Verdict) -> &'b [u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or_else(|| {
        reading.add(Reason::NonCrLfLineTermination);
        line
    })
}

/// What the first line is taken for.
struct RequestLine<'b> {
    method: &'b [u8],
    target: &'b [u8],
    version: Version,
}

enum Version {
    /// HTTP/0.9 or none, which is the same.
    Http09,
    /// HTTP/1 with that digit behind the point; exact if nothing stands about it.
    Http1 {
        minor: u8,
        is_exact: bool,
    },
    Bad,
}

impl<'b> RequestLine<'b> {
    /// The method ends at the first space and the version begins behind the last, but for those at
    /// the end of the line: the target may have some.
    fn read(line: &'b [u8], reading: &mut Verdict) -> Self {
        let line = without_end(line, reading);
        let (method, rest) = match line.iter().position(|&byte| byte == b' ') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[..0]),
        };
        let last = rest.iter().rposition(|&byte| is_token(byte));
        let spoken = &rest[..last.unwrap_or(0).saturating_add(1).min(rest.len())];
        let (target, version) = match spoken.iter().rposition(|&byte| byte == b' ') {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None if rest.starts_with(b"HTTP/1.") => (&rest[..0], rest),
            None => (rest, &rest[..0]),
        };
        if trim(target).is_empty() {
            reading.add(Reason::MissingUri);
        }
        Self {
            method,
            target,
            version: Version::read(version),
        }
    }

    fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::COMPLIANT;
        if self.method.is_empty() || !self.method.iter().all(|&byte| is_token(byte)) {
            verdict.add(Reason::BadMethod);
        }
        match self.version {
            Version::Http1 {
                minor: b'0' | b'1',
                is_exact: true,
            } => {}
            Version::Http09 | Version::Http1 { .. } => verdict.add(Reason::NonCompliantVersion),
            Version::Bad => verdict.add(Reason::BadVersion),
        }
        for &byte in self.target {
            match byte {
                b'\r' | b'\0' => verdict.add(Reason::BadUri),
                b' ' => verdict.add(Reason::SpaceInUri),
                _ if byte.is_ascii_control() => verdict.add(Reason::AmbiguousUri),
                _ => {}
            }
        }
        verdict
    }

    /// Whether content in such a request has no defined meaning (RFC 9110 §9.3.1, §9.3.2).
    fn is_get_or_head(&self) -> bool {
        matches!(self.method, b"GET" | b"HEAD")
    }
}

impl Version {
    fn read(version: &[u8]) -> Self {
        match trim(version) {
            b"" | b"HTTP/0.9" => Self::Http09,
            &[
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'1',
                b'.',
                minor @ b'0'..=b'9',
            ] => Self::Http1 {
                minor,
                is_exact: version.len() == b"HTTP/1.1".len(),
            },
            _ => Self::Bad,
        }
    }
}

/// What the fields say.
#[derive(Default)]
struct Fields<'b> {
    verdict: Verdict,
    /// The name of the last field that has a line of its own, to which a folded line belongs.
    name: Option<&'b [u8]>,
    codings: Codings,
    lengths: Lengths,
}

/// Transfer-Encoding, and what looks like it.
#[derive(Default)]
struct Codings {
    verdict: Verdict,
    is_there: bool,
    has_chunked: bool,
    /// The last coding of Transfer-Encoding itself is another.
    ends_otherwise: bool,
}

/// Content-Length, and what looks like it.
#[derive(Default)]
struct Lengths {
    verdict: Verdict,
    is_there: bool,
    first: Option<u64>,
}

impl<'b> Fields<'b> {
    /// Takes a line. A folded one is a further value of the field before it to some readers, and to
    /// others a field of its own if it has a colon.
    fn take(&mut self, line: &'b [u8], reading: &mut Verdict) {
        let is_folded = line.starts_with(b" ") || line.starts_with(b"\t");
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = match (colon, self.name) {
            (Some(at), _) => (&line[..at], &line[at + 1..]),
            (None, Some(before)) if is_folded => (before, line),
            (None, _) => (line, &line[..0]),
        };
        if is_folded {
            reading.add(Reason::MultilineHeader);
        } else if colon.is_some() {
            self.name = Some(name);
        } else {
            reading.add(Reason::MissingHeaderColon);
        }
        self.judge(name, value);
    }

    fn judge(&mut self, name: &[u8], value: &[u8]) {
        let is_cut = |&byte: &u8| byte == b'\r' || byte == b'\0';
        let is_control = |&byte: &u8| byte.is_ascii_control() && byte != b'\t';
        let is_bad = name.iter().chain(value).any(is_cut);
        if is_bad {
            self.verdict.add(Reason::BadHeader);
        } else if !name.iter().all(|&byte| is_token(byte)) || value.iter().any(is_control) {
            self.verdict.add(Reason::NonCompliantHeader);
        }
        if trim(name).is_empty() {
            self.verdict.add(Reason::EmptyHeader);
            return;
        }
        let (known, is_lookalike) = match Name::of(name) {
            Name::FramingLookalike => (framing_lookalike(name), true),
            known => (Some(known), false),
        };
        if is_lookalike {
            if is_bad {
                return;
            }
            self.verdict.add(Reason::SuspiciousHeader);
        }
        match known {
            Some(Name::TransferEncoding) => self.codings.take(value, is_lookalike),
            Some(Name::ContentLength) => self.lengths.take(value),
            _ => {}
        }
    }

    /// What they come to, with that method and version.
    fn framing(&self, line: &RequestLine<'_>) -> Verdict {
        let (codings, lengths) = (&self.codings, &self.lengths);
        match line.version {
            Version::Http09 | Version::Http1 { minor: b'0', .. } if codings.is_there => {
                return Reason::UndefinedTransferEncodingSemantics.into();
            }
            Version::Http09 if lengths.is_there => {
                return Reason::UndefinedContentLengthSemantics.into();
            }
            Version::Http09 | Version::Http1 { .. } | Version::Bad => {}
        }
        let mut verdict = codings.verdict;
        if codings.ends_otherwise {
            verdict.add(Reason::BadTransferEncoding);
        }
        verdict = verdict.or(lengths.verdict);
        if line.is_get_or_head() {
            if codings.is_there {
                verdict.add(Reason::UndefinedTransferEncodingSemantics);
            }
            match lengths.first {
                Some(0) => verdict.add(Reason::GetHeadZeroContentLength),
                Some(_) => verdict.add(Reason::UndefinedContentLengthSemantics),
                None => {}
            }
        }
        if codings.is_there && lengths.first.is_some() {
            verdict.add(Reason::BothTeClPresent);
        }
        verdict
    }
}

impl Codings {
    fn take(&mut self, value: &[u8], is_lookalike: bool) {
        self.is_there = true;
        for coding in value.split(|&byte| byte == b',').map(trim) {
            let is = |known: &&[u8]| coding.eq_ignore_ascii_case(known);
            let is_chunked = is(&CODINGS[0]);
            if !CODINGS.iter().any(is) {
                self.verdict.add(Reason::BadTransferEncoding);
            } else if is_chunked && self.has_chunked {
                self.verdict.add(Reason::MultipleTransferEncodingChunked);
            }
            self.has_chunked |= is_chunked;
            if !is_lookalike {
                self.ends_otherwise = !is_chunked;
            }
        }
    }
}

impl Lengths {
    fn take(&mut self, value: &[u8]) {
        self.is_there = true;
        match (parse_length(trim(value)), self.first) {
            (None, _) => self.verdict.add(Reason::BadContentLength),
            (length, None) => self.first = length,
            (Some(length), Some(first)) if length != first => {
                self.verdict.add(Reason::MultipleContentLength);
            }
            (Some(_), Some(_)) => self.verdict.add(Reason::DuplicateContentLength),
        }
    }
}

/// The value without blanks about it (RFC 9110 §5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
