//! What the control thread knows, and the only way to change it.
//!
//! Here is who may change what; a load balancer's backends and how they come and go are in
//! `pool.rs`. Not here: who asks for changes, and how the shards get them (`control`, `sys::link`).
//! Invariants: [`State::apply`] is the only mutation; the epoch grows exactly when a snapshot would
//! be another one; counters stay the same objects from one snapshot to the next.

mod change;
mod clients;
mod command;
mod departure;
mod fleet;
mod histogram;
mod leave;
mod life;
mod load;
mod picture;
mod pool;
mod population;
mod progress;
mod rows;
mod slots;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Roll, Said, Saying, Topic};
use crate::config;
use crate::health::{Clock, Status, View, id_hash, mix};
use crate::limits::{CUTS_KEPT_MS, STAMP_AHEAD_MS_MAX};
use crate::sticky::Sketch;

pub use clients::{Clients, Entry, Seat};
pub use command::{Bound, Command, Effects, Event, Happening, Refusal};
pub use histogram::Histogram;
pub use load::{
    AdminRefusal, BackendLine, CheckLine, ControlLine, Count, GossipLine, HandshakeFailure,
    LoadBalancerLine, PerShard, ShardLine, TlsLine, WriterLine,
};
pub use population::Population;
pub use progress::{DrainEnd, Progress};
pub use rows::{CheckPlan, DisputeRow, DrainRow, HealthRow, ListenerRow, LoadBalancerRow, Stage};
pub use snapshot::{Admits, Backend, Cut, Report, Route, Snapshot};

use change::Change;
use fleet::Fleet;
use pool::{LoadBalancer, Scene};
use slots::Slots;

/// What is kept over restarts: each load balancer's view, by its name.
pub type Remembered = BTreeMap<String, View>;

/// The load balancers of the process with their backends' health.
#[derive(Debug)]
pub struct State {
    epoch: u64,
    clock: Clock,
    fleet: Fleet,
    shard_count: usize,
    window_ms: u64,
    window_ends_ms: u64,
    load_balancers: Vec<LoadBalancer>,
    slots: Slots,
    population: Population,
    /// Sessions were counted that no row tells of yet.
    has_counted: bool,
    /// With the time at which each was made.
    cuts: Vec<(u64, Cut)>,
}

impl State {
    /// The state at start: epoch 1, every backend registered. One that was in service when the
    /// process ended is so now; the first checks have the last word. The others were never checked.
    ///
    /// `bound` says where the listeners accept, in configuration order.
    ///
    /// # Panics
    ///
    /// If `bound` has not one place for each listener: our bug.
    pub fn new(
        config: &config::Config,
        bound: &[Bound],
        shard_count: usize,
        remembered: Remembered,
        now_ms: u64,
    ) -> Self {
        Self::begin(
            Fleet::alone(),
            config,
            bound,
            shard_count,
            remembered,
            now_ms,
        )
    }

    /// The same for a node of a cluster, as far as it knows the others.
    ///
    /// # Panics
    ///
    /// As above.
    pub fn among(
        roll: Roll,
        config: &config::Config,
        bound: &[Bound],
        shard_count: usize,
        remembered: Remembered,
        now_ms: u64,
    ) -> Self {
        Self::begin(
            Fleet::among(roll),
            config,
            bound,
            shard_count,
            remembered,
            now_ms,
        )
    }

    fn begin(
        fleet: Fleet,
        config: &config::Config,
        mut bound: &[Bound],
        shard_count: usize,
        mut remembered: Remembered,
        now_ms: u64,
    ) -> Self {
        let mut state = Self {
            epoch: 1,
            clock: Clock::new(fleet.number()),
            fleet,
            shard_count,
            window_ms: u64::try_from(config.host.session_window.as_millis())
                .expect("a window is short"),
            window_ends_ms: now_ms,
            load_balancers: Vec::new(),
            slots: Slots::default(),
            population: Population::default(),
            has_counted: false,
            cuts: Vec::new(),
        };
        for view in remembered.values() {
            state.clock.observe(view.latest());
        }
        for wanted in &config.load_balancers {
            let own;
            let split = bound.split_at_checked(wanted.listeners.len());
            (own, bound) = split.expect("every listener is bound");
            let view = remembered.remove(&wanted.name).unwrap_or_default();
            state.add(wanted, own, view, now_ms);
        }
        state
    }

    fn add(&mut self, wanted: &config::LoadBalancer, bound: &[Bound], view: View, now_ms: u64) {
        let mut view = view;
        for (backend, chronicle) in self.fleet.chronicles(&wanted.name) {
            view.chronicle_mut(backend).merge(chronicle);
        }
        let new = LoadBalancer::new(wanted, bound, view, self.shard_count);
        self.load_balancers.push(new);
        let (lb, mut scene) = self.nth(self.load_balancers.len() - 1, now_ms);
        lb.populate(&wanted.backends, &mut scene);
    }

    /// Carries out `command` at the time `now_ms`, in milliseconds since 1970, which never goes
    /// back from one call to the next.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing has changed then.
    pub fn apply(&mut self, command: Command, now_ms: u64) -> Result<Effects, Refusal> {
        let mut effects = Effects::default();
        match command {
            Command::Put {
                wanted,
                before,
                bound,
                mode,
            } => {
                let before = before.map_or_else(Vec::new, |before| before.backends);
                let change = Change {
                    wanted: &wanted,
                    before: &before,
                    bound: &bound,
                    mode,
                };
                self.put(&change, now_ms, &mut effects)?;
            }
            Command::Remove { load_balancer } => {
                let (lb, mut scene) = self.at(&load_balancer, now_ms)?;
                lb.end(&mut scene, &mut effects);
            }
            Command::Checked {
                load_balancer,
                backend,
                outcome,
            } => {
                let (lb, mut scene) = self.at(&load_balancer, now_ms)?;
                lb.checked(&backend, outcome, &mut scene, &mut effects)?;
            }
            Command::Register {
                load_balancer,
                backend,
            } => {
                let (lb, mut scene) = self.at(&load_balancer, now_ms)?;
                lb.register(&backend, &mut scene, &mut effects)?;
            }
            Command::Deregister {
                load_balancer,
                backend,
                mode,
            } => {
                let (lb, mut scene) = self.at(&load_balancer, now_ms)?;
                lb.deregister(&backend, mode, &mut scene, &mut effects)?;
            }
            Command::CancelDrain {
                load_balancer,
                backend,
            } => {
                let (lb, mut scene) = self.at(&load_balancer, now_ms)?;
                lb.cancel_drain(&backend, &mut scene, &mut effects)?;
            }
            Command::Counted(sketches) => self.count(&sketches),
            Command::Nodes(roll) => self.meet(roll, now_ms, &mut effects),
            Command::Heard {
                node,
                boot_ms,
                saying,
            } => self.hear(&node, boot_ms, &saying, now_ms, &mut effects)?,
            Command::CaughtUp => self.end_strangers(now_ms, &mut effects),
            Command::Tick => self.tick(now_ms, &mut effects),
        }
        if effects.is_new {
            self.epoch += 1;
        }
        Ok(effects)
    }

    fn put(
        &mut self,
        change: &Change<'_>,
        now_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Change { wanted, bound, .. } = change;
        if let Ok((lb, mut scene)) = self.at(&wanted.name, now_ms) {
            return lb.change(change, &mut scene, effects);
        }
        self.add(wanted, bound, View::default(), now_ms);
        effects.is_new = true;
        effects.changes_checks = true;
        effects.changes_view = true;
        Ok(())
    }

    /// A shard has seen sessions. Rows are made anew at the next tick, however many shards tell
    /// until then.
    fn count(&mut self, sketches: &[(u32, Sketch)]) {
        self.fleet.count(sketches);
        for (slot, sketch) in sketches {
            self.population.absorb(*slot, sketch);
        }
        self.has_counted = true;
    }

    /// Other nodes have come or gone.
    fn meet(&mut self, roll: Roll, now_ms: u64, effects: &mut Effects) {
        self.fleet.meet(roll);
        for index in 0..self.load_balancers.len() {
            let (lb, mut scene) = self.nth(index, now_ms);
            lb.meet(&mut scene, effects);
        }
        effects.changes_checks = true;
    }

    /// All that others know is known: what is registered nowhere lives nowhere.
    fn end_strangers(&mut self, now_ms: u64, effects: &mut Effects) {
        for index in 0..self.load_balancers.len() {
            let (lb, mut scene) = self.nth(index, now_ms);
            lb.end_strangers(&mut scene, effects);
        }
    }

    /// Another node has said something of a backend, which need not be known here.
    fn hear(
        &mut self,
        node: &Arc<str>,
        boot_ms: u64,
        saying: &Saying,
        now_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let latest = saying.latest();
        if latest.wall_ms > now_ms + STAMP_AHEAD_MS_MAX {
            return Err(Refusal::FromTheFuture);
        }
        if !self.fleet.hear(node, boot_ms, saying) {
            return Ok(());
        }
        self.clock.observe(latest);
        let topic = &saying.topic;
        // Refused: it is not configured here, or not yet. What was said is kept.
        let Ok((lb, mut scene)) = self.at(&topic.load_balancer, now_ms) else {
            return Ok(());
        };
        match &saying.said {
            Said::Chronicle(Some(chronicle)) => {
                lb.learn(topic.backend, chronicle, &mut scene, effects);
            }
            Said::Sessions(text) => {
                let sketch = text.as_deref().and_then(Sketch::read);
                if let Some((slot, sketch)) = lb.slot_of(topic.backend).zip(sketch) {
                    self.population.absorb(slot, &sketch);
                    self.has_counted = true;
                }
            }
            Said::Chronicle(None) => {}
            Said::Opinion(opinion) => lb.consider(topic.backend, *opinion, &mut scene, effects),
        }
        Ok(())
    }

    /// Another node does not come to know the same: what is known here, and told by none, will be
    /// told. Whether there is something.
    pub fn speak_up(&mut self) -> bool {
        let mut is_more = false;
        for lb in &self.load_balancers {
            for (backend, chronicle) in lb.view().chronicles() {
                let topic = Topic {
                    load_balancer: Arc::clone(lb.name()),
                    backend,
                };
                is_more |= self.fleet.speak_up(topic, chronicle);
            }
        }
        is_more
    }

    /// What there is to tell other nodes since the last call. Nothing where there are none.
    pub fn take_sayings(&mut self) -> Vec<Saying> {
        if self.fleet.is_alone() {
            return Vec::new();
        }
        let load_balancers = self.load_balancers.iter();
        let all = load_balancers.flat_map(|lb| lb.told(&self.fleet)).collect();
        self.fleet.tell(all)
    }

    /// The number of the newest snapshot.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A hash of all chronicles: the same on nodes that know the same of the same load balancers.
    pub fn lives_hash(&self) -> u64 {
        let load_balancers = self.load_balancers.iter();
        let hashes = load_balancers.map(|lb| mix(id_hash(lb.name()), lb.view().hash()));
        hashes.fold(0, u64::wrapping_add)
    }

    /// Where nodes are not of one mind about a backend, by load balancer.
    pub fn disputes(&self) -> Vec<DisputeRow> {
        let load_balancers = self.load_balancers.iter();
        load_balancers
            .flat_map(|lb| lb.disputes(&self.fleet))
            .collect()
    }

    fn tick(&mut self, now_ms: u64, effects: &mut Effects) {
        let is_new_window = self.window_ends_ms <= now_ms;
        if is_new_window {
            self.window_ends_ms = now_ms + self.window_ms;
            self.population.turn();
            let load_balancers = &self.load_balancers;
            let topic_of = |slot| load_balancers.iter().find_map(|lb| lb.topic_of(slot));
            effects.changes_sayings |= self.fleet.turn(topic_of);
        }
        for index in 0..self.load_balancers.len() {
            let (lb, mut scene) = self.nth(index, now_ms);
            lb.tick(is_new_window, &mut scene, effects);
        }
        let count = self.load_balancers.len();
        self.load_balancers.retain(|lb| !lb.is_gone());
        let is_less = self.load_balancers.len() < count;
        effects.changes_rows |= is_less | std::mem::take(&mut self.has_counted);
        effects.changes_view |= is_less;
        // The shards have seen what is so old; nothing is published to take it away.
        self.cuts
            .retain(|(at_ms, _)| now_ms - at_ms <= CUTS_KEPT_MS);
    }

    /// The picture for the shards.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            epoch: self.epoch,
            routes: self
                .load_balancers
                .iter()
                .flat_map(LoadBalancer::routes)
                .collect(),
            cuts: self.cuts.iter().map(|(_, cut)| *cut).collect(),
        }
    }

    /// All load balancers that take connections or could, in the order of [`Self::health`].
    pub fn load_balancers(&self) -> Vec<LoadBalancerRow> {
        let load_balancers = self.load_balancers.iter();
        load_balancers.filter_map(LoadBalancer::row).collect()
    }

    /// All backends' health, in configuration order.
    pub fn health(&self) -> Vec<HealthRow> {
        let load_balancers = self.load_balancers.iter();
        load_balancers
            .flat_map(|lb| lb.health(&self.population))
            .collect()
    }

    /// All drains that go on or ended lately, by load balancer.
    pub fn drains(&self, now_ms: u64) -> Vec<DrainRow> {
        let load_balancers = self.load_balancers.iter();
        load_balancers.flat_map(|lb| lb.drains(now_ms)).collect()
    }

    /// Whether a backend is on its way out.
    pub fn is_draining(&self) -> bool {
        self.load_balancers.iter().any(LoadBalancer::is_draining)
    }

    /// What is to be checked, in configuration order.
    pub fn check_plans(&self) -> Vec<CheckPlan> {
        self.load_balancers
            .iter()
            .flat_map(LoadBalancer::check_plans)
            .collect()
    }

    /// What is to be kept over a restart. Shares the views, so that another thread may write them.
    pub fn remembered(&self) -> BTreeMap<Arc<str>, Arc<View>> {
        let load_balancers = self.load_balancers.iter();
        load_balancers
            .map(|lb| (Arc::clone(lb.name()), Arc::clone(lb.view())))
            .collect()
    }

    /// Whether that backend exists and its checks say that it is well.
    pub fn is_in_service(&self, load_balancer: &str, backend: &str) -> bool {
        let mut all = self.load_balancers.iter();
        let lb = all.find(|lb| **lb.name() == *load_balancer);
        lb.and_then(|lb| lb.status(backend)) == Some(Status::InService)
    }

    /// The load balancer of that name, and all else that a change to it may touch.
    fn at(&mut self, name: &str, now_ms: u64) -> Result<(&mut LoadBalancer, Scene<'_>), Refusal> {
        let index = self
            .load_balancers
            .iter()
            .position(|lb| **lb.name() == *name);
        let index = index.ok_or_else(|| Refusal::NoLoadBalancer(name.to_owned()))?;
        Ok(self.nth(index, now_ms))
    }

    fn nth(&mut self, index: usize, now_ms: u64) -> (&mut LoadBalancer, Scene<'_>) {
        let scene = Scene {
            now_ms,
            next_epoch: self.epoch + 1,
            shard_count: self.shard_count,
            window_ms: self.window_ms,
            clock: &mut self.clock,
            fleet: &self.fleet,
            slots: &mut self.slots,
            population: &self.population,
            cuts: &mut self.cuts,
        };
        (&mut self.load_balancers[index], scene)
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
