//! Why a datagram is not listened to.
//!
//! Not what is done about it: it is counted, and at most told (`control`).

/// Why a datagram is not listened to. What it holds is known to be true: it has the secret's seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has fewer bytes than the shortest.
    Short,
    /// It has more bytes than the longest.
    Long,
    /// It is of a form that this version does not know.
    Version,
    /// It is sealed by a secret that this node does not have.
    UnknownKey,
    /// It is not as who has the secret has sealed it.
    Forged,
    /// Who has the secret has sealed what means nothing here.
    Malformed,
    /// This node has sealed it.
    Own,
    /// Another node, or this one before its start, goes by the number of this one.
    Namesake,
    /// Its node has started anew since.
    OlderStart,
    /// It has come already, or so late that nobody knows.
    Replayed,
    /// It was sealed at another time than now.
    Clock {
        /// By this node.
        node: u32,
        /// So far its clock is ahead of this one's, in milliseconds; negative: behind.
        off_ms: i128,
    },
    /// It is of one node more than are heard.
    Crowded,
}

impl Refusal {
    /// The names for metrics, in the order of their index.
    pub const NAMES: [&'static str; 12] = [
        "short",
        "long",
        "version",
        "unknown_key",
        "forged",
        "malformed",
        "own",
        "namesake",
        "older_start",
        "replayed",
        "clock",
        "crowded",
    ];

    /// Its place among [`NAMES`](Self::NAMES).
    pub fn index(self) -> usize {
        match self {
            Self::Short => 0,
            Self::Long => 1,
            Self::Version => 2,
            Self::UnknownKey => 3,
            Self::Forged => 4,
            Self::Malformed => 5,
            Self::Own => 6,
            Self::Namesake => 7,
            Self::OlderStart => 8,
            Self::Replayed => 9,
            Self::Clock { .. } => 10,
            Self::Crowded => 11,
        }
    }

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}
