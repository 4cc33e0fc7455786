//! What is sent: an entry of the corpus in five arrangements, each with a request that whoever
//! reads the other end of the body takes for one of its own.
//!
//! Pure. Invariant: targets tell which payload a request belongs to, wherever it turns up.

use crate::corpus::{Entry, Field, LENGTH};

/// How the two fields and the body are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arrangement {
    /// Both fields: by the length there is one request, by the coding there are two.
    ClTe,
    /// Both fields: by the coding there is one request, by the length there are two.
    TeCl,
    /// The field of the entry and the same field as it should be: who takes either of them ends
    /// the body in the same place, who takes none elsewhere.
    Twice,
    /// The field of the entry alone: by a length the body holds a request, by a coding it is none;
    /// without the field it is a request.
    Alone,
    /// The field of the entry alone, a body as it says, and a request behind that.
    Behind,
}

impl Arrangement {
    pub(crate) const ALL: [Self; 5] = [
        Self::ClTe,
        Self::TeCl,
        Self::Twice,
        Self::Alone,
        Self::Behind,
    ];

    /// As the field calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClTe => "CL.TE",
            Self::TeCl => "TE.CL",
            Self::Twice => "TE.TE, CL.CL",
            Self::Alone => "TE.0, CL.0",
            Self::Behind => "TE, CL",
        }
    }
}

/// One connection's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) entry: String,
    pub(crate) arrangement: Arrangement,
    pub(crate) bytes: Vec<u8>,
    /// Its request and the one that is hidden, by method and target.
    pub(crate) requests: [String; 2],
}

/// All arrangements of each entry, and twice those that have a byte beyond ASCII.
pub(crate) fn payloads(entries: &[Entry]) -> Vec<Payload> {
    let mut all = Vec::new();
    for entry in entries {
        for arrangement in Arrangement::ALL {
            for encode in [raw, utf8] {
                all.push(payload(entry, arrangement, encode, all.len()));
                if entry.lines.is_ascii() {
                    break;
                }
            }
        }
    }
    all
}

/// Which payload a request belongs to.
pub(crate) fn number(request: &str) -> Option<usize> {
    request.rsplit('/').next()?.parse().ok()
}

type Encode = fn(&str) -> Vec<u8>;

fn raw(text: &str) -> Vec<u8> {
    let byte = |char| u8::try_from(u32::from(char)).expect("the corpus is of bytes");
    text.chars().map(byte).collect()
}

fn utf8(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn payload(entry: &Entry, arrangement: Arrangement, encode: Encode, number: usize) -> Payload {
    let Entry {
        method, version, ..
    } = entry;
    let requests = [
        format!("{method} /outer/{number}"),
        format!("GET /smuggled/{number}"),
    ];
    let hidden = format!("{} HTTP/1.1\r\nHost: hidden\r\n\r\n", requests[1]);
    let chunk = format!("{:x}\r\n", hidden.len());
    let chunked = format!("{chunk}{hidden}\r\n0\r\n\r\n");
    let (body, length) = match (arrangement, entry.field) {
        (Arrangement::ClTe, _) => {
            let body = format!("0\r\n\r\n{hidden}");
            let length = body.len();
            (body, length)
        }
        (Arrangement::TeCl, _) => (chunked, chunk.len()),
        (Arrangement::Twice, Field::Coding) => (chunked, 0),
        (Arrangement::Twice | Arrangement::Alone, _) => (hidden.clone(), hidden.len()),
        (Arrangement::Behind, Field::Coding) => (chunked + &hidden, 0),
        (Arrangement::Behind, Field::Length) => (hidden.repeat(2), hidden.len()),
    };
    let plain = |field: Field| format!("{}: {}", field.name(), field.value());
    let other = match (arrangement, entry.field) {
        (Arrangement::ClTe | Arrangement::TeCl, Field::Coding) => plain(Field::Length),
        (Arrangement::ClTe | Arrangement::TeCl, Field::Length) => plain(Field::Coding),
        (Arrangement::Twice, field) => plain(field),
        (Arrangement::Alone | Arrangement::Behind, _) => "X-Other: none".to_owned(),
    };
    let lines = format!("{}\r\nHost: outer\r\n{other}", entry.lines);
    let lines = lines.replace(LENGTH, &length.to_string());
    let head = [
        format!("{} {version}\r\n", requests[0]).into_bytes(),
        encode(&lines),
        b"\r\n\r\n".to_vec(),
    ];
    Payload {
        entry: entry.name.clone(),
        arrangement,
        bytes: [head.concat(), body.into_bytes()].concat(),
        requests,
    }
}
