//! What the control thread knows, and the only way to change it.
//!
//! Not here: who asks for changes, and how the shards get them (`control`, `sys::link`).
//! Invariants: [`State::apply`] is the only mutation; the epoch grows exactly when a snapshot would
//! be another one; counters stay the same objects from one snapshot to the next.

mod command;
mod load;
mod population;
mod progress;
mod snapshot;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::health::{self, Outcome, RiseFall, Status, Thresholds};

pub use command::{Command, Effects, StatusChange};
pub use load::{BackendLine, ControlLine, Count, LoadBalancerLine, PerShard, ShardLine};
pub use population::Population;
pub use progress::{DrainEnd, Progress};
pub use snapshot::{Backend, DurationPolicy, Report, Route, Snapshot};

/// The load balancers of the process with their backends' health.
#[derive(Debug)]
pub struct State {
    epoch: u64,
    load_balancers: Vec<LoadBalancer>,
}

/// One backend's health as CLB's `DescribeInstanceHealth` tells it, and a little more.
#[derive(Debug, Clone)]
pub struct HealthRow {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// Its id.
    pub backend: Arc<str>,
    /// Its state, reason code and description.
    pub status: Status,
    /// How often it has come into service.
    pub life: u32,
    /// Its counters.
    pub counts: Arc<PerShard<BackendLine>>,
}

/// What the checker needs to know about one backend.
#[derive(Debug, Clone)]
pub struct CheckPlan {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// Its id.
    pub backend: Arc<str>,
    /// Where checks go: the backend's own port, else the target's.
    pub address: SocketAddr,
    /// How and how often.
    pub health_check: Arc<config::HealthCheck>,
}

#[derive(Debug)]
struct LoadBalancer {
    name: Arc<str>,
    health_check: Arc<config::HealthCheck>,
    idle_timeout: Duration,
    listeners: Vec<Listener>,
    pool: Vec<Member>,
    counts: Arc<PerShard<LoadBalancerLine>>,
}

#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    instance_port: u16,
    stickiness: Option<DurationPolicy>,
    is_secure: bool,
}

/// A backend as a member of one load balancer's pool.
#[derive(Debug)]
struct Member {
    id: Arc<str>,
    id_hash: u64,
    address: IpAddr,
    port: Option<u16>,
    health: RiseFall,
    counts: Arc<PerShard<BackendLine>>,
}

impl State {
    /// The state at start: epoch 1, every backend registered and none checked yet.
    ///
    /// `listen` holds the addresses that the listeners got, in configuration order.
    ///
    /// # Panics
    ///
    /// If `listen` has not one address for each listener: our bug.
    pub fn new(config: &config::Config, listen: &[SocketAddr], shard_count: usize) -> Self {
        let listeners: usize = config
            .load_balancers
            .iter()
            .map(|lb| lb.listeners.len())
            .sum();
        assert_eq!(listeners, listen.len(), "every listener is bound");
        let mut bound = listen.iter().copied();
        let load_balancers = config
            .load_balancers
            .iter()
            .map(|wanted| LoadBalancer::new(wanted, &mut bound, shard_count))
            .collect();
        Self {
            epoch: 1,
            load_balancers,
        }
    }

    /// Carries out `command`.
    pub fn apply(&mut self, command: Command) -> Effects {
        match command {
            Command::Checked {
                load_balancer,
                backend,
                outcome,
            } => self.checked(&load_balancer, &backend, outcome),
        }
    }

    /// The picture for the shards.
    pub fn snapshot(&self) -> Snapshot {
        let routes = self
            .load_balancers
            .iter()
            .flat_map(LoadBalancer::routes)
            .collect();
        Snapshot {
            epoch: self.epoch,
            routes,
        }
    }

    /// All backends' health, in configuration order.
    pub fn health(&self) -> Vec<HealthRow> {
        let rows = |lb: &LoadBalancer| {
            let name = Arc::clone(&lb.name);
            lb.pool
                .iter()
                .map(move |member| member.row(&name))
                .collect::<Vec<_>>()
        };
        self.load_balancers.iter().flat_map(rows).collect()
    }

    /// What is to be checked, in configuration order.
    pub fn check_plans(&self) -> Vec<CheckPlan> {
        self.load_balancers
            .iter()
            .flat_map(LoadBalancer::check_plans)
            .collect()
    }

    /// Whether that backend exists and takes requests.
    pub fn is_in_service(&self, load_balancer: &str, backend: &str) -> bool {
        let lb = self
            .load_balancers
            .iter()
            .find(|lb| &*lb.name == load_balancer);
        let member = lb.and_then(|lb| lb.pool.iter().find(|member| &*member.id == backend));
        member.is_some_and(|member| member.health.status() == Status::InService)
    }

    fn checked(&mut self, load_balancer: &str, backend: &str, outcome: Outcome) -> Effects {
        let lb = self
            .load_balancers
            .iter_mut()
            .find(|lb| &*lb.name == load_balancer);
        let Some(lb) = lb else {
            return Effects::default();
        };
        let Some(member) = lb.pool.iter_mut().find(|member| &*member.id == backend) else {
            return Effects::default();
        };
        let Some(transition) = member.health.handle(outcome) else {
            return Effects::default();
        };
        self.epoch += 1;
        let change = StatusChange {
            load_balancer: Arc::clone(&lb.name),
            backend: Arc::clone(&member.id),
            transition,
            life: member.health.life(),
        };
        Effects {
            changed: true,
            transitions: vec![change],
        }
    }
}

impl LoadBalancer {
    fn new(
        wanted: &config::LoadBalancer,
        bound: &mut impl Iterator<Item = SocketAddr>,
        shard_count: usize,
    ) -> Self {
        let thresholds = Thresholds {
            healthy: wanted.health_check.healthy_threshold,
            unhealthy: wanted.health_check.unhealthy_threshold,
        };
        let member = |backend: &config::Backend| Member {
            id: Arc::from(&*backend.id),
            id_hash: health::id_hash(&backend.id),
            address: backend.address,
            port: backend.port,
            health: RiseFall::new(thresholds),
            counts: Arc::new(PerShard::new(shard_count)),
        };
        let cors_cookie_name = wanted.attributes.cors_cookie_name;
        let listener = |(listener, address): (&config::Listener, SocketAddr)| Listener {
            address,
            instance_port: listener.instance_port,
            stickiness: listener
                .stickiness
                .as_ref()
                .and_then(|policy| DurationPolicy::of(policy, cors_cookie_name)),
            is_secure: listener.behind_tls || listener.protocol == config::Protocol::Https,
        };
        Self {
            name: Arc::from(&*wanted.name),
            health_check: Arc::new(wanted.health_check.clone()),
            idle_timeout: wanted.attributes.idle_timeout,
            listeners: wanted.listeners.iter().zip(bound).map(listener).collect(),
            pool: wanted.backends.iter().map(member).collect(),
            counts: Arc::new(PerShard::new(shard_count)),
        }
    }

    fn routes(&self) -> impl Iterator<Item = Route> {
        self.listeners.iter().map(|listener| Route {
            load_balancer: Arc::clone(&self.name),
            counts: Arc::clone(&self.counts),
            address: listener.address,
            scope: health::mix(
                health::id_hash(&self.name),
                u64::from(listener.instance_port),
            ),
            stickiness: listener.stickiness,
            is_secure: listener.is_secure,
            idle_timeout: self.idle_timeout,
            backends: self
                .pool
                .iter()
                .map(|m| m.backend(listener.instance_port))
                .collect(),
        })
    }

    fn check_plans(&self) -> impl Iterator<Item = CheckPlan> {
        self.pool.iter().map(|member| CheckPlan {
            load_balancer: Arc::clone(&self.name),
            backend: Arc::clone(&member.id),
            address: member.address_at(self.health_check.target.port),
            health_check: Arc::clone(&self.health_check),
        })
    }
}

impl Member {
    /// Its address, with its own port if it has one, else `port`.
    fn address_at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, self.port.unwrap_or(port))
    }

    fn backend(&self, instance_port: u16) -> Backend {
        Backend {
            id: Arc::clone(&self.id),
            id_hash: self.id_hash,
            address: self.address_at(instance_port),
            is_in_service: self.health.status() == Status::InService,
            life: self.health.life(),
            counts: Arc::clone(&self.counts),
        }
    }

    fn row(&self, load_balancer: &Arc<str>) -> HealthRow {
        HealthRow {
            load_balancer: Arc::clone(load_balancer),
            backend: Arc::clone(&self.id),
            status: self.health.status(),
            life: self.health.life(),
            counts: Arc::clone(&self.counts),
        }
    }
}

impl DurationPolicy {
    /// `None`: an application-controlled policy.
    fn of(policy: &config::Stickiness, cors_cookie_name: config::CorsCookieName) -> Option<Self> {
        match policy {
            config::Stickiness::Duration(policy) => Some(Self {
                max_age_seconds: policy.expiration_seconds.map(std::num::NonZeroU32::get),
                cors_cookie_name,
            }),
            config::Stickiness::Application(_) => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
