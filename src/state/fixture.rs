//! Configurations for tests, with the defaults of the file format except for thresholds.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Admits, Backend, PerShard, Route};
use crate::config;
use crate::health::id_hash;

pub(crate) fn config(load_balancers: Vec<config::LoadBalancer>) -> config::Config {
    config::Config {
        host: config::Host {
            pin: false,
            ..config::Host::default()
        },
        admin: config::Admin::OFF,
        api: config::Api::default(),
        access_log: config::AccessLog::default(),
        cluster: None,
        instances: BTreeMap::new(),
        certificates: BTreeMap::new(),
        load_balancers,
    }
}

pub(crate) fn load_balancer(
    name: &str,
    listeners: Vec<config::Listener>,
    backends: Vec<config::Backend>,
) -> config::LoadBalancer {
    config::LoadBalancer {
        name: name.to_owned(),
        backends,
        health_check: config::HealthCheck {
            target: config::Target {
                protocol: config::Protocol::Http,
                port: 80,
                path: "/ping".to_owned(),
            },
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unhealthy_threshold: 2,
            healthy_threshold: 3,
        },
        listeners,
        backend_policies: Vec::new(),
        attributes: config::Attributes::default(),
    }
}

pub(crate) fn listener(
    instance_port: u16,
    stickiness: Option<config::Stickiness>,
) -> config::Listener {
    config::Listener {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        protocol: config::Protocol::Http,
        instance_protocol: config::Protocol::Http,
        instance_port,
        stickiness,
        behind_tls: false,
        tls: None,
        proxy_networks: Vec::new(),
    }
}

pub(crate) fn sticky(seconds: u32) -> config::Stickiness {
    let policy = config::DurationPolicy::new("p", NonZeroU32::new(seconds));
    config::Stickiness::Duration(policy)
}

pub(crate) fn backend(id: &str, address: impl Into<IpAddr>, port: Option<u16>) -> config::Backend {
    config::Backend {
        id: id.to_owned(),
        address: address.into(),
        port,
        weight: 1,
    }
}

/// A backend as shards see it, of weight 1, of which nothing is known yet.
pub(crate) fn unknown_backend(id: &str) -> Backend {
    Backend {
        id: id.into(),
        id_hash: id_hash(id),
        slot: 0,
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        admits: Admits::Nothing,
        life: 0,
        weight: 1,
        born_ms: 0,
        is_over_bound: false,
        max_outstanding: None,
        counts: Arc::new(PerShard::new(1)),
    }
}

/// An HTTP listener as shards see it, with the view of an empty past.
pub(crate) fn route(stickiness: config::Stickiness, backends: Vec<Backend>) -> Route {
    Route {
        listener: 0,
        load_balancer: "lb".into(),
        counts: Arc::new(PerShard::new(1)),
        protocol: config::Protocol::Http,
        address: SocketAddr::from(([127, 0, 0, 1], 80)),
        scope: 7,
        stickiness: Some(Arc::new(stickiness)),
        attributes: Arc::default(),
        is_secure: false,
        proxy_networks: Arc::new([]),
        proxy_protocol: None,
        subject_header: None,
        backends,
        view: Arc::default(),
    }
}
