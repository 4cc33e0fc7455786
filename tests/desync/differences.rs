//! Where elbow and the guardian differ, and why elbow is right to.
//!
//! Each entry says of which heads it speaks, as narrowly as that can be said. Not here: the
//! verdicts; `tests/cases/verdicts.http` has them, with a case for each entry at least.

use http_desync_guardian::http_token_utils::{
    CL, TE, TokenSimilarity, determine_similarity, is_rfc_tchar,
};

/// A head and the two verdicts on it.
pub(crate) struct Pair<'a> {
    head: &'a [u8],
    ours: &'a str,
    theirs: &'a str,
    /// The request line behind the method; and what of that the guardian takes for the version.
    rest: &'a [u8],
    version: &'a [u8],
    /// Name and value of each line; a folded one without a colon has the name of the field before.
    fields: Vec<(&'a [u8], &'a [u8])>,
    /// A line is folded behind Content-Type.
    folds_content_type: bool,
}

/// A kind of heads about which the two differ.
pub(crate) struct Difference {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    /// Whether it explains this pair.
    pub(crate) is: fn(&Pair<'_>) -> bool,
}

pub(crate) const DIFFERENCES: [Difference; 11] = [
    Difference {
        name: "version beyond 1",
        why: "the guardian leaves HTTP/2 to others, and all that sorts behind it, such as http/1.1; \
              on a connection of HTTP/1 those are malformed",
        is: |pair| pair.theirs == "Compliant" && pair.version >= &b"HTTP/2"[..],
    },
    Difference {
        name: "framing under no version",
        why: "both call it severe; before a version that sorts under HTTP/1.0 the guardian does not \
              look at the framing, elbow always does",
        is: |pair| {
            let both = [pair.ours, pair.theirs];
            pair.has_no_version() && both.iter().all(|verdict| verdict.starts_with("Severe"))
        },
    },
    Difference {
        name: "blanks about the version",
        why: "the guardian compares versions with their blanks, by which HTTP/1.0 is older or newer \
              than it is, and has codings or not",
        is: |pair| trim(pair.version).len() != pair.version.len() && pair.has_framing(),
    },
    Difference {
        name: "length of no or too many digits",
        why: "the guardian reads an empty length as 0, and up to 2^64; a backend may refuse the \
              first and wrap round at the second (RFC 9110 §8.6: 1*DIGIT)",
        is: |pair| {
            let mut lengths = pair.values_like(b"content-length");
            pair.ours == "Severe BadContentLength"
                && lengths.any(|value| trim(value).is_empty() || trim(value).len() > 19)
        },
    },
    Difference {
        name: "codings that do not end in chunked",
        why: "their end cannot be known, and a server must refuse it (RFC 9112 §6.3)",
        is: |pair| {
            let mut fields = pair.fields.iter().rev();
            let codings = fields.find(|field| field.0.eq_ignore_ascii_case(TE));
            let last = codings.and_then(|field| field.1.rsplit(|&b| b == b',').next());
            pair.ours == "Severe BadTransferEncoding"
                && last.is_some_and(|last| !trim(last).eq_ignore_ascii_case(b"chunked"))
        },
    },
    Difference {
        name: "parameters of a coding",
        why: "chunked has none (RFC 9112 §7.1), and readers differ about what stands behind it",
        is: |pair| {
            let mut codings = pair.values_like(TE);
            pair.ours == "Severe BadTransferEncoding" && codings.any(|value| value.contains(&b';'))
        },
    },
    Difference {
        name: "chunked again behind another coding",
        why: "the guardian looks one coding back; twice is twice (RFC 9112 §6.1)",
        is: |pair| {
            let codings = pair
                .values_like(TE)
                .flat_map(|value| value.split(|&b| b == b','));
            let chunked = codings.filter(|coding| trim(coding).eq_ignore_ascii_case(b"chunked"));
            pair.ours == "Severe MultipleTransferEncodingChunked" && chunked.count() > 1
        },
    },
    Difference {
        name: "no method",
        why: "a method has at least one character (RFC 9110 §9.1)",
        is: |pair| pair.ours == "Severe BadMethod" && matches!(pair.head[0], b' ' | b'\r' | b'\n'),
    },
    Difference {
        name: "target of blanks",
        why: "the guardian looks for a target between single spaces only; of two spaces some readers \
              make one",
        is: |pair| pair.ours == "Ambiguous MissingUri" && !pair.rest.is_empty(),
    },
    Difference {
        name: "names that look like framing",
        why: "the guardian skips whatever stands for the hyphen, also a letter, and takes a name for \
              another if only punctuation stands for its end; elbow goes by letters and digits, \
              wherever other characters are between them",
        is: |pair| has_a_name_of_one_alone(pair.fields.iter().map(|field| field.0)),
    },
    Difference {
        name: "folded Content-Type",
        why: "a line may be folded in the type message/http (RFC 9112 §5.2), and the guardian reads \
              that as: in the field Content-Type",
        is: |pair| pair.folds_content_type,
    },
];

impl<'a> Pair<'a> {
    pub(crate) fn new(head: &'a [u8], ours: &'a str, theirs: &'a str) -> Self {
        let mut lines = head.split(|&byte| byte == b'\n').map(|line| {
            let end = line.strip_suffix(b"\r");
            end.unwrap_or(line)
        });
        let line = lines.next().unwrap_or_default();
        let rest = cut(line, b' ').1;
        // The last space that something other than punctuation follows, or the first byte.
        let last = rest.iter().rposition(|&byte| is_rfc_tchar(byte));
        let spoken = rest.get(..=last.unwrap_or(0)).unwrap_or_default();
        let space = spoken.iter().rposition(|&byte| byte == b' ');
        let version = match space {
            Some(at) => &rest[at + 1..],
            None if rest.starts_with(b"HTTP/1.") => rest,
            None => b"",
        };
        let mut fields: Vec<(&[u8], &[u8])> = Vec::new();
        let mut folds_content_type = false;
        let mut before: &[u8] = b"";
        for line in lines.take_while(|line| !line.is_empty()) {
            let field = cut(line, b':');
            let has_colon = field.0.len() < line.len();
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                before = if has_colon { field.0 } else { before };
                fields.push(field);
                continue;
            }
            folds_content_type |= before.eq_ignore_ascii_case(b"content-type");
            fields.push(if has_colon { field } else { (before, line) });
        }
        Self {
            head,
            ours,
            theirs,
            rest,
            version,
            fields,
            folds_content_type,
        }
    }

    fn has_no_version(&self) -> bool {
        let version = trim(self.version);
        let is_known = version.is_empty()
            || version == b"HTTP/0.9"
            || version.len() == 8 && version.starts_with(b"HTTP/1.") && version[7].is_ascii_digit();
        !is_known
    }

    fn has_framing(&self) -> bool {
        self.values_like(TE)
            .chain(self.values_like(CL))
            .next()
            .is_some()
    }

    /// The values of fields that have this name, or one with the same letters.
    fn values_like(&self, known: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter();
        fields
            .filter(move |field| has_letters_of(field.0, known))
            .map(|field| field.1)
    }
}

/// Whether the guardian takes the name of a field for one that says where the body ends, and elbow
/// does not.
pub(crate) fn has_a_name_of_theirs(head: &[u8]) -> bool {
    let lines = head.split(|&byte| byte == b'\n');
    has_a_name_of_one_alone(lines.map(|line| cut(line, b':').0))
}

fn has_a_name_of_one_alone<'a>(mut names: impl Iterator<Item = &'a [u8]>) -> bool {
    names.any(|name| {
        [TE, CL].iter().any(|known| {
            let is_theirs = determine_similarity(known, name) == TokenSimilarity::SameLetters;
            let is_ours = name.len() >= known.len()
                && has_letters_of(name, known)
                && !name.eq_ignore_ascii_case(known);
            is_theirs != is_ours
        })
    })
}

fn has_letters_of(name: &[u8], known: &[u8]) -> bool {
    let letters = |name: &[u8]| {
        let mut letters = name.to_ascii_lowercase();
        letters.retain(u8::is_ascii_alphanumeric);
        letters
    };
    let folded = String::from_utf8_lossy(name)
        .replace('ſ', "s")
        .replace('ı', "i");
    letters(folded.as_bytes()) == letters(known)
}

/// What stands before the first `mark` and what behind; all and nothing if there is none.
fn cut(line: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match line.iter().position(|&byte| byte == mark) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, b""),
    }
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
