//! What may change the state, and what must happen in the world because of it.
//!
//! Not here: the change itself (`mod.rs`). Invariant: whoever wants a change (checks today) makes
//! a [`Command`]; there is no other way.

use std::sync::Arc;

use crate::health::{Outcome, Transition};

/// A wish to change the state.
#[derive(Debug, Clone)]
pub enum Command {
    /// A health check ended. Ignored if the backend is no longer registered.
    Checked {
        /// Its load balancer.
        load_balancer: Arc<str>,
        /// Its id.
        backend: Arc<str>,
        /// What the check found.
        outcome: Outcome,
    },
}

/// What a command did.
#[derive(Debug, Default)]
pub struct Effects {
    /// The snapshot is another one, with a higher epoch: publish it.
    pub changed: bool,
    /// Changes of status, for the log.
    pub transitions: Vec<StatusChange>,
}

/// One backend's change of status.
#[derive(Debug, Clone)]
pub struct StatusChange {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// Its id.
    pub backend: Arc<str>,
    /// From what to what, and why.
    pub transition: Transition,
    /// How often it has come into service, this time included.
    pub life: u32,
}
