//! The bytes of a journal: a line that says what it is, then one line for each batch of records.
//!
//! ```text
//! elbow-api-journal 1
//! 0f2a…32 hex digits…9c 00000001 0000004d [{"kind":"deleted","region":"us-east-1",…}]
//! └ checksum of the rest └ number └ bytes of the JSON, which has no line end in it
//! ```
//!
//! Not files. Invariant: [`read`] takes whole batches in their order and nothing else. It leaves
//! out at most what one write can have begun: a last line that does not hold. Any other damage is
//! a [`Flaw`], so that what was on the disk for certain is not lost in silence.

use aws_lc_rs::digest::{self, SHA256};

use super::super::hex;
use super::record::{Alive, Record};

/// The first line. It is part of every journal, also of an empty one.
pub(super) const HEAD: &[u8] = b"elbow-api-journal 1\n";

/// What the first line has before the version.
const MAGIC: &[u8] = b"elbow-api-journal ";

/// The only version that is read.
const VERSION: u32 = 1;

/// Bytes of a checksum, of which a line has the hex digits: half a SHA-256.
const CHECKSUM_BYTES: usize = 16;

/// Where the number of a batch begins in its line, where the length, where the JSON.
const NUMBER_AT: usize = 2 * CHECKSUM_BYTES + 1;
const LENGTH_AT: usize = NUMBER_AT + 9;
const JSON_AT: usize = LENGTH_AT + 9;

/// What a line with one record has beside the JSON of that: also two brackets and its end.
pub(super) const AROUND_RECORD_BYTES: usize = JSON_AT + 2 + 1;

/// What was read of a journal.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) alive: Alive,
    /// Whole batches.
    pub(super) batches: u32,
    /// Bytes up to the end of the last of them. What comes after is the rest of a write that did
    /// not end.
    pub(super) whole_bytes: usize,
}

/// Why a journal is not read.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is none, or of another version.
    Head(String),
    /// A batch does not hold that must, from this byte on.
    Batch(usize, String),
}

/// The line of a batch; the first one has number 1.
pub(super) fn line(number: u32, records: &[Record]) -> serde_json::Result<Vec<u8>> {
    Ok(framed(number, &serde_json::to_vec(records)?))
}

/// The line of a batch with this JSON.
pub(super) fn framed(number: u32, json: &[u8]) -> Vec<u8> {
    let numbers = numbers(number, json.len());
    let said = [numbers.as_bytes(), json].concat();
    [checksum(&said).as_bytes(), b" ", &said, b"\n"].concat()
}

/// A journal that holds these and nothing else, each in a batch of its own.
pub(super) fn journal(alive: &Alive) -> serde_json::Result<Vec<u8>> {
    let mut text = HEAD.to_vec();
    for (number, record) in (1..).zip(alive.records()) {
        text.extend_from_slice(&line(number, std::slice::from_ref(record))?);
    }
    Ok(text)
}

/// Takes all batches that are whole.
pub(super) fn read(text: &[u8]) -> Result<Contents, Flaw> {
    if !text.starts_with(HEAD) {
        return Err(Flaw::Head(head_problem(text)));
    }
    let mut contents = Contents {
        alive: Alive::default(),
        batches: 0,
        whole_bytes: HEAD.len(),
    };
    while contents.whole_bytes < text.len() {
        let rest = &text[contents.whole_bytes..];
        let end = memchr::memchr(b'\n', rest);
        let flaw = |problem| Flaw::Batch(contents.whole_bytes, problem);
        let number = contents.batches + 1;
        let at = format!("line {}", number + 1);
        let whole = end.and_then(|end| whole_line(&rest[..end]));
        let (Some(end), Some((found, json))) = (end, whole) else {
            if is_one_write(rest) {
                break;
            }
            return Err(flaw(format!("{at} is damaged")));
        };
        if found != numbers(number, json.len()).as_bytes() {
            return Err(flaw(format!("{at} is not the one that was written there")));
        }
        let records: Vec<Record> = serde_json::from_slice(json)
            .map_err(|error| flaw(format!("{at} is not understood: {error}")))?;
        for record in records {
            let taken_in = contents.alive.take_in(record);
            taken_in.map_err(|error| Flaw::Batch(contents.whole_bytes, error.to_string()))?;
        }
        contents.batches = number;
        contents.whole_bytes += end + 1;
    }
    Ok(contents)
}

fn head_problem(text: &[u8]) -> String {
    let first = text.split(|&byte| byte == b'\n').next();
    let version = first.and_then(|line| line.strip_prefix(MAGIC));
    let version = version.and_then(|version| str::from_utf8(version).ok()?.parse::<u32>().ok());
    match version.filter(|&version| version != VERSION) {
        Some(version) => format!("is of version {version}, this elbow reads {VERSION}"),
        None => "is no journal, or its first line is damaged".to_owned(),
    }
}

/// The numbers and the JSON of a line, which is given without its end, if its checksum holds.
fn whole_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let said = line.get(NUMBER_AT..)?;
    let (found, json) = said.split_at_checked(JSON_AT - NUMBER_AT)?;
    let expected = format!("{} ", checksum(said));
    (line[..NUMBER_AT] == *expected.as_bytes()).then_some((found, json))
}

/// Whether all this can have come of a single write: it is one line, and no longer than it says.
fn is_one_write(rest: &[u8]) -> bool {
    let is_one_line = memchr::memchr(b'\n', rest).is_none_or(|end| end + 1 == rest.len());
    let length = rest.get(LENGTH_AT..JSON_AT - 1);
    let length = length.and_then(|digits| str::from_utf8(digits).ok());
    let length = length.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    // Without a length there is no more to know.
    let longest = length.map_or(usize::MAX, |length| JSON_AT + length + 1);
    is_one_line && rest.len() <= longest
}

/// The part of a line between checksum and JSON.
fn numbers(number: u32, json_bytes: usize) -> String {
    format!("{number:08x} {json_bytes:08x} ")
}

fn checksum(said: &[u8]) -> String {
    hex::to_text(&digest::digest(&SHA256, said).as_ref()[..CHECKSUM_BYTES])
}
