//! What happens from one second to the next: two readings of the counters, and the rates between.
//!
//! Not what has happened since the start (`metrics.rs`, `admin/status.rs`), and not who is told
//! (`admin/live.rs`). Invariant: a reading only loads, so it disturbs no shard; what there is for
//! single backends is read where one load balancer is asked for.

mod reading;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admin::{ClusterGlance, Drain};

pub(super) use self::reading::{Reading, Watched};

/// A second of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long it was. Rates are those in this time.
    pub seconds: f64,
    /// `serving` or `draining`.
    pub phase: String,
    /// The number of the snapshot in force.
    pub epoch: u64,
    /// The cluster in a line; `None`: there is none.
    pub cluster: Option<ClusterGlance>,
    /// The shards, in order.
    pub shards: Vec<ShardMoment>,
    /// The load balancers of all regions, or the one that is asked for.
    pub load_balancers: Vec<LoadBalancerMoment>,
}

/// A second of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShardMoment {
    /// Its number.
    pub shard: usize,
    /// The CPU to which it is pinned; `None`: to none.
    pub core: Option<usize>,
    /// How much of a CPU it took.
    pub cpu_percent: f64,
    /// Client connections that are open.
    pub connections: u64,
    /// Those that it accepted.
    pub accepted_per_second: f64,
    /// Sessions in its table.
    pub sessions: u64,
    /// Sweeps that came late: something kept it from its other connections.
    pub sweeps_late: u64,
}

/// A second of a load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadBalancerMoment {
    /// Its name, behind the region and a slash if it is of another one than the host's.
    #[schema(example = "web")]
    pub name: String,
    /// Request heads read.
    pub requests_per_second: f64,
    /// Connections that TCP and SSL listeners took on.
    pub relays_per_second: f64,
    /// Answers by whose they were and their class.
    pub answers_per_second: AnswersPerSecond,
    /// How long backends took; `None`: they answered nothing.
    pub latency_ms: Option<LatencyMillis>,
    /// Requests and relayed connections that run.
    pub outstanding: u64,
    /// Those that wait for a backend with room.
    pub waiting: u64,
    /// About how many sessions are alive.
    pub sessions: u64,
    /// Requests by what their cookie said.
    pub verdicts_per_second: BTreeMap<String, f64>,
    /// All instances that are registered.
    pub instances: usize,
    /// Those that are in service and do not leave.
    pub instances_in_service: usize,
    /// The instances; empty unless this load balancer is asked for.
    pub backends: Vec<BackendMoment>,
    /// Where sessions went in the last ten minutes, the latest at the end; empty unless this load
    /// balancer is asked for.
    pub moves: Vec<Move>,
    /// Instances that leave, and the last ones that have left; empty unless this load balancer is
    /// asked for.
    pub drains: Vec<Drain>,
}

/// Answers in a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswersPerSecond {
    /// 2xx of backends.
    pub backend_2xx: f64,
    /// 3xx of backends.
    pub backend_3xx: f64,
    /// 4xx of backends.
    pub backend_4xx: f64,
    /// 5xx of backends.
    pub backend_5xx: f64,
    /// 4xx that elbow made itself.
    pub elbow_4xx: f64,
    /// 5xx that elbow made itself.
    pub elbow_5xx: f64,
}

/// From the sending of a request to the head of its answer, on TCP and SSL listeners how long it
/// took to connect; in milliseconds, as far as buckets that double can tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LatencyMillis {
    /// Half of them took no longer.
    pub p50: f64,
    /// Nine in ten took no longer.
    pub p90: f64,
    /// All but one in a hundred took no longer.
    pub p99: f64,
}

/// A second of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackendMoment {
    /// Its id.
    #[schema(example = "i-0a1b2c3d")]
    pub backend: String,
    /// As in `/v1/backends`.
    #[schema(example = "in-service")]
    pub health: String,
    /// How far it is on its way out: `sessions` or `connections`; `None`: it stays.
    pub draining: Option<String>,
    /// How often it came into service.
    pub life: u32,
    /// Its share of new sessions; 0 while it leaves.
    pub weight: u32,
    /// About how many sessions are alive there.
    pub sessions: u64,
    /// Requests and relayed connections that run on it.
    pub outstanding: u64,
    /// Requests that it answered; where only bytes are relayed, connections to it.
    pub requests_per_second: f64,
    /// Its 5xx, requests that it did not answer, and connections that it did not take.
    pub errors_per_second: f64,
}

/// Sessions that went from one instance to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Move {
    /// The instance where they were; 16 hex digits if it is not known any more.
    #[schema(example = "i-0a1b2c3d")]
    pub from: String,
    /// The one to which they went.
    #[schema(example = "i-0a1b2c3e")]
    pub to: String,
    /// About how many came there, as far as they have been seen.
    pub sessions: u64,
    /// When the first of them was seen there, in milliseconds since 1970.
    pub at_ms: u64,
}

#[cfg(test)]
mod tests;
