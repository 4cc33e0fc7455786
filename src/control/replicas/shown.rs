//! What is told of the changes of all nodes: whether this one has them all, which of them it cannot
//! have in force, and which of its own were replaced.

use std::sync::Arc;

/// What the control thread can read at any moment.
#[derive(Debug, Clone, Default)]
pub struct Replicated {
    /// A number that two nodes share if they know the same.
    pub digest: u64,
    /// Load balancers and instances that are known, deleted ones included.
    pub things: usize,
    /// What this node knows and cannot have in force, in order of what it is about.
    pub waiting: Arc<[Waiting]>,
    /// The last conflicts, the latest last; at most `limits::CONFLICTS_KEPT`.
    pub conflicts: Arc<[Conflict]>,
}

/// A change that is not in force on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it is about, in words.
    pub thing: String,
    /// The number of the node that made it.
    pub node: u32,
    /// Since when it waits, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why it cannot be in force.
    pub why: String,
}

/// A change of this node that is not what all nodes have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What it is about, in words.
    pub thing: String,
    /// When that was seen, in milliseconds since 1970.
    pub at_ms: u64,
    /// The number of the node whose change is kept.
    pub kept_from_node: u32,
    /// What has happened.
    pub what: String,
}
