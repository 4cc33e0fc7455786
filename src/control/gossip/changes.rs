//! What the API has changed on any node, on its way through this one.
//!
//! Not which change has the last word in what is set up, nor how it comes to be in force
//! (`replicas`, `adopt.rs`). Invariants: of what is known of a thing the newest is passed on, both
//! ways; each is told by the node where it was made, and by a few that tell it to those who come
//! later.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError};

use tokio::sync::watch;

use crate::cluster::Duties;
use crate::control::replicas::{Replica, Replicated};
use crate::control::setup::Order;
use crate::health::{Stamp, id_hash};
use crate::limits::{REPLICAS_MAX, STAMP_AHEAD_MS_MAX};

/// Changes, both ways.
pub(in crate::control) struct Changes {
    known: BTreeMap<String, Known>,
    /// For the thread that changes what is set up, once it has room.
    waiting: BTreeMap<String, Replica>,
    told: watch::Receiver<Replicated>,
    orders: SyncSender<Order>,
}

struct Known {
    stamp: Stamp,
    value: String,
    /// Others hear it from this node.
    is_told: bool,
}

impl Changes {
    /// With all that this node knows.
    pub(in crate::control) fn new(
        all: Vec<Replica>,
        told: watch::Receiver<Replicated>,
        orders: SyncSender<Order>,
    ) -> Self {
        let mut changes = Self {
            known: BTreeMap::new(),
            waiting: BTreeMap::new(),
            told,
            orders,
        };
        all.into_iter().for_each(|one| changes.note(one));
        changes
    }

    /// A hash by which nodes see whether they know the same.
    pub(super) fn digest(&self) -> u64 {
        self.told.borrow().digest
    }

    /// What is told of them.
    pub(super) fn replicated(&self) -> Replicated {
        self.told.borrow().clone()
    }

    /// Keeps it, if it is newer than what was known.
    fn note(&mut self, replica: Replica) {
        // Nothing that this version can read: it is for others to tell.
        let Some(stamp) = replica.stamp() else { return };
        let known = self.known.get(&replica.key);
        let has_room = known.is_some() || self.known.len() < REPLICAS_MAX;
        if has_room && known.is_none_or(|known| known.stamp < stamp) {
            let known = Known {
                stamp,
                value: replica.value,
                is_told: false,
            };
            self.known.insert(replica.key, known);
        }
    }

    /// This node has made changes.
    pub(super) fn made(&mut self, replicas: Vec<Replica>) {
        replicas.into_iter().for_each(|one| self.note(one));
    }

    /// Another node tells of one. What is of a moment to come is for the thread that changes what
    /// is set up to refuse, and to count; here it would stand in front of all that follow.
    pub(super) fn heard(&mut self, replica: Replica, now_ms: u64) {
        // Whoever tells it may know of less than another that has told it already.
        let waiting = self.waiting.get(&replica.key);
        if waiting.is_none_or(|waiting| waiting.stamp() < replica.stamp()) {
            self.waiting.insert(replica.key.clone(), replica.clone());
        }
        let latest_ms = now_ms.saturating_add(STAMP_AHEAD_MS_MAX);
        if replica
            .stamp()
            .is_some_and(|stamp| stamp.wall_ms <= latest_ms)
        {
            self.note(replica);
        }
    }

    /// Whether something was heard that is not handed over yet.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Hands what was heard to the thread that changes what is set up, unless it is too busy: then
    /// with the next call.
    pub(super) fn hand_over(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let all = std::mem::take(&mut self.waiting);
        let order = Order::Adopt(all.into_values().collect());
        if let Err(TrySendError::Full(Order::Adopt(all))) = self.orders.try_send(order) {
            self.waiting = all.into_iter().map(|one| (one.key.clone(), one)).collect();
        }
    }

    /// What this node, which has that number, is to tell and has not told.
    pub(super) fn untold(&mut self, duties: &Duties, number: u32) -> Vec<(String, String)> {
        let mut sayings = Vec::new();
        for (key, known) in &mut self.known {
            let is_own = known.stamp.node == number;
            if !known.is_told && (is_own || duties.is_teller("", id_hash(key))) {
                known.is_told = true;
                sayings.push((key.clone(), known.value.clone()));
            }
        }
        sayings
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn said(wall_ms: u64) -> Replica {
        let value = format!(r#"{{"stamp":{{"wall_ms":{wall_ms},"counter":0,"node":1}}}}"#);
        Replica::heard("c/in/i-1", &value).expect("it is a change")
    }

    #[test]
    fn the_newest_of_what_was_heard_is_handed_over_once_there_is_room() {
        let (orders, inbox) = sync_channel(1);
        let told = watch::Sender::new(Replicated::default());
        let mut changes = Changes::new(Vec::new(), told.subscribe(), orders.clone());
        orders.send(Order::Reload).expect("there is room");
        for wall_ms in [7, 9, 8] {
            changes.heard(said(wall_ms), 0);
            changes.hand_over();
        }
        assert!(matches!(inbox.recv(), Ok(Order::Reload)));
        changes.hand_over();
        let Ok(Order::Adopt(adopted)) = inbox.recv() else {
            panic!("it is to be adopted");
        };
        assert_eq!(adopted, [said(9)]);
        changes.hand_over();
        assert!(inbox.try_recv().is_err(), "nothing is left");
    }
}
