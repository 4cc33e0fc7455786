//! The shard's table of cookies that it has opened, so that a known one costs a lookup only.
//!
//! Not the truth about a session: an evicted entry is made again from its cookie. Invariants: at
//! most `capacity` entries; every index in `places` points at an entry whose hash put it there.

use ahash::RandomState;
use hashbrown::HashTable;

use super::place::Place;
use super::seal::{Binding, Value};

/// One cookie that opened.
#[derive(Debug)]
struct Entry {
    value: Value,
    hash: u64,
    /// Used since the clock's hand came by.
    is_recent: bool,
    known: Known,
}

/// What is remembered of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// What it says.
    pub(super) binding: Binding,
    /// Where its session lives.
    pub(super) place: Place,
    /// The snapshot epoch for which that holds.
    pub(super) epoch: u64,
    /// It was found for an application-controlled policy, and holds for those alone.
    pub(super) follows_app: bool,
}

/// A bounded map from cookie value to [`Entry`], evicting by the clock algorithm: an entry that was
/// used since the hand came by is passed over once.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    places: HashTable<u32>,
    hasher: RandomState,
    capacity: usize,
    hand: usize,
}

impl Table {
    /// An empty table for `capacity` entries, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        assert!(
            capacity > 0 && u32::try_from(capacity).is_ok(),
            "table of {capacity} entries"
        );
        Self {
            entries: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::new(),
            capacity,
            hand: 0,
        }
    }

    /// What is known of a cookie value, which is now in use.
    pub(super) fn find(&mut self, value: &Value) -> Option<&mut Known> {
        let hash = self.hasher.hash_one(value);
        let place = *self
            .places
            .find(hash, |&at| self.entries[at as usize].value == *value)?;
        let entry = &mut self.entries[place as usize];
        entry.is_recent = true;
        Some(&mut entry.known)
    }

    /// Remembers a value that [`find`](Self::find) does not know; true if another had to go.
    pub(super) fn insert(&mut self, value: &Value, known: Known) -> bool {
        let hash = self.hasher.hash_one(value);
        let entry = Entry {
            value: *value,
            hash,
            is_recent: false,
            known,
        };
        let is_full = self.entries.len() == self.capacity;
        let at = if is_full {
            let at = self.evict();
            self.entries[at] = entry;
            at
        } else {
            self.entries.push(entry);
            self.entries.len() - 1
        };
        let at = u32::try_from(at).expect("the capacity fits u32");
        self.places
            .insert_unique(hash, at, |&at| self.entries[at as usize].hash);
        is_full
    }

    /// How many cookies are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Frees a place: the first entry from the hand on that was not used since its last visit.
    fn evict(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.capacity;
            if std::mem::take(&mut self.entries[at].is_recent) {
                continue;
            }
            let found = self
                .places
                .find_entry(self.entries[at].hash, |&place| place as usize == at);
            found.expect("every entry has its place").remove();
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::place::Verdict;
    use super::super::seal::VALUE_BYTES;
    use super::*;

    fn value(n: u16) -> Value {
        let mut value = [b'0'; VALUE_BYTES];
        value[..2].copy_from_slice(&n.to_be_bytes());
        value
    }

    fn known(session: u64) -> Known {
        Known {
            binding: Binding {
                scope: 1,
                backend: 2,
                life: 3,
                issued: 4,
                session,
                began: 5,
            },
            place: Place {
                verdict: Verdict::Valid,
                home: Some(4),
                standby: None,
            },
            epoch: 3,
            follows_app: false,
        }
    }

    #[test]
    fn what_was_inserted_is_found() {
        let mut table = Table::new(4);
        assert!(table.find(&value(1)).is_none());
        assert!(!table.insert(&value(1), known(10)));
        assert_eq!(table.find(&value(1)).copied(), Some(known(10)));
        assert!(table.find(&value(2)).is_none());
    }

    #[test]
    fn an_entry_in_use_outlives_one_that_is_not() {
        let mut table = Table::new(3);
        for n in 1..=3 {
            table.insert(&value(n), known(n.into()));
        }
        table.find(&value(1));
        assert!(table.insert(&value(4), known(4)));
        assert!(table.find(&value(1)).is_some());
        assert!(table.find(&value(2)).is_none());
        assert_eq!(table.len(), 3);
    }

    proptest! {
        /// The bound holds, and whatever is found is what was inserted under that value.
        #[test]
        fn it_is_a_bounded_map(capacity in 1_usize..20, operations in prop::collection::vec(0_u16..40, 0..300)) {
            let mut table = Table::new(capacity);
            let mut model = HashMap::new();
            for (session, n) in operations.into_iter().enumerate() {
                if let Some(known) = table.find(&value(n)) {
                    prop_assert_eq!(Some(&known.binding.session), model.get(&n));
                } else {
                    table.insert(&value(n), known(session as u64));
                    model.insert(n, session as u64);
                    prop_assert!(table.find(&value(n)).is_some());
                }
                prop_assert!(table.len() <= capacity);
                prop_assert_eq!(table.places.len(), table.len());
            }
        }
    }
}
