//! Names that the configuration file gives, and what `/v1` has said of them since.
//!
//! Values only, for instances as for certificates. Invariant: what `/v1` said of a name counts as
//! long as the file's entry is what it was then; an entry that was added, edited or taken out since
//! goes before it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::health::{self, Stamp};

/// What each name stands for.
#[derive(Debug, Clone)]
pub(super) struct Names<T> {
    file: BTreeMap<String, T>,
    said: BTreeMap<String, Said<T>>,
    in_force: BTreeMap<String, T>,
}

/// What `/v1` said of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said<T> {
    /// What it stands for; `None`: for nothing any more.
    pub(super) value: Option<T>,
    /// A hash of the file's entry as it was then; `None`: there was none.
    pub(super) stanza: Option<u64>,
    /// When, in milliseconds since 1970; `None`: that was not noted.
    pub(super) since_ms: Option<u64>,
    /// The moment among all changes in the cluster; the default without one.
    pub(super) stamp: Stamp,
}

impl<T> Said<T> {
    /// There is nothing to know.
    pub(super) fn is_empty(&self) -> bool {
        self.value.is_none() && self.stanza.is_none()
    }
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            file: BTreeMap::new(),
            said: BTreeMap::new(),
            in_force: BTreeMap::new(),
        }
    }
}

impl<T> Names<T> {
    /// All names with what they stand for.
    pub(super) fn in_force(&self) -> &BTreeMap<String, T> {
        &self.in_force
    }

    /// Those of the file as it has them, whatever was said of them.
    pub(super) fn of_file(&self) -> &BTreeMap<String, T> {
        &self.file
    }

    /// All that was said and counts.
    pub(super) fn said(&self) -> &BTreeMap<String, Said<T>> {
        &self.said
    }
}

impl<T: Clone + PartialEq + Serialize> Names<T> {
    /// Those of a file, and what was said of them and of others before it was read. What counts no
    /// more is not in it.
    pub(super) fn new(file: BTreeMap<String, T>, said: BTreeMap<String, Said<T>>) -> Self {
        let mut names = Self {
            in_force: file.clone(),
            file,
            said: BTreeMap::new(),
        };
        for (name, said) in said {
            if said.stanza == names.stanza(&name) {
                names.take_in(name, said);
            }
        }
        names
    }

    /// That is said of it from now on.
    pub(super) fn take_in(&mut self, name: String, said: Said<T>) {
        match &said.value {
            Some(value) => drop(self.in_force.insert(name.clone(), value.clone())),
            None => drop(self.in_force.remove(&name)),
        }
        if said.is_empty() {
            self.said.remove(&name);
        } else {
            self.said.insert(name, said);
        }
    }

    /// The file's entry of that name counts again, if it was taken away.
    pub(super) fn give_back(&mut self, name: &str) {
        if self.said.get(name).is_some_and(|said| said.value.is_none())
            && let Some(entry) = self.file.get(name)
        {
            self.said.remove(name);
            self.in_force.insert(name.to_owned(), entry.clone());
        }
    }

    /// What is to be said at a moment, in milliseconds since 1970, so that a name stands for that.
    /// It has no stamp yet.
    pub(super) fn saying(&self, name: &str, value: Option<T>, now_ms: u64) -> Said<T> {
        Said {
            value,
            stanza: self.stanza(name),
            since_ms: Some(now_ms),
            stamp: Stamp::default(),
        }
    }

    /// A hash of the file's entry of that name; `None`: there is none.
    pub(super) fn stanza(&self, name: &str) -> Option<u64> {
        let entry = self.file.get(name)?;
        let json = serde_json::to_vec(entry).expect("text and numbers are valid JSON");
        Some(health::key_hash(&json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entries = [(&'static str, u16)];

    fn file(entries: &Entries) -> BTreeMap<String, u16> {
        let entries = entries.iter();
        entries
            .map(|(name, port)| ((*name).to_owned(), *port))
            .collect()
    }

    fn in_force(names: &Names<u16>) -> Vec<(&str, u16)> {
        let names = names.in_force().iter();
        names.map(|(name, port)| (name.as_str(), *port)).collect()
    }

    #[test]
    fn what_was_said_counts_until_the_entry_is_edited() {
        let before: &Entries = &[("gone", 1), ("kept", 2), ("moved", 3)];
        let mut names = Names::new(file(before), BTreeMap::new());
        for (name, value) in [("gone", None), ("moved", Some(30)), ("own", Some(4))] {
            let said = names.saying(name, value, 7);
            names.take_in(name.to_owned(), said);
        }
        assert_eq!(in_force(&names), [("kept", 2), ("moved", 30), ("own", 4)]);

        // (the file that is read next, what is in force then)
        let cases: [(&Entries, &Entries); 5] = [
            (before, &[("kept", 2), ("moved", 30), ("own", 4)]),
            // Edited: each entry alone.
            (&[("gone", 1), ("moved", 33)], &[("moved", 33), ("own", 4)]),
            (
                &[("gone", 11), ("moved", 3)],
                &[("gone", 11), ("moved", 30), ("own", 4)],
            ),
            // Taken out: what was said of it goes with it.
            (&[], &[("own", 4)]),
            // Added: the file goes before what was said without knowing of it.
            (&[("own", 5)], &[("own", 5)]),
        ];
        for (entries, expected) in cases {
            let names = Names::new(file(entries), names.said().clone());
            assert_eq!(in_force(&names), expected, "{entries:?}");
        }
    }

    #[test]
    fn an_entry_that_was_taken_away_can_be_given_back() {
        let mut names = Names::new(file(&[("taken", 1), ("moved", 2)]), BTreeMap::new());
        for (name, value) in [("taken", None), ("moved", Some(20)), ("own", Some(3))] {
            let said = names.saying(name, value, 7);
            names.take_in(name.to_owned(), said);
        }
        for name in ["taken", "moved", "own", "unknown"] {
            names.give_back(name);
        }
        assert_eq!(in_force(&names), [("moved", 20), ("own", 3), ("taken", 1)]);
        assert_eq!(names.said().len(), 2);
    }

    #[test]
    fn a_name_that_was_given_and_taken_away_leaves_nothing() {
        let mut names = Names::<u16>::default();
        for value in [Some(1), None] {
            let said = names.saying("own", value, 7);
            names.take_in("own".to_owned(), said);
        }
        assert!(names.said().is_empty() && names.in_force().is_empty());
    }
}
