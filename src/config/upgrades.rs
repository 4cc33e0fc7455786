//! `upgrades`: the protocols that clients of an HTTP listener may change to.
//!
//! A list, and no switch for all: a backend that answers 101 to a protocol which elbow does not
//! know gets a client's bytes unread. Invariant: HTTP/2 is never in it, as its requests would go
//! past everything that elbow does with requests.

use super::Mistake;
use super::cookie::is_token;
use super::read::{Field, Report};
use crate::limits::UPGRADES_MAX;

/// Longest name of a protocol, with its version.
const NAME_BYTES_MAX: usize = 32;

/// The names of protocols (RFC 9110 §7.8), of which any two differ in more than case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrades(Vec<String>);

impl Default for Upgrades {
    /// WebSocket (RFC 6455).
    fn default() -> Self {
        Self(vec!["websocket".to_owned()])
    }
}

impl Upgrades {
    /// Where in the list a protocol is that a request names. A small number: each connection holds
    /// one.
    pub fn place_of(&self, protocol: &[u8]) -> Option<u8> {
        let mut places = (0_u8..).zip(&self.0);
        let found = places.find(|(_, name)| protocol.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(place, _)| place)
    }

    /// The name at that place.
    pub fn name(&self, place: u8) -> &str {
        &self.0[usize::from(place)]
    }

    /// All of them, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Option<Self> {
        let items = field.items(report)?;
        if items.len() > UPGRADES_MAX {
            report.refuse(field, format!("names more than {UPGRADES_MAX} protocols"));
            return None;
        }
        let mut names = Self(Vec::new());
        let mut holds = true;
        for item in items {
            let name = item.parsed(|text| names.check(text), report);
            holds &= name.is_some();
            names.0.extend(name);
        }
        holds.then_some(names)
    }

    fn check(&self, text: &str) -> Result<String, Mistake> {
        let (family, version) = text.split_once('/').unwrap_or((text, "1"));
        if text.len() > NAME_BYTES_MAX || !is_token(family) || !is_token(version) {
            return Err("must be the name of a protocol, such as \"websocket\"".into());
        }
        if ["h2c", "h2", "http", "tls"]
            .iter()
            .any(|name| family.eq_ignore_ascii_case(name))
        {
            return Err("is not passed on: its requests would go past elbow".into());
        }
        if self.place_of(text.as_bytes()).is_some() {
            return Err("is there twice".into());
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_in_any_case() {
        let names = Upgrades::default();
        assert_eq!(names.place_of(b"WebSocket"), Some(0));
        assert_eq!(names.place_of(b"websocket, h2c"), None);
        assert!(names.check("WEBSOCKET").is_err());
    }

    #[test]
    fn what_would_go_past_elbow_is_never_passed_on() {
        let names = Upgrades::default();
        for text in ["SPDY/3.1", "tcp", "x!#$%&'*+-.^_`|~1"] {
            assert_eq!(names.check(text), Ok(text.to_owned()));
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for text in [
            "h2c", "H2C", "HTTP/2.0", "http/1.1", "TLS/1.0", "", "a b", "a,b", &long,
        ] {
            assert!(names.check(text).is_err(), "{text:?} was taken");
        }
    }
}
