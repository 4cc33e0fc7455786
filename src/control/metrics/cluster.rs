//! The metrics of the nodes of a cluster and of what they have in common. Without one this node is
//! all there are, and is never wrong.
//!
//! Not here: all others, and what the columns are (`table.rs`). Invariant: a bound that can be
//! reached by what other nodes say has a counter here.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::table::{Name, Row};
use crate::control::gossip::{FleetRow, NodeRow};
use crate::state::{ControlLine, GossipLine};

/// A gauge of the nodes as this one sees them, and what it is without a cluster.
pub(super) type FleetFact = (&'static str, &'static str, fn(&FleetRow) -> u64, u64);

/// Without labels.
pub(super) const OF_FLEET: &[FleetFact] = &[
    (
        "elbow_cluster_nodes_live",
        "Nodes that live, this one included",
        |fleet| fleet.live() as u64,
        1,
    ),
    (
        "elbow_cluster_nodes_known",
        "Nodes that there are, lost ones and those that were never heard included",
        |fleet| fleet.known as u64,
        1,
    ),
    (
        "elbow_cluster_quorum",
        "1 while the nodes that live can declare a backend dead for all",
        |fleet| u64::from(fleet.has_quorum),
        1,
    ),
    (
        "elbow_cluster_ready",
        "1 once this node has caught up with the others",
        |fleet| u64::from(fleet.own().head.as_ref().is_some_and(|head| head.is_ready)),
        1,
    ),
    (
        "elbow_cluster_nodes_differing",
        "Nodes that live and know other lives or other changes by the API than this one",
        |fleet| fleet.nodes.iter().filter(|node| differs(node)).count() as u64,
        0,
    ),
    (
        "elbow_cluster_disputes",
        "Backends that some nodes find well and others failed",
        |fleet| fleet.disputes.len() as u64,
        0,
    ),
];

fn differs(node: &NodeRow) -> bool {
    node.is_live && node.differs_since_ms.is_some()
}

/// A histogram.
pub(super) const NEWS_AGE: Name = (
    "elbow_cluster_news_age",
    "How old what other nodes tell of backends was when it came, if it was younger than a minute",
);

/// Without labels.
pub(super) const OF_CLUSTER: &[Row<ControlLine>] = &[
    (
        "elbow_replication_adopted",
        "Changes made on other nodes that came to be in force on this one",
        Counter,
        |l| &l.replication_adopted,
    ),
    (
        "elbow_replication_older",
        "Changes made on other nodes that came when a later one was known",
        Counter,
        |l| &l.replication_older,
    ),
    (
        "elbow_replication_refused",
        "Changes made on other nodes that are not taken: not understood, from the future, too many",
        Counter,
        |l| &l.replication_refused,
    ),
    (
        "elbow_replication_conflicts",
        "Changes made on this node that were replaced by those of nodes that did not know of them",
        Counter,
        |l| &l.replication_conflicts,
    ),
    (
        "elbow_replication_too_large",
        "Changes made on this node that are too large to travel to others",
        Counter,
        |l| &l.replication_too_large,
    ),
    (
        "elbow_replication_waiting",
        "Changes made on other nodes that cannot be in force on this one now",
        Gauge,
        |l| &l.replication_waiting,
    ),
    (
        "elbow_tombstones_forgotten",
        "Deletions that nodes remember no more, as they are old or too many",
        Counter,
        |l| &l.tombstones_forgotten,
    ),
];

/// Without labels.
pub(super) const OF_GOSSIP: &[Row<GossipLine>] = &[
    (
        "elbow_gossip_datagrams_sent",
        "Datagrams sent to other nodes",
        Counter,
        |l| &l.datagrams_sent,
    ),
    (
        "elbow_gossip_bytes_sent",
        "Bytes of them, without UDP and IP",
        Counter,
        |l| &l.bytes_sent,
    ),
    (
        "elbow_gossip_datagrams_received",
        "Datagrams that came to the address for other nodes, whoever sent them",
        Counter,
        |l| &l.datagrams_received,
    ),
    (
        "elbow_gossip_bytes_received",
        "Bytes of them, without UDP and IP",
        Counter,
        |l| &l.bytes_received,
    ),
    (
        "elbow_gossip_send_errors",
        "Datagrams that could not be sent",
        Counter,
        |l| &l.send_errors,
    ),
    (
        "elbow_gossip_receive_errors",
        "Times that the socket failed to receive",
        Counter,
        |l| &l.receive_errors,
    ),
    (
        "elbow_gossip_messages_incomplete",
        "Messages of other nodes given up as not all of their datagrams came, or too many waited",
        Counter,
        |l| &l.messages_incomplete,
    ),
    (
        "elbow_gossip_messages_unreadable",
        "Messages of other nodes that have the right seal and say nothing that is understood",
        Counter,
        |l| &l.messages_unreadable,
    ),
    (
        "elbow_gossip_messages_too_long",
        "Messages that were not sent as they were too long",
        Counter,
        |l| &l.messages_too_long,
    ),
];

/// With label `reason`; a counter.
pub(super) const GOSSIP_REFUSED: Name = (
    "elbow_gossip_refused",
    "Datagrams that were not listened to, such as foreign, forged and repeated ones",
);
