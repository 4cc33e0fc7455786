//! What each node tells of itself: what it runs, how far it is, and hashes of what it knows.
//!
//! Invariant: two nodes with the same hashes hold the same configuration by the API and the same
//! chronicles.

use serde::{Deserialize, Serialize};

/// The key by which it travels.
pub(in crate::control) const KEY: &str = "head";

/// A node, by its own words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::control) struct Head {
    /// Its version.
    pub version: String,
    /// The epoch of its last snapshot.
    pub epoch: u64,
    /// A hash of all chronicles that it knows.
    pub lives: u64,
    /// A hash of all that was changed by the API, as it knows it.
    pub changes: u64,
    /// It has caught up with the others.
    pub is_ready: bool,
    /// It leaves soon.
    pub is_draining: bool,
}

impl Head {
    /// The text as which it travels.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("text and numbers are valid JSON")
    }

    /// `None`: nothing that this version can read.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether it knows the same.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        (self.lives, self.changes) == (other.lives, other.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_versions_say_of_themselves_is_read() {
        let later = r#"{"version":"9.0.0","epoch":7,"mood":"good"}"#;
        let head = Head::read(later).expect("it is an object");
        assert_eq!(
            (head.version.as_str(), head.epoch, head.is_ready),
            ("9.0.0", 7, false)
        );
        assert_eq!(Head::read("9"), None);
        assert_eq!(Head::read(&head.to_text()), Some(head));
    }
}
