//! This node among the others: what they say of backends, and what it says itself.
//!
//! Not what follows for a load balancer (`pool.rs`), nor how words travel (`control`). Invariants:
//! of each node what it said last is kept, of this life of it and not of an earlier one; nothing
//! is said twice; who is alone hears nobody and says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cluster::{Duties, Roll, Said, Saying, Topic, node_number};
use crate::health::{Chronicle, Opinion};
use crate::limits::{PEERS_MAX, SAYINGS_MAX};
use crate::sticky::Sketch;

/// All that is known of other nodes.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) roll: Roll,
    /// What falls to this node, by the roll.
    pub(super) duties: Duties,
    /// There is no cluster.
    is_alone: bool,
    /// By node.
    heard: BTreeMap<Arc<str>, Heard>,
    /// What this node has said, and not taken back.
    told: BTreeMap<Topic, Told>,
    /// Chronicles of which this node knows what no other tells.
    untold: BTreeSet<Topic>,
    /// The sessions that this node's shards have seen in this window, by slot.
    seen: BTreeMap<u32, Sketch>,
    /// Those of the last window, as they are told.
    sessions: BTreeMap<Topic, String>,
}

/// What one node has said.
#[derive(Debug, Default)]
struct Heard {
    boot_ms: u64,
    /// Whether the node lives, by the roll.
    is_live: bool,
    opinions: BTreeMap<Topic, Opinion>,
    chronicles: BTreeMap<Topic, Chronicle>,
}

/// What is said of one backend.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) opinion: Option<Opinion>,
    pub(super) chronicle: Option<Chronicle>,
    /// The sessions of the last window.
    pub(super) sessions: Option<String>,
}

impl Fleet {
    /// One node, and no other for ever.
    pub(super) fn alone() -> Self {
        let roll = Roll::new("", 1);
        Self {
            duties: roll.duties(),
            roll,
            is_alone: true,
            heard: BTreeMap::new(),
            told: BTreeMap::new(),
            untold: BTreeSet::new(),
            seen: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// A node of a cluster.
    pub(super) fn among(roll: Roll) -> Self {
        Self {
            duties: roll.duties(),
            roll,
            is_alone: false,
            ..Self::alone()
        }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// This node's number in stamps.
    pub(super) fn number(&self) -> u32 {
        match self.is_alone {
            true => 0,
            false => node_number(&self.roll.own),
        }
    }

    /// Those nodes are there now. What others have said is forgotten.
    pub(super) fn meet(&mut self, roll: Roll) {
        self.duties = roll.duties();
        self.roll = roll;
        self.untold.clear();
        let known = &self.roll.others;
        self.heard.retain(|name, heard| {
            let mut known = known.iter();
            let peer = known.find(|peer| peer.name == *name && peer.boot_ms == heard.boot_ms);
            heard.is_live = peer.is_some_and(|peer| peer.is_live);
            peer.is_some()
        });
    }

    /// A node has said something, in its life that began at `boot_ms`. Whether it is heard: it may
    /// be of an earlier life, or too much.
    pub(super) fn hear(&mut self, node: &Arc<str>, boot_ms: u64, saying: &Saying) -> bool {
        if self.is_alone || *node == self.roll.own {
            return false;
        }
        if !self.heard.contains_key(node) && self.heard.len() >= PEERS_MAX {
            return false;
        }
        let is_live = self.roll.is_live(node);
        let heard = self.heard.entry(Arc::clone(node)).or_default();
        if boot_ms < heard.boot_ms {
            return false;
        }
        if boot_ms > heard.boot_ms {
            *heard = Heard {
                boot_ms,
                is_live,
                ..Heard::default()
            };
        }
        let topic = &saying.topic;
        match &saying.said {
            Said::Opinion(opinion) => put(&mut heard.opinions, topic, *opinion),
            Said::Chronicle(chronicle) => put(&mut heard.chronicles, topic, chronicle.clone()),
            // Counted once, and not kept.
            Said::Sessions(sessions) => sessions.is_some(),
        }
    }

    /// What the other nodes that live say of a backend.
    pub(super) fn opinions(&self, topic: &Topic) -> impl Iterator<Item = (&Arc<str>, Opinion)> {
        let live = self.heard.iter().filter(|(_, heard)| heard.is_live);
        live.filter_map(move |(name, heard)| Some((name, *heard.opinions.get(topic)?)))
    }

    /// What others know of the backends of a load balancer.
    pub(super) fn chronicles(
        &self,
        load_balancer: &str,
    ) -> impl Iterator<Item = (u64, &Chronicle)> {
        let all = self.heard.values().flat_map(|heard| &heard.chronicles);
        let of_it = all.filter(move |(topic, _)| *topic.load_balancer == *load_balancer);
        of_it.map(|(topic, chronicle)| (topic.backend, chronicle))
    }

    /// A shard has seen sessions, by slot.
    pub(super) fn count(&mut self, sketches: &[(u32, Sketch)]) {
        if !self.is_alone {
            for (slot, sketch) in sketches {
                self.seen.entry(*slot).or_default().merge(sketch);
            }
        }
    }

    /// A window of sessions has ended: what was seen in it is told. Whether that is something else.
    pub(super) fn turn(&mut self, topic_of: impl Fn(u32) -> Option<Topic>) -> bool {
        let seen = std::mem::take(&mut self.seen).into_iter();
        let texts = seen.filter_map(|(slot, sketch)| Some((topic_of(slot)?, sketch.to_text())));
        let before = std::mem::replace(&mut self.sessions, texts.collect());
        before != self.sessions
    }

    /// What it tells of a backend's sessions.
    pub(super) fn sessions(&self, topic: &Topic) -> Option<&String> {
        self.sessions.get(topic)
    }

    /// Whether this node is to tell a chronicle that it knows.
    pub(super) fn is_to_tell(&self, topic: &Topic, chronicle: &Chronicle) -> bool {
        let Topic {
            load_balancer,
            backend,
        } = topic;
        chronicle.is_of(self.number())
            || self.duties.is_teller(load_balancer, *backend)
            || self.untold.contains(topic)
    }

    /// Notes that a chronicle is known here, if nobody else who lives tells all of it. Whether that
    /// is so.
    pub(super) fn speak_up(&mut self, topic: Topic, chronicle: &Chronicle) -> bool {
        let live = self.heard.iter().filter(|(_, heard)| heard.is_live);
        let mut all = Chronicle::default();
        for told in live.filter_map(|(_, heard)| heard.chronicles.get(&topic)) {
            all.merge(told);
        }
        all != *chronicle && self.untold.insert(topic)
    }

    /// What there is to say now, `all` being what holds: what is new in it, and what is taken back.
    pub(super) fn tell(&mut self, all: BTreeMap<Topic, Told>) -> Vec<Saying> {
        let mut sayings = Vec::new();
        let nothing = Told::default();
        let gone = self.told.keys().filter(|topic| !all.contains_key(topic));
        let now = all.iter().chain(gone.map(|topic| (topic, &nothing)));
        for (topic, now) in now {
            let before = self.told.get(topic).unwrap_or(&nothing);
            let mut say = |said| {
                let topic = topic.clone();
                sayings.push(Saying { topic, said });
            };
            if now.opinion != before.opinion {
                say(Said::Opinion(now.opinion));
            }
            if now.sessions != before.sessions {
                say(Said::Sessions(now.sessions.clone()));
            }
            if now.chronicle != before.chronicle {
                say(Said::Chronicle(now.chronicle.clone()));
            }
        }
        self.told = all;
        sayings
    }
}

fn put<V>(all: &mut BTreeMap<Topic, V>, topic: &Topic, value: Option<V>) -> bool {
    match value {
        None => all.remove(topic).is_some(),
        Some(_) if all.len() >= SAYINGS_MAX && !all.contains_key(topic) => false,
        Some(value) => {
            all.insert(topic.clone(), value);
            true
        }
    }
}
