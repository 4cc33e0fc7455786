//! Bodies: however the bytes of one are cut, it passes the same bytes, keeps the same content and
//! ends in the same place as a reader says that sees all of them at once.
//!
//! Input: framing, content that it may have, two lengths of pieces; then the bytes on the wire.
#![no_main]

use elbow::http::{Body, BrokenBody, Framing};
use elbow::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[kind, may_have, short, long], wire)) = input.split_first_chunk() else {
        return;
    };
    let framing = match kind % 5 {
        0 => Framing::None,
        1 => Framing::Length(u64::from(kind / 5)),
        2 => Framing::UntilClose,
        _ => Framing::Chunked,
    };
    let may_have = match may_have {
        255 => u64::MAX,
        few => u64::from(few),
    };
    let told = tell(framing, may_have, wire);
    let pieces = [usize::from(short % 16) + 1, usize::from(long) + 1];
    for pieces in [[wire.len().max(1); 2], [1; 2], pieces] {
        check(framing, may_have, wire, pieces, &told);
    }
});

/// What becomes of a body, by a reader that sees all of it at once.
#[derive(Debug)]
struct Told {
    content: Vec<u8>,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is over before this byte.
    Done(usize),
    /// There is more to come.
    Open,
    /// It is broken at this byte; `None`: before the first.
    Broken(Option<usize>, BrokenBody),
}

/// Feeds a body in pieces of these two lengths in turn.
fn check(framing: Framing, may_have: u64, wire: &[u8], pieces: [usize; 2], told: &Told) {
    let (mut passing, mut reading) = match Body::at_most(framing, may_have) {
        Ok(body) => (body, body),
        Err(broken) => return assert_eq!(told.end, End::Broken(None, broken)),
    };
    let mut content = Vec::new();
    let mut at = 0;
    for length in pieces.into_iter().cycle() {
        let rest = &wire[at..];
        if rest.is_empty() {
            break;
        }
        let piece = &rest[..length.min(rest.len())];
        let mut kept = piece.to_vec();
        let was = passing;
        assert!(
            was.wanted() > 0 || was.is_done(),
            "it wants some until its end"
        );
        match (passing.pass(piece), reading.unchunk(&mut kept)) {
            (Ok(passed), Ok((content_bytes, taken))) => {
                assert_eq!(passed, taken);
                assert!(passed <= was.wanted(), "it takes no more than it wants");
                content.extend_from_slice(&kept[..content_bytes]);
                at += passed;
                assert_eq!(
                    passed < piece.len(),
                    passing.is_done() && passed < piece.len()
                );
            }
            (Err(broken), Err(same)) => {
                assert_eq!(broken, same);
                let End::Broken(Some(place), by_model) = told.end else {
                    panic!("{broken:?} in {piece:?} at {at}, and not {told:?}");
                };
                assert_eq!(broken, by_model);
                assert!(
                    (at..at + piece.len()).contains(&place),
                    "{place} is not in {at}.."
                );
                assert!(told.content.starts_with(&content));
                // What comes next makes nothing good again.
                for next in [&wire[place..], b"\r\n", b"0\r\n\r\n", b"a: b\r\n\r\n"] {
                    assert!(
                        next.is_empty() || passing.pass(next) == Err(broken),
                        "{next:?}"
                    );
                    assert!(!passing.is_done());
                }
                return;
            }
            (passed, read) => panic!("pass: {passed:?}, unchunk: {read:?}"),
        }
        assert_eq!(passing, reading);
        if passing.is_done() {
            break;
        }
    }
    let end = if passing.is_done() {
        End::Done(at)
    } else {
        End::Open
    };
    assert_eq!(end, told.end, "in pieces of {pieces:?}");
    assert_eq!(content, told.content);
    if passing.is_done() {
        assert_eq!(passing.wanted(), 0);
        assert_eq!(passing.pass(b"0\r\n\r\n"), Ok(0));
        assert_eq!(passing.unchunk(&mut b"more".to_owned()), Ok((0, 0)));
        assert!(passing.is_done());
    }
}

fn tell(framing: Framing, may_have: u64, wire: &[u8]) -> Told {
    match framing {
        Framing::None => Told {
            content: Vec::new(),
            end: End::Done(0),
        },
        Framing::UntilClose => Told {
            content: wire.to_vec(),
            end: End::Open,
        },
        Framing::Length(length) if length > may_have => Told {
            content: Vec::new(),
            end: End::Broken(None, BrokenBody::TooLarge),
        },
        Framing::Length(length) => {
            let length = usize::try_from(length).expect("one byte");
            let there = length.min(wire.len());
            Told {
                content: wire[..there].to_vec(),
                end: if there == length {
                    End::Done(length)
                } else {
                    End::Open
                },
            }
        }
        Framing::Chunked => {
            let mut chunks = Chunks {
                wire,
                at: 0,
                content: Vec::new(),
                may_have,
            };
            let end = match chunks.read() {
                Ok(()) => End::Done(chunks.at),
                Err(Stop::Open) => End::Open,
                Err(Stop::Malformed) => End::Broken(Some(chunks.at), BrokenBody::Malformed),
                Err(Stop::TooLarge) => End::Broken(Some(chunks.at), BrokenBody::TooLarge),
            };
            Told {
                content: chunks.content,
                end,
            }
        }
    }
}

/// Why there is no end.
enum Stop {
    Open,
    Malformed,
    TooLarge,
}

/// A reader of RFC 9112 §7.1 by the rules of its grammar, one after the other. `at` stands at the
/// byte that is read next, or at the one that breaks the body.
struct Chunks<'a> {
    wire: &'a [u8],
    at: usize,
    content: Vec<u8>,
    may_have: u64,
}

impl Chunks<'_> {
    fn read(&mut self) -> Result<(), Stop> {
        loop {
            let size = self.size_line()?;
            if size == 0 {
                return self.trailers();
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let there = size.min(self.wire.len() - self.at);
            self.content
                .extend_from_slice(&self.wire[self.at..self.at + there]);
            self.at += there;
            self.expect(b'\r')?;
            self.expect(b'\n')?;
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF`. The line's bytes in front of CR have a bound, and the size
    /// has 15 digits at most.
    fn size_line(&mut self) -> Result<u64, Stop> {
        let start = self.at;
        let mut size = 0;
        while self.peek()?.is_ascii_hexdigit() {
            if self.at - start == 15 {
                return Err(Stop::Malformed);
            }
            let digit = char::from(self.peek()?).to_digit(16).expect("a digit");
            size = size * 16 + u64::from(digit);
            self.at += 1;
        }
        if self.at == start {
            return Err(Stop::Malformed);
        }
        if self.peek()? == b';' {
            self.at += 1;
            while self.peek()? != b'\r' {
                // The semicolon does not count.
                self.text(self.at - start - 1, CHUNK_LINE_BYTES_MAX)?;
            }
        }
        self.expect(b'\r')?;
        if self.peek()? != b'\n' {
            return Err(Stop::Malformed);
        }
        // The size counts once its line is whole.
        let left = self.may_have.checked_sub(size);
        self.may_have = left.ok_or(Stop::TooLarge)?;
        self.at += 1;
        Ok(size)
    }

    /// `*( field-line CRLF ) CRLF`. The bytes of all lines together have a bound.
    fn trailers(&mut self) -> Result<(), Stop> {
        let mut total = 0;
        loop {
            if self.peek()? == b'\r' {
                self.at += 1;
                return self.expect(b'\n');
            }
            let start = self.at;
            while self.peek()? != b':' || self.at == start {
                let is_name = elbow::http::is_token(self.peek()?);
                if total == TRAILER_BYTES_MAX || !is_name {
                    return Err(Stop::Malformed);
                }
                (self.at, total) = (self.at + 1, total + 1);
            }
            while self.peek()? != b'\r' {
                self.text(total, TRAILER_BYTES_MAX)?;
                total += 1;
            }
            self.expect(b'\r')?;
            self.expect(b'\n')?;
        }
    }

    /// Takes a byte that is no control character, if there may be one more.
    fn text(&mut self, so_far: usize, most: usize) -> Result<(), Stop> {
        let byte = self.peek()?;
        let is_text = byte == b'\t' || !byte.is_ascii_control();
        if so_far >= most || !is_text {
            return Err(Stop::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek()? != byte {
            return Err(Stop::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.wire.get(self.at).copied().ok_or(Stop::Open)
    }
}
