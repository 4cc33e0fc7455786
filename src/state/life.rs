//! How backends live and die: this node's checks, what others say, and what all of them hold.
//!
//! ```text
//!   checks ─► RiseFall ─► opinion ──┐
//!                                   ├─► agreement ─► a life begins or ends ─► the chronicle
//!   other nodes' opinions ──────────┘                                          ▲
//!   other nodes' chronicles ───────────────────── merge ──────────────────────┘
//! ```
//!
//! A few nodes check a backend regularly, its witnesses; when one of all finds it failed, all look
//! at once, and who finds the same goes on looking until the life is over or the backend is well.
//! A backend is served while its life is open and this node's own checks do not find it failed: who
//! alone cannot reach one goes round it, and ends no life by that. Without other nodes its own
//! opinion is the agreement. Invariants: lives end only where more than half of all nodes say so,
//! or with the backend's departure; what is told to others is what is in the chronicles here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::{Effects, Happening, Refusal};
use super::departure::Departure;
use super::fleet::{Fleet, Told};
use super::pool::{LoadBalancer, Member, Scene};
use super::rows::DisputeRow;
use crate::cluster::Topic;
use crate::health::{
    Chronicle, Opinion, Outcome, Reason, RiseFall, Standing, Status, Thresholds, View, agreement,
};

impl LoadBalancer {
    /// A health check of that backend ended.
    pub(super) fn checked(
        &mut self,
        id: &str,
        outcome: Outcome,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let index = self.index_of(id)?;
        let member = &mut self.members[index];
        if matches!(outcome, Outcome::Failure(failure) if failure.is_before_a_connection()) {
            member.checks.unconnected.add(1);
        }
        if member.has_left() {
            return Ok(());
        }
        let was_served = member.is_served(&self.view);
        let transition = member.health.handle(outcome);
        effects.is_new |= transition.is_some();
        self.form_opinion(index, outcome, scene, effects);
        self.settle(index, scene, effects);
        if let Some(transition) = transition {
            self.tell(index, Happening::Changed(transition), effects);
        }
        self.cut_if_lost(index, was_served, scene);
        Ok(())
    }

    /// Another node has changed its opinion of a backend.
    pub(super) fn consider(
        &mut self,
        id_hash: u64,
        opinion: Option<Opinion>,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        let Some(index) = self.nth_of(id_hash) else {
            return;
        };
        let was_served = self.members[index].is_served(&self.view);
        self.settle(index, scene, effects);
        self.cut_if_lost(index, was_served, scene);
        let member = &self.members[index];
        // All are asked when one finds it failed, as it takes more than half of all to say so.
        let is_doubted = opinion.is_some_and(|opinion| !opinion.is_well);
        if is_doubted && member.is_served(&self.view) {
            let who = (Arc::clone(&self.name), Arc::clone(&member.id));
            effects.doubted.push(who);
        }
    }

    /// Another node knows that of a backend's lives.
    pub(super) fn learn(
        &mut self,
        id_hash: u64,
        chronicle: &Chronicle,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        let known = self.view.chronicle(id_hash);
        let mut merged = known.cloned().unwrap_or_default();
        merged.merge(chronicle);
        if known == Some(&merged) {
            return;
        }
        let index = self.nth_of(id_hash);
        let was_served = index.is_some_and(|index| self.members[index].is_served(&self.view));
        let was_open = Standing::of(known).is_open;
        *self.chronicle_mut(id_hash) = merged;
        effects.changes_view = true;
        effects.is_new = true;
        let Some(index) = index else { return };
        if self.standing(index).is_open != was_open {
            self.has_agreed(index, scene, effects);
        }
        self.settle(index, scene, effects);
        self.cut_if_lost(index, was_served, scene);
    }

    /// Nodes have come or gone.
    pub(super) fn meet(&mut self, scene: &mut Scene<'_>, effects: &mut Effects) {
        effects.changes_sayings = true;
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            member.is_witness = scene.fleet.duties.is_witness(&self.name, member.id_hash);
            member.opinion = member.opinion.filter(|o| member.is_witness || !o.is_well);
            let was_served = member.is_served(&self.view);
            self.settle(index, scene, effects);
            self.cut_if_lost(index, was_served, scene);
        }
    }

    /// Ends the lives of backends that are registered here no more, nor at any other node.
    pub(super) fn end_strangers(&mut self, scene: &mut Scene<'_>, effects: &mut Effects) {
        let is_gone = |backend: u64| {
            let load_balancer = Arc::clone(&self.name);
            let topic = Topic {
                load_balancer,
                backend,
            };
            self.nth_of(backend).is_none() && scene.fleet.opinions(&topic).next().is_none()
        };
        let over: Vec<u64> = self
            .view
            .chronicles()
            .filter(|(id_hash, chronicle)| chronicle.open().is_some() && is_gone(*id_hash))
            .map(|(id_hash, _)| id_hash)
            .collect();
        for id_hash in over {
            let now = scene.clock.stamp(scene.now_ms);
            self.chronicle_mut(id_hash).end(now);
            effects.changes_view = true;
            effects.is_new = true;
        }
    }

    /// Ends a backend's life, if it lives: it leaves.
    pub(super) fn end_life(&mut self, index: usize, scene: &mut Scene<'_>, effects: &mut Effects) {
        let now = scene.clock.stamp(scene.now_ms);
        let id_hash = self.members[index].id_hash;
        self.chronicle_mut(id_hash).end(now);
        effects.changes_view = true;
    }

    /// A life begins or ends, if the nodes' opinions come to that.
    pub(super) fn settle(&mut self, index: usize, scene: &Scene<'_>, effects: &mut Effects) {
        let member = &self.members[index];
        if member.has_left() {
            return;
        }
        let topic = self.topic(member);
        let others = scene.fleet.opinions(&topic).map(|(_, opinion)| opinion);
        let standing = self.standing(index);
        let opinions = member.opinion.into_iter().chain(others);
        let Some(at) = agreement(standing, opinions, scene.fleet.roll.known()) else {
            return;
        };
        let chronicle = self.chronicle_mut(topic.backend);
        if standing.is_open {
            chronicle.end(at);
        } else {
            chronicle.begin(at);
        }
        effects.changes_view = true;
        effects.is_new = true;
        self.has_agreed(index, scene, effects);
    }

    /// What a check says becomes this node's opinion, if it is another one, or if it confirms what
    /// all others take to be otherwise.
    fn form_opinion(
        &mut self,
        index: usize,
        outcome: Outcome,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        let standing = self.standing(index);
        let member = &mut self.members[index];
        let is_well = match member.health.status() {
            Status::InService => true,
            Status::OutOfService(Reason::Registering) => return,
            Status::OutOfService(Reason::Failed | Reason::Recovering) => false,
        };
        // The first of some failures, or of the successes that are to follow, says nothing yet.
        if is_well != (outcome == Outcome::Success) {
            return;
        }
        let is_settled = |opinion: &Opinion| {
            let is_news = is_well != standing.is_open && !standing.is_opposed_by(*opinion);
            opinion.is_well == is_well && !is_news
        };
        if member.opinion.as_ref().is_some_and(is_settled) {
            return;
        }
        let was_regular = member.is_checked_regularly();
        let since = scene.clock.stamp(scene.now_ms);
        let opinion = Opinion { is_well, since };
        // Whoever checks only what is doubted has found that there was no reason.
        member.opinion = Some(opinion).filter(|_| member.is_witness || !is_well);
        effects.changes_sayings = true;
        effects.changes_checks |= was_regular != member.is_checked_regularly();
    }

    /// The backend's life has begun or ended for all nodes.
    fn has_agreed(&mut self, index: usize, scene: &Scene<'_>, effects: &mut Effects) {
        let thresholds = self.thresholds();
        let is_open = self.standing(index).is_open;
        let member = &mut self.members[index];
        if !is_open && !member.is_witness && member.opinion.take().is_some() {
            // From here on it is looked after by those who always do.
            effects.changes_checks = true;
            effects.changes_sayings = true;
        }
        if member.opinion.is_none() {
            member.go_by(&self.view, thresholds);
        }
        if !scene.fleet.is_alone() {
            self.tell(index, Happening::Agreed { is_open }, effects);
        }
    }

    fn cut_if_lost(&self, index: usize, was_served: bool, scene: &mut Scene<'_>) {
        let is_lost = was_served && !self.members[index].is_served(&self.view);
        if is_lost && self.attributes.connection_draining.is_none() {
            self.cut(index, scene);
        }
    }

    /// What this node has to tell of its backends, those of the past included.
    pub(super) fn told(&self, fleet: &Fleet) -> impl Iterator<Item = (Topic, Told)> {
        let members = self.members.iter();
        let opinions: BTreeMap<u64, Opinion> = members
            .filter_map(|member| Some((member.id_hash, member.opinion?)))
            .collect();
        self.view
            .chronicles()
            .filter_map(move |(backend, chronicle)| {
                let load_balancer = Arc::clone(&self.name);
                let topic = Topic {
                    load_balancer,
                    backend,
                };
                let told = Told {
                    opinion: opinions.get(&backend).copied(),
                    sessions: fleet.sessions(&topic).cloned(),
                    chronicle: Some(chronicle)
                        .filter(|chronicle| fleet.is_to_tell(&topic, chronicle))
                        .cloned(),
                };
                (told != Told::default()).then_some((topic, told))
            })
    }

    /// Where nodes are not of one mind.
    pub(super) fn disputes(&self, fleet: &Fleet) -> impl Iterator<Item = DisputeRow> {
        self.members
            .iter()
            .enumerate()
            .filter_map(|(index, member)| {
                let topic = self.topic(member);
                let own = member.opinion.map(|opinion| (&fleet.roll.own, opinion));
                let all: Vec<_> = own.into_iter().chain(fleet.opinions(&topic)).collect();
                let those = |is_well: bool| -> Vec<Arc<str>> {
                    let those = all.iter().filter(|(_, opinion)| opinion.is_well == is_well);
                    those.map(|(name, _)| Arc::clone(name)).collect()
                };
                let (well, failed) = (those(true), those(false));
                (!well.is_empty() && !failed.is_empty()).then(|| DisputeRow {
                    load_balancer: Arc::clone(&self.name),
                    backend: Arc::clone(&member.id),
                    is_open: self.standing(index).is_open,
                    well,
                    failed,
                })
            })
    }

    /// The backend that has that slot.
    pub(super) fn topic_of(&self, slot: u32) -> Option<Topic> {
        let member = self.members.iter().find(|member| member.slot == slot)?;
        Some(self.topic(member))
    }

    /// The slot of a backend.
    pub(super) fn slot_of(&self, id_hash: u64) -> Option<u32> {
        Some(self.members[self.nth_of(id_hash)?].slot)
    }

    fn standing(&self, index: usize) -> Standing {
        Standing::of(self.view.chronicle(self.members[index].id_hash))
    }

    fn topic(&self, member: &Member) -> Topic {
        Topic {
            load_balancer: Arc::clone(&self.name),
            backend: member.id_hash,
        }
    }

    fn nth_of(&self, id_hash: u64) -> Option<usize> {
        let mut members = self.members.iter();
        members.position(|member| member.id_hash == id_hash)
    }
}

impl Member {
    /// Whether it takes requests: all hold that it lives, and it is not lost to this node alone.
    pub(super) fn is_served(&self, view: &View) -> bool {
        let is_lost = self.opinion.is_some_and(|opinion| !opinion.is_well);
        Standing::of(view.chronicle(self.id_hash)).is_open && !is_lost
    }

    /// The same with the reason.
    pub(super) fn status(&self, view: &View) -> Status {
        match self.health.status() {
            out @ Status::OutOfService(_) => out,
            Status::InService if self.is_served(view) || self.has_left() => Status::InService,
            Status::InService => Status::OutOfService(Reason::Failed),
        }
    }

    /// Whether it takes not even the requests of its own sessions any more.
    pub(super) fn has_left(&self) -> bool {
        let departure = self.departure.as_ref();
        departure.is_some_and(|departure| !Departure::takes_sessions(departure))
    }

    /// Whether this node checks it at its interval: as a witness, or as it has found it failed.
    pub(super) fn is_checked_regularly(&self) -> bool {
        self.is_witness || self.opinion.is_some()
    }

    /// Takes what all nodes hold for what this one's checks would say.
    pub(super) fn go_by(&mut self, view: &View, thresholds: Thresholds) {
        self.health = match view.chronicle(self.id_hash) {
            Some(chronicle) if chronicle.open().is_some() => RiseFall::in_service(thresholds),
            Some(chronicle) if chronicle.last_number() > 0 => RiseFall::failed(thresholds),
            Some(_) | None => RiseFall::new(thresholds),
        };
    }
}
