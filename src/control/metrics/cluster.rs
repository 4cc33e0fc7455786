//! The metrics of what nodes of a cluster have in common; without one all are zero.
//!
//! Not here: all others, and what the columns are (`table.rs`). Invariant: a bound that can be
//! reached by what other nodes say has a counter here.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::table::Row;
use crate::state::ControlLine;

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
