//! What is known of one load balancer, as the API shows it.
//!
//! Not how it changes (the files beside this one), not what elbow runs (`config::LoadBalancer`).
//! Invariant: each policy that a listener or an instance port names is one of its own or a
//! predefined one, and each instance port with policies has a listener.
//!
//! The keys of its JSON are the names of the fields. They are kept on disk: they may be added to,
//! with a default, and do not change.

use serde::{Deserialize, Serialize};

use super::attributes::Attributes;
use super::policy::Policy;
use crate::config::{Protocol, Target};

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// 1–32 of `[A-Za-z0-9-]`, no leading or trailing dash; unique in its catalog.
    pub name: String,
    /// The name that clients connect to; given once.
    pub dns_name: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Who is meant to reach it.
    pub scheme: Scheme,
    /// Its zones, in the order they came; empty if it has subnets.
    pub zones: Vec<String>,
    /// Its subnets, in the order they came; empty if it has zones.
    pub subnets: Vec<Subnet>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its listeners, in the order they came; ports are unique.
    pub listeners: Vec<Listener>,
    /// Its own policies, in the order they came; names are unique.
    pub policies: Vec<Policy>,
    /// Instance ports that have policies; ports are unique, none has an empty list.
    pub backend_servers: Vec<BackendServer>,
    /// Ids of its instances, in the order they came; unique.
    pub instances: Vec<String>,
    /// How its instances are checked.
    pub health_check: HealthCheck,
    /// The rest of what can be set.
    pub attributes: Attributes,
    /// Its tags, in the order they came; keys are unique.
    pub tags: Vec<Tag>,
}

impl LoadBalancer {
    /// The listener at a port.
    pub fn listener(&self, port: u16) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.port == port)
    }

    /// A policy of its own; predefined ones are not.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }

    /// Its zones; those of its subnets where it has subnets.
    pub fn all_zones(&self) -> Vec<&str> {
        let mut zones: Vec<&str> = self.zones.iter().map(String::as_str).collect();
        for zone in self
            .subnets
            .iter()
            .filter_map(|subnet| subnet.zone.as_deref())
        {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        zones
    }

    /// The VPC of its subnets, if it has any and they say.
    pub fn vpc(&self) -> Option<&str> {
        self.subnets.iter().find_map(|subnet| subnet.vpc.as_deref())
    }
}

/// Who is meant to reach a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Anybody.
    InternetFacing,
    /// Hosts of the same network; its DNS name begins with `internal-`.
    Internal,
}

impl Scheme {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::InternetFacing => "internet-facing",
            Self::Internal => "internal",
        }
    }
}

/// A subnet, with what was known of it when it was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// The zone that it lies in.
    pub zone: Option<String>,
    /// The VPC that it belongs to.
    pub vpc: Option<String>,
}

/// Where a load balancer listens and what it does with what comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// 1–65535.
    pub port: u16,
    /// The protocol on the client's side.
    #[serde(with = "protocol")]
    pub protocol: Protocol,
    /// 1–65535.
    pub instance_port: u16,
    /// The protocol on the instance's side, of the same kind as the client's.
    #[serde(with = "protocol")]
    pub instance_protocol: Protocol,
    /// The ARN of its certificate, if and only if `protocol` is secure.
    pub certificate: Option<String>,
    /// Names of its policies, in the order they were set. At most one of them is for stickiness;
    /// one for TLS if and only if `protocol` is secure.
    pub policies: Vec<String>,
}

impl Listener {
    /// Whether both are the same but for the policies.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && self.instance_port == other.instance_port
            && self.instance_protocol == other.instance_protocol
            && self.certificate == other.certificate
    }
}

/// Policies of an instance port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendServer {
    /// The instance port of one or more listeners.
    pub instance_port: u16,
    /// Names of its policies, in the order they were set; not empty.
    pub policies: Vec<String>,
}

/// How instances are checked (CLB.md §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    #[serde(with = "target")]
    pub target: Target,
    /// Seconds from the start of one check to the start of the next: 5–300.
    pub interval_seconds: u16,
    /// Seconds that an answer may take: 2–60, less than the interval.
    pub timeout_seconds: u16,
    /// Failures in a row that put an instance out of service: 2–10.
    pub unhealthy_threshold: u8,
    /// Successes in a row that bring it back: 2–10.
    pub healthy_threshold: u8,
}

impl HealthCheck {
    /// What a new load balancer has: a connection to its first instance port.
    pub(super) fn of_new(instance_port: u16) -> Self {
        Self {
            target: Target {
                protocol: Protocol::Tcp,
                port: instance_port,
                path: String::new(),
            },
            interval_seconds: 30,
            timeout_seconds: 5,
            unhealthy_threshold: 2,
            healthy_threshold: 10,
        }
    }
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// 1–128 characters.
    pub key: String,
    /// 0–256 characters.
    pub value: String,
}

/// A protocol as text: `HTTP`.
mod protocol {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::config::Protocol;

    pub(super) fn serialize<S: Serializer>(value: &Protocol, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Protocol, D::Error> {
        Protocol::parse(&String::deserialize(from)?)
            .map_err(|_| D::Error::custom("a protocol must be HTTP, HTTPS, TCP or SSL"))
    }
}

/// What a check asks, as text: `HTTP:8080/ping`.
mod target {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::config::Target;

    pub(super) fn serialize<S: Serializer>(value: &Target, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Target, D::Error> {
        Target::parse(&String::deserialize(from)?)
            .map_err(|_| D::Error::custom("a target must be such as HTTP:8080/ping or TCP:8080"))
    }
}
