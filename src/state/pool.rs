//! A load balancer: its listeners, its backends, and how they come and live.
//!
//! Not here: how they live and die (`life.rs`) and go (`leave.rs`), who asks (`mod.rs`), and the
//! pictures of it for shards and people (`picture.rs`). Invariant: ids are unique.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::command::{Bound, Effects, Event, Happening, Refusal};
use super::departure::Departure;
use super::fleet::Fleet;
use super::load::{BackendLine, CheckLine, LoadBalancerLine, PerShard};
use super::population::Population;
use super::rows::DrainRow;
use super::slots::Slots;
use super::snapshot::Cut;
use crate::config::{self, Attributes, Network, Protocol, Stickiness};
use crate::health::{self, Chronicle, Clock, Opinion, RiseFall, Thresholds, View};
use crate::limits::BACKENDS_MAX;
use crate::proxy_protocol::Version;

/// What a change to one load balancer may touch beside it.
pub(super) struct Scene<'s> {
    pub(super) now_ms: u64,
    /// The epoch in which what happens now will be seen.
    pub(super) next_epoch: u64,
    pub(super) shard_count: usize,
    pub(super) window_ms: u64,
    pub(super) clock: &'s mut Clock,
    pub(super) fleet: &'s Fleet,
    pub(super) slots: &'s mut Slots,
    pub(super) population: &'s Population,
    pub(super) cuts: &'s mut Vec<(u64, Cut)>,
}

#[derive(Debug)]
pub(super) struct LoadBalancer {
    pub(super) name: Arc<str>,
    pub(super) health_check: Arc<config::HealthCheck>,
    pub(super) attributes: Arc<Attributes>,
    pub(super) listeners: Vec<Listener>,
    pub(super) members: Vec<Member>,
    pub(super) view: Arc<View>,
    pub(super) counts: Arc<PerShard<LoadBalancerLine>>,
    /// Drains that ended, the last [`crate::limits::DRAINS_REMEMBERED`] of them.
    pub(super) done: VecDeque<DrainRow>,
    /// It is gone once its backends are.
    pub(super) is_leaving: bool,
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) number: usize,
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) instance_protocol: Protocol,
    pub(super) instance_port: u16,
    pub(super) stickiness: Option<Arc<Stickiness>>,
    pub(super) is_secure: bool,
    pub(super) proxy_networks: Arc<[Network]>,
    pub(super) proxy_protocol: Option<Version>,
    pub(super) subject_header: Option<Arc<str>>,
}

/// A backend as a member of one load balancer's pool.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) id_hash: u64,
    pub(super) slot: u32,
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) weight: u32,
    /// What this node's checks come to.
    pub(super) health: RiseFall,
    /// What this node tells others of it: what its checks say, once one has confirmed it.
    pub(super) opinion: Option<Opinion>,
    /// This node checks it regularly.
    pub(super) is_witness: bool,
    pub(super) is_over_bound: bool,
    pub(super) departure: Option<Departure>,
    pub(super) counts: Arc<PerShard<BackendLine>>,
    pub(super) checks: Arc<CheckLine>,
}

impl LoadBalancer {
    /// A load balancer with its listeners, of which each is bound, and no backend yet.
    pub(super) fn new(
        wanted: &config::LoadBalancer,
        bound: &[Bound],
        view: View,
        shard_count: usize,
    ) -> Self {
        Self {
            name: Arc::from(&*wanted.name),
            health_check: Arc::new(wanted.health_check.clone()),
            attributes: Arc::new(wanted.attributes.clone()),
            listeners: listeners(wanted, bound),
            members: Vec::new(),
            view: Arc::new(view),
            counts: Arc::new(PerShard::new(shard_count)),
            done: VecDeque::new(),
            is_leaving: false,
        }
    }

    /// Registers the backends of the configuration. Those whose life was open when the process
    /// ended live on; the lives of others that are remembered end now, or, among other nodes, once
    /// it is known what those know.
    pub(super) fn populate(&mut self, backends: &[config::Backend], scene: &mut Scene<'_>) {
        for backend in backends {
            let slot = scene.slots.take();
            let member = self.member(backend, slot, scene);
            let chronicle = self.chronicle_mut(member.id_hash);
            chronicle.reweigh(scene.clock.stamp(scene.now_ms), backend.weight);
            self.members.push(member);
        }
        if scene.fleet.is_alone() {
            self.end_strangers(scene, &mut Effects::default());
        }
    }

    /// Registers a backend, or changes one that is registered.
    pub(super) fn register(
        &mut self,
        wanted: &config::Backend,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Ok(index) = self.index_of(&wanted.id) else {
            return self.add(wanted, scene, effects);
        };
        let member = &mut self.members[index];
        let is_moved = (member.address, member.port) != (wanted.address, wanted.port);
        let was_leaving = member.departure.take();
        let had_left = was_leaving.as_ref().is_some_and(|d| !d.takes_sessions());
        let is_kept = was_leaving.is_some() && !had_left;
        let is_reweighed = std::mem::replace(&mut member.weight, wanted.weight) != wanted.weight;
        if is_kept {
            self.tell(index, Happening::DrainCancelled, effects);
        }
        if is_reweighed {
            self.tell(index, Happening::Weighed(wanted.weight), effects);
        }
        if is_kept || is_reweighed || had_left {
            self.reweigh(index, wanted.weight, scene, effects);
        }
        if is_moved || had_left {
            let thresholds = self.thresholds();
            let member = &mut self.members[index];
            // It is its id that makes a backend what it is (CLB.md §2.8): its life goes on at the
            // new address, which is checked at once.
            (member.address, member.port) = (wanted.address, wanted.port);
            if had_left {
                member.health = RiseFall::new(thresholds);
                member.opinion = None;
            }
            effects.changes_checks = true;
            effects.is_new = true;
            self.tell(index, Happening::Registered, effects);
        }
        Ok(())
    }

    fn add(
        &mut self,
        wanted: &config::Backend,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if self.members.len() >= BACKENDS_MAX {
            return Err(Refusal::TooMany);
        }
        let slot = scene.slots.take();
        let member = self.member(wanted, slot, scene);
        self.members.push(member);
        let index = self.members.len() - 1;
        self.settle(index, scene, effects);
        self.reweigh(index, wanted.weight, scene, effects);
        effects.changes_checks = true;
        self.tell(index, Happening::Registered, effects);
        Ok(())
    }

    /// Marks those that have more than their share of the sessions alive, by `load_bound_percent`.
    pub(super) fn find_overloaded(&mut self, population: &Population, effects: &mut Effects) {
        let Some(percent) = self.attributes.affinity.load_bound_percent else {
            return;
        };
        let takes_all =
            |member: &Member, view: &View| member.departure.is_none() && member.is_served(view);
        let open = self
            .members
            .iter()
            .filter(|member| takes_all(member, &self.view));
        let open: Vec<(u64, u64)> = open
            .map(|member| (population.alive(member.slot), u64::from(member.weight)))
            .collect();
        let sessions: u64 = open.iter().map(|(alive, _)| alive).sum();
        let weights: u64 = open.iter().map(|(_, weight)| weight).sum();
        for member in &mut self.members {
            let fair = sessions * u64::from(member.weight) * u64::from(100 + percent);
            let bound = fair.div_ceil(100 * weights.max(1));
            let is_over_bound =
                takes_all(member, &self.view) && population.alive(member.slot) > bound;
            effects.is_new |= is_over_bound != member.is_over_bound;
            member.is_over_bound = is_over_bound;
        }
    }

    /// Ends what runs on a backend, on all shards. The later of two cuts says all.
    pub(super) fn cut(&self, index: usize, scene: &mut Scene<'_>) {
        let slot = self.members[index].slot;
        let before = scene.next_epoch;
        scene.cuts.retain(|(_, cut)| cut.slot != slot);
        scene.cuts.push((scene.now_ms, Cut { slot, before }));
    }

    pub(super) fn reweigh(
        &mut self,
        index: usize,
        weight: u32,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        let now = scene.clock.stamp(scene.now_ms);
        let id_hash = self.members[index].id_hash;
        self.chronicle_mut(id_hash).reweigh(now, weight);
        effects.changes_view = true;
        effects.is_new = true;
    }

    pub(super) fn tell(&self, index: usize, what: Happening, effects: &mut Effects) {
        let member = &self.members[index];
        effects.events.push(Event {
            load_balancer: Arc::clone(&self.name),
            backend: Arc::clone(&member.id),
            life: self.life_of(member),
            what,
        });
    }

    fn member(&self, wanted: &config::Backend, slot: u32, scene: &Scene<'_>) -> Member {
        let id_hash = health::id_hash(&wanted.id);
        let open = self.view.chronicle(id_hash).and_then(Chronicle::open);
        Member {
            id: Arc::from(&*wanted.id),
            id_hash,
            slot,
            address: wanted.address,
            port: wanted.port,
            weight: wanted.weight,
            health: match open {
                Some(_) => RiseFall::in_service(self.thresholds()),
                None => RiseFall::new(self.thresholds()),
            },
            opinion: None,
            is_witness: scene.fleet.duties.is_witness(&self.name, id_hash),
            is_over_bound: false,
            departure: None,
            counts: Arc::new(PerShard::new(scene.shard_count)),
            checks: Arc::default(),
        }
    }

    pub(super) fn thresholds(&self) -> Thresholds {
        Thresholds {
            healthy: self.health_check.healthy_threshold,
            unhealthy: self.health_check.unhealthy_threshold,
        }
    }

    pub(super) fn index_of(&self, id: &str) -> Result<usize, Refusal> {
        let index = self.members.iter().position(|member| &*member.id == id);
        index.ok_or_else(|| Refusal::NoBackend(id.to_owned()))
    }

    pub(super) fn chronicle_mut(&mut self, id_hash: u64) -> &mut Chronicle {
        Arc::make_mut(&mut self.view).chronicle_mut(id_hash)
    }
}

/// The listeners of a load balancer, of which each is bound, in order.
pub(super) fn listeners(wanted: &config::LoadBalancer, bound: &[Bound]) -> Vec<Listener> {
    assert_eq!(
        wanted.listeners.len(),
        bound.len(),
        "every listener is bound"
    );
    let listener = |(listener, bound): (&config::Listener, &Bound)| Listener {
        number: bound.number,
        address: bound.address,
        protocol: listener.protocol,
        instance_protocol: listener.instance_protocol,
        instance_port: listener.instance_port,
        stickiness: listener.stickiness.clone().map(Arc::new),
        is_secure: listener.behind_tls || listener.protocol.is_secure(),
        proxy_networks: listener.proxy_networks.as_slice().into(),
        proxy_protocol: wanted
            .backend_policy(listener.instance_port)
            .and_then(|policy| policy.proxy_protocol),
        subject_header: listener.subject_header().map(Into::into),
    };
    wanted.listeners.iter().zip(bound).map(listener).collect()
}

impl Member {
    /// Requests that run on it.
    pub(super) fn outstanding(&self) -> u64 {
        self.counts.sum(|line| &line.outstanding)
    }
}
