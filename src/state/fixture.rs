//! Configurations for tests, with the defaults of the file format except for thresholds.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::config;

pub(crate) fn config(load_balancers: Vec<config::LoadBalancer>) -> config::Config {
    config::Config {
        host: config::Host {
            pin: false,
            ..config::Host::default()
        },
        admin: config::Admin { listen: None },
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
