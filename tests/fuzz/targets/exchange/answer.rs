//! What a backend answers, well or badly. The request's target says which, so that it is known
//! without a word between those who play.

/// What a request gets from its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Length,
    Chunks,
    UntilClose,
    NoContent,
    NotModified,
    BehindHints,
    BehindContinue,
    Last,
    Surplus,
    BadStatus,
    TwoLengths,
    UnaskedSwitch,
    Silence,
    HalfHead,
    HalfBody,
    HalfChunk,
    BadChunk,
}

impl Answer {
    pub(crate) const ALL: [Self; 17] = [
        Self::Length,
        Self::Chunks,
        Self::UntilClose,
        Self::NoContent,
        Self::NotModified,
        Self::BehindHints,
        Self::BehindContinue,
        Self::Last,
        Self::Surplus,
        Self::BadStatus,
        Self::TwoLengths,
        Self::UnaskedSwitch,
        Self::Silence,
        Self::HalfHead,
        Self::HalfBody,
        Self::HalfChunk,
        Self::BadChunk,
    ];

    /// What the backend says; to HEAD without the body.
    pub(crate) fn bytes(self, tag: &str, is_head: bool) -> Vec<u8> {
        let length = tag.len();
        let (head, body) = match self {
            Self::Length => (
                format!("200 OK\r\nContent-Length: {length}"),
                tag.to_owned(),
            ),
            Self::Last => (
                format!("200 OK\r\nConnection: close\r\nContent-Length: {length}"),
                tag.to_owned(),
            ),
            Self::Chunks => (
                "200 OK\r\nTransfer-Encoding: chunked".to_owned(),
                chunked(tag),
            ),
            Self::UntilClose => ("200 OK".to_owned(), tag.to_owned()),
            Self::NoContent => ("204 No Content".to_owned(), String::new()),
            Self::NotModified => (
                "304 Not Modified\r\nContent-Length: 9".to_owned(),
                String::new(),
            ),
            Self::BehindHints => (
                format!(
                    "103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}"
                ),
                tag.to_owned(),
            ),
            Self::BehindContinue => (
                format!("100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}"),
                tag.to_owned(),
            ),
            Self::Surplus => (
                format!("200 OK\r\nContent-Length: {length}"),
                format!("{tag}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
            ),
            Self::BadStatus => ("OK".to_owned(), String::new()),
            Self::TwoLengths => (
                format!("200 OK\r\nContent-Length: {length}\r\nContent-Length: 0"),
                tag.to_owned(),
            ),
            Self::UnaskedSwitch => ("101 Switching\r\nUpgrade: x".to_owned(), "evil".to_owned()),
            Self::Silence => return Vec::new(),
            Self::HalfHead => return b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(),
            Self::HalfBody => (
                format!("200 OK\r\nContent-Length: {}", length + 1),
                tag.to_owned(),
            ),
            Self::HalfChunk => {
                let body = chunked(tag);
                let half = body[..body.len() - 4].to_owned();
                ("200 OK\r\nTransfer-Encoding: chunked".to_owned(), half)
            }
            Self::BadChunk => (
                "200 OK\r\nTransfer-Encoding: chunked".to_owned(),
                chunked(tag).replace("\r\n0\r\n", "\r\nevil\r\n"),
            ),
        };
        // What stands behind the end of an answer to HEAD is surplus as well.
        let body = match self {
            Self::Surplus if is_head => body.replace(tag, ""),
            _ if is_head => String::new(),
            _ => body,
        };
        format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes()
    }

    /// Whether nobody can tell behind it where the next answer would begin.
    pub(crate) fn spoils(self) -> bool {
        use Answer::{BadStatus, Surplus, TwoLengths, UnaskedSwitch};
        matches!(self, Surplus | BadStatus | TwoLengths | UnaskedSwitch)
    }

    /// Whether the backend closes its connection behind it. What ends in another way, as all to
    /// HEAD does, leaves it open: a close that nobody announces could meet the next request.
    pub(crate) fn closes(self, is_head: bool) -> bool {
        match self {
            Self::Last | Self::Silence | Self::HalfHead => true,
            Self::UntilClose | Self::HalfBody | Self::HalfChunk | Self::BadChunk => !is_head,
            _ => false,
        }
    }
}

/// The tag in two chunks, with what may stand about them.
fn chunked(tag: &str) -> String {
    let (first, second) = tag.split_at(1);
    let length = second.len();
    format!("1;a=\"b\"\r\n{first}\r\n{length:X}\r\n{second}\r\n0\r\nTrailing: x\r\n\r\n")
}
