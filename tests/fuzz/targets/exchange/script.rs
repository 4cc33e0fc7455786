//! What a client sends: requests out of a grammar, most of them sound, each of which says what
//! comes of it.

use std::fmt;

use crate::answer::Answer;

/// Most requests on a connection.
const ASKS_MAX: usize = 6;

/// A client's connection.
pub(crate) struct Script {
    pub(crate) asks: Vec<Ask>,
    /// All that the client sends.
    pub(crate) wire: Vec<u8>,
    /// It is sent in pieces of these lengths in turn.
    pub(crate) pieces: [usize; 2],
    /// The shard takes each piece before the next is sent.
    pub(crate) is_seen: bool,
}

/// One request.
pub(crate) struct Ask {
    /// What its answer is known by.
    pub(crate) tag: String,
    pub(crate) method: &'static str,
    /// Its content, without chunks.
    pub(crate) content: Vec<u8>,
    pub(crate) answer: Answer,
    pub(crate) fate: Fate,
    /// Not all of it is sent.
    pub(crate) is_cut: bool,
}

/// What elbow makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The backend gets it, and another may follow, or not.
    Forwarded { keeps_alive: bool, is_old: bool },
    /// It is answered with this status, and nothing behind it is read.
    Refused(u16),
}

/// Heads with a fault each, behind the request line and Host, and the answer to it.
const FAULTS: [(&str, u16); 20] = [
    ("Host: b\r\n\r\n", 400),
    ("A : b\r\n\r\n", 400),
    ("A: b\r\n c\r\n\r\n", 400),
    ("A\r\n\r\n", 400),
    (": b\r\n\r\n", 400),
    ("A: b\nC: d\r\n\r\n", 400),
    ("A: b\rC: d\r\n\r\n", 400),
    ("A: \0\r\n\r\n", 400),
    ("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("Content-Length: +5\r\n\r\nhello", 400),
    ("Content-Length: 5, 5\r\n\r\nhello", 400),
    ("Content-Length: 99999999999999999999\r\n\r\nhello", 400),
    (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("Expect: more\r\n\r\n", 417),
    ("Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    (
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        400,
    ),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n\r\n", 400),
];

/// Lines that a sound request may have.
const LINES: [&str; 8] = [
    "",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: x-hop\r\nX-Hop: 1\r\n",
    "Expect: 100-continue\r\n",
    "Cookie: =a; b=c\r\nTe: trailers\r\nKeep-Alive: 5\r\n",
    "X-Forwarded-For: 192.0.2.1\r\nX-FORWARDED-FOR:\r\n",
    "Content_Length: 0\r\n",
];

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"];

impl Script {
    /// `None`: there is no request.
    pub(crate) fn read(input: &[u8], play: u32) -> Option<Self> {
        let (&[manner, short, long, left_out], rest) = input.split_first_chunk()?;
        let mut asks = Vec::new();
        let mut wire = Vec::new();
        let mut ends = Vec::new();
        let (all, _) = rest.as_chunks();
        for (index, spec) in all.iter().take(ASKS_MAX).enumerate() {
            asks.push(Ask::read(*spec, play, index, &mut wire));
            ends.push(wire.len());
        }
        let left_out = if manner & 2 == 0 {
            0
        } else {
            usize::from(left_out)
        };
        wire.truncate(wire.len() - left_out.min(wire.len()));
        let whole = ends.iter().filter(|&&end| end <= wire.len()).count();
        if let Some(cut) = asks.get_mut(whole) {
            cut.is_cut = true;
        }
        // What is behind that was not begun.
        asks.truncate(whole + 1);
        (!asks.is_empty()).then_some(Self {
            asks,
            wire,
            pieces: [usize::from(short) + 1, usize::from(long) * 8 + 1],
            is_seen: manner & 1 != 0,
        })
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, tag, length) = (self.method, &self.tag, self.content.len());
        let (answer, fate) = (self.answer, self.fate);
        write!(
            f,
            "{method} {tag} of {length} bytes, {fate:?}, with the answer {answer:?}"
        )
    }
}

impl Ask {
    /// The request of four bytes, written behind what is in `wire`.
    fn read(spec: [u8; 4], play: u32, index: usize, wire: &mut Vec<u8>) -> Self {
        let [kind, line, body, answer] = spec;
        let answer = usize::from(answer) % Answer::ALL.len();
        let tag = format!("/{play:08x}/{index}/{answer:02}");
        let mut ask = Self {
            tag,
            method: METHODS[usize::from(kind) % METHODS.len()],
            content: Vec::new(),
            answer: Answer::ALL[answer],
            fate: Fate::Refused(400),
            is_cut: false,
        };
        if kind >= 192 {
            ask.method = "POST";
            let (fault, status) = FAULTS[usize::from(line) % FAULTS.len()];
            ask.fate = Fate::Refused(status);
            wire.extend(format!("POST {} HTTP/1.1\r\nHost: a\r\n{fault}", ask.tag).bytes());
        } else {
            ask.write_sound(kind & 64 != 0, line, body, wire);
        }
        ask
    }

    fn write_sound(&mut self, is_old: bool, line: u8, body: u8, wire: &mut Vec<u8>) {
        let version = if is_old { "HTTP/1.0" } else { "HTTP/1.1" };
        let empty_lines = "\r\n".repeat(usize::from(line >> 6));
        let line = LINES[usize::from(line) % LINES.len()];
        let head = format!(
            "{empty_lines}{} {} {version}\r\nHost: a\r\n{line}",
            self.method, self.tag
        );
        wire.extend(head.bytes());
        let size = usize::from(body / 4) * if body & 128 == 0 { 1 } else { 700 };
        let has_no_meaning = matches!(self.method, "GET" | "HEAD") && size > 0;
        let is_chunked = body % 4 == 2 && !is_old;
        match body % 4 {
            1 => {
                self.content = vec![b'x'; size];
                wire.extend(format!("Content-Length: {size}\r\n\r\n").bytes());
                wire.extend(&self.content);
            }
            2 if is_chunked => {
                self.content = vec![b'y'; size];
                wire.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in self.content.chunks(1 + size / 3) {
                    wire.extend(format!("{:x};a\r\n", chunk.len()).bytes());
                    wire.extend(chunk);
                    wire.extend(b"\r\n");
                }
                wire.extend(b"0\r\nA: b\r\n\r\n");
            }
            _ => wire.extend(b"\r\n"),
        }
        let has_body = body % 4 == 1 || is_chunked;
        let is_isolated = line.starts_with("Content_")
            || has_body && has_no_meaning
            || is_chunked && matches!(self.method, "GET" | "HEAD");
        let closes = line.contains("close") || is_old && !line.contains("keep-alive");
        // One length in two spellings is taken with care, two lengths are not.
        self.fate = if line.starts_with("Content_") && !self.content.is_empty() && !is_chunked {
            Fate::Refused(400)
        } else {
            Fate::Forwarded {
                keeps_alive: !closes && !is_isolated,
                is_old,
            }
        };
    }
}
