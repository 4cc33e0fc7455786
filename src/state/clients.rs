//! How many connections each client has now, over all shards: what `max_connections_per_client`
//! counts by.
//!
//! Not a record of who is connected: a client is some bits of a keyed hash. Invariants: no shard
//! waits for another, as a place is taken by one compare-and-swap that only another shard's success
//! can make fail; a client is refused only if it has as many connections as it may.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;

use crate::limits::CLIENT_BUCKETS;

/// Clients that share a bucket: a cache line of them.
const CLIENTS_PER_BUCKET: usize = 8;

/// The low bits of a slot: how many connections the client has, 0 if the slot is free. The bits
/// above say which client.
const COUNT: u64 = 0xffff;

/// The counts.
#[derive(Debug)]
pub struct Clients {
    /// Keyed, so that nobody can choose whose bucket to fill.
    keys: RandomState,
    buckets: Box<[Bucket]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; CLIENTS_PER_BUCKET]);

/// What came of counting a connection.
#[derive(Debug)]
pub enum Entry<'c> {
    /// It counts until this is dropped.
    Counted(Seat<'c>),
    /// The bucket is full of other clients: it does not count.
    Uncounted,
    /// The client has as many as it may.
    Refused,
}

/// A connection that is counted.
#[derive(Debug)]
pub struct Seat<'c>(&'c AtomicU64);

impl Default for Clients {
    fn default() -> Self {
        Self {
            keys: RandomState::new(),
            buckets: (0..CLIENT_BUCKETS).map(|_| Bucket::default()).collect(),
        }
    }
}

impl Clients {
    /// Counts a connection of `client`, who may have `most`, at least 1.
    pub fn enter(&self, client: impl Hash, most: u16) -> Entry<'_> {
        let hash = self.keys.hash_one(client);
        let bucket = usize::try_from(hash & COUNT).expect("16 bits") % CLIENT_BUCKETS;
        let Bucket(slots) = &self.buckets[bucket];
        let is_mine = |word: &u64| word & COUNT > 0 && word & !COUNT == hash & !COUNT;
        loop {
            let words = slots.each_ref().map(|slot| slot.load(Ordering::Relaxed));
            // Two, where two shards have taken a slot for the same client at once.
            let mine = words.iter().filter(|word| is_mine(word));
            if mine.map(|word| word & COUNT).sum::<u64>() >= u64::from(most) {
                return Entry::Refused;
            }
            let is_free = |word: &u64| word & COUNT == 0;
            let at = words.iter().position(is_mine);
            let Some(at) = at.or_else(|| words.iter().position(is_free)) else {
                return Entry::Uncounted;
            };
            let taken = (hash & !COUNT) | ((words[at] & COUNT) + 1);
            let slot = &slots[at];
            let (before, order) = (words[at], Ordering::Relaxed);
            if slot.compare_exchange(before, taken, order, order).is_ok() {
                return Entry::Counted(Seat(slot));
            }
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Its count is above 0 as long as this is here, so the slot is still the client's.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn enter(clients: &Clients, client: u64, most: u16) -> Option<Seat<'_>> {
        match clients.enter(client, most) {
            Entry::Counted(seat) => Some(seat),
            Entry::Uncounted | Entry::Refused => None,
        }
    }

    #[test]
    fn a_client_has_as_many_connections_as_it_may_and_others_have_theirs() {
        let clients = Clients::default();
        let mut seats: Vec<_> = (0..3).map(|_| enter(&clients, 1, 3)).collect();
        assert!(seats.iter().all(Option::is_some));
        assert!(matches!(clients.enter(1, 3), Entry::Refused));
        let other = enter(&clients, 2, 3);
        assert!(other.is_some());
        seats.pop();
        assert!(enter(&clients, 1, 3).is_some(), "one has left");
    }

    #[test]
    fn clients_beyond_a_bucket_are_not_refused() {
        let clients = Clients::default();
        let many = u64::try_from(2 * CLIENT_BUCKETS * CLIENTS_PER_BUCKET).unwrap();
        let entries: Vec<_> = (0..many).map(|client| clients.enter(client, 1)).collect();
        let count = |is: fn(&Entry<'_>) -> bool| entries.iter().filter(|entry| is(entry)).count();
        assert_eq!(count(|entry| matches!(entry, Entry::Refused)), 0);
        assert!(count(|entry| matches!(entry, Entry::Uncounted)) > 0);
        drop(entries);
        assert!(enter(&clients, 7, 1).is_some(), "all have left");
    }

    #[test]
    fn threads_that_come_and_go_leave_nothing_behind() {
        let clients = Clients::default();
        let come_and_go = || {
            for _ in 0..2000 {
                let _first = enter(&clients, 1, 3);
                let _second = enter(&clients, 1, 3);
            }
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(come_and_go);
            }
        });
        let words = clients.buckets.iter().flat_map(|Bucket(slots)| slots);
        let held: u64 = words.map(|slot| slot.load(Ordering::Relaxed) & COUNT).sum();
        assert_eq!(held, 0);
    }
}
