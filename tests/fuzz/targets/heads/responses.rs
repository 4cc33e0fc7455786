//! Responses: what elbow passes on ends for the client where it ended for elbow; what it refuses
//! has a fault.

use elbow::http::{Downstream, Framing, Response, field_slots};
use elbow::limits::{CONNECTION_OPTIONS_MAX, FIELDS_MAX};

use crate::fields::{Field, Lines, length};
use crate::requests::expect_one_reading;

pub(crate) fn check(head: &[u8], to_head: bool, is_old_client: bool, rewrites: bool) {
    let mut slots = field_slots();
    let Ok(response) = Response::parse(head, to_head, &mut slots) else {
        return expect_fault(head);
    };
    let lines = Lines::of(head);
    lines.expect_no_controls();
    let status = response.status;
    let unchunks = is_old_client && response.framing == Framing::Chunked;
    let keep_alive = !unchunks && response.framing != Framing::UntilClose;
    assert!(keep_alive || unchunks || !response.keeps_alive());
    let rewrite = |value: &[u8], out: &mut Vec<u8>| {
        if !value.starts_with(b"cut") {
            out.extend_from_slice(value);
            out.extend_from_slice(b";mine");
        }
    };
    let downstream = Downstream {
        keep_alive,
        unchunks,
        set_cookie: rewrites.then_some(&rewrite),
        extra_lines: b"Set-Cookie: AWSELB=1\r\n",
    };
    let mut out = Vec::new();
    response.write(&downstream, &mut out);

    let passed = Lines::of(&out);
    assert_eq!(passed.first[..8], *b"HTTP/1.1");
    assert_eq!(passed.first[8..], lines.first[8..]);
    assert_eq!(passed.fields, passed_on(&lines, status, &downstream));
    expect_one_reading(&out, &passed);
    let expected = match response.framing {
        Framing::Chunked if unchunks => Framing::UntilClose,
        framing => framing,
    };
    assert_eq!(framing(&passed, status, to_head), Some(expected));
}

/// How the body ends (RFC 9112 §6.3); `None`: readers may differ.
fn framing(lines: &Lines<'_>, status: u16, to_head: bool) -> Option<Framing> {
    let codings = lines.values("transfer-encoding");
    let lengths = lines.values("content-length");
    match (&*codings, &*lengths) {
        ([], []) if status == 101 => Some(Framing::UntilClose),
        (_, []) if matches!(status, 100..=199 | 204) => codings.is_empty().then_some(Framing::None),
        ([], _) if status == 304 => Some(Framing::None),
        _ if to_head => Some(Framing::None),
        ([], []) => Some(Framing::UntilClose),
        ([], [digits]) => Some(Framing::Length(length(digits)?)),
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => Some(Framing::Chunked),
        _ => None,
    }
}

/// The fields that a client gets.
fn passed_on(lines: &Lines<'_>, status: u16, with: &Downstream<'_>) -> Vec<Field> {
    let nominated = lines.nominated();
    let has_no_body = matches!(status, 100..=199 | 204 | 304);
    let mut expected = Vec::new();
    for field in &lines.fields {
        let name = field.0.to_ascii_lowercase();
        let ends = match &*name {
            "connection" | "keep-alive" | "proxy-connection" => true,
            "upgrade" => status != 101,
            "content-length" => has_no_body && status != 304,
            "transfer-encoding" | "trailer" => has_no_body || with.unchunks,
            _ => nominated.contains(&name),
        };
        if let Some(rewrite) = with.set_cookie.filter(|_| name == "set-cookie") {
            let mut value = Vec::new();
            rewrite(&field.1, &mut value);
            expected.extend((!value.is_empty()).then(|| (field.0.clone(), value)));
        } else if !ends {
            expected.push(field.clone());
        }
    }
    expected.push(("Set-Cookie".to_owned(), b"AWSELB=1".to_vec()));
    let connection: &[u8] = match (status, with.keep_alive) {
        (101, _) => b"upgrade",
        (100..=199, _) => return expected,
        (_, true) => b"keep-alive",
        (_, false) => b"close",
    };
    expected.push(("Connection".to_owned(), connection.to_vec()));
    expected
}

/// A head is refused for something that is there to be seen.
fn expect_fault(head: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let read = parsed.parse(head);
    if read != Ok(httparse::Status::Complete(head.len())) || !head.starts_with(b"HTTP/1.") {
        return;
    }
    let lines = Lines::of(head);
    let lengths = lines.values("content-length");
    let codings = lines.values("transfer-encoding");
    let is_old = head.starts_with(b"HTTP/1.0");
    let is_there = parsed.code.is_none_or(|code| code < 100)
        || lengths.len() + codings.len() > 1
        || lengths.iter().any(|value| length(value).is_none())
        || !codings.is_empty() && is_old
        || codings
            .iter()
            .any(|coding| !coding.eq_ignore_ascii_case(b"chunked"))
        || lines.nominated().len() > CONNECTION_OPTIONS_MAX
        || parsed.code == Some(101) && lines.values("upgrade").len() > 1;
    assert!(is_there, "refused: {:?}", head.escape_ascii().to_string());
}
