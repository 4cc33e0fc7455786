//! What is refused, what is cut, and what the backend gets.

use super::*;
use crate::http::head::field_slots;

const FORWARDING: Forwarding<'_> = Forwarding {
    client: "192.0.2.7",
    protocol: "http",
    port: "80",
    fallback_host: "198.51.100.1",
    cookie: None,
    cut: None,
    upgrades: false,
    extra_lines: b"",
};

fn rewritten(head: &str) -> Result<String, Refusal> {
    rewritten_for(head, &FORWARDING)
}

fn rewritten_for(head: &str, forwarding: &Forwarding<'_>) -> Result<String, Refusal> {
    let mut slots = field_slots();
    let request = Request::parse(head.as_bytes(), &mut slots)?;
    let mut out = Vec::new();
    request.write(forwarding, &mut out);
    Ok(String::from_utf8(out).unwrap())
}

fn refusal(head: &str) -> Refusal {
    rewritten(head).unwrap_err()
}

#[test]
fn a_plain_request_gains_the_forwarded_fields_and_loses_nothing() {
    assert_eq!(
        rewritten("GET /a?b HTTP/1.1\r\nhOsT: h:81\r\nCookie: a=b\r\nX-Y:  z \r\n\r\n").unwrap(),
        "GET /a?b HTTP/1.1\r\nhOsT: h:81\r\nCookie: a=b\r\nX-Y:  z \r\n\
         X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\
         Connection: keep-alive\r\n\r\n"
    );
}

#[test]
fn where_the_body_ends_is_said_in_the_plainest_words() {
    for (came, goes) in [
        ("Content-Length:\t5", "Content-Length: 5"),
        ("content-length:5 \t", "content-length: 5"),
        ("Content-Length: 0010", "Content-Length: 10"),
        ("Content-Length: 000", "Content-Length: 0"),
        (
            "Transfer-Encoding: \tchunked\t",
            "Transfer-Encoding: chunked",
        ),
        ("TRANSFER-ENCODING:CHUNKED", "TRANSFER-ENCODING: chunked"),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{came}\r\nX:\ty \r\n\r\n");
        let goes = format!("Host: h\r\n{goes}\r\nX:\ty \r\nX-Forwarded-For: ");
        let written = rewritten(&head).unwrap();
        assert!(written.contains(&goes), "{came:?}: {written:?}");
    }
}

#[test]
fn a_field_that_is_the_listeners_to_write_is_cut_however_it_is_spelt() {
    let forwarding = Forwarding {
        cut: Some("X-Who"),
        extra_lines: b"X-Who: me\r\n",
        ..FORWARDING
    };
    for lines in [
        "X-Who: admin\r\nHost: h\r\n",
        "Host: h\r\nx-who: admin\r\n",
        "Host: h\r\nX_Who: admin\r\nX-WHO:\r\n",
        "x-who: a\r\nConnection: x-who\r\nHost: h\r\nX-Who: b\r\n",
        "Host: h\r\n",
    ] {
        assert_eq!(
            rewritten_for(&format!("GET / HTTP/1.1\r\n{lines}\r\n"), &forwarding).unwrap(),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Who: me\r\nX-Forwarded-For: 192.0.2.7\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nConnection: keep-alive\r\n\r\n",
            "{lines}"
        );
    }
    let other = "GET / HTTP/1.1\r\nHost: h\r\nX-Who-Else: a\r\nXWho: b\r\n\r\n";
    let kept = rewritten_for(other, &forwarding).unwrap();
    assert!(
        kept.contains("X-Who-Else: a\r\nXWho: b\r\nX-Who: me\r\n"),
        "{kept}"
    );
}

#[test]
fn cookies_are_rewritten_in_their_places_and_cut_where_nothing_is_left() {
    let head = "GET / HTTP/1.1\r\ncooKIE:  a=b \r\nHost: h\r\nCookie: cut\r\nX: y\r\n\
                X-Forwarded-For: 10.0.0.1\r\nCookie:\r\n\r\n";
    let forwarding = Forwarding {
        cookie: Some(&|value, out| {
            if value != b"cut" {
                out.extend_from_slice(b"<");
                out.extend_from_slice(value);
                out.extend_from_slice(b">");
            }
        }),
        ..FORWARDING
    };
    assert_eq!(
        rewritten_for(head, &forwarding).unwrap(),
        "GET / HTTP/1.1\r\ncooKIE:  <a=b> \r\nHost: h\r\nX: y\r\n\
         X-Forwarded-For: 10.0.0.1, 192.0.2.7\r\nCookie:<>\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nConnection: keep-alive\r\n\r\n"
    );
}

#[test]
fn a_rewrite_that_repeats_the_value_changes_no_byte() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nCookie:a=b;\t\r\nA: b\r\ncookie: c\r\n\r\n";
    let forwarding = Forwarding {
        cookie: Some(&|value, out| out.extend_from_slice(value)),
        ..FORWARDING
    };
    assert_eq!(rewritten_for(head, &forwarding), rewritten(head));
}

#[test]
fn only_elbow_names_the_standby() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nx-elbow-STANDBY: mine\r\nX-Elbow-Other: a\r\n\
                Connection: X-Elbow-Standby\r\n\r\n";
    let forwarding = Forwarding {
        extra_lines: b"X-Elbow-Standby: b7\r\n",
        ..FORWARDING
    };
    assert_eq!(
        rewritten_for(head, &forwarding).unwrap(),
        "GET / HTTP/1.1\r\nHost: h\r\nX-Elbow-Other: a\r\nX-Elbow-Standby: b7\r\n\
         X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\
         Connection: keep-alive\r\n\r\n"
    );
    let bare = "GET / HTTP/1.0\r\n\r\n";
    let lines = rewritten_for(bare, &forwarding).unwrap();
    assert!(lines.contains("\r\nX-Elbow-Standby: b7\r\n"), "{lines}");
}

#[test]
fn a_field_is_found_by_its_name_in_any_case() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nX-User: a\u{e9}\r\nx-user: b\r\nEmpty:\r\n\r\n";
    let mut slots = field_slots();
    let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
    assert_eq!(request.field("x-USER"), Some("a\u{e9}".as_bytes()));
    assert_eq!(request.field("empty"), Some(&b""[..]));
    assert_eq!(request.field("x-use"), None);
}

#[test]
fn hop_by_hop_and_nominated_fields_are_cut() {
    let head = "GET / HTTP/1.1\r\nConnection: close, X-Hop\r\nHost: h\r\nX-Hop: 1\r\n\
                Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: x\r\nProxy-Connection: close\r\n\r\n";
    let expected = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\n\
                    X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\
                    Connection: keep-alive\r\n\r\n";
    assert_eq!(rewritten(head).unwrap(), expected);
}

#[test]
fn forwarded_for_is_appended_and_protocol_and_port_are_replaced() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nx-forwarded-for: 10.0.0.1\r\nA: b\r\n\
                X-Forwarded-Proto: https\r\nX-Forwarded-For: 10.0.0.2\r\n\
                X-Forwarded-Port: 9\r\n\r\n";
    let expected = "GET / HTTP/1.1\r\nHost: h\r\nx-forwarded-for: 10.0.0.1, 10.0.0.2, \
                    192.0.2.7\r\nA: b\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\
                    Connection: keep-alive\r\n\r\n";
    assert_eq!(rewritten(head).unwrap(), expected);
}

#[test]
fn http_1_0_is_spoken_as_1_1_with_a_host() {
    let out = rewritten("GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(out.starts_with("GET / HTTP/1.1\r\nHost: 198.51.100.1\r\nX-Forwarded-For"));
}

#[test]
fn an_absolute_target_becomes_a_path_and_its_host_wins() {
    let out = rewritten("GET http://real/p?q HTTP/1.1\r\nHost: other\r\nA: b\r\n\r\n").unwrap();
    assert!(
        out.starts_with("GET /p?q HTTP/1.1\r\nHost: real\r\nA: b\r\nX-For"),
        "{out}"
    );
    let out = rewritten("GET HTTP://real?q HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(
        out.starts_with("GET /?q HTTP/1.1\r\nHost: real\r\n"),
        "{out}"
    );
    let out = rewritten("OPTIONS http://real HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(
        out.starts_with("OPTIONS * HTTP/1.1\r\nHost: real\r\n"),
        "{out}"
    );
}

#[test]
fn two_readings_of_the_framing_are_refused() {
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 1, 1",
        "Content-Length: +1",
        "Content-Length: 0x1",
        "Content-Length:",
        "Content-Length: 18446744073709551616",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding:",
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        let refusal = refusal(&head);
        assert_eq!(
            refusal.reply(),
            Reply::BadRequest,
            "{fields:?}: {refusal:?}"
        );
    }
    let head = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refusal(head), Refusal::Framing);
}

#[test]
fn malformed_heads_are_refused() {
    for head in [
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA\r: b\r\n\r\n",
        "GET / HTTP/1.1\rHost: h\r\n\r\n",
        "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        "GET /\r\n\r\n",
        "\r\n\r\n",
    ] {
        assert_eq!(refusal(head), Refusal::Malformed, "{head:?}");
    }
}

#[test]
fn other_refusals_have_their_own_reasons() {
    let long = "A".repeat(METHOD_BYTES_MAX + 1);
    let path = "a".repeat(REQUEST_LINE_BYTES_MAX);
    for (line, expected) in [
        (format!("{long} / HTTP/1.1\r\nHost: h"), Refusal::LongMethod),
        (
            format!("GET /{path} HTTP/1.1\r\nHost: h"),
            Refusal::LongLine,
        ),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h".into(), Refusal::Connect),
        ("GET a HTTP/1.1\r\nHost: h".into(), Refusal::Target),
        ("GET * HTTP/1.1\r\nHost: h".into(), Refusal::Target),
        ("GET /a#b HTTP/1.1\r\nHost: h".into(), Refusal::Target),
        ("GET http://h#b HTTP/1.1\r\nHost: h".into(), Refusal::Target),
        (
            "GET http://u@h/ HTTP/1.1\r\nHost: h".into(),
            Refusal::Target,
        ),
        ("GET / HTTP/1.1\r\nA: b".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: h".into(), Refusal::Host),
        ("GET / HTTP/1.1\r\nHost: h, i".into(), Refusal::Host),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nExpect: tea".into(),
            Refusal::Expectation,
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked".into(),
            Refusal::TransferCoding,
        ),
    ] {
        assert_eq!(refusal(&format!("{line}\r\n\r\n")), expected, "{line}");
    }
}

#[test]
fn keep_alive_follows_version_and_options() {
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
            false,
        ),
    ] {
        let mut slots = field_slots();
        let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
        assert_eq!(request.wants_keep_alive(), expected, "{head}");
    }
}

#[test]
fn an_expectation_without_a_body_or_in_1_0_is_not_answered() {
    for (head, expected) in [
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1", true),
        ("POST / HTTP/1.1\r\nHost: h", false),
        ("POST / HTTP/1.0\r\nContent-Length: 1", false),
    ] {
        let head = format!("{head}\r\nExpect: 100-Continue\r\n\r\n");
        let mut slots = field_slots();
        let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
        assert_eq!(request.expects_continue, expected, "{head}");
    }
}

#[test]
fn a_protocol_is_asked_for_by_one_field_and_an_option_and_without_a_body() {
    let asked = |lines: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n");
        let mut slots = field_slots();
        let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
        request.upgrade().map(<[u8]>::to_vec)
    };
    let protocol = Some(b"WebSocket".to_vec());
    let both = "Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket";
    assert_eq!(asked(both), protocol);
    for lines in [
        "Connection: Upgrade".to_owned(),
        "Upgrade: WebSocket".to_owned(),
        format!("{both}\r\nContent-Length: 1"),
        format!("{both}\r\nUpgrade: h2c"),
        format!("{both}\r\nUpgrade: WebSocket\r\nUpgrade: WebSocket"),
    ] {
        assert_eq!(asked(&lines), None, "{lines}");
    }
    let head = format!("GET / HTTP/1.0\r\n{both}\r\n\r\n");
    let mut slots = field_slots();
    let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
    assert_eq!(request.upgrade(), None, "HTTP/1.0");
}

#[test]
fn an_upgrade_that_is_asked_for_is_all_of_the_hop_that_is_passed_on() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nKeep-Alive: 5\r\n\
                Connection: upgrade, close\r\nA: b\r\n\r\n";
    let forwarding = Forwarding {
        upgrades: true,
        ..FORWARDING
    };
    assert_eq!(
        rewritten_for(head, &forwarding).unwrap(),
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nA: b\r\n\
         X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\
         Connection: upgrade\r\n\r\n"
    );
}
