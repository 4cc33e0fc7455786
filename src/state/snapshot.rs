//! What the shards know: an immutable, numbered picture of listeners, backends and health.
//!
//! A shard takes one snapshot per exchange and never sees half of a change. All that moves behind
//! it are the counters of `load.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::load::{BackendLine, LoadBalancerLine, PerShard};
use crate::config::CorsCookieName;

/// One epoch of the world.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows by one with every change; shards re-resolve table entries of older epochs.
    pub epoch: u64,
    /// One route per listener, in configuration order: listener `i` of the process is `routes[i]`.
    pub routes: Vec<Route>,
}

/// What one listener does with a request.
#[derive(Debug, Clone)]
pub struct Route {
    /// The load balancer's name.
    pub load_balancer: Arc<str>,
    /// The load balancer's counters, shared by its listeners.
    pub counts: Arc<PerShard<LoadBalancerLine>>,
    /// Where the listener accepts; the port is the real one, also where 0 was asked for.
    pub address: SocketAddr,
    /// What a cookie is valid for: load balancer and instance port.
    pub scope: u64,
    /// The cookie policy; `None`: every request is balanced anew.
    pub stickiness: Option<DurationPolicy>,
    /// The front end is HTTPS: `X-Forwarded-Proto: https`, second cookie.
    pub is_secure: bool,
    /// How long either side may be silent.
    pub idle_timeout: Duration,
    /// All registered backends, in service or not; order is stable within an epoch.
    pub backends: Vec<Backend>,
}

/// A duration-based policy, ready to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationPolicy {
    /// `MAX-AGE`; `None`: the browser session.
    pub max_age_seconds: Option<u32>,
    /// The second cookie's name.
    pub cors_cookie_name: CorsCookieName,
}

/// One backend as a listener sees it.
#[derive(Debug, Clone)]
pub struct Backend {
    /// The id as the operator wrote it.
    pub id: Arc<str>,
    /// The id's hash (`health::id_hash`): what a cookie names, and what ranks use.
    pub id_hash: u64,
    /// Where requests go.
    pub address: SocketAddr,
    /// Registered, healthy and not draining.
    pub is_in_service: bool,
    /// How often it came into service, from 1; 0 before the first time. A cookie records it.
    pub life: u32,
    /// Its counters, shared by all listeners of the load balancer.
    pub counts: Arc<PerShard<BackendLine>>,
}

/// What a shard tells the control thread.
#[derive(Debug, Clone)]
pub enum Report {
    /// A backend refused or did not answer a connection attempt: check it at once.
    Unreachable {
        /// Its load balancer.
        load_balancer: Arc<str>,
        /// Its id.
        backend: Arc<str>,
    },
}
