//! The table of modes, and that nothing that looks like framing gets past them.

use super::*;
use crate::http::{Forwarding, Refusal, Request, field_slots};

const MODES: [DesyncMode; 3] = [
    DesyncMode::Monitor,
    DesyncMode::Defensive,
    DesyncMode::Strictest,
];

/// What becomes of a head in each mode, and what the backend gets of it.
fn treated(head: &str) -> Result<([Treatment; 3], String), Refusal> {
    let mut slots = field_slots();
    let request = Request::parse(head.as_bytes(), &mut slots)?;
    assert_eq!(request.verdict, classify(head.as_bytes()), "{head:?}");
    let forwarding = Forwarding {
        client: "192.0.2.7",
        protocol: "http",
        port: "80",
        fallback_host: "198.51.100.1",
        cookie: None,
        cut: None,
        upgrades: false,
        extra_lines: b"",
    };
    let mut out = Vec::new();
    request.write(&forwarding, &mut out);
    let out = String::from_utf8(out).expect("the head was text");
    let (fields, _) = out
        .split_once("X-Forwarded-For")
        .expect("elbow's own fields");
    let (_, fields) = fields.split_once("\r\n").expect("a request line");
    Ok((
        MODES.map(|mode| request.verdict.treatment(mode)),
        fields.replace("\r\n", "|"),
    ))
}

#[test]
fn modes_differ_about_heads_that_have_one_reading() {
    use Treatment::{Forward, Isolate, Refuse};
    for (line, fields, expected, kept) in [
        ("GET", "", [Forward; 3], ""),
        (
            "POST",
            "Content-Length: 5|",
            [Forward; 3],
            "Content-Length: 5|",
        ),
        (
            "GET",
            "Content-Length: 0|",
            [Forward, Forward, Refuse],
            "Content-Length: 0|",
        ),
        (
            "HEAD",
            "Content-Length: 5|",
            [Forward, Isolate, Refuse],
            "Content-Length: 5|",
        ),
        (
            "GET",
            "Transfer-Encoding: chunked|",
            [Forward, Isolate, Refuse],
            "Transfer-Encoding: chunked|",
        ),
        (
            "POST",
            "Transfer_Encoding: chunked|Content-Length: 5|",
            [Isolate, Isolate, Refuse],
            "Content-Length: 5|",
        ),
        (
            "GET",
            "A: b|content.length: 5|C: d|",
            [Isolate, Isolate, Refuse],
            "A: b|C: d|",
        ),
        (
            "POST",
            "Content-Length: 5|Content_Length: 6|",
            [Isolate, Refuse, Refuse],
            "Content-Length: 5|",
        ),
    ] {
        let head = format!("{line} / HTTP/1.1|Host: h|{fields}|").replace('|', "\r\n");
        let kept = format!("Host: h|{kept}");
        assert_eq!(treated(&head), Ok((expected, kept)), "{head:?}");
    }
}

#[test]
fn no_mode_lets_a_head_with_two_readings_pass() {
    for fields in [
        "Content-Length: 5|Transfer-Encoding: chunked|",
        "Content-Length: 5|Content-Length: 5|",
        "Content-Length: 5|Content-Length: 6|",
        "Transfer-Encoding: chunked|Transfer-Encoding: chunked|",
        "Transfer-Encoding: chunked, identity|",
        "Transfer-Encoding : chunked|",
        "A: b| Content-Length: 5|",
    ] {
        let head = format!("POST / HTTP/1.1|Host: h|{fields}|").replace('|', "\r\n");
        assert!(treated(&head).is_err(), "{head:?}");
        let verdict = classify(head.as_bytes());
        assert!(
            verdict.classification() >= Classification::Ambiguous,
            "{head:?}"
        );
    }
}

#[test]
fn the_first_of_the_worst_is_told() {
    let reason = |fields: &str| {
        let head = format!("GET /a b HTTP/1.1|{fields}|").replace('|', "\r\n");
        classify(head.as_bytes()).reason()
    };
    assert_eq!(reason(""), Some(Reason::SpaceInUri));
    assert_eq!(reason("A : b|"), Some(Reason::NonCompliantHeader));
    assert_eq!(reason("A : b|: c|"), Some(Reason::EmptyHeader));
    assert_eq!(reason(": c|d|"), Some(Reason::MissingHeaderColon));
    let severe = "Content-Length: x|Transfer-Encoding: y|";
    assert_eq!(reason(severe), Some(Reason::BadTransferEncoding));
}

#[test]
fn every_mode_has_its_name() {
    for mode in MODES {
        assert_eq!(DesyncMode::parse(mode.name()), Some(mode));
    }
    assert_eq!(DesyncMode::parse("Monitor"), None);
}
