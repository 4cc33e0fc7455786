//! A load balancer as others see it: routes for the shards, rows for people, plans for the checker.
//!
//! Reads only; what changes is in `pool.rs`.

use std::net::SocketAddr;
use std::sync::Arc;

use super::departure::Departure;
use super::pool::{LoadBalancer, Member};
use super::population::Population;
use super::rows::{CheckPlan, DrainRow, HealthRow, ListenerRow, LoadBalancerRow};
use super::snapshot::{Admits, Backend, Route};
use crate::health::{self, Status, View};

impl LoadBalancer {
    /// `None`: it is ending.
    pub(super) fn row(&self) -> Option<LoadBalancerRow> {
        let listeners = self.listeners.iter().map(|listener| ListenerRow {
            address: listener.address,
            protocol: listener.protocol,
            instance_protocol: listener.instance_protocol,
            instance_port: listener.instance_port,
            stickiness: listener.stickiness.clone(),
        });
        (!self.is_leaving).then(|| LoadBalancerRow {
            name: Arc::clone(&self.name),
            listeners: listeners.collect(),
            attributes: Arc::clone(&self.attributes),
            view: Arc::clone(&self.view),
            counts: Arc::clone(&self.counts),
        })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Whether a backend takes requests, and why not.
    pub(super) fn status(&self, id: &str) -> Option<Status> {
        let member = self.members.iter().find(|member| &*member.id == id)?;
        Some(member.status(&self.view))
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = Route> {
        self.listeners.iter().map(|listener| Route {
            listener: listener.number,
            load_balancer: Arc::clone(&self.name),
            counts: Arc::clone(&self.counts),
            address: listener.address,
            protocol: listener.protocol,
            scope: health::mix(
                health::id_hash(&self.name),
                u64::from(listener.instance_port),
            ),
            stickiness: listener.stickiness.clone(),
            attributes: Arc::clone(&self.attributes),
            is_secure: listener.is_secure,
            proxy_networks: Arc::clone(&listener.proxy_networks),
            proxy_protocol: listener.proxy_protocol,
            subject_header: listener.subject_header.clone(),
            backends: self
                .members
                .iter()
                .map(|member| self.backend(member, listener.instance_port))
                .collect(),
            view: Arc::clone(&self.view),
        })
    }

    fn backend(&self, member: &Member, instance_port: u16) -> Backend {
        let open = self.view.chronicle(member.id_hash).and_then(|c| c.open());
        Backend {
            id: Arc::clone(&member.id),
            id_hash: member.id_hash,
            slot: member.slot,
            address: member.address_at(instance_port),
            admits: member.admits(&self.view),
            life: self.life_of(member),
            weight: member.weight,
            born_ms: open.map_or(0, |life| life.born.wall_ms),
            is_over_bound: member.is_over_bound,
            max_outstanding: self.attributes.overload.max_outstanding,
            counts: Arc::clone(&member.counts),
        }
    }

    pub(super) fn life_of(&self, member: &Member) -> u32 {
        let chronicle = self.view.chronicle(member.id_hash);
        chronicle.map_or(0, health::Chronicle::last_number)
    }

    pub(super) fn check_plans(&self) -> impl Iterator<Item = CheckPlan> {
        let stays = |member: &&Member| {
            let departure = member.departure.as_ref();
            departure.is_none_or(Departure::takes_sessions)
        };
        self.members.iter().filter(stays).map(|member| CheckPlan {
            load_balancer: Arc::clone(&self.name),
            backend: Arc::clone(&member.id),
            address: member.address_at(self.health_check.target.port),
            health_check: Arc::clone(&self.health_check),
            is_regular: member.is_checked_regularly(),
        })
    }

    pub(super) fn health<'a>(
        &'a self,
        population: &'a Population,
    ) -> impl Iterator<Item = HealthRow> {
        self.members.iter().map(move |member| {
            let departure = member.departure.as_ref();
            HealthRow {
                load_balancer: Arc::clone(&self.name),
                backend: Arc::clone(&member.id),
                address: member.address,
                port: member.port,
                status: member.status(&self.view),
                draining: departure.map(Departure::stage),
                life: self.life_of(member),
                weight: if departure.is_some() {
                    0
                } else {
                    member.weight
                },
                sessions: population.alive(member.slot),
                is_over_bound: member.is_over_bound,
                counts: Arc::clone(&member.counts),
                checks: Arc::clone(&member.checks),
            }
        })
    }

    /// Drains that go on, then those that ended lately, the last first.
    pub(super) fn drains(&self, now_ms: u64) -> impl Iterator<Item = DrainRow> {
        let going_on = (0..self.members.len()).filter_map(move |at| self.drain_row(at, now_ms));
        going_on.chain(self.done.iter().rev().cloned())
    }

    pub(super) fn is_draining(&self) -> bool {
        self.members.iter().any(|member| member.departure.is_some())
    }

    pub(super) fn drain_row(&self, index: usize, now_ms: u64) -> Option<DrainRow> {
        let member = &self.members[index];
        let departure = member.departure.as_ref()?;
        let picture = departure.picture(now_ms);
        Some(DrainRow {
            load_balancer: Arc::clone(&self.name),
            backend: Arc::clone(&member.id),
            stage: departure.stage(),
            began_ms: departure.began_ms,
            sessions_at_start: picture.sessions_at_start,
            sessions_left: picture.sessions_left,
            left_percent: picture.left_percent,
            half_life: picture.half_life,
            ends_in: picture.ends_in,
            deadline_in: picture.deadline_in,
            outstanding: member.outstanding(),
        })
    }
}

impl Member {
    /// Its address, with its own port if it has one, else `port`.
    fn address_at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, self.port.unwrap_or(port))
    }

    fn admits(&self, view: &View) -> Admits {
        match &self.departure {
            _ if !self.is_served(view) => Admits::Nothing,
            None => Admits::All,
            Some(departure) if departure.takes_sessions() => Admits::Sessions,
            Some(_) => Admits::Nothing,
        }
    }
}
