//! Who has the last word: a map in which, of two entries for one key, the later stamp stays.
//!
//! Not what is in it, nor how it travels. Invariants: what [`Register::merge`] makes of some
//! entries is the same in whatever order and however often they come; one stamp is given to one
//! change alone, so that equal stamps are equal entries.

use std::collections::BTreeMap;

use crate::health::{Stamp, key_hash, mix};
use crate::limits::{TOMBSTONE_KEPT, TOMBSTONES_KEPT};

/// What was said last of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<V> {
    /// When, and by which node.
    pub stamp: Stamp,
    /// What it stands for; `None`, a tombstone: it was deleted.
    pub value: Option<V>,
}

/// What an entry was beside the one that was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It is the last word, and was taken.
    Newer,
    /// It was there already.
    Same,
    /// There is a later one, and nothing has changed.
    Older,
}

/// The last word on each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// The sum of the hashes of keys and stamps.
    digest: u64,
}

impl<K, V> Default for Register<K, V> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            digest: 0,
        }
    }
}

impl<K: Ord + Clone + AsRef<[u8]>, V> Register<K, V> {
    /// Takes an entry in, unless there is a later one.
    pub fn merge(&mut self, key: K, entry: Entry<V>) -> Merged {
        if let Some(there) = self.entries.get(&key) {
            if there.stamp == entry.stamp {
                return Merged::Same;
            }
            if there.stamp > entry.stamp {
                return Merged::Older;
            }
            self.digest = self.digest.wrapping_sub(hash(&key, there.stamp));
        }
        self.digest = self.digest.wrapping_add(hash(&key, entry.stamp));
        self.entries.insert(key, entry);
        Merged::Newer
    }

    /// What was said last of a key.
    pub fn get(&self, key: &K) -> Option<&Entry<V>> {
        self.entries.get(key)
    }

    /// All keys with what was said last of them, tombstones included, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &Entry<V>)> {
        self.entries.iter()
    }

    /// How many keys there are, tombstones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever said, or all of it is forgotten.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A number that two registers share if they hold the same keys with the same stamps, and
    /// else, but for one case in 2^64, do not.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Forgets tombstones that are older than [`TOMBSTONE_KEPT`], and the oldest beyond
    /// [`TOMBSTONES_KEPT`]; returns their keys. `now_ms` is milliseconds since 1970. An older value
    /// that still comes from somewhere is new then.
    pub fn forget(&mut self, now_ms: u64) -> Vec<K> {
        let kept_ms = u64::try_from(TOMBSTONE_KEPT.as_millis()).expect("some days");
        let tombstones = self.entries.iter();
        let tombstones = tombstones.filter(|(_, entry)| entry.value.is_none());
        let mut tombstones: Vec<(Stamp, &K)> =
            tombstones.map(|(key, entry)| (entry.stamp, key)).collect();
        // The latest first.
        tombstones.sort_by(|left, right| right.cmp(left));
        let is_young = |(stamp, _): &(Stamp, &K)| stamp.wall_ms.saturating_add(kept_ms) >= now_ms;
        let young = tombstones.iter().take_while(|one| is_young(one)).count();
        let old = tombstones.split_off(young.min(TOMBSTONES_KEPT));
        let forgotten: Vec<K> = old.into_iter().map(|(_, key)| key.clone()).collect();
        for key in &forgotten {
            if let Some(entry) = self.entries.remove(key) {
                self.digest = self.digest.wrapping_sub(hash(key, entry.stamp));
            }
        }
        forgotten
    }
}

fn hash(key: &impl AsRef<[u8]>, stamp: Stamp) -> u64 {
    let told_apart = u64::from(stamp.counter) << 32 | u64::from(stamp.node);
    let moment = mix(stamp.wall_ms, told_apart);
    mix(key_hash(key.as_ref()), moment)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Said = (String, Entry<u64>);

    fn said(key: u8, wall_ms: u64, node: u32, is_deleted: bool) -> Said {
        let stamp = Stamp {
            wall_ms,
            counter: 0,
            node,
        };
        // One stamp is one change.
        let value = (!is_deleted).then_some(wall_ms);
        (format!("k{key}"), Entry { stamp, value })
    }

    fn register(all: &[Said]) -> Register<String, u64> {
        let mut register = Register::default();
        for (key, entry) in all {
            register.merge(key.clone(), entry.clone());
        }
        register
    }

    /// A day, in milliseconds.
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

    #[test]
    fn the_last_word_stays_and_a_tombstone_is_one() {
        let (key, first) = said(1, 5, 1, false);
        let (_, gone) = said(1, 7, 2, true);
        let mut register = Register::default();
        assert_eq!(register.merge(key.clone(), gone.clone()), Merged::Newer);
        assert_eq!(register.merge(key.clone(), first), Merged::Older);
        assert_eq!(register.merge(key.clone(), gone.clone()), Merged::Same);
        assert_eq!(register.get(&key), Some(&gone));
        let (_, again) = said(1, 7, 3, false);
        assert_eq!(register.merge(key.clone(), again.clone()), Merged::Newer);
        assert_eq!(register.get(&key), Some(&again));
    }

    #[test]
    fn a_tombstone_beats_older_values_for_days_and_is_then_forgotten() {
        let (key, gone) = said(1, 10 * DAY_MS, 1, true);
        let (_, older) = said(1, 10 * DAY_MS - 1, 2, false);
        let (other, value) = said(2, 0, 1, false);
        let mut register = register(&[(key.clone(), gone), (other.clone(), value)]);
        assert_eq!(register.forget(17 * DAY_MS), Vec::<String>::new());
        assert_eq!(register.merge(key.clone(), older), Merged::Older);
        assert_eq!(register.forget(17 * DAY_MS + 1), [key]);
        // What is there is not forgotten, however old.
        assert_eq!(register.len(), 1);
        let mut left = Register::default();
        let (other, value) = said(2, 0, 1, false);
        left.merge(other, value);
        assert_eq!(register.digest(), left.digest());
    }

    #[test]
    fn of_too_many_tombstones_the_oldest_are_forgotten() {
        let mut register: Register<String, u64> = Register::default();
        for wall_ms in 0..=TOMBSTONES_KEPT as u64 {
            let (_, gone) = said(0, wall_ms, 1, true);
            register.merge(format!("{wall_ms}"), gone);
        }
        assert_eq!(register.forget(0), ["0"]);
        assert_eq!(register.len(), TOMBSTONES_KEPT);
    }

    fn some() -> impl Strategy<Value = Said> {
        (0_u8..4, 0_u64..6, 1_u32..4)
            // Whether it is one follows from the stamp: one stamp is one change.
            .prop_map(|(key, wall_ms, node)| {
                said(key, wall_ms, node, (wall_ms + u64::from(node)) % 3 == 0)
            })
    }

    proptest! {
        #[test]
        fn it_is_the_same_in_any_order_and_however_often_said(
            all in vec(some(), 0..24),
            again in vec(any::<prop::sample::Index>(), 0..24),
            order in vec(any::<u32>(), 48),
        ) {
            let mut others = all.clone();
            if !all.is_empty() {
                others.extend(again.iter().map(|index| index.get(&all).clone()));
            }
            let mut ranked: Vec<_> = order.iter().cycle().zip(others).collect();
            ranked.sort_by_key(|(rank, _)| **rank);
            let shuffled: Vec<Said> = ranked.into_iter().map(|(_, said)| said).collect();
            prop_assert_eq!(register(&all), register(&shuffled));
        }

        #[test]
        fn digests_are_equal_if_the_entries_are_and_only_then(
            left in vec(some(), 0..12),
            right in vec(some(), 0..12),
        ) {
            let (left, right) = (register(&left), register(&right));
            prop_assert_eq!(left.digest() == right.digest(), left.entries == right.entries);
        }
    }
}
