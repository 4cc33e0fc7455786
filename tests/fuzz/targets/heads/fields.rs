//! A head as its bytes show it: lines between CRLFs, fields between colons. Not a parser: of heads
//! that elbow takes there is only this reading, and that is what is checked.

/// A name and its value without blanks about it.
pub(crate) type Field = (String, Vec<u8>);

/// The names that mean something to elbow, none of which a `Connection` field can strip.
const KNOWN: [&str; 16] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-elbow-standby",
    "x-forwarded-for",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// The first line and the fields of a head, every line of which ends in CRLF.
pub(crate) struct Lines<'b> {
    pub(crate) first: &'b [u8],
    pub(crate) fields: Vec<Field>,
}

impl<'b> Lines<'b> {
    pub(crate) fn of(head: &'b [u8]) -> Self {
        let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends so");
        let mut lines = split(text);
        Self {
            first: lines.next().expect("there is a line"),
            fields: lines.map(field).collect(),
        }
    }

    /// The values of all fields of that name.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|field| is(field, name));
        named.map(|(_, value)| value.as_slice()).collect()
    }

    /// What `Connection` nominates, in lower case and without what elbow knows.
    pub(crate) fn nominated(&self) -> Vec<String> {
        let values = self.values("connection");
        let options = values
            .iter()
            .flat_map(|value| value.split(|&byte| byte == b','));
        options
            .map(|option| String::from_utf8_lossy(option.trim_ascii()).to_ascii_lowercase())
            .filter(|option| !option.is_empty() && option != "close" && !KNOWN.contains(&&**option))
            .filter(|option| !is_lookalike(option))
            .collect()
    }

    /// Panics if anything stands there that ends a line or a text for some reader.
    pub(crate) fn expect_no_controls(&self) {
        let values = self.fields.iter().flat_map(|(_, value)| value);
        let names = self.fields.iter().flat_map(|(name, _)| name.as_bytes());
        let mut bytes = self.first.iter().chain(names).chain(values);
        assert!(bytes.all(|&byte| byte == b'\t' || !byte.is_ascii_control()));
    }
}

/// The lines of a text, of which a bare CR or LF is no end.
fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.windows(2).position(|two| two == b"\r\n");
        rest = end.map(|end| &text[end + 2..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

fn field(line: &[u8]) -> Field {
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = line.split_at(colon.unwrap_or(line.len()));
    let name = String::from_utf8_lossy(name).into_owned();
    (name, trim(value.get(1..).unwrap_or_default()).to_vec())
}

/// Without blanks about it; a form feed is none.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

pub(crate) fn is(field: &Field, name: &str) -> bool {
    field.0.eq_ignore_ascii_case(name)
}

/// Whether a name has the letters of one that says where a body ends, and other signs between
/// them, as many at least.
pub(crate) fn is_lookalike(name: &str) -> bool {
    let mut letters = name.to_ascii_lowercase();
    letters.retain(|c| c.is_ascii_alphanumeric());
    [
        ("transferencoding", "transfer-encoding"),
        ("contentlength", "content-length"),
    ]
    .iter()
    .any(|(same, known)| {
        letters == *same && name.len() >= known.len() && !name.eq_ignore_ascii_case(known)
    })
}

/// The number in a Content-Length that has one meaning.
pub(crate) fn length(value: &[u8]) -> Option<u64> {
    let is_number = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    digits.parse().ok()
}
