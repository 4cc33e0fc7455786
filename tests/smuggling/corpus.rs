//! Two public collections of smuggling payloads, as the rules that make their entries.
//!
//! * smuggler (github.com/defparam/smuggler, commit 2be871e): what its three configurations put
//!   in the place of `Transfer-Encoding: chunked`, 1,768 entries;
//! * HTTP Request Smuggler (github.com/PortSwigger/http-request-smuggler, commit a25814d): the
//!   techniques of its `DesyncBox`, 89 of 100: the other 11 are of HTTP/2, which elbow does not
//!   speak. Those that fit any field are applied to `Content-Length` too.
//!
//! An entry has the name that it has there. Not the bodies that are sent with it (`payload.rs`).
//! Pure. Invariant: there are as many entries as there, which a test counts.

/// One way to write the fields that say where a body ends.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Collection, part of it, and name there.
    pub(crate) name: String,
    pub(crate) method: &'static str,
    pub(crate) version: &'static str,
    /// The lines that stand for the field, without the last line end. A character is a byte, or,
    /// beyond ASCII, its two bytes in UTF-8: tools send one or the other.
    pub(crate) lines: String,
    /// The field that is written in this way.
    pub(crate) field: Field,
}

/// What says where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Coding,
    /// Its value in [`Entry::lines`] is [`LENGTH`].
    Length,
}

/// Stands for the number of bytes.
pub(crate) const LENGTH: &str = "LENGTH";

impl Field {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Coding => "Transfer-Encoding",
            Self::Length => "Content-Length",
        }
    }

    pub(crate) fn value(self) -> &'static str {
        match self {
            Self::Coding => "chunked",
            Self::Length => LENGTH,
        }
    }
}

/// All entries of both.
pub(crate) fn entries() -> Vec<Entry> {
    let mut all = smuggler();
    all.extend(request_smuggler());
    all
}

/// The bytes of smuggler's `default` configuration.
const DEFAULT_BYTES: [u8; 13] = [1, 4, 8, 9, 10, 11, 12, 13, 0x1f, 0x20, 0x7f, 0xa0, 0xff];

/// Where a byte is put, by name; `?` stands for it. The first four are those of `exhaustive`.
const PLACES: [(&str, &str); 10] = [
    ("midspace", "Transfer-Encoding:?chunked"),
    ("postspace", "Transfer-Encoding?: chunked"),
    ("prespace", "?Transfer-Encoding: chunked"),
    ("endspace", "Transfer-Encoding: chunked?"),
    ("xprespace", "X: X?Transfer-Encoding: chunked"),
    ("endspacex", "Transfer-Encoding: chunked?X: X"),
    ("rxprespace", "X: X\r?Transfer-Encoding: chunked"),
    ("xnprespace", "X: X?\nTransfer-Encoding: chunked"),
    ("endspacerx", "Transfer-Encoding: chunked\r?X: X"),
    ("endspacexn", "Transfer-Encoding: chunked?\nX: X"),
];

/// Where `doubles` puts a byte twice. Its names have the byte in hexadecimal at the two of four
/// places, here `?`.
const DOUBLES: [(&str, &str); 6] = [
    ("?-?-XX-XX", "?Transfer-Encoding?: chunked"),
    ("?-XX-?-XX", "?Transfer-Encoding:?chunked"),
    ("?-XX-XX-?", "?Transfer-Encoding: chunked?"),
    ("XX-?-?-XX", "Transfer-Encoding?:?chunked"),
    ("XX-?-XX-?", "Transfer-Encoding?: chunked?"),
    ("XX-XX-?-?", "Transfer-Encoding:?chunked?"),
];

/// What `default` has beside bytes at places, and `exhaustive` too.
const BLANKS: [(&str, &str); 4] = [
    ("nameprefix1", " Transfer-Encoding: chunked"),
    ("tabprefix1", "Transfer-Encoding:\tchunked"),
    ("tabprefix2", "Transfer-Encoding\t:\tchunked"),
    ("space1", "Transfer-Encoding : chunked"),
];

/// What `exhaustive` alone has beside them.
const NAMED: [(&str, &str); 24] = [
    ("spacejoin1", "Transfer Encoding: chunked"),
    ("underjoin1", "Transfer_Encoding: chunked"),
    ("smashed", "Transfer Encoding:chunked"),
    ("valueprefix1", "Transfer-Encoding:  chunked"),
    ("vertprefix1", "Transfer-Encoding:\u{b}chunked"),
    ("commaCow", "Transfer-Encoding: chunked, cow"),
    ("cowComma", "Transfer-Encoding: cow, chunked"),
    ("contentEnc", "Content-Encoding: chunked"),
    ("linewrapped1", "Transfer-Encoding:\n chunked"),
    ("quoted", "Transfer-Encoding: \"chunked\""),
    ("aposed", "Transfer-Encoding: 'chunked'"),
    ("lazygrep", "Transfer-Encoding: chunk"),
    ("sarcasm", "TrAnSFer-EnCODinG: cHuNkeD"),
    ("yelling", "TRANSFER-ENCODING: CHUNKED"),
    ("0dsuffix", "Transfer-Encoding: chunked\r"),
    ("tabsuffix", "Transfer-Encoding: chunked\t"),
    (
        "revdualchunk",
        "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    ),
    ("0dspam", "Transfer\r-Encoding: chunked"),
    ("nested", "Transfer-Encoding: cow chunked bar"),
    ("spaceFF", "Transfer-Encoding:\u{ff}chunked"),
    ("accentCH", "Transfer-Encoding: ch\u{96}nked"),
    ("accentTE", "Transf\u{82}r-Encoding: chunked"),
    ("x-rout", "X:X\rTransfer-Encoding: chunked"),
    ("x-nout", "X:X\nTransfer-Encoding: chunked"),
];

fn smuggler() -> Vec<Entry> {
    let mut all = Vec::new();
    let mut add = |configuration: &str, name: &str, lines: &str| {
        all.push(Entry {
            name: format!("smuggler {configuration} {name}"),
            method: "POST",
            version: "HTTP/1.1",
            lines: lines.to_owned(),
            field: Field::Coding,
        });
    };
    let put = |template: &str, byte: u8| template.replace('?', &char::from(byte).to_string());
    let above = 0x7f..=0xff;
    for (name, lines) in BLANKS {
        add("default", name, lines);
        add("exhaustive", name, lines);
    }
    for (name, lines) in NAMED {
        add("exhaustive", name, lines);
    }
    for (name, template) in PLACES {
        for byte in DEFAULT_BYTES {
            add(
                "default",
                &format!("{name}-{byte:02x}"),
                &put(template, byte),
            );
        }
    }
    for (name, template) in &PLACES[..4] {
        for byte in (1..=0x1f).chain(above.clone()) {
            let name = format!("{name}-{byte:02x}");
            add("exhaustive", &name, &put(template, byte));
        }
    }
    for (name, template) in DOUBLES {
        for byte in (1..=0x20).chain(above.clone()) {
            let name = name.replace('?', &format!("{byte:02x}"));
            add("doubles", &name, &put(template, byte));
        }
    }
    all
}

/// How a technique writes a field with this name and value.
type Writing = fn(&str, &str) -> String;

/// Techniques for any field.
const ANY: [(&str, Writing); 25] = [
    ("vanilla", |n, v| format!("{n}: {v}")),
    ("underjoin1", |n, v| format!("{}: {v}", n.replace('-', "_"))),
    ("spacejoin1", |n, v| format!("{}: {v}", n.replace('-', " "))),
    ("space1", |n, v| format!("{n} : {v}")),
    ("nameprefix1", |n, v| format!("Foo: bar\r\n {n}: {v}")),
    ("nameprefix2", |n, v| format!("Foo: bar\r\n\t{n}: {v}")),
    ("valueprefix1", |n, v| format!("{n}:  {v}")),
    ("vertwrap", |n, v| format!("{n}: \n\u{b}{v}")),
    ("connection", |n, v| format!("Connection: {n}\r\n{n}: {v}")),
    ("spjunk", |n, v| format!("{n} x: {v}")),
    ("backslash", |n, v| format!("{}: {v}", n.replace('-', "\\"))),
    ("spaceFF", |n, v| format!("{n}:\u{ff}{v}")),
    ("unispace", |n, v| format!("{n}:\u{a0}{v}")),
    ("0dsuffix", |n, v| format!("{n}: {v}\r")),
    ("tabsuffix", |n, v| format!("{n}: {v}\t")),
    ("removed", |_, _| "Nothing-interesting: 1".to_owned()),
    ("get", |n, v| format!("{n}: {v}")),
    ("options", |n, v| format!("{n}: {v}")),
    ("head", |n, v| format!("{n}: {v}")),
    ("range", |n, v| format!("Range: bytes=0-0\r\n{n}: {v}")),
    ("nel", |n, v| format!("{n}\u{85}: {v}")),
    ("nbsp", |n, v| format!("{n}\u{a0}: {v}")),
    ("shy", |n, v| format!("{}: {v}", n.replace('-', "\u{ad}"))),
    ("shy2", |n, v| format!("{n}\u{ad}: {v}")),
    ("http1.0", |n, v| format!("{n}: {v}")),
];

/// Techniques for any field that need lines, which HTTP/2 has not.
const LINES: [(&str, Writing); 12] = [
    ("nospace1", |n, v| format!("{n}:{v}")),
    ("linewrapped1", |n, v| format!("{n}:\n {v}")),
    ("doublewrapped", |n, v| format!("{n}:\r\n \r\n {v}")),
    ("gareth1", |n, v| format!("{n}\n : {v}")),
    ("badsetupCR", |n, v| format!("Foo: bar\r{n}: {v}")),
    ("badsetupLF", |n, v| format!("Foo: bar\n{n}: {v}")),
    ("multiCase", |n, v| {
        format!("{}{}: {v}", n[..1].to_lowercase(), n[1..].to_uppercase())
    }),
    ("tabwrap", |n, v| format!("{n}: \r\n\t{v}")),
    ("UPPERCASE", |n, v| format!("{}: {v}", n.to_uppercase())),
    ("0dwrap", |n, v| format!("Foo: bar\r\n\r{n}: {v}")),
    ("0dspam", |n, v| format!("{}\r{}: {v}", &n[..3], &n[3..])),
    ("badwrap", |n, v| format!(" {n}: {v}\r\nX-Blah-Ignore: {v}")),
];

/// Techniques for `Transfer-Encoding` alone.
const CODINGS: [(&str, Writing); 16] = [
    ("commaCow", |n, v| format!("{n}: {v}, identity")),
    ("cowComma", |n, v| format!("{n}: identity, {v}")),
    ("contentEnc", |_, v| format!("Content-Encoding: {v}")),
    ("quoted", |n, v| format!("{n}: \"{v}\"")),
    ("aposed", |n, v| format!("{n}: '{v}'")),
    ("dualchunk", |n, v| {
        format!("{n}: {v}\r\nTransfer-encoding: identity")
    }),
    ("lazygrep", |n, _| format!("{n}: chunk")),
    ("revdualchunk", |n, v| format!("{n}: identity\r\n{n}: {v}")),
    ("nested", |n, v| format!("{n}: identity, {v}, identity")),
    ("encode", |_, v| format!("Transfer-%45ncoding: {v}")),
    ("accentTE", |_, v| format!("Transf\u{82}r-Encoding: {v}")),
    ("accentCH", |n, _| format!("{n}: ch\u{96}nked")),
    ("qencode", |n, _| {
        format!("{n}: =?iso-8859-1?B?Y2h1bmtlZA==?=")
    }),
    ("qencodeutf", |n, _| {
        format!("{n}: =?UTF-8?B?Y2h1bmtlZA==?=")
    }),
    ("bodysplit", |n, v| format!("Foo: barn\n\n{n}: {v}\r\nX: y")),
    ("h1case", |n, v| format!("{}: {v}", n.to_uppercase())),
];

/// Techniques for `Content-Length` alone.
const LENGTHS: [(&str, Writing); 12] = [
    ("CL-plus", |n, v| format!("{n}: +{v}")),
    ("CL-minus", |n, v| format!("{n}: -{v}")),
    ("CL-pad", |n, v| format!("{n}: 0{v}")),
    ("CL-bigpad", |n, v| format!("{n}: 00000000000{v}")),
    ("CL-e", |n, v| format!("{n}: {v}e0")),
    ("CL-dec", |n, v| format!("{n}: {v}.0")),
    ("CL-commaprefix", |n, v| format!("{n}: 0, {v}")),
    ("CL-commasuffix", |n, v| format!("{n}: {v}, 0")),
    ("CL-expect", |n, v| {
        format!("Expect: 100-continue\r\n{n}: {v}")
    }),
    ("CL-expect-obfs", |n, v| {
        format!("Expect: x 100-continue\r\n{n}: {v}")
    }),
    ("CL-error", |n, v| format!("X-Invalid Y: \r\n{n}: {v}")),
    ("CL-spacepad", |n, v| format!("{n}: 0 {v}")),
];

/// The bytes that some techniques put somewhere.
const SPECIAL_BYTES: [u8; 6] = [0, 9, 11, 12, 13, 127];

/// How a technique puts a byte into a field with this name and value.
type Putting = fn(&str, &str, char) -> String;

/// Where they put it, for any field.
const SPECIAL_PLACES: [(&str, Putting); 4] = [
    ("spacefix1", |n, v, byte| format!("{n}:{byte}{v}")),
    ("prefix1", |n, v, byte| format!("{n}: {byte}{v}")),
    ("suffix1", |n, v, byte| format!("{n}: {v}{byte}")),
    ("namesuffix1", |n, v, byte| format!("{n}{byte}: {v}")),
];

fn request_smuggler() -> Vec<Entry> {
    let mut all = Vec::new();
    let mut add = |field: Field, name: &str, lines: String| {
        all.push(Entry {
            name: format!("request-smuggler {} {name}", field.name()),
            method: match name {
                "get" => "GET",
                "options" => "OPTIONS",
                "head" => "HEAD",
                _ => "POST",
            },
            version: if name == "http1.0" {
                "HTTP/1.0"
            } else {
                "HTTP/1.1"
            },
            lines,
            field,
        });
    };
    for field in [Field::Coding, Field::Length] {
        let own: &[_] = match field {
            Field::Coding => &CODINGS,
            Field::Length => &LENGTHS,
        };
        for (name, write) in ANY.iter().chain(&LINES).chain(own) {
            add(field, name, write(field.name(), field.value()));
        }
        for (name, write) in SPECIAL_PLACES {
            for byte in SPECIAL_BYTES {
                let lines = write(field.name(), field.value(), char::from(byte));
                add(field, &format!("{name}:{byte}"), lines);
            }
        }
    }
    all
}

#[test]
fn no_entry_of_the_collections_is_missing() {
    let entries = entries();
    let count = |prefix: &str| {
        let mut names: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry.name.strip_prefix(prefix))
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    };
    assert_eq!(count("smuggler default "), 134);
    assert_eq!(count("smuggler doubles "), 966);
    assert_eq!(count("smuggler exhaustive "), 668);
    // 38 for any version of HTTP and 24 with bytes at places, 15 of HTTP/1, 12 of lengths.
    assert_eq!(count("request-smuggler Transfer-Encoding "), 38 + 24 + 15);
    assert_eq!(count("request-smuggler Content-Length CL-"), 12);
    assert_eq!(count(""), entries.len());
}
