//! How keys and values get from node to node, as the product's gossip does it: each node tells
//! keys of its own by version, and two that talk bring each other up to date in three messages.
//!
//! A model of the library that the product uses, with its digests, deltas and heartbeats.
//! Invariant: of a node's keys a newer version never gives way to an older one.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The most entries that one message carries: the rest follows with the next.
const DELTA_ENTRIES_MAX: usize = 400;

/// How long after its last heartbeat a node counts as lost, in milliseconds.
const LOST_MS: u64 = 4000;

/// A node's name.
pub(crate) type Name = Arc<str>;

/// What one node says to another.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// That is how far I am; what is new?
    Ask(Vec<Far>),
    /// This, and that is how far I am.
    Answer(Vec<Far>, Delta),
    /// This is new to you.
    Tell(Delta),
}

/// How far somebody is with what a node told.
#[derive(Debug, Clone)]
pub(crate) struct Far {
    node: Name,
    boot_ms: u64,
    heartbeat: u64,
    version: u64,
}

/// Entries of nodes: name, boot, key, version, value.
pub(crate) type Delta = Vec<(Name, u64, String, u64, String)>;

/// What one node knows that a node told.
#[derive(Debug, Default)]
struct Copy {
    boot_ms: u64,
    heartbeat: u64,
    heard_ms: Option<u64>,
    /// The newest.
    version: u64,
    /// By the version of each.
    entries: BTreeMap<u64, (String, String)>,
    versions: BTreeMap<String, u64>,
}

impl Copy {
    fn put(&mut self, version: u64, key: String, value: String) {
        if let Some(before) = self.versions.insert(key.clone(), version) {
            self.entries.remove(&before);
        }
        self.entries.insert(version, (key, value));
        self.version = version;
    }
}

/// What a node knows of all, itself included.
#[derive(Debug)]
pub(crate) struct Ledger {
    own: Name,
    copies: BTreeMap<Name, Copy>,
}

/// What a node tells: name, boot, key, value.
pub(crate) type Told = (Name, u64, String, String);

impl Ledger {
    pub(crate) fn new(own: Name, boot_ms: u64) -> Self {
        let copy = Copy {
            boot_ms,
            heartbeat: 1,
            ..Copy::default()
        };
        Self {
            copies: BTreeMap::from([(Arc::clone(&own), copy)]),
            own,
        }
    }

    fn own(&mut self) -> &mut Copy {
        self.copies.get_mut(&self.own).expect("it knows itself")
    }

    pub(crate) fn beat(&mut self) {
        self.own().heartbeat += 1;
    }

    /// Tells others; an empty value takes back what was told.
    pub(crate) fn say(&mut self, key: String, value: String) {
        let own = self.own();
        own.put(own.version + 1, key, value);
    }

    pub(crate) fn ask(&self) -> Message {
        Message::Ask(self.far())
    }

    fn far(&self) -> Vec<Far> {
        let copies = self.copies.iter();
        let far = copies.map(|(node, copy)| Far {
            node: Arc::clone(node),
            boot_ms: copy.boot_ms,
            heartbeat: copy.heartbeat,
            version: copy.version,
        });
        far.collect()
    }

    /// What somebody who is so far does not know.
    fn delta(&self, far: &[Far]) -> Delta {
        let mut delta = Delta::new();
        for (node, copy) in &self.copies {
            let theirs = far.iter().find(|far| far.node == *node);
            let known = theirs.filter(|far| far.boot_ms >= copy.boot_ms);
            if known.is_some_and(|far| far.boot_ms > copy.boot_ms) {
                continue;
            }
            let from = known.map_or(0, |far| far.version);
            let room = DELTA_ENTRIES_MAX.saturating_sub(delta.len());
            let entries = copy.entries.range(from + 1..).take(room);
            delta.extend(entries.map(|(version, (key, value))| {
                let node = Arc::clone(node);
                (node, copy.boot_ms, key.clone(), *version, value.clone())
            }));
        }
        delta
    }

    /// What comes of a message: an answer, and what was told that is new.
    pub(crate) fn hear(&mut self, message: Message, now_ms: u64) -> (Option<Message>, Vec<Told>) {
        match message {
            Message::Ask(far) => {
                self.note(&far, now_ms);
                let answer = Message::Answer(self.far(), self.delta(&far));
                (Some(answer), Vec::new())
            }
            Message::Answer(far, delta) => {
                self.note(&far, now_ms);
                let news = self.take_in(delta);
                (Some(Message::Tell(self.delta(&far))), news)
            }
            Message::Tell(delta) => (None, self.take_in(delta)),
        }
    }

    fn note(&mut self, far: &[Far], now_ms: u64) {
        for far in far.iter().filter(|far| far.node != self.own) {
            let copy = self.copies.entry(Arc::clone(&far.node)).or_default();
            if copy.boot_ms < far.boot_ms {
                *copy = Copy {
                    boot_ms: far.boot_ms,
                    ..Copy::default()
                };
            }
            if copy.boot_ms == far.boot_ms && copy.heartbeat < far.heartbeat {
                copy.heartbeat = far.heartbeat;
                copy.heard_ms = Some(now_ms);
            }
        }
    }

    fn take_in(&mut self, delta: Delta) -> Vec<Told> {
        let mut news = Vec::new();
        for (node, boot_ms, key, version, value) in delta {
            let Some(copy) = self.copies.get_mut(&node) else {
                continue;
            };
            if copy.boot_ms != boot_ms || node == self.own || version <= copy.version {
                continue;
            }
            copy.put(version, key.clone(), value.clone());
            news.push((node, boot_ms, key, value));
        }
        news
    }

    /// The other nodes that it has ever heard of: name, boot, and whether it lives.
    pub(crate) fn others(&self, now_ms: u64) -> Vec<(Name, u64, bool)> {
        let others = self.copies.iter().filter(|(name, _)| **name != self.own);
        let others = others.map(|(name, copy)| {
            let is_live = copy
                .heard_ms
                .is_some_and(|heard_ms| now_ms - heard_ms < LOST_MS);
            (Arc::clone(name), copy.boot_ms, is_live)
        });
        others.collect()
    }
}
