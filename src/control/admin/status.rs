//! `/v1/status`: the process and its load balancers at a glance.
//!
//! Not the single backends (`rows.rs`), nor all that is counted (`metrics`).

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::{About, Origin, Published};
use super::Shared;
use super::answer::{Answer, json};
use super::cluster::ClusterGlance;
use crate::http::Reply;
use crate::state::{HealthRow, ListenerRow, LoadBalancerRow};
use crate::sys::Instant;

/// What is the same for as long as the process runs.
#[derive(Debug)]
pub(in crate::control) struct Standing {
    version: &'static str,
    began: Instant,
    driver: &'static str,
    cores: Vec<Option<usize>>,
    /// Whose load balancers are meant by a request that says nothing of it.
    pub(super) region: String,
    state_dir: Option<String>,
    config_file: Option<String>,
}

impl Standing {
    /// The process begins now.
    pub(in crate::control) fn new(about: &About, origin: &Origin, region: &str) -> Self {
        let state_dir = origin.host.state_dir.as_ref();
        Self {
            version: about.version,
            began: Instant::now(),
            driver: about.driver,
            cores: about.cores.clone(),
            region: region.to_owned(),
            state_dir: state_dir.map(|directory| directory.display().to_string()),
            config_file: origin.sources.file_name().map(str::to_owned),
        }
    }
}

impl Standing {
    /// The CPU of each shard; `None`: it is not pinned.
    pub(super) fn cores(&self) -> &[Option<usize>] {
        &self.cores
    }
}

/// The answer of `/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessStatus {
    /// The version of elbow.
    pub version: String,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// `serving` or `draining`.
    pub phase: String,
    /// What the shards run on, such as `uring+defer` or `epoll`; the least of them.
    pub driver: String,
    /// The CPU of each shard; `None`: it is not pinned.
    pub cores: Vec<Option<usize>>,
    /// How many credentials the admin address lets in; 0: it is open to everybody on this host.
    pub credentials: usize,
    /// Whose load balancers those of the file are.
    pub region: String,
    /// Where keys, the lives of backends and what the API changes are kept; `None`: nowhere.
    pub state_dir: Option<String>,
    /// The configuration file as it was named; `None`: it was started without.
    pub config_file: Option<String>,
    /// The cluster in a line; `None`: there is none.
    pub cluster: Option<ClusterGlance>,
    /// The load balancers of all regions.
    pub load_balancers: Vec<LoadBalancerStatus>,
}

/// One load balancer. Counts are those since the process began or the load balancer was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoadBalancerStatus {
    /// Its name, behind the region and a slash if it is of another one than the host's.
    pub name: String,
    /// Where it listens.
    pub listeners: Vec<ListenerStatus>,
    /// Instances that are in service and do not leave.
    pub instances_in_service: usize,
    /// All that are registered.
    pub instances: usize,
    /// About how many sessions are alive.
    pub sessions: u64,
    /// Requests and relayed connections that run.
    pub outstanding: u64,
    /// Request heads read.
    pub requests: u64,
    /// Connections that TCP and SSL listeners took on.
    pub relays: u64,
    /// Requests that elbow answered with 5xx itself.
    pub elbow_5xx: u64,
    /// Answers of the instances that are registered now with 5xx.
    pub backend_5xx: u64,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerStatus {
    /// Where it accepts.
    pub address: String,
    /// What clients speak.
    pub protocol: String,
    /// What instances speak.
    pub instance_protocol: String,
    /// The port of instances that have none of their own.
    pub instance_port: u16,
    /// The name of the stickiness policy in force.
    pub policy: Option<String>,
}

impl From<&ListenerRow> for ListenerStatus {
    fn from(row: &ListenerRow) -> Self {
        let policy = row.stickiness.as_deref();
        Self {
            address: row.address.to_string(),
            protocol: row.protocol.to_string(),
            instance_protocol: row.instance_protocol.to_string(),
            instance_port: row.instance_port,
            policy: policy.map(|policy| policy.name().to_owned()),
        }
    }
}

impl LoadBalancerStatus {
    /// `backends` are those of this load balancer.
    fn new(row: &LoadBalancerRow, backends: &[HealthRow]) -> Self {
        let own = Reply::ALL.iter().enumerate();
        let own = own.filter(|(_, reply)| reply.status() >= 500);
        let own = own.map(|(index, _)| row.counts.sum(|line| &line.own_answers[index]));
        let backends_5xx = backends.iter().map(|b| b.counts.sum(|l| &l.responses[4]));
        Self {
            name: row.name.to_string(),
            listeners: row.listeners.iter().map(ListenerStatus::from).collect(),
            instances_in_service: backends.iter().filter(|row| row.is_serving()).count(),
            instances: backends.len(),
            sessions: backends.iter().map(|backend| backend.sessions).sum(),
            outstanding: backends.iter().map(HealthRow::outstanding).sum(),
            requests: row.counts.sum(|line| &line.requests),
            relays: row.counts.sum(|line| &line.relays),
            elbow_5xx: own.sum(),
            backend_5xx: backends_5xx.sum(),
        }
    }
}

impl Published {
    fn statuses(&self) -> Vec<LoadBalancerStatus> {
        let rows = self.load_balancers.iter();
        rows.map(|row| LoadBalancerStatus::new(row, self.backends_of(&row.name)))
            .collect()
    }
}

/// Shows the process and its load balancers at a glance
#[utoipa::path(
    get,
    path = "/v1/status",
    operation_id = "show_status",
    tag = "process",
    responses((status = 200, description = "How it is", body = ProcessStatus))
)]
pub(super) async fn status(admin: Shared) -> Answer {
    let standing = &admin.standing;
    let published = admin.published.borrow().clone();
    let status = ProcessStatus {
        version: standing.version.to_owned(),
        uptime_seconds: Instant::now().since(standing.began).as_secs(),
        phase: admin.link.phase().name().to_owned(),
        driver: standing.driver.to_owned(),
        cores: standing.cores.clone(),
        credentials: admin.access.credentials(),
        region: standing.region.clone(),
        state_dir: standing.state_dir.clone(),
        config_file: standing.config_file.clone(),
        cluster: published.fleet.as_ref().map(|fleet| fleet.glance()),
        load_balancers: published.statuses(),
    };
    Ok(json(StatusCode::OK, &status))
}
