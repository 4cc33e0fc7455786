//! How a body ends, and how far it has come: bytes go past, nothing is kept or re-encoded.
//!
//! ```text
//! Length(n) ──n bytes──────────────────────────────────────────► done
//! Chunked:  Size ─CRLF─► Data(n) ─n bytes─► DataEnd ─CRLF─► Size
//!             └─size 0──► Trailer ─empty line─► done
//! UntilClose ──the peer closes─────────────────────────────────► done
//! ```
//!
//! Invariant: once a body is broken or done it takes no further byte.

use super::field::is_token;
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// How the end of a body is known (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// It has so many bytes.
    Length(u64),
    /// It is chunked.
    Chunked,
    /// It ends when the connection does. Only responses have that.
    UntilClose,
}

/// Why a body cannot be passed on. The connection that it came from cannot be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenBody {
    /// It is chunked and does not follow RFC 9112 §7.1, or a line of its framing is longer than its
    /// bound.
    Malformed,
    /// It has more content than it may have.
    TooLarge,
}

/// A body under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    state: State,
    /// Content that chunks to come may have, or a body that ends with its connection.
    may_have: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    Chunked(Chunk),
    Broken(BrokenBody),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// In a chunk-size line: the size so far, digits seen, bytes of the line so far.
    Size {
        size: u64,
        digits: u8,
        line: u16,
    },
    /// In a chunk extension.
    Extension {
        size: u64,
        line: u16,
    },
    /// CR of the size line seen.
    SizeLf {
        size: u64,
    },
    /// So many data bytes to go.
    Data(u64),
    DataCr,
    DataLf,
    /// In the trailer section: bytes so far, and where in a line.
    Trailer {
        total: u16,
        at: Line,
    },
    /// CR seen behind a trailer field, or, if `is_empty`, instead of one.
    TrailerLf {
        total: u16,
        is_empty: bool,
    },
}

const _: () = assert!(CHUNK_LINE_BYTES_MAX < 1 << 16 && TRAILER_BYTES_MAX < 1 << 16);

/// A place in a line of the trailer section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    Name,
    Value,
}

impl Body {
    /// A body that begins now.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunk::Size {
                size: 0,
                digits: 0,
                line: 0,
            }),
            Framing::UntilClose => State::UntilClose,
        };
        let may_have = match framing {
            Framing::None | Framing::Length(_) => 0,
            Framing::Chunked | Framing::UntilClose => u64::MAX,
        };
        Self { state, may_have }
    }

    /// A body that begins now and may have so many bytes of content. Of one that is chunked the
    /// first chunk that goes beyond is found out by its size, before its data.
    ///
    /// # Errors
    /// [`BrokenBody::TooLarge`] if its length says already that it is.
    pub fn at_most(framing: Framing, may_have: u64) -> Result<Self, BrokenBody> {
        match framing {
            Framing::Length(length) if length > may_have => Err(BrokenBody::TooLarge),
            Framing::Chunked => Ok(Self {
                may_have,
                ..Self::new(framing)
            }),
            _ => Ok(Self::new(framing)),
        }
    }

    /// How much content may still come, as far as is known or allowed. By how much it shrinks is
    /// how much has gone past.
    pub fn left(self) -> u64 {
        match self.state {
            State::Length(left) => left,
            State::Chunked(Chunk::Data(left)) => self.may_have + left,
            State::Done | State::UntilClose | State::Chunked(_) | State::Broken(_) => self.may_have,
        }
    }

    /// Whether its last byte has been seen.
    pub fn is_done(self) -> bool {
        self.state == State::Done
    }

    /// Whether it ends by the close of the connection.
    pub fn is_until_close(self) -> bool {
        self.state == State::UntilClose
    }

    /// How many bytes may be received without taking any that belong to the next message, as far
    /// as is known: a bound for `Length`, none otherwise.
    pub fn wanted(self) -> usize {
        match self.state {
            State::Done | State::Broken(_) => 0,
            State::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
            State::UntilClose | State::Chunked(_) => usize::MAX,
        }
    }

    /// Lets `bytes` go past and says how many of them belong to this body.
    ///
    /// # Errors
    /// Why a chunked body is broken; the same for whatever comes next.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, BrokenBody> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            at += self.step(&bytes[at..])?.taken;
        }
        Ok(at)
    }

    /// Like [`pass`](Self::pass), but keeps only the content: the data of chunks is moved together
    /// at the front of `bytes`. Returns (content bytes, bytes that belong to this body).
    ///
    /// # Errors
    /// As for [`pass`](Self::pass).
    pub fn unchunk(&mut self, bytes: &mut [u8]) -> Result<(usize, usize), BrokenBody> {
        let mut kept = 0;
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            let step = self.step(&bytes[at..])?;
            if step.is_content {
                bytes.copy_within(at..at + step.taken, kept);
                kept += step.taken;
            }
            at += step.taken;
        }
        Ok((kept, at))
    }

    /// Takes one run of content, or one byte of the framing.
    fn step(&mut self, bytes: &[u8]) -> Result<Step, BrokenBody> {
        let run = |left: u64| usize::try_from(left).map_or(bytes.len(), |n| n.min(bytes.len()));
        let (next, taken) = match self.state {
            State::Done => (State::Done, 0),
            State::UntilClose => {
                self.may_have = self.may_have.saturating_sub(bytes.len() as u64);
                (State::UntilClose, bytes.len())
            }
            State::Length(left) => {
                let rest = left - run(left) as u64;
                (
                    if rest == 0 {
                        State::Done
                    } else {
                        State::Length(rest)
                    },
                    run(left),
                )
            }
            State::Chunked(Chunk::Data(left)) => {
                let rest = left - run(left) as u64;
                let next = if rest == 0 {
                    Chunk::DataCr
                } else {
                    Chunk::Data(rest)
                };
                (State::Chunked(next), run(left))
            }
            State::Chunked(chunk) => {
                let byte = *bytes.first().ok_or(BrokenBody::Malformed)?;
                let next = self.step_framing(chunk, byte);
                self.state = next.unwrap_or_else(State::Broken);
                return next.map(|_| Step {
                    taken: 1,
                    is_content: false,
                });
            }
            State::Broken(broken) => return Err(broken),
        };
        self.state = next;
        Ok(Step {
            taken,
            is_content: true,
        })
    }

    /// Where one byte of the framing leads.
    fn step_framing(&mut self, chunk: Chunk, byte: u8) -> Result<State, BrokenBody> {
        let next = chunk.step(byte)?;
        if let State::Chunked(Chunk::Data(size)) = next {
            let left = self.may_have.checked_sub(size);
            self.may_have = left.ok_or(BrokenBody::TooLarge)?;
        }
        Ok(next)
    }
}

/// What one step took.
struct Step {
    taken: usize,
    is_content: bool,
}

impl Chunk {
    /// Takes one byte of the framing.
    fn step(self, byte: u8) -> Result<State, BrokenBody> {
        let next = match (self, byte) {
            (Self::Size { size, digits, line }, _) if byte.is_ascii_hexdigit() => {
                // 15 digits fit u64 and any body; one more digit could overflow.
                if digits == 15 {
                    return Err(BrokenBody::Malformed);
                }
                let digit = char::from(byte).to_digit(16);
                let digit = digit.ok_or(BrokenBody::Malformed)?;
                let size = size << 4 | u64::from(digit);
                Self::Size {
                    size,
                    digits: digits + 1,
                    line: line + 1,
                }
            }
            (
                Self::Size {
                    size, digits: 1.., ..
                },
                b'\r',
            ) => Self::SizeLf { size },
            (
                Self::Size {
                    size,
                    digits: 1..,
                    line,
                },
                b';',
            ) => Self::Extension { size, line },
            (Self::Extension { size, .. }, b'\r') => Self::SizeLf { size },
            (Self::Extension { size, line }, _)
                if usize::from(line) < CHUNK_LINE_BYTES_MAX && is_text(byte) =>
            {
                Self::Extension {
                    size,
                    line: line + 1,
                }
            }
            (Self::SizeLf { size: 0 }, b'\n') => Self::Trailer {
                total: 0,
                at: Line::Start,
            },
            (Self::SizeLf { size }, b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size {
                size: 0,
                digits: 0,
                line: 0,
            },
            (Self::Trailer { total, at }, b'\r') if at != Line::Name => Self::TrailerLf {
                total,
                is_empty: at == Line::Start,
            },
            (Self::Trailer { total, at }, _) if usize::from(total) < TRAILER_BYTES_MAX => {
                Self::Trailer {
                    total: total + 1,
                    at: at.step(byte)?,
                }
            }
            (Self::TrailerLf { is_empty: true, .. }, b'\n') => return Ok(State::Done),
            (Self::TrailerLf { total, .. }, b'\n') => Self::Trailer {
                total,
                at: Line::Start,
            },
            _ => return Err(BrokenBody::Malformed),
        };
        Ok(State::Chunked(next))
    }
}

impl Line {
    /// Takes one byte of a trailer field. A line that begins with a blank would be read as a fold
    /// by some, and one without a name as anything.
    fn step(self, byte: u8) -> Result<Self, BrokenBody> {
        match (self, byte) {
            (Self::Start | Self::Name, _) if is_token(byte) => Ok(Self::Name),
            (Self::Name, b':') => Ok(Self::Value),
            (Self::Value, _) if is_text(byte) => Ok(Self::Value),
            _ => Err(BrokenBody::Malformed),
        }
    }
}

/// A byte that may stand in an extension or the value of a trailer field: no control characters but
/// tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunked(chunks: &[Vec<u8>], trailer: &str) -> Vec<u8> {
        let mut wire = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            wire.extend(format!("{:X};x=\"y\"\r\n", chunk.len()).bytes());
            wire.extend(chunk);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n");
        wire.extend(trailer.bytes());
        wire.extend(b"\r\n");
        wire
    }

    #[test]
    fn a_length_takes_its_bytes_and_no_more() {
        let mut body = Body::new(Framing::Length(5));
        assert_eq!(body.pass(b"abc"), Ok(3));
        assert_eq!(body.wanted(), 2);
        assert_eq!(body.pass(b"deGET"), Ok(2));
        assert!(body.is_done());
        assert_eq!(body.pass(b"GET"), Ok(0));
    }

    #[test]
    fn no_body_and_length_zero_are_done_at_once() {
        assert!(Body::new(Framing::None).is_done());
        assert!(Body::new(Framing::Length(0)).is_done());
    }

    #[test]
    fn malformed_chunks_are_broken() {
        for wire in [
            &b"\r\n"[..],
            b"g\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"-5\r\n",
            b"0x5\r\n",
            b"5\n",
            b"5\rx",
            b"3\r\nabcd",
            b"3\r\nabc\n",
            b";x\r\n",
            b"0000000000000001\r\n",
            b"5;\x01\r\n",
            b"0\r\n x: y\r\n",
            b"0\r\nx: y\r\n z\r\n",
            b"0\r\nx\ny",
            b"0\r\nx\r\n",
            b"0\r\nx : y\r\n",
            b"0\r\n: y\r\n",
            b"0\r\nx: \x00\r\n",
        ] {
            let mut body = Body::new(Framing::Chunked);
            let passed = body.pass(wire);
            assert_eq!(
                passed,
                Err(BrokenBody::Malformed),
                "{}",
                wire.escape_ascii()
            );
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_broken() {
        for start in [&b"5;"[..], b"0\r\nx: "] {
            let mut wire = start.to_vec();
            wire.resize(16 * 1024, b'a');
            let passed = Body::new(Framing::Chunked).pass(&wire);
            assert_eq!(passed, Err(BrokenBody::Malformed));
        }
    }

    #[test]
    fn what_is_broken_stays_broken() {
        for (wire, next, broken) in [
            (
                &b"5\rx"[..],
                &b"\nhello\r\n0\r\n\r\n"[..],
                BrokenBody::Malformed,
            ),
            (b"b\r\n", b"hello world\r\n0\r\n\r\n", BrokenBody::TooLarge),
        ] {
            let mut body = Body::at_most(Framing::Chunked, 10).unwrap();
            assert_eq!(body.pass(wire), Err(broken));
            assert_eq!(body.pass(next), Err(broken));
            assert!(!body.is_done() && body.wanted() == 0);
        }
    }

    #[test]
    fn how_much_is_left_tells_how_much_has_gone_past() {
        let passed = |framing, wire: &[u8]| {
            let mut body = Body::new(framing);
            let before = body.left();
            body.pass(wire).unwrap();
            before - body.left()
        };
        assert_eq!(passed(Framing::None, b"x"), 0);
        assert_eq!(passed(Framing::Length(3), b"xx"), 2);
        assert_eq!(passed(Framing::Length(3), b"xxxx"), 3);
        assert_eq!(passed(Framing::UntilClose, b"xxxx"), 4);
        assert_eq!(passed(Framing::Chunked, b"3\r\nxx"), 2);
        assert_eq!(
            passed(Framing::Chunked, b"3\r\nxxx\r\n2;a=b\r\nxx\r\n0\r\n\r\n"),
            5
        );
    }

    #[test]
    fn a_body_has_no_more_content_than_it_may() {
        let too_large = Err(BrokenBody::TooLarge);
        assert!(Body::at_most(Framing::Length(10), 10).is_ok());
        assert_eq!(Body::at_most(Framing::Length(11), 10), too_large);
        assert!(Body::at_most(Framing::None, 0).is_ok());
        let passed =
            |wire: &[u8]| Body::at_most(Framing::Chunked, 10).and_then(|mut b| b.pass(wire));
        assert_eq!(passed(b"6\r\n123456\r\n4\r\n7890\r\n0\r\n\r\n"), Ok(25));
        assert_eq!(passed(b"b\r\n"), Err(BrokenBody::TooLarge));
        let two = b"6\r\n123456\r\n5\r\n";
        assert_eq!(passed(two), Err(BrokenBody::TooLarge));
    }

    proptest! {
        /// However the bytes are cut, a chunked body ends at its last byte and gives its content.
        #[test]
        fn cuts_do_not_change_a_chunked_body(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            trailer in prop_oneof![Just(""), Just("A: b\r\nC: d\r\n")],
            step in 1_usize..50,
        ) {
            let mut wire = chunked(&chunks, trailer);
            let length = wire.len();
            wire.extend(b"NEXT");

            let mut passing = Body::new(Framing::Chunked);
            let mut passed = 0;
            let mut reading = Body::new(Framing::Chunked);
            let mut content: Vec<u8> = Vec::new();
            for piece in wire.chunks(step) {
                passed += passing.pass(piece).unwrap();
                let mut piece = piece.to_vec();
                let (kept, _) = reading.unchunk(&mut piece).unwrap();
                content.extend(&piece[..kept]);
            }
            prop_assert!(passing.is_done() && reading.is_done());
            prop_assert_eq!(passed, length);
            prop_assert_eq!(content, chunks.concat());
        }

        /// No input makes it panic, and it never claims more bytes than it was given.
        #[test]
        fn any_bytes_are_taken_or_refused(wire in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(passed) = Body::new(Framing::Chunked).pass(&wire) {
                prop_assert!(passed <= wire.len());
            }
        }
    }
}
