//! Heads as attackers write them: mostly well formed, with a thing or two that is not.
//!
//! Invariant: a head has its empty line and nothing behind it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A head in which anything may be wrong.
pub(crate) fn head() -> impl Strategy<Value = Vec<u8>> {
    (request_line(), vec(line(), 0..6)).prop_map(|(line, fields)| {
        let mut head = line;
        for field in fields {
            head.extend(field);
        }
        head.extend(b"\r\n");
        head
    })
}

/// A head that a parser takes, whose fields say strange things.
pub(crate) fn sound_head() -> impl Strategy<Value = Vec<u8>> {
    let method = select(vec!["GET", "HEAD", "POST", "PUT", "get"]);
    let version = select(vec!["1.1", "1.1", "1.1", "1.0"]);
    let name = prop_oneof![
        framing_name(),
        select(PLAIN_NAMES.to_vec()).prop_map(Into::into)
    ];
    let field = (name, value()).prop_map(|(name, value)| [&name[..], b": ", &value].concat());
    (method, version, vec(field, 0..4)).prop_map(|(method, version, fields)| {
        let mut head = format!("{method} / HTTP/{version}\r\nHost: h\r\n").into_bytes();
        for field in fields {
            head.extend(field);
            head.extend(b"\r\n");
        }
        head.extend(b"\r\n");
        head
    })
}

const PLAIN_NAMES: [&[u8]; 8] = [
    b"Host",
    b"Accept-Encoding",
    b"Content-Type",
    b"Content-Language",
    b"Transfer-Encodings",
    b"X-Content-Length",
    b"TE",
    b"Cookie",
];

fn request_line() -> impl Strategy<Value = Vec<u8>> {
    let odd_method: Vec<&[u8]> = vec![b"", b"get", b"G(T", b"P\0ST", b"P\tUT", b"\xc3\xa9"];
    let odd_target: Vec<&[u8]> = vec![
        b"",
        b" ",
        b"\t",
        b"/a b",
        b"/\x01",
        b"/\0",
        b"/\r",
        b"/\x7f",
        b"/\xc3\xa9",
        b"a",
        b"/ ",
        b" /",
        b"HTTP/1.1",
        b"*",
    ];
    let odd_version: Vec<&[u8]> = vec![
        b"",
        b"HTTP/1.0",
        b"HTTP/0.9",
        b"HTTP/1.2",
        b"HTTP/2.0",
        b"HTTP/2",
        b"http/1.1",
        b"HTTP/1.10",
        b" HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1\t",
        b"\tHTTP/1.1",
        b"HTTP/1.0 ",
        b"HTTP/1.",
        b"HTTP/1.x",
        b"HTTX/1.1",
        b"HTTP/1.1 \xd0\xb0",
        b"ICY",
    ];
    let methods = select(vec![&b"GET"[..], b"HEAD", b"POST", b"PUT"]);
    let method = prop_oneof![9 => methods, 1 => select(odd_method)];
    let target = prop_oneof![6 => Just(&b"/a?b"[..]), 1 => select(odd_target)];
    let version = prop_oneof![6 => Just(&b"HTTP/1.1"[..]), 2 => select(odd_version)];
    let spaces = prop_oneof![
        40 => Just([&b" "[..], b" "]),
        1 => select(vec![[&b""[..], b" "], [b" ", b""], [b"  ", b" "], [b" ", b"  "], [b"\t", b" "]])
    ];
    (method, target, version, spaces, line_end()).prop_map(
        |(method, target, version, spaces, end)| {
            [method, spaces[0], target, spaces[1], version, end].concat()
        },
    )
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let plain = select(PLAIN_NAMES.to_vec()).prop_map(<[u8]>::to_vec);
    let odd: Vec<&[u8]> = vec![
        b"",
        b" ",
        b"\t",
        b"A ",
        b" A",
        b"\tA",
        b"A\0",
        b"A\rB",
        b"\x01A",
        b"\xc3\xa9",
        b"A(",
    ];
    let name = prop_oneof![
        3 => plain,
        6 => framing_name(),
        1 => select(odd).prop_map(<[u8]>::to_vec),
    ];
    let colon = prop_oneof![30 => Just(&b":"[..]), 20 => Just(&b": "[..]), 1 => Just(&b""[..]), 1 => Just(&b" : "[..])];
    let field =
        (name, colon, value()).prop_map(|(name, colon, value)| [&name[..], colon, &value].concat());
    let folds: Vec<&[u8]> = vec![
        b" b",
        b"\tb",
        b" 5",
        b" chunked",
        b" A: b",
        b"  ",
        b" Content-Length: 5",
        b"\t:",
    ];
    let line = prop_oneof![12 => field, 1 => select(folds).prop_map(<[u8]>::to_vec)];
    (line, line_end()).prop_map(|(line, end)| [&line[..], end].concat())
}

/// A name that says where the body ends, or almost one.
fn framing_name() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "Transfer-Encoding",
        "Content-Length",
        "content-length",
        "TRANSFER-ENCODING",
    ]);
    let odd = select(b"_-. \t+\x01\x88xX0!\0\r".to_vec());
    let edit = (any::<Index>(), odd, 0..3_usize);
    let edits = prop_oneof![3 => vec(edit.clone(), 0), 2 => vec(edit, 1..3)];
    let special = select(vec![
        "Tranſfer-Encoding",
        "Transfer-Encodıng",
        "Transfer_Encoding",
        "Content.Length",
    ]);
    let edited = (known, edits).prop_map(|(known, edits)| {
        let mut name = known.as_bytes().to_vec();
        for (index, byte, what) in edits {
            let at = index.index(name.len());
            match what {
                0 => name.insert(at, byte),
                1 => name[at] = byte,
                _ => name.push(byte),
            }
        }
        name
    });
    prop_oneof![8 => edited, 1 => special.prop_map(|name| name.as_bytes().to_vec())]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let values: Vec<&[u8]> = vec![
        b"5",
        b"5",
        b"5",
        b"0",
        b"6",
        b"",
        b" 5 ",
        b"05",
        b"5, 5",
        b"+5",
        b"-1",
        b"0x5",
        b"5\x0b",
        b"\x0c5",
        b"18446744073709551615",
        b"18446744073709551616",
        b"9999999999999999999",
        b"chunked",
        b"chunked",
        b"chunked",
        b"Chunked",
        b"gzip, chunked",
        b"chunked, gzip",
        b"identity",
        b"chunked, chunked",
        b"chunked, gzip, chunked",
        b"xchunked",
        b"\x0bchunked",
        b"chunked;a=b",
        b"chunked,",
        b",chunked",
        b"gzip",
        b"chun\0ked",
        b"a",
        b"a\tb",
        b"a\x01b",
        b"a\rb",
        b"a\0b",
        b"\xc3\xa9",
        b"a:b",
    ];
    select(values).prop_map(<[u8]>::to_vec)
}

fn line_end() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![60 => Just(&b"\r\n"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b"\r\r\n"[..])]
}
