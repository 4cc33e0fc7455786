//! What others read of the state: rows for the admin address, plans for the checker.
//!
//! Values only; `pool.rs` makes them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::DrainEnd;
use super::load::{BackendLine, CheckLine, LoadBalancerLine, PerShard};
use crate::config::{self, Attributes, Protocol, Stickiness};
use crate::health::{Status, View};

/// One load balancer: what it is set up to do, and its counters.
#[derive(Debug, Clone)]
pub struct LoadBalancerRow {
    /// Its name.
    pub name: Arc<str>,
    /// Its listeners, in order.
    pub listeners: Vec<ListenerRow>,
    /// Its switches.
    pub attributes: Arc<Attributes>,
    /// The chronicles of its backends.
    pub view: Arc<View>,
    /// Its counters.
    pub counts: Arc<PerShard<LoadBalancerLine>>,
}

/// One listener of a load balancer.
#[derive(Debug, Clone)]
pub struct ListenerRow {
    /// Where it accepts; the port is the real one, also where 0 was asked for.
    pub address: SocketAddr,
    /// What clients speak.
    pub protocol: Protocol,
    /// What backends speak.
    pub instance_protocol: Protocol,
    /// The port of backends that have none of their own.
    pub instance_port: u16,
    /// The stickiness policy in force.
    pub stickiness: Option<Arc<Stickiness>>,
}

/// One backend's health as CLB's `DescribeInstanceHealth` tells it, and a little more.
#[derive(Debug, Clone)]
pub struct HealthRow {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// Its id.
    pub backend: Arc<str>,
    /// Where it is.
    pub address: IpAddr,
    /// Its own port, which replaces the instance port of listeners.
    pub port: Option<u16>,
    /// What its checks say.
    pub status: Status,
    /// How far its drain is, if it leaves.
    pub draining: Option<Stage>,
    /// The number of its life.
    pub life: u32,
    /// Its weight; 0 while its sessions are drained.
    pub weight: u32,
    /// About how many sessions are alive there.
    pub sessions: u64,
    /// It has more than its share of sessions and takes no new ones.
    pub is_over_bound: bool,
    /// Its counters.
    pub counts: Arc<PerShard<BackendLine>>,
    /// Those of its checks.
    pub checks: Arc<CheckLine>,
}

impl HealthRow {
    /// It is in service and does not leave.
    pub fn is_serving(&self) -> bool {
        let leaves = matches!(self.draining, Some(Stage::Connections | Stage::Done(_)));
        self.status == Status::InService && !leaves
    }

    /// Requests and relayed connections that run on it.
    pub fn outstanding(&self) -> u64 {
        self.counts.sum(|line| &line.outstanding)
    }
}

/// A backend about which nodes are not of one mind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeRow {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// Its id.
    pub backend: Arc<str>,
    /// It lives, for the cluster.
    pub is_open: bool,
    /// The nodes that find it well, by name.
    pub well: Vec<Arc<str>>,
    /// The nodes that find it failed.
    pub failed: Vec<Arc<str>>,
}

/// One drain.
#[derive(Debug, Clone)]
pub struct DrainRow {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// The backend that leaves.
    pub backend: Arc<str>,
    /// How far it is.
    pub stage: Stage,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// Sessions that were alive when it began.
    pub sessions_at_start: u64,
    /// Sessions that are alive now.
    pub sessions_left: u64,
    /// The same in percent of those at the start, rounded up.
    pub left_percent: u8,
    /// In what time the sessions become half as many; `None`: not known yet.
    pub half_life: Option<Duration>,
    /// When the last session ends, or the deadline is there; `None`: not known yet.
    pub ends_in: Option<Duration>,
    /// How long the stage may still take.
    pub deadline_in: Duration,
    /// Requests in flight.
    pub outstanding: u64,
}

/// How far a drain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It takes the requests of its own sessions.
    Sessions,
    /// It takes no requests; those in flight finish.
    Connections,
    /// It is deregistered, for this reason if its sessions were drained.
    Done(Option<DrainEnd>),
}

impl Stage {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Connections => "connections",
            Self::Done(_) => "done",
        }
    }
}

/// What the checker needs to know about one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckPlan {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// Its id.
    pub backend: Arc<str>,
    /// Where checks go: the backend's own port, else the target's.
    pub address: SocketAddr,
    /// How and how often.
    pub health_check: Arc<config::HealthCheck>,
    /// It is checked regularly; else only when somebody doubts it, as other nodes check it.
    pub is_regular: bool,
}
