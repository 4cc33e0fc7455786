//! `/v1/cluster`: the nodes as this one sees them, and what they are not at one about.
//!
//! Not how they come to be at one (`gossip`, `replicas`, `state`). Invariant: without a cluster the
//! answer is that of one node that decides alone, and no error.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::answer::{Answer, json};
use crate::cluster::node_number;
use crate::control::gossip::{FleetRow, NodeRow};
use crate::control::replicas::{Conflict, Waiting};
use crate::state::DisputeRow;
use crate::sys::unix_millis;

/// The answer of `/v1/cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterStatus {
    /// Whether there is a cluster; if not, this node decides alone and all lists are empty.
    pub enabled: bool,
    /// The name of the node that answers; null: there is no cluster.
    #[schema(example = "elbow-1")]
    pub node: Option<String>,
    /// How many nodes live, as far as this one hears them.
    #[schema(example = 3)]
    pub live: usize,
    /// How many there are, lost ones and those that were never heard included.
    #[schema(example = 3)]
    pub known: usize,
    /// Those that live are more than half of all, so that they can declare a backend dead for all.
    pub quorum: bool,
    /// The nodes, that which answers first.
    pub nodes: Vec<NodeStatus>,
    /// Backends that some nodes find well and others failed.
    pub disputes: Vec<Dispute>,
    /// Changes made on other nodes that cannot be in force on this one now.
    pub waiting: Vec<WaitingChange>,
    /// The last changes made on this node that were replaced by those of nodes that did not know of
    /// them, the latest last.
    pub conflicts: Vec<ReplacedChange>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// Its name.
    #[schema(example = "elbow-1")]
    pub name: String,
    /// The number by which it is known in what travels.
    pub number: u32,
    /// Where others reach it; null: not known.
    #[schema(example = "10.0.0.5:7946")]
    pub address: Option<String>,
    /// It was heard lately.
    pub live: bool,
    /// For how many seconds it has not been heard; null: it lives.
    pub lost_seconds: Option<u64>,
    /// `ready`, `catching-up` after its start, `draining` before its end, or `lost`.
    #[schema(example = "ready")]
    pub state: String,
    /// Its version, by its last words like what follows; null: it has not said yet.
    #[schema(example = "0.1.0")]
    pub version: Option<String>,
    /// When it started, in milliseconds since 1970 by its own clock.
    pub started_ms: u64,
    /// The epoch of its state, which each node counts for itself; null: it has not said yet.
    pub epoch: Option<u64>,
    /// What it knows otherwise than the node that answers: `lives` of backends, `changes` by the
    /// API; empty: it knows the same; null: it has not said yet.
    pub differs_in: Option<Vec<String>>,
    /// For how many seconds it has known something else; null: it knows the same.
    pub differs_seconds: Option<u64>,
}

/// A backend that some nodes find well and others failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dispute {
    /// Its load balancer.
    #[schema(example = "web")]
    pub load_balancer: String,
    /// Its id.
    #[schema(example = "i-0a1b2c3d")]
    pub instance: String,
    /// It lives for the cluster; nodes that find it failed serve its sessions elsewhere.
    pub lives: bool,
    /// The nodes that find it well.
    pub well: Vec<String>,
    /// The nodes that find it failed.
    pub failed: Vec<String>,
}

/// A change made on another node that is not in force on this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingChange {
    /// What it is about.
    #[schema(example = "load balancer web")]
    pub thing: String,
    /// The node that made it: its name, or its number if the name is not known.
    pub node: String,
    /// For how many seconds it has waited.
    pub waiting_seconds: u64,
    /// Why it cannot be in force.
    pub why: String,
}

/// A change made on this node that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplacedChange {
    /// What it is about.
    #[schema(example = "load balancer web")]
    pub thing: String,
    /// When that was seen, in milliseconds since 1970.
    pub at_ms: u64,
    /// The node whose change is kept: its name, or its number if the name is not known.
    pub kept_from: String,
    /// What has happened.
    pub what: String,
}

/// The cluster in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterGlance {
    /// The name of this node.
    #[schema(example = "elbow-1")]
    pub node: String,
    /// How many nodes live.
    #[schema(example = 3)]
    pub live: usize,
    /// How many there are, lost ones and those that were never heard included.
    #[schema(example = 3)]
    pub known: usize,
    /// Those that live can declare a backend dead for all.
    pub quorum: bool,
    /// This node has caught up with the others.
    pub ready: bool,
}

impl FleetRow {
    /// The name of the node of that number, or what there is to say instead.
    fn named(&self, number: u32) -> String {
        let mut nodes = self.nodes.iter();
        let node = nodes.find(|node| node_number(&node.name) == number);
        node.map_or_else(|| format!("node {number}"), |node| node.name.to_string())
    }

    /// All of it in a line.
    pub(in crate::control) fn glance(&self) -> ClusterGlance {
        let own = self.own();
        ClusterGlance {
            node: own.name.to_string(),
            live: self.live(),
            known: self.known,
            quorum: self.has_quorum,
            ready: own.head.as_ref().is_some_and(|head| head.is_ready),
        }
    }
}

impl ClusterStatus {
    fn alone() -> Self {
        Self {
            enabled: false,
            node: None,
            live: 1,
            known: 1,
            quorum: true,
            nodes: Vec::new(),
            disputes: Vec::new(),
            waiting: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    fn of(fleet: &FleetRow, now_ms: u64) -> Self {
        let own = fleet.own();
        let node = |row: &NodeRow| NodeStatus::new(row, own, now_ms);
        let replicated = &fleet.replicated;
        let waiting = |change: &Waiting| WaitingChange {
            thing: change.thing.clone(),
            node: fleet.named(change.node),
            waiting_seconds: seconds(change.since_ms, now_ms),
            why: change.why.clone(),
        };
        let conflict = |change: &Conflict| ReplacedChange {
            thing: change.thing.clone(),
            at_ms: change.at_ms,
            kept_from: fleet.named(change.kept_from_node),
            what: change.what.clone(),
        };
        Self {
            enabled: true,
            node: Some(own.name.to_string()),
            live: fleet.live(),
            known: fleet.known,
            quorum: fleet.has_quorum,
            nodes: fleet.nodes.iter().map(node).collect(),
            disputes: fleet.disputes.iter().map(Dispute::from).collect(),
            waiting: replicated.waiting.iter().map(waiting).collect(),
            conflicts: replicated.conflicts.iter().map(conflict).collect(),
        }
    }
}

impl NodeRow {
    fn state(&self) -> &'static str {
        match &self.head {
            _ if !self.is_live => "lost",
            Some(head) if head.is_draining => "draining",
            Some(head) if head.is_ready => "ready",
            Some(_) | None => "catching-up",
        }
    }
}

impl NodeStatus {
    fn new(row: &NodeRow, own: &NodeRow, now_ms: u64) -> Self {
        let head = row.head.as_ref();
        let heads = head.zip(own.head.as_ref());
        Self {
            name: row.name.to_string(),
            number: node_number(&row.name),
            address: row.address.map(|address| address.to_string()),
            live: row.is_live,
            lost_seconds: row.lost_since_ms.map(|since| seconds(since, now_ms)),
            state: row.state().to_owned(),
            version: head.map(|head| head.version.clone()),
            started_ms: row.boot_ms,
            epoch: head.map(|head| head.epoch),
            differs_in: heads.map(|(head, own)| {
                let lives = (head.lives != own.lives).then_some("lives");
                let changes = (head.changes != own.changes).then_some("changes");
                let both = lives.into_iter().chain(changes);
                both.map(str::to_owned).collect()
            }),
            differs_seconds: row.differs_since_ms.map(|since| seconds(since, now_ms)),
        }
    }
}

impl From<&DisputeRow> for Dispute {
    fn from(row: &DisputeRow) -> Self {
        let names = |nodes: &[Arc<str>]| nodes.iter().map(|n| n.to_string()).collect();
        Self {
            load_balancer: row.load_balancer.to_string(),
            instance: row.backend.to_string(),
            lives: row.is_open,
            well: names(&row.well),
            failed: names(&row.failed),
        }
    }
}

fn seconds(since_ms: u64, now_ms: u64) -> u64 {
    now_ms.saturating_sub(since_ms) / 1000
}

/// Shows the nodes of the cluster
///
/// As the node that is asked sees them: who lives, who knows the same, whether they are enough to
/// decide, and what they are not at one about.
#[utoipa::path(
    get,
    path = "/v1/cluster",
    operation_id = "show_cluster",
    tag = "process",
    responses((status = 200, description = "The nodes as this one sees them", body = ClusterStatus))
)]
pub(super) async fn show(admin: Shared) -> Answer {
    let fleet = admin.published.borrow().fleet.clone();
    let status = fleet.map_or_else(ClusterStatus::alone, |fleet| {
        ClusterStatus::of(&fleet, unix_millis())
    });
    Ok(json(StatusCode::OK, &status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::gossip::Head;
    use crate::control::replicas::Replicated;

    fn head(lives: u64) -> Head {
        Head {
            version: "9.8.7".to_owned(),
            epoch: 12,
            lives,
            changes: 5,
            is_ready: true,
            is_draining: false,
        }
    }

    fn node(name: &str, head: Option<Head>) -> NodeRow {
        NodeRow {
            name: name.into(),
            address: Some(([10, 0, 0, 1], 7946).into()),
            boot_ms: 1_000,
            is_live: true,
            lost_since_ms: None,
            head,
            differs_since_ms: None,
        }
    }

    fn fleet() -> FleetRow {
        let lost = NodeRow {
            is_live: false,
            lost_since_ms: Some(7_000),
            differs_since_ms: Some(3_500),
            ..node("c", None)
        };
        let draining = Head {
            is_draining: true,
            ..head(2)
        };
        let behind = NodeRow {
            differs_since_ms: Some(8_000),
            ..node("b", Some(draining))
        };
        FleetRow {
            nodes: vec![node("a", Some(head(1))), behind, lost],
            has_quorum: true,
            known: 3,
            disputes: Vec::new(),
            replicated: Replicated::default(),
        }
    }

    #[test]
    fn nodes_are_told_with_what_they_know_and_how_long_they_are_lost() {
        let told = ClusterStatus::of(&fleet(), 10_000);
        assert_eq!((told.live, told.known, told.quorum), (2, 3, true));
        assert_eq!(told.node.as_deref(), Some("a"));
        let states = told.nodes.iter().map(|node| node.state.as_str());
        assert_eq!(states.collect::<Vec<_>>(), ["ready", "draining", "lost"]);
        let differs_in = told.nodes.iter().map(|node| node.differs_in.clone());
        let expected = [Some(vec![]), Some(vec!["lives".to_owned()]), None];
        assert_eq!(differs_in.collect::<Vec<_>>(), expected);
        let times = told
            .nodes
            .iter()
            .map(|n| (n.differs_seconds, n.lost_seconds));
        let expected = [(None, None), (Some(2), None), (Some(6), Some(3))];
        assert_eq!(times.collect::<Vec<_>>(), expected);
        assert_eq!(told.nodes[2].version, None);
        assert_eq!(told.nodes[1].number, node_number("b"));
    }

    #[test]
    fn nodes_go_by_their_names_where_these_are_known() {
        let replicated = Replicated {
            waiting: [Waiting {
                thing: "load balancer web".to_owned(),
                node: node_number("b"),
                since_ms: 4_000,
                why: "port 80 is taken".to_owned(),
            }]
            .into(),
            conflicts: [Conflict {
                thing: "instance i-1".to_owned(),
                at_ms: 9_000,
                kept_from_node: 7,
                what: "it was changed there later".to_owned(),
            }]
            .into(),
            ..Replicated::default()
        };
        let fleet = FleetRow {
            replicated,
            ..fleet()
        };
        let told = ClusterStatus::of(&fleet, 10_000);
        assert_eq!(told.waiting[0].node, "b");
        assert_eq!(told.waiting[0].waiting_seconds, 6);
        assert_eq!(told.conflicts[0].kept_from, "node 7");
    }
}
