//! Desync mitigation: how far a request head is from what RFC 9112 has, and what is done about it.
//!
//! Readers that differ about where a request ends can be made to take part of one for the next.
//! CLB sorts heads by how far they invite that, and its mode says which of them pass (CLB.md
//! §4.10):
//!
//! | classification | `monitor` | `defensive` | `strictest` |
//! |---|---|---|---|
//! | compliant | forward | forward | forward |
//! | acceptable | forward | forward | 400 |
//! | ambiguous | forward | forward, then close both connections | 400 |
//! | severe | forward | 400 | 400 |
//!
//! A mode decides only about heads that have one reading, those that [`Request::parse`] takes. What
//! that refuses is answered with 400 in every mode, also where CLB forwards it. So the modes differ
//! about these alone, and where they forward them, they do it so:
//!
//! | reason | |
//! |---|---|
//! | [`GetHeadZeroContentLength`] | as it came |
//! | [`UndefinedContentLengthSemantics`] of GET and HEAD | as it came: it is one length |
//! | [`UndefinedTransferEncodingSemantics`] of GET and HEAD | as it came: it is in chunks |
//! | [`SuspiciousHeader`] | without the look-alike |
//! | any other, if only a look-alike makes it so | without the look-alike |
//!
//! Without a look-alike the backend has one reading. Who sent it here may have had the other, so
//! both connections are closed behind such a request, in `monitor` too.
//!
//! These never pass:
//!
//! | reason | since |
//! |---|---|
//! | [`BothTeClPresent`] | there are two ends; to prefer one is a guess (RFC 9112 §6.3) |
//! | [`DuplicateContentLength`], [`MultipleContentLength`] | so with several lengths |
//! | [`BadContentLength`], [`BadTransferEncoding`] | not all readers find the same end (§6.3) |
//! | [`MultipleTransferEncodingChunked`] | the same |
//! | [`UndefinedTransferEncodingSemantics`] of HTTP/1.0 | the sender's framing is faulty (§6.1) |
//! | [`EmptyHeader`], [`MissingHeaderColon`] | readers skip the line, or end the head there (§5) |
//! | [`MultilineHeader`] | readers join the line to the last, or do not (§5.2) |
//! | [`NonCompliantHeader`], [`BadHeader`] | readers differ about the name or the line (§5) |
//! | [`MissingUri`], [`SpaceInUri`], [`BadMethod`] | readers cut the line elsewhere (§3) |
//! | [`AmbiguousUri`], [`BadUri`] | the same |
//! | [`NonCompliantVersion`], [`BadVersion`] | elbow knows 1.0 and 1.1; 0.9 has no fields |
//! | [`NonCrLfLineTermination`] | readers end the line elsewhere (§2.2); no more of it is read |
//!
//! CLB's `PartialHeaderLine` and `MissingLastEmptyLine` do not arise: elbow waits for a whole head,
//! and answers 408 in the end. Faults of another kind, such as a missing Host, are no matter of
//! desync.
//!
//! Not here: what a request is (`request.rs`). Invariant: a head that [`Request::parse`] takes
//! without asking here has no verdict but compliant; so the path of a compliant request costs a
//! look at each field's name, which it takes anyway.
//!
//! [`Request::parse`]: super::Request::parse
//! [`GetHeadZeroContentLength`]: Reason::GetHeadZeroContentLength
//! [`UndefinedContentLengthSemantics`]: Reason::UndefinedContentLengthSemantics
//! [`UndefinedTransferEncodingSemantics`]: Reason::UndefinedTransferEncodingSemantics
//! [`SuspiciousHeader`]: Reason::SuspiciousHeader
//! [`BadContentLength`]: Reason::BadContentLength
//! [`BothTeClPresent`]: Reason::BothTeClPresent
//! [`DuplicateContentLength`]: Reason::DuplicateContentLength
//! [`MultipleContentLength`]: Reason::MultipleContentLength
//! [`MultipleTransferEncodingChunked`]: Reason::MultipleTransferEncodingChunked
//! [`BadTransferEncoding`]: Reason::BadTransferEncoding
//! [`EmptyHeader`]: Reason::EmptyHeader
//! [`MissingHeaderColon`]: Reason::MissingHeaderColon
//! [`MultilineHeader`]: Reason::MultilineHeader
//! [`NonCompliantHeader`]: Reason::NonCompliantHeader
//! [`BadHeader`]: Reason::BadHeader
//! [`MissingUri`]: Reason::MissingUri
//! [`SpaceInUri`]: Reason::SpaceInUri
//! [`AmbiguousUri`]: Reason::AmbiguousUri
//! [`BadUri`]: Reason::BadUri
//! [`BadMethod`]: Reason::BadMethod
//! [`NonCompliantVersion`]: Reason::NonCompliantVersion
//! [`BadVersion`]: Reason::BadVersion
//! [`NonCrLfLineTermination`]: Reason::NonCrLfLineTermination

mod classify;

pub use classify::classify;

use serde::{Deserialize, Serialize};

/// What is done about heads that are not as RFC 9112 has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DesyncMode {
    /// They are counted, and pass if they have one reading.
    Monitor,
    /// Severe ones do not pass, and ambiguous ones have their connections to themselves. CLB's
    /// default.
    Defensive,
    /// Only compliant ones pass.
    Strictest,
}

impl DesyncMode {
    /// As CLB's attribute `elb.http.desyncmitigationmode` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Defensive => "defensive",
            Self::Strictest => "strictest",
        }
    }

    /// The mode of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Monitor, Self::Defensive, Self::Strictest];
        all.into_iter().find(|mode| mode.name() == name)
    }
}

/// How far a head is from what RFC 9112 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Classification {
    /// It is as it should be.
    Compliant,
    /// It is not, and no known attack comes from that.
    Acceptable,
    /// Readers may disagree about where the request ends.
    Ambiguous,
    /// It is malformed, or made so that they do.
    Severe,
}

impl Classification {
    /// Those that CLB counts.
    pub const NON_COMPLIANT: [Self; 3] = [Self::Acceptable, Self::Ambiguous, Self::Severe];

    /// Its name for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::Acceptable => "acceptable",
            Self::Ambiguous => "ambiguous",
            Self::Severe => "severe",
        }
    }
}

/// Why a head is not compliant; the names are AWS's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Content-Length of 0 for GET or HEAD.
    GetHeadZeroContentLength,
    /// A field name with a character that no name has, a control character in a value.
    NonCompliantHeader,
    /// No version, HTTP/1.2 to HTTP/1.9, or blanks about it.
    NonCompliantVersion,
    /// A line ends in a bare LF.
    NonCrLfLineTermination,
    /// A space in the target.
    SpaceInUri,

    /// A control character in the target.
    AmbiguousUri,
    /// Transfer-Encoding and Content-Length.
    BothTeClPresent,
    /// The same Content-Length twice.
    DuplicateContentLength,
    /// A field without a name.
    EmptyHeader,
    /// A line that is no field, as it has no colon.
    MissingHeaderColon,
    /// No target.
    MissingUri,
    /// A line that begins with a blank, so that readers may join it with the one before.
    MultilineHeader,
    /// A name that readers may take for Transfer-Encoding or Content-Length.
    SuspiciousHeader,
    /// A Content-Length above 0 for GET or HEAD, or any in HTTP/0.9.
    UndefinedContentLengthSemantics,
    /// Transfer-Encoding for GET or HEAD, or before HTTP/1.1.
    UndefinedTransferEncodingSemantics,

    /// A Content-Length that is no number of at most 19 digits.
    BadContentLength,
    /// CR or NUL in a field.
    BadHeader,
    /// A method that is none, or is no token.
    BadMethod,
    /// A transfer coding that nobody knows, or codings that do not end in `chunked`.
    BadTransferEncoding,
    /// CR or NUL in the target.
    BadUri,
    /// A version that is not HTTP/1.x.
    BadVersion,
    /// Content-Lengths that differ.
    MultipleContentLength,
    /// `chunked` more than once.
    MultipleTransferEncodingChunked,
}

impl Reason {
    /// How far it takes a head from RFC 9112; never [`Classification::Compliant`].
    pub fn classification(self) -> Classification {
        match self {
            Self::GetHeadZeroContentLength
            | Self::NonCompliantHeader
            | Self::NonCompliantVersion
            | Self::NonCrLfLineTermination
            | Self::SpaceInUri => Classification::Acceptable,
            Self::AmbiguousUri
            | Self::BothTeClPresent
            | Self::DuplicateContentLength
            | Self::EmptyHeader
            | Self::MissingHeaderColon
            | Self::MissingUri
            | Self::MultilineHeader
            | Self::SuspiciousHeader
            | Self::UndefinedContentLengthSemantics
            | Self::UndefinedTransferEncodingSemantics => Classification::Ambiguous,
            Self::BadContentLength
            | Self::BadHeader
            | Self::BadMethod
            | Self::BadTransferEncoding
            | Self::BadUri
            | Self::BadVersion
            | Self::MultipleContentLength
            | Self::MultipleTransferEncodingChunked => Classification::Severe,
        }
    }
}

/// What is to be said of a head: the worst that was found, and of equally bad things the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict(Option<Reason>);

/// What becomes of a head that has one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is forwarded.
    Forward,
    /// It is forwarded, and no other exchange follows on its two connections.
    Isolate,
    /// It is answered with 400.
    Refuse,
}

impl Verdict {
    /// Nothing is wrong.
    pub const COMPLIANT: Self = Self(None);

    /// What is worst; `None`: it is compliant.
    pub fn reason(self) -> Option<Reason> {
        self.0
    }

    /// How far the head is from RFC 9112.
    pub fn classification(self) -> Classification {
        self.0
            .map_or(Classification::Compliant, Reason::classification)
    }

    /// What becomes of the head, if [`Request::parse`](super::Request::parse) took it.
    pub fn treatment(self, mode: DesyncMode) -> Treatment {
        use Classification::{Acceptable, Ambiguous, Compliant, Severe};
        use DesyncMode::{Defensive, Monitor, Strictest};
        match (self.classification(), mode) {
            (Compliant, _) | (Acceptable, Monitor | Defensive) => Treatment::Forward,
            (Ambiguous | Severe, Monitor) if self.has_defined_end() => Treatment::Forward,
            (Ambiguous | Severe, Monitor) | (Ambiguous, Defensive) => Treatment::Isolate,
            (Severe, Defensive) | (_, Strictest) => Treatment::Refuse,
        }
    }

    /// Whether readers agree about where the request ends and only not about what its body means;
    /// otherwise there is a look-alike.
    fn has_defined_end(self) -> bool {
        matches!(
            self.0,
            None | Some(
                Reason::UndefinedContentLengthSemantics
                    | Reason::UndefinedTransferEncodingSemantics
            )
        )
    }

    /// The worse of the two; this one if they are equally bad.
    fn or(self, other: Self) -> Self {
        if other.classification() > self.classification() {
            other
        } else {
            self
        }
    }

    fn add(&mut self, reason: Reason) {
        *self = self.or(reason.into());
    }
}

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Self {
        Self(Some(reason))
    }
}

#[cfg(test)]
mod tests;
