//! Cases as data: what is sent, byte by byte, and what is expected, to be read without Rust.
//!
//! ```text
//! # a comment
//! case: what it is
//! note: what is to be known of it
//! | GET / HTTP/1.1\r\n
//! | \r\n
//! ```
//!
//! Which notes there are, each file says at its top. The lines behind bars are joined; `\r` `\n`
//! `\t` `\0` `\\` and `\xHH` stand for single bytes. Not here: what a test does with them.

use std::fs;
use std::path::Path;

/// One case of a file.
#[derive(Debug)]
pub(crate) struct Case {
    /// The file and what the case is.
    pub(crate) name: String,
    notes: Vec<(String, String)>,
    /// What is sent.
    pub(crate) bytes: Vec<u8>,
}

impl Case {
    /// The note of that name, which must be there.
    pub(crate) fn note(&self, name: &str) -> &str {
        let note = self.find(name);
        note.unwrap_or_else(|| panic!("{}: nothing is said about {name}", self.name))
    }

    /// The note of that name.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let mut notes = self.notes.iter();
        notes.find_map(|(key, text)| (key == name).then_some(text.as_str()))
    }
}

/// The cases of one file beside this one, in order.
pub(crate) fn read(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(file);
    let text = fs::read_to_string(path).expect("the cases are in the repository");
    let mut cases: Vec<Case> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(name) = line.strip_prefix("case: ") {
            cases.push(Case {
                name: format!("{file}: {name}"),
                notes: Vec::new(),
                bytes: Vec::new(),
            });
            continue;
        }
        let case = cases.last_mut().expect("a file begins with a case");
        if let Some(bytes) = line.strip_prefix("| ") {
            case.bytes.extend(unescape(bytes));
        } else {
            let (name, text) = line.split_once(": ").expect("a note has a name and a text");
            case.notes.push((name.to_owned(), text.to_owned()));
        }
    }
    assert!(cases.iter().all(|case| !case.bytes.is_empty()));
    cases
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            bytes.extend(c.to_string().bytes());
            continue;
        }
        let (escape, after) = rest.split_at(1);
        rest = after;
        bytes.push(match escape {
            "r" => b'\r',
            "n" => b'\n',
            "t" => b'\t',
            "0" => 0,
            "\\" => b'\\',
            "x" => {
                let (digits, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(digits, 16).expect("two hexadecimal digits")
            }
            other => panic!("\\{other} stands for nothing in {text}"),
        });
    }
    bytes
}

#[test]
fn cases_hold_the_bytes_they_show() {
    assert_eq!(unescape(r"a\r\n\t\0\\\x0b\xfF |"), b"a\r\n\t\0\\\x0b\xff |");
    assert_eq!(read("heads.http")[0].bytes, b"GET / HTTP/1.1\r\n\r\n");
}
