//! This node's part in the cluster: between what comes and goes and what it knows.
//!
//! Not how that travels (`gossip.rs`), nor what follows from it (`state`, `setup`). Invariants: a
//! node is ready once it has known the same as another that was ready, or once it is sure to be the
//! first; it never ceases to be; what others have changed waits here until the thread that changes
//! what is set up has room for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::changes::Changes;
use super::head::{self, Head};
use super::{News, Sight, Voice, millis};
use crate::cluster::{Roll, Said, Saying, node_number};
use crate::control::replicas::{Replica, Replicated};
use crate::health::Chronicle;
use crate::limits::{
    CATCH_UP_PATIENCE, DIFFERENCE_PATIENCE, FIRST_PATIENCE, GOSSIP_INTERVAL, NEWS_AGE_MAX,
};
use crate::state::{Command, ControlLine, DisputeRow, State};

/// The keys of what the API has changed.
const CHANGES: &str = "c/";

/// What the admin address tells of the cluster.
#[derive(Debug, Clone)]
pub(in crate::control) struct FleetRow {
    /// All nodes that are known, this one first.
    pub(in crate::control) nodes: Vec<NodeRow>,
    /// Those that live may decide for all.
    pub(in crate::control) has_quorum: bool,
    /// How many nodes there are, as far as is known.
    pub(in crate::control) known: usize,
    /// Where nodes are not of one mind.
    pub(in crate::control) disputes: Vec<DisputeRow>,
    /// How it is with what the API has changed.
    pub(in crate::control) replicated: Replicated,
}

impl FleetRow {
    /// The node that tells this.
    pub(in crate::control) fn own(&self) -> &NodeRow {
        self.nodes.first().expect("this node comes first")
    }

    /// How many nodes live.
    pub(in crate::control) fn live(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_live).count()
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct NodeRow {
    pub(in crate::control) name: Arc<str>,
    pub(in crate::control) address: Option<SocketAddr>,
    /// When it started, in milliseconds since 1970 by its clock.
    pub(in crate::control) boot_ms: u64,
    pub(in crate::control) is_live: bool,
    /// Since when it has not been heard, in milliseconds since 1970; `None`: it lives.
    pub(in crate::control) lost_since_ms: Option<u64>,
    /// What it says of itself; `None`: nothing yet.
    pub(in crate::control) head: Option<Head>,
    /// Since when it has not known the same as this one, in milliseconds since 1970; `None`: it
    /// does.
    pub(in crate::control) differs_since_ms: Option<u64>,
}

/// What this node does in the cluster.
pub(in crate::control) struct Part {
    voice: Voice,
    own: Head,
    boot_ms: u64,
    /// When time passed for the first time, in milliseconds since 1970: not the number of its
    /// start, which may be ahead.
    began_ms: Option<u64>,
    sight: Sight,
    others: BTreeMap<Arc<str>, Other>,
    changes: Changes,
    is_ready: Arc<AtomicBool>,
    /// When it told of itself last, in milliseconds since 1970.
    told_ms: u64,
    /// Chronicles may be others than when their hash was made.
    has_new_lives: bool,
    counts: Arc<ControlLine>,
}

/// What is known of another node.
#[derive(Debug, Default)]
struct Other {
    head: Option<Head>,
    differs_since_ms: Option<u64>,
    lost_since_ms: Option<u64>,
}

impl Part {
    pub(in crate::control) fn new(
        voice: Voice,
        roll: Roll,
        address: SocketAddr,
        boot_ms: u64,
        changes: Changes,
        is_ready: Arc<AtomicBool>,
        counts: Arc<ControlLine>,
    ) -> Self {
        let addresses = BTreeMap::from([(Arc::clone(&roll.own), address)]);
        Self {
            voice,
            own: Head {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Head::default()
            },
            boot_ms,
            began_ms: None,
            sight: Sight { roll, addresses },
            others: BTreeMap::new(),
            changes,
            is_ready,
            told_ms: 0,
            has_new_lives: true,
            counts,
        }
    }

    /// What follows from news for the state.
    pub(in crate::control) fn hear(&mut self, news: News, now_ms: u64) -> Option<Command> {
        match news {
            News::Nodes(sight) => {
                log(&self.sight.roll, &sight.roll);
                let known = &sight.addresses;
                self.others.retain(|name, _| known.contains_key(name));
                let own = self.sight.addresses.remove_entry(&self.sight.roll.own);
                self.sight = sight;
                self.sight.addresses.extend(own);
                self.tell_changes();
                Some(Command::Nodes(self.sight.roll.clone()))
            }
            News::Told {
                node, key, value, ..
            } if key == head::KEY => {
                let head = Head::read(&value);
                self.others.entry(node).or_default().head = head;
                None
            }
            News::Told { key, value, .. } if key.starts_with(CHANGES) => {
                let replica = Replica::heard(&key, &value);
                replica
                    .into_iter()
                    .for_each(|one| self.changes.heard(one, now_ms));
                None
            }
            News::Told {
                node,
                boot_ms,
                key,
                value,
            } => match Saying::read(&key, &value) {
                Ok(saying) => saying.map(|saying| {
                    self.note_age(&saying.said, now_ms);
                    Command::Heard {
                        node,
                        boot_ms,
                        saying,
                    }
                }),
                Err(problem) => {
                    self.counts.sayings_refused.add(1);
                    tracing::debug!(%node, %problem, "what a node tells cannot be read");
                    None
                }
            },
        }
    }

    fn note_age(&self, said: &Said, now_ms: u64) {
        let made = match said {
            Said::Opinion(opinion) => opinion.map(|opinion| opinion.since),
            Said::Chronicle(chronicle) => chronicle.as_ref().map(Chronicle::latest),
            Said::Sessions(_) => None,
        };
        // From the future: clocks differ by more than the way took.
        let age_ms = made.and_then(|made| now_ms.checked_sub(made.wall_ms));
        if let Some(age) = age_ms.map(Duration::from_millis)
            && age <= NEWS_AGE_MAX
        {
            self.counts.gossip.news_age.observe(age);
        }
    }

    /// What came in was heard: changes are handed on.
    pub(in crate::control) fn has_heard(&mut self) {
        if self.changes.are_waiting() {
            self.changes.hand_over();
            self.tell_changes();
        }
    }

    /// The API has changed something on this node.
    pub(in crate::control) fn pass_on(&mut self, changed: Vec<Replica>) {
        self.changes.made(changed);
        self.tell_changes();
    }

    fn tell_changes(&mut self) {
        let roll = &self.sight.roll;
        let sayings = self.changes.untold(&roll.duties(), node_number(&roll.own));
        self.voice.tell(sayings);
    }

    /// Tells what the state has to tell.
    pub(in crate::control) fn tell(&mut self, state: &mut State) {
        let sayings = state.take_sayings();
        self.has_new_lives |= sayings.iter().any(|s| matches!(s.said, Said::Chronicle(_)));
        let texts = sayings.iter().map(|saying| (saying.key(), saying.value()));
        self.voice.tell(texts.collect());
    }

    /// Chronicles have changed.
    pub(in crate::control) fn note_lives(&mut self) {
        self.has_new_lives = true;
    }

    /// Time has passed. Whether this node has just caught up.
    pub(in crate::control) fn tick(&mut self, state: &mut State, now_ms: u64) -> bool {
        self.began_ms.get_or_insert(now_ms);
        let before = self.own.clone();
        self.changes.hand_over();
        self.own.changes = self.changes.digest();
        if std::mem::take(&mut self.has_new_lives) {
            self.own.lives = state.lives_hash();
        }
        for peer in &self.sight.roll.others {
            let other = self.others.entry(Arc::clone(&peer.name)).or_default();
            let since = other.lost_since_ms.unwrap_or(now_ms);
            other.lost_since_ms = (!peer.is_live).then_some(since);
        }
        for other in self.others.values_mut() {
            let is_same = other
                .head
                .as_ref()
                .is_some_and(|head| head.agrees_with(&self.own));
            other.differs_since_ms = match other.differs_since_ms {
                _ if is_same || other.head.is_none() => None,
                since => since.or(Some(now_ms)),
            };
        }
        let is_odd = |since: u64| since + millis(DIFFERENCE_PATIENCE) <= now_ms;
        // Who does not live hears nothing, whatever is said.
        let roll = &self.sight.roll;
        let mut others = self.others.iter().filter(|(name, _)| roll.is_live(name));
        if others.any(|(_, other)| other.differs_since_ms.is_some_and(is_odd)) && state.speak_up() {
            self.tell(state);
        }
        let has_caught_up = !self.own.is_ready && self.is_up_to_date(now_ms);
        if has_caught_up {
            self.own.is_ready = true;
            self.is_ready.store(true, Ordering::Relaxed);
        }
        // Epochs come and go with every change: others need not hear of each.
        let is_due = self.told_ms + millis(GOSSIP_INTERVAL) <= now_ms;
        self.own.epoch = if is_due { state.epoch() } else { before.epoch };
        if self.own != before || self.told_ms == 0 {
            self.told_ms = now_ms;
            let text = self.own.to_text();
            self.voice.tell(vec![(head::KEY.to_owned(), text)]);
        }
        has_caught_up
    }

    /// Whether this node knows what there is to know.
    fn is_up_to_date(&self, now_ms: u64) -> bool {
        let age_ms = now_ms.saturating_sub(self.began_ms.unwrap_or(now_ms));
        let live = self.sight.roll.others.iter().filter(|peer| peer.is_live);
        let heads: Vec<Option<&Head>> = live
            .map(|peer| self.others.get(&peer.name)?.head.as_ref())
            .collect();
        if heads.is_empty() {
            let is_first = self.sight.roll.known() == 1 || age_ms >= millis(FIRST_PATIENCE);
            if is_first && self.sight.roll.known() > 1 {
                tracing::warn!("no other node answers: this one begins without them");
            }
            return is_first;
        }
        let heads: Vec<&Head> = heads.into_iter().flatten().collect();
        let mut ready = heads.iter().filter(|head| head.is_ready);
        if ready.any(|head| head.agrees_with(&self.own)) {
            tracing::info!("this node knows what the others know");
            return true;
        }
        // All have just started: those who know the same begin together.
        let none_is_ready = heads.iter().all(|head| !head.is_ready);
        let all_agree = !heads.is_empty() && heads.iter().all(|head| head.agrees_with(&self.own));
        if none_is_ready && all_agree && age_ms >= millis(FIRST_PATIENCE) / 2 {
            return true;
        }
        let is_late = age_ms >= millis(CATCH_UP_PATIENCE);
        if is_late {
            tracing::warn!("this node does not come to know the same as the others, and begins");
        }
        is_late
    }

    /// What there is to show.
    pub(in crate::control) fn row(&self, state: &State) -> FleetRow {
        let roll = &self.sight.roll;
        let address = |name: &Arc<str>| self.sight.addresses.get(name).copied();
        let own = NodeRow {
            name: Arc::clone(&roll.own),
            address: address(&roll.own),
            boot_ms: self.boot_ms,
            is_live: true,
            lost_since_ms: None,
            head: Some(self.own.clone()),
            differs_since_ms: None,
        };
        let others = roll.others.iter().map(|peer| {
            let other = self.others.get(&peer.name);
            NodeRow {
                name: Arc::clone(&peer.name),
                address: address(&peer.name),
                boot_ms: peer.boot_ms,
                is_live: peer.is_live,
                lost_since_ms: other.and_then(|other| other.lost_since_ms),
                head: other.and_then(|other| other.head.clone()),
                differs_since_ms: other.and_then(|other| other.differs_since_ms),
            }
        });
        FleetRow {
            nodes: std::iter::once(own).chain(others).collect(),
            has_quorum: roll.has_quorum(),
            known: roll.known(),
            disputes: state.disputes(),
            replicated: self.changes.replicated(),
        }
    }

    /// Whether this node is about to end.
    pub(in crate::control) fn note_drain(&mut self, is_draining: bool) {
        if self.own.is_draining != is_draining {
            self.own.is_draining = is_draining;
            // All are told with the next tick.
            self.told_ms = 0;
        }
    }

    /// Says goodbye to the others.
    pub(in crate::control) async fn leave(self) {
        self.voice.leave().await;
    }
}

/// Tells the log who has come and gone.
fn log(before: &Roll, now: &Roll) {
    for peer in &now.others {
        let node = &peer.name;
        match (before.is_live(node), peer.is_live) {
            (false, true) => tracing::info!(%node, "another node is there"),
            (true, false) => tracing::warn!(%node, "another node does not answer any more"),
            (true, true) | (false, false) => {}
        }
    }
    for peer in before.others.iter().filter(|peer| peer.is_live) {
        let node = &peer.name;
        if now.others.iter().all(|other| other.name != *node) {
            tracing::info!(%node, "another node has left");
        }
    }
    match (before.has_quorum(), now.has_quorum()) {
        (true, false) => {
            let (live, known) = (now.live().count(), now.known());
            tracing::warn!(
                live,
                known,
                "too few nodes are there to declare a backend dead for all"
            );
        }
        (false, true) => tracing::info!("enough nodes are there to decide for all"),
        (true, true) | (false, false) => {}
    }
}

#[cfg(test)]
mod tests;
