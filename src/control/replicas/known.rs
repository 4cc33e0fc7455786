//! What this node knows of the changes of all, and what of it waits.
//!
//! Values and channels; how something comes to be in force is `adopt.rs`. Invariant: what is known
//! and does not wait is in force here, or is a deletion of what is not here.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::{mpsc, watch};

use super::envelope::{self, Arrived, Replica, in_words, key_of, say_the_same};
use super::shown::{Conflict, Replicated, Waiting};
use crate::cluster::{Entry, Merged, Register};
use crate::config::DrainMode;
use crate::control::journal::Record;
use crate::control::regions::forgetting;
use crate::health::{Clock, Stamp};
use crate::limits::{CONFLICTS_KEPT, REPLICA_REFUSAL_PAUSE, REPLICA_RETRY_INTERVAL, REPLICAS_MAX};
use crate::state::ControlLine;
use crate::sys::{Instant, unix_millis};

/// Why something waits of which the file has another stanza.
pub(in crate::control) const OF_FILE: &str =
    "the configuration file of this node says otherwise of it";

/// All that this node knows of what the API has changed on any.
#[derive(Debug)]
pub struct Replicas {
    node: u32,
    clock: Clock,
    register: Register<String, Record>,
    /// What is known and not in force here.
    waits: BTreeMap<String, Waits>,
    /// The latest last.
    conflicts: VecDeque<Conflict>,
    /// To other nodes; `None`: to nobody yet.
    out: Option<mpsc::Sender<Vec<Replica>>>,
    told: watch::Sender<Replicated>,
    next_try: Instant,
    /// When the log may tell of a refusal again.
    quiet_until: Instant,
}

/// How something waits.
#[derive(Debug, Default)]
struct Waits {
    /// The stamp of what is in force meanwhile; the default: nothing.
    in_force: Stamp,
    mode: Option<DrainMode>,
    /// Empty: it has just come.
    why: String,
    since_ms: u64,
    /// The stamp of what the journal has as waiting.
    kept: Option<Stamp>,
}

/// A change that this node makes.
#[derive(Debug)]
pub(in crate::control) struct Change {
    key: String,
    record: Record,
    /// The stamp of what it replaces; the default: nothing.
    before: Stamp,
}

impl Replicas {
    /// What the records of the journal say to the node of this number, and those of them that were
    /// in force, with the stamps that they have in the cluster.
    pub fn take_up(node: u32, records: Vec<Record>) -> (Self, Vec<Record>) {
        let mut known = Self {
            node,
            clock: Clock::new(node),
            register: Register::default(),
            waits: BTreeMap::new(),
            conflicts: VecDeque::new(),
            out: None,
            told: watch::Sender::new(Replicated::default()),
            next_try: Instant::now(),
            quiet_until: Instant::now(),
        };
        let mut in_force = Vec::new();
        let mut waiting = Vec::new();
        for record in records {
            if let Record::Waiting { about, record } = record {
                waiting.extend(record.map(|record| (about, *record)));
                continue;
            }
            let record = known.stamped(record);
            if let Some(key) = key_of(&record) {
                known.learn(&key, record.clone());
            }
            if !record.is_nothing() {
                in_force.push(record);
            }
        }
        for (key, record) in waiting {
            let in_force = known.stamp_of(&key);
            let kept = Some(record.stamp());
            known.learn(&key, record);
            let waits = Waits {
                in_force,
                since_ms: unix_millis(),
                kept,
                ..Waits::default()
            };
            known.waits.insert(key, waits);
        }
        // What was replaced since is in the journal by mistake, and does no harm there.
        let register = &known.register;
        let is_last = |key: &String, waits: &mut Waits| {
            register.get(key).map(|entry| entry.stamp) == waits.kept
        };
        known.waits.retain(is_last);
        known.tell();
        (known, in_force)
    }

    /// A record that was written without a cluster gets the stamp of its time.
    fn stamped(&self, record: Record) -> Record {
        let since_ms = match &record {
            Record::LoadBalancer { since_ms, .. }
            | Record::Deleted { since_ms, .. }
            | Record::Instance { since_ms, .. } => *since_ms,
            Record::Certificate { .. } | Record::Waiting { .. } => None,
        };
        if record.stamp() != Stamp::default() {
            return record;
        }
        record.stamped(Stamp {
            // All zeros would be none.
            wall_ms: since_ms.unwrap_or_default().max(1),
            counter: 0,
            node: self.node,
        })
    }

    fn learn(&mut self, key: &str, record: Record) -> Merged {
        self.clock.observe(record.stamp());
        let entry = envelope::entry(envelope::travelling(record));
        self.register.merge(key.to_owned(), entry)
    }

    /// The stamp of what was said last of it; the default: nothing was.
    fn stamp_of(&self, key: &str) -> Stamp {
        let entry = self.register.get(&key.to_owned());
        entry.map_or_else(Stamp::default, |entry| entry.stamp)
    }

    /// The stamp of what is in force.
    fn in_force(&self, key: &str) -> Stamp {
        let waits = self.waits.get(key);
        waits.map_or_else(|| self.stamp_of(key), |waits| waits.in_force)
    }

    /// Has changes go out from now on, and says where it is told how things are. Whoever receives
    /// must not wait for the thread that changes what is set up.
    pub fn connect(&mut self, out: mpsc::Sender<Vec<Replica>>) -> watch::Receiver<Replicated> {
        self.out = Some(out);
        self.told.subscribe()
    }

    /// All that this node knows, deletions included, but for what is too large to travel.
    pub fn all(&self) -> Vec<Replica> {
        let entries = self.register.iter();
        let all = entries.map(|(key, entry)| {
            let record = envelope::record(key, entry);
            Replica::new(key, &record, None, None)
        });
        all.filter(Replica::fits).collect()
    }

    fn send(&self, replicas: Vec<Replica>) {
        if let Some(out) = self.out.as_ref().filter(|_| !replicas.is_empty()) {
            // Refused: the process is ending.
            drop(out.blocking_send(replicas));
        }
    }

    /// Has records of changes made here be the last word, and says what is to be told of them once
    /// they are in force. What waited of the same things waits no more.
    pub(in crate::control) fn stamp(
        &mut self,
        records: &mut Vec<Record>,
        now_ms: u64,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut ended = Vec::new();
        for record in records.iter_mut() {
            let Some(key) = key_of(record) else { continue };
            *record = record.clone().stamped(self.clock.stamp(now_ms));
            ended.extend(self.waits.get(&key).and_then(|waits| waits.ended(&key)));
            changes.push(Change {
                before: self.in_force(&key),
                record: record.clone(),
                key,
            });
        }
        records.extend(ended);
        changes
    }

    /// Changes are in force: they go out. `mode` is what instances that leave still take.
    pub(in crate::control) fn made(
        &mut self,
        changes: Vec<Change>,
        mode: Option<DrainMode>,
        counts: &ControlLine,
    ) {
        let mut batch = Vec::new();
        for change in changes {
            let record = envelope::travelling(change.record);
            let replica = Replica::new(&change.key, &record, Some(change.before), mode);
            self.learn(&change.key, record);
            self.waits.remove(&change.key);
            if replica.fits() {
                batch.push(replica);
            } else {
                counts.replication_too_large.add(1);
                let what = "it is too large to travel: other nodes stay as they are".to_owned();
                self.note_conflict(&change.key, self.node, what);
            }
        }
        self.next_try = Instant::now();
        self.count(counts);
        self.send(batch);
    }

    /// Takes in what other nodes have changed; what is new of it waits.
    pub(in crate::control) fn receive(&mut self, replicas: Vec<Replica>, counts: &ControlLine) {
        let now_ms = unix_millis();
        for replica in replicas {
            match replica.open(now_ms) {
                Ok(arrived) if self.has_room(&replica.key) => {
                    self.take_in(replica.key, arrived, now_ms, counts);
                }
                Ok(_) => self.refuse(&replica.key, "there are as many as may be", counts),
                Err(why) => self.refuse(&replica.key, &why, counts),
            }
        }
        self.count(counts);
    }

    fn has_room(&self, key: &String) -> bool {
        self.register.len() < REPLICAS_MAX || self.register.get(key).is_some()
    }

    fn refuse(&mut self, key: &str, why: &str, counts: &ControlLine) {
        counts.replication_refused.add(1);
        let now = Instant::now();
        if self.quiet_until <= now {
            self.quiet_until = now.after(REPLICA_REFUSAL_PAUSE);
            tracing::warn!(key, why, "a change from another node is refused");
        }
    }

    fn take_in(&mut self, key: String, arrived: Arrived, now_ms: u64, counts: &ControlLine) {
        let Arrived {
            entry,
            before,
            mode,
        } = arrived;
        let stamp = entry.stamp;
        let in_force = self.in_force(&key);
        let there = self.register.get(&key);
        let is_lost = there.is_some_and(|there| {
            let knew_it = before.is_none_or(|before| before >= there.stamp);
            let (mine, other) = (
                envelope::record(&key, there),
                envelope::record(&key, &entry),
            );
            there.stamp.node == self.node
                && stamp.node != self.node
                && !knew_it
                && !say_the_same(&mine, &other)
        });
        self.clock.observe(stamp);
        match self.register.merge(key.clone(), entry) {
            Merged::Newer => {}
            Merged::Same => return,
            Merged::Older => {
                counts.replication_older.add(1);
                return;
            }
        }
        if is_lost {
            counts.replication_conflicts.add(1);
            let what = "this node's change was replaced by another's that did not know of it";
            self.note_conflict(&key, stamp.node, what.to_owned());
        }
        let kept = self.waits.get(&key).and_then(|waits| waits.kept);
        let waits = Waits {
            in_force,
            mode,
            why: String::new(),
            since_ms: now_ms,
            kept,
        };
        self.waits.insert(key, waits);
    }

    fn note_conflict(&mut self, key: &str, kept_from_node: u32, what: String) {
        let thing = in_words(key);
        tracing::warn!(thing, node = kept_from_node, "conflict: {what}");
        if self.conflicts.len() == CONFLICTS_KEPT {
            self.conflicts.pop_front();
        }
        self.conflicts.push_back(Conflict {
            thing,
            at_ms: unix_millis(),
            kept_from_node,
            what,
        });
    }

    /// What counts no more, as the file was edited since, waits for the file to be as it was.
    /// Returns what the journal is to hold of it instead of `outdated`, which would have it
    /// forgotten.
    pub fn instead_of(&mut self, outdated: Vec<Record>) -> Vec<Record> {
        let mut records = Vec::new();
        for record in outdated {
            let key = key_of(&record);
            records.push(record);
            let entry = key.and_then(|key| Some((self.register.get(&key)?.clone(), key)));
            let Some((entry, key)) = entry else { continue };
            let record = envelope::record(&key, &entry);
            records.push(waiting(&key, record));
            let waits = Waits {
                in_force: entry.stamp,
                why: OF_FILE.to_owned(),
                since_ms: unix_millis(),
                kept: Some(entry.stamp),
                mode: None,
            };
            tracing::warn!(
                thing = in_words(&key),
                "a change by the API waits: {OF_FILE}"
            );
            self.waits.insert(key, waits);
        }
        self.tell();
        records
    }

    /// What can be in force is otherwise: what waits is tried again soon.
    pub(in crate::control) fn hurry(&mut self) {
        self.next_try = Instant::now();
    }

    /// Whether it is time to look after what waits and what is to be forgotten.
    pub(in crate::control) fn is_due(&self, now: Instant) -> bool {
        self.next_try <= now
    }

    /// It is looked after now. Returns what the journal is to forget.
    pub(in crate::control) fn begin_try(&mut self, counts: &ControlLine) -> Vec<Record> {
        self.next_try = Instant::now().after(REPLICA_RETRY_INTERVAL);
        let forgotten = self.register.forget(unix_millis());
        counts.tombstones_forgotten.add(forgotten.len() as u64);
        let mut records = Vec::new();
        for key in forgotten {
            let stamp = Stamp::default();
            records.push(forgetting(&envelope::record(
                &key,
                &Entry { stamp, value: None },
            )));
            let waits = self.waits.remove(&key);
            records.extend(waits.and_then(|waits| waits.ended(&key)));
        }
        records
    }

    /// What waits, instances first: those that have just come, then all others.
    pub(in crate::control) fn waiting(&self) -> (Vec<String>, Vec<String>) {
        let all = self.waits.iter();
        let keys =
            all.map(|(key, waits)| (key.clone(), waits.why.is_empty() && waits.mode.is_none()));
        let (fresh, others): (Vec<_>, Vec<_>) = keys.partition(|(_, is_fresh)| *is_fresh);
        let keys = |pairs: Vec<(String, bool)>| pairs.into_iter().map(|(key, _)| key).collect();
        (keys(fresh), keys(others))
    }

    /// The record of something that waits, and what the journal is to hold if that comes to be in
    /// force.
    pub(in crate::control) fn candidate(&self, key: &str) -> Option<(Record, Option<Record>)> {
        let waits = self.waits.get(key)?;
        let entry = self.register.get(&key.to_owned())?;
        Some((envelope::record(key, entry), waits.ended(key)))
    }

    /// What instances that leave still take, if that was said with what waits.
    pub(in crate::control) fn mode(&self, key: &str) -> Option<DrainMode> {
        self.waits.get(key)?.mode
    }

    /// It is in force.
    pub(in crate::control) fn has_come(&mut self, key: &str, counts: &ControlLine) {
        self.waits.remove(key);
        counts.replication_adopted.add(1);
        let node = self.stamp_of(key).node;
        tracing::info!(thing = in_words(key), node, "changed as on another node");
    }

    /// It cannot be in force; returns what the journal is to hold of it, if it does not yet.
    pub(in crate::control) fn cannot_come(&mut self, key: &str, why: &str) -> Option<Record> {
        let entry = self.register.get(&key.to_owned())?;
        let waits = self.waits.get_mut(key)?;
        if waits.why != why {
            why.clone_into(&mut waits.why);
            let (thing, node) = (in_words(key), entry.stamp.node);
            tracing::warn!(thing, node, "a change by another node waits: {why}");
        }
        let is_kept = waits.kept == Some(entry.stamp);
        (!is_kept).then(|| waiting(key, envelope::record(key, entry)))
    }

    /// The journal has these, which wait.
    pub(in crate::control) fn are_kept(&mut self, records: &[Record]) {
        for record in records {
            if let Record::Waiting {
                about,
                record: Some(record),
            } = record
                && let Some(waits) = self.waits.get_mut(about)
            {
                waits.kept = Some(record.stamp());
            }
        }
    }

    /// Counts what waits, and tells how things are.
    pub(in crate::control) fn count(&self, counts: &ControlLine) {
        counts.replication_waiting.set(self.waits.len() as u64);
        self.tell();
    }

    fn tell(&self) {
        let waiting = self.waits.iter().map(|(key, waits)| Waiting {
            thing: in_words(key),
            node: self.stamp_of(key).node,
            since_ms: waits.since_ms,
            why: waits.why.clone(),
        });
        self.told.send_replace(Replicated {
            digest: self.register.digest(),
            things: self.register.len(),
            waiting: waiting.collect(),
            conflicts: self.conflicts.iter().cloned().collect(),
        });
    }
}

impl Waits {
    /// What the journal is to hold once it waits no more, if it has something of it.
    fn ended(&self, key: &str) -> Option<Record> {
        self.kept.map(|_| Record::Waiting {
            about: key.to_owned(),
            record: None,
        })
    }
}

fn waiting(key: &str, record: Record) -> Record {
    Record::Waiting {
        about: key.to_owned(),
        record: Some(Box::new(record)),
    }
}
