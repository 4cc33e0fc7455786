//! A route as the control thread would publish it.

use std::net::SocketAddr;
use std::sync::Arc;

use elbow::config::{Attributes, Protocol, Stickiness};
use elbow::health::{View, id_hash};
use elbow::state::{Admits, Backend, PerShard, Route};

/// What cookies are valid for here.
pub(crate) const SCOPE: u64 = 1;

/// The route of that listener, on one shard.
pub(crate) fn route(
    listener: usize,
    address: SocketAddr,
    stickiness: Option<Stickiness>,
    backends: Vec<Backend>,
) -> Route {
    Route {
        listener,
        load_balancer: "fuzz".into(),
        counts: Arc::new(PerShard::new(1)),
        protocol: Protocol::Http,
        address,
        scope: SCOPE,
        stickiness: stickiness.map(Arc::new),
        attributes: Arc::new(Attributes::default()),
        is_secure: false,
        proxy_networks: Arc::new([]),
        proxy_protocol: None,
        subject_header: None,
        backends,
        view: Arc::new(View::default()),
    }
}

/// A backend in its first life.
pub(crate) fn backend(id: &str, address: SocketAddr, admits: Admits) -> Backend {
    Backend {
        id_hash: id_hash(id),
        id: id.into(),
        address,
        slot: 0,
        admits,
        life: 1,
        weight: 1,
        max_outstanding: None,
        born_ms: 0,
        is_over_bound: false,
        counts: Arc::new(PerShard::new(1)),
    }
}
