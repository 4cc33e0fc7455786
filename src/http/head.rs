//! What request and response heads have in common: where they end, their version, their fields.

use std::mem::MaybeUninit;
use std::ops::Range;

use memchr::memchr_iter;

use crate::limits::FIELDS_MAX;

/// The versions that elbow speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    pub(super) fn from_minor(minor: Option<u8>) -> Self {
        if minor == Some(0) {
            Self::Http10
        } else {
            Self::Http11
        }
    }
}

/// Room for the fields of one head, uninitialised: clearing it would cost more than parsing.
pub type FieldSlots<'b> = [MaybeUninit<httparse::Header<'b>>; FIELDS_MAX];

/// Fresh [`FieldSlots`].
pub fn field_slots<'b>() -> FieldSlots<'b> {
    [const { MaybeUninit::uninit() }; FIELDS_MAX]
}

/// What a search for the end of a head found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadEnd {
    /// The head is the first so many bytes, its empty line included.
    At(usize),
    /// More bytes are needed.
    Open,
    /// A line ended in a bare LF: refused at once rather than waited for
    /// (RFC 9112 §2.2 allows leniency; two readers that differ in it disagree about the head).
    BareLineEnd,
}

/// Finds the end of a head. The first `searched` bytes were seen by an earlier call that answered
/// [`HeadEnd::Open`]. A bare CR is left to the parser, which refuses it.
pub fn find_end(bytes: &[u8], searched: usize) -> HeadEnd {
    for at in memchr_iter(b'\n', &bytes[searched..]) {
        let before = &bytes[..searched + at];
        if before.ends_with(b"\r\n\r") {
            return HeadEnd::At(before.len() + 1);
        }
        if !before.ends_with(b"\r") {
            return HeadEnd::BareLineEnd;
        }
    }
    HeadEnd::Open
}

/// How many bytes of empty lines stand in front of a request. Some clients send one after a body;
/// RFC 9112 §2.2 asks servers to ignore it.
pub fn leading_blank(bytes: &[u8]) -> usize {
    2 * bytes
        .chunks_exact(2)
        .take_while(|pair| pair == b"\r\n")
        .count()
}

/// The whole line of a field, its CRLF included, as a range of the head that it was parsed from.
pub(super) fn line_of(head: &[u8], field: &httparse::Header<'_>) -> Range<usize> {
    let start = offset_in(head, field.name.as_bytes());
    let value_end = value_of(head, field).end;
    // Behind the value there are only spaces and tabs, then CRLF.
    let rest = &head[value_end..];
    let blank = rest
        .iter()
        .take_while(|&&byte| byte == b' ' || byte == b'\t')
        .count();
    start..value_end + blank + 2
}

/// A field's value as a range of the head; one that is empty lies right behind the colon.
fn value_of(head: &[u8], field: &httparse::Header<'_>) -> Range<usize> {
    let start = if field.value.is_empty() {
        offset_in(head, field.name.as_bytes()) + field.name.len() + 1
    } else {
        offset_in(head, field.value)
    };
    start..start + field.value.len()
}

fn offset_in(head: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - head.as_ptr().addr()
}

/// Writes a field's new value behind what is in the vector, from the value that came. A field for
/// which it writes nothing is cut. What it writes goes out as it is: it may hold no CR and no LF.
pub type Rewrite<'a> = &'a dyn Fn(&[u8], &mut Vec<u8>);

/// Writes a field's line with the value that `rewrite` makes of it, name and blanks as they came.
pub(super) fn write_rewritten(
    head: &[u8],
    field: &httparse::Header<'_>,
    rewrite: Rewrite<'_>,
    out: &mut Vec<u8>,
) {
    let line = line_of(head, field);
    let value = value_of(head, field);
    let line_start = out.len();
    out.extend_from_slice(&head[line.start..value.start]);
    let value_start = out.len();
    rewrite(field.value, out);
    if out.len() == value_start {
        out.truncate(line_start);
    } else {
        out.extend_from_slice(&head[value.end..line.end]);
    }
}

/// The elements of a comma-separated value (RFC 9110 §5.6.1), trimmed, empty ones left out.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(
            find_end(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody", 0),
            HeadEnd::At(24)
        );
        assert_eq!(find_end(b"GET / HTTP/1.1\r\nA: b\r\n\r", 0), HeadEnd::Open);
        assert_eq!(find_end(b"", 0), HeadEnd::Open);
    }

    #[test]
    fn the_end_is_found_whichever_byte_comes_last() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for seen in 0..head.len() {
            assert_eq!(find_end(&head[..seen], 0), HeadEnd::Open, "{seen} bytes");
            assert_eq!(
                find_end(head, seen),
                HeadEnd::At(head.len()),
                "after {seen} bytes"
            );
        }
    }

    #[test]
    fn bare_line_ends_are_told_at_once() {
        for head in [
            &b"GET / HTTP/1.1\n"[..],
            b"GET / HTTP/1.1\r\nA: b\n\n",
            b"\n",
        ] {
            assert_eq!(find_end(head, 0), HeadEnd::BareLineEnd, "{head:?}");
        }
        assert_eq!(find_end(b"GET / HTTP/1.1\r", 0), HeadEnd::Open);
    }

    #[test]
    fn empty_lines_in_front_are_counted() {
        assert_eq!(leading_blank(b"\r\n\r\nGET"), 4);
        assert_eq!(leading_blank(b"\r\n\r"), 2);
        assert_eq!(leading_blank(b"GET\r\n"), 0);
    }

    #[test]
    fn line_ends_in_a_body_do_not_matter() {
        assert_eq!(find_end(b"A / HTTP/1.1\r\n\r\nx\ny\rz", 0), HeadEnd::At(16));
    }

    #[test]
    fn a_field_line_reaches_from_its_name_to_its_line_end() {
        let head = b"GET / HTTP/1.1\r\nEmpty:\r\nBlank:  \r\nPadded:  v \t\r\n\r\n";
        let mut slots = [httparse::EMPTY_HEADER; 4];
        let mut request = httparse::Request::new(&mut slots);
        request.parse(head).unwrap();
        let lines: Vec<_> = request
            .headers
            .iter()
            .map(|field| &head[line_of(head, field)])
            .collect();
        assert_eq!(
            lines,
            [&b"Empty:\r\n"[..], b"Blank:  \r\n", b"Padded:  v \t\r\n"]
        );
    }
}
