//! The proxy that a case runs against: elbow, or one that has some of its features.
//!
//! Each adapter turns a [`Setup`] into a configuration as somebody who knows that proxy would
//! write it, and says which features it has. What a proxy lacks is not held against it.

mod elbow;
mod haproxy;
mod nginx;
mod rival;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use crate::case::Setup;
use crate::feature::Feature;
use crate::harness::{Response, Wire};

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Elbow,
    Nginx,
    Haproxy,
}

/// What an adapter makes a configuration from.
pub(crate) struct Site<'a> {
    pub(crate) setup: &'a Setup,
    /// Where each backend of the setup listens.
    pub(crate) addresses: &'a BTreeMap<String, SocketAddr>,
    /// A directory that restarts keep.
    pub(crate) directory: &'a Path,
}

/// A proxy that serves.
pub(crate) enum Proxy {
    Elbow(elbow::Running),
    Rival(rival::Running),
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Elbow, Self::Nginx, Self::Haproxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Elbow => "elbow",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }

    /// What it can be judged by. The clock depends on a program on this machine.
    pub(crate) fn features(self) -> BTreeSet<Feature> {
        let mut features = match self {
            Self::Elbow => elbow::FEATURES.to_vec(),
            Self::Nginx => nginx::FEATURES.to_vec(),
            Self::Haproxy => haproxy::FEATURES.to_vec(),
        };
        if self == Self::Elbow && elbow::has_faketime() {
            features.push(Feature::Clock);
        }
        features.into_iter().collect()
    }

    /// Starts it and waits until it accepts connections.
    pub(crate) fn start(self, site: &Site<'_>) -> Proxy {
        match self {
            Self::Elbow => Proxy::Elbow(elbow::Running::start(site)),
            Self::Nginx => Proxy::Rival(nginx::start(site)),
            Self::Haproxy => Proxy::Rival(haproxy::start(site)),
        }
    }
}

impl Proxy {
    /// Where its listeners are, in the order of the setup.
    pub(crate) fn listeners(&self) -> &[SocketAddr] {
        match self {
            Self::Elbow(running) => running.listeners(),
            Self::Rival(running) => &running.listeners,
        }
    }

    /// Whether it sends new sessions to that backend; `None` if it does not tell.
    pub(crate) fn is_in_service(&self, backend: &str) -> Option<bool> {
        match self {
            Self::Elbow(running) => running.is_in_service(backend),
            Self::Rival(running) => running.is_in_service(backend),
        }
    }

    /// A request to the admin address; the JSON is its body.
    pub(crate) fn call_admin(
        &self,
        method: &str,
        path: &str,
        json: Option<&str>,
    ) -> Result<Response, String> {
        match self {
            Self::Elbow(running) => Ok(running.call(method, path, json)),
            Self::Rival(_) => Err("this proxy has no such admin address".to_owned()),
        }
    }

    /// Begins to empty a backend of its sessions.
    pub(crate) fn drain(
        &self,
        backend: &str,
        mode: &str,
        deadline_seconds: u32,
    ) -> Result<(), String> {
        match self {
            Self::Elbow(running) => running.drain(backend, mode, deadline_seconds),
            Self::Rival(running) => running.tell(&format!("set server pool/{backend} state drain")),
        }
    }

    /// Calls that off.
    pub(crate) fn undrain(&self, backend: &str) -> Result<(), String> {
        match self {
            Self::Elbow(running) => running.undrain(backend),
            Self::Rival(running) => running.tell(&format!("set server pool/{backend} state ready")),
        }
    }
}

/// One request on a connection of its own.
fn ask(address: SocketAddr, method: &str, path: &str, json: Option<&str>) -> Response {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n");
    if let Some(json) = json {
        let length = json.len();
        request.push_str("Content-Type: application/json\r\n");
        request.push_str(&format!("Content-Length: {length}\r\n\r\n{json}"));
    } else {
        request.push_str("\r\n");
    }
    Wire::connect(address).ask(&request)
}
