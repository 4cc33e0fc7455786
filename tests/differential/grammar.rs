//! Connections of clients that mean no good: request after request, each of mostly good pieces.

use proptest::collection::vec;
use proptest::prelude::*;

/// A request inside a request, for whoever ends the outer one too early.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n";

/// All bytes of one connection.
pub(crate) fn connection() -> impl Strategy<Value = Vec<u8>> {
    vec(request(), 1..4).prop_map(|requests| requests.concat())
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    (
        line(),
        vec(field(), 0..4),
        framed_body(),
        vec(field(), 0..3),
    )
        .prop_map(|(line, before, (framing, body), behind)| {
            let mut bytes = line.into_bytes();
            for field in before.iter().chain(&framing).chain(&behind) {
                bytes.extend_from_slice(field.as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&body);
            bytes
        })
}

/// Mostly the first list, now and then the second.
fn mostly(
    good: &'static [&'static str],
    nasty: &'static [&'static str],
) -> impl Strategy<Value = String> {
    prop_oneof![
        30 => prop::sample::select(good),
        1 => prop::sample::select(nasty),
    ]
    .prop_map(str::to_owned)
}

fn line() -> impl Strategy<Value = String> {
    let method = mostly(
        &["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"],
        &[
            "get", "HEAD", "TRACE", "CONNECT", "G T", "", "GET\t", "G\0T",
        ],
    );
    let target = mostly(
        &[
            "/",
            "/a",
            "/a/b?c=d&e",
            "/%2e%2e/f",
            "/a;b=c",
            "http://b/c",
            "//d/e",
        ],
        &[
            "*",
            "http://b",
            "https://b?c",
            "http://u@b/",
            "/a b",
            "/a\tb",
            "/a#b",
            "/\u{e4}",
            "/\u{7f}",
            "/\0",
            "a",
            "",
            "/a?b#c",
            "/\"<>\\^`{|}",
        ],
    );
    let version = mostly(
        &["HTTP/1.1"],
        &["HTTP/1.0", "HTTP/1.2", "HTTP/0.9", "http/1.1", ""],
    );
    let end = mostly(&["\r\n"], &["\n", "\r", " \r\n", "\r\r\n"]);
    (method, target, version, end)
        .prop_map(|(method, target, version, end)| format!("{method} {target} {version}{end}"))
}

/// Fields that do not say how long the body is, or do not do it well.
fn field() -> impl Strategy<Value = String> {
    let name = mostly(
        &["X-A", "Cookie", "Accept", "X-Forwarded-For", "Via"],
        &[
            "Connection",
            "Expect",
            "Upgrade",
            "TE",
            "Trailer",
            "Host",
            "Host ",
            " X-B",
            "X_C",
            "",
            "Content_Length",
            "Transfer.Encoding",
            "Keep-Alive",
            "X-D\0",
            "X-E\u{e4}",
            "\tX-F",
        ],
    );
    let colon = mostly(&[": ", ":", ":  "], &[" : ", ":\t", "", ":\r\n ", ":\n"]);
    let value = mostly(
        &["a", "a, b", "", "a=b; c=d"],
        &[
            "close",
            "keep-alive",
            "Content-Length",
            "Transfer-Encoding, Host",
            "100-continue",
            "chunked",
            "3",
            "\u{b}",
            "a\rb",
            "a\nContent-Length: 3",
            "a\0b",
            "\u{e4}",
            "a\r\n\tb",
        ],
    );
    let end = mostly(&["\r\n"], &["\n", "\r", " \t\r\n", "\r\n\r\n"]);
    (name, colon, value, end)
        .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
}

/// The fields that say how long a body is, Host among them, and the body.
fn framed_body() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    let content = prop_oneof![
        Just(String::new()),
        Just("hello".to_owned()),
        Just(HIDDEN.to_owned()),
        Just(format!("0\r\n\r\n{HIDDEN}")),
    ];
    let none = Just((Vec::new(), Vec::new()));
    let with_length = (content.clone(), length_field()).prop_map(|(content, field)| {
        let field = field.replace("LENGTH", &content.len().to_string());
        (vec![field], content.into_bytes())
    });
    let in_chunks = (chunks(content), coding_field()).prop_map(|(body, field)| (vec![field], body));
    let both =
        (length_field(), coding_field(), any::<bool>()).prop_map(|(length, coding, swaps)| {
            let length = length.replace("LENGTH", "5");
            let fields = if swaps {
                vec![length, coding]
            } else {
                vec![coding, length]
            };
            (fields, format!("0\r\n\r\n{HIDDEN}").into_bytes())
        });
    prop_oneof![4 => none, 5 => with_length, 5 => in_chunks, 1 => both].prop_map(
        |(mut fields, body)| {
            fields.insert(0, "Host: a\r\n".to_owned());
            (fields, body)
        },
    )
}

fn length_field() -> impl Strategy<Value = String> {
    mostly(
        &[
            "Content-Length: LENGTH\r\n",
            "content-length:LENGTH\r\n",
            "Content-Length: 0LENGTH \r\n",
        ],
        &[
            "Content-Length : LENGTH\r\n",
            "Content-Length: LENGTH, LENGTH\r\n",
            "Content-Length: +LENGTH\r\n",
            "Content-Length: 0xLENGTH\r\n",
            "Content-Length: LENGTH\r\nContent-Length: LENGTH\r\n",
            "Content-Length: LENGTH\r\nContent-Length: 0\r\n",
            "Content-Length: LENGTH\n",
            "Content-Length:\r\n LENGTH\r\n",
            "Content-Length: LENGTH.0\r\n",
            "Content-Length: 184467440737095516LENGTH\r\n",
            "Content-Length\0: LENGTH\r\n",
            "Connection: Content-Length\r\nContent-Length: LENGTH\r\n",
            "Content-Length: \r\n",
        ],
    )
}

fn coding_field() -> impl Strategy<Value = String> {
    mostly(
        &[
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding:CHUNKED \r\n",
        ],
        &[
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: chunked;a=b\r\n",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\n",
            "Transfer-Encoding: ,chunked\r\n",
        ],
    )
}

/// The content in chunks, well or badly.
fn chunks(content: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let size = mostly(
        &["SIZE\r\n", "SIZE;a=b\r\n", "00SIZE\r\n"],
        &[
            "SIZE\n",
            "SIZE \r\n",
            " SIZE\r\n",
            "0xSIZE\r\n",
            "+SIZE\r\n",
            "-SIZE\r\n",
            "SIZE;a\n",
            "10000000000000000SIZE\r\n",
            "SIZE;a\rb\r\n",
            "SIZE\r\r\n",
            "SIZEg\r\n",
            "\r\n",
        ],
    );
    let end = mostly(&["\r\n"], &["\n", "", "\r", "xx"]);
    let last = mostly(
        &["0\r\n\r\n", "000\r\n\r\n", "0;a=\"b\"\r\n\r\n"],
        &[
            "0\n\n",
            "0\r\n",
            "0\r\n\n",
            "0\r\nX: y\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\n X: y\r\n\r\n",
        ],
    );
    (content, size, end, last).prop_map(|(content, size, end, last)| {
        let mut bytes = Vec::new();
        if !content.is_empty() {
            let size = size.replace("SIZE", &format!("{:x}", content.len()));
            bytes.extend_from_slice(size.as_bytes());
            bytes.extend_from_slice(content.as_bytes());
            bytes.extend_from_slice(end.as_bytes());
        }
        bytes.extend_from_slice(last.as_bytes());
        bytes
    })
}
