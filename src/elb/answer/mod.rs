//! What an action has to say, as values.
//!
//! Not its XML (`answer/document.rs`).

mod document;

use std::sync::Arc;

pub use document::timestamp;

use crate::elb::{AccessLog, Draining, HealthCheck, LoadBalancer, Policy, PolicyType, Tag};

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done, and there is nothing to tell.
    Done,
    /// The DNS name of a load balancer.
    DnsName(String),
    /// All security groups.
    SecurityGroups(Vec<String>),
    /// All subnets.
    Subnets(Vec<String>),
    /// All zones.
    Zones(Vec<String>),
    /// All instances that are registered.
    Instances(Vec<String>),
    /// The health check.
    HealthCheck(HealthCheck),
    /// How instances are.
    InstanceStates(Vec<InstanceState>),
    /// All attributes.
    Attributes(AttributesShown),
    /// A load balancer's name and the attributes that were sent.
    Modified(String, AttributesShown),
    /// Policies.
    Policies(Vec<PolicyShown>),
    /// Types of policies.
    PolicyTypes(Vec<&'static PolicyType>),
    /// Load balancers and their tags.
    Tags(Vec<(String, Vec<Tag>)>),
    /// A page of limits.
    Limits {
        /// Names and numbers.
        limits: Vec<(&'static str, usize)>,
        /// The marker of the next page, if there is one.
        next: Option<String>,
    },
    /// A page of load balancers.
    LoadBalancers {
        /// In order of their names.
        load_balancers: Vec<Arc<LoadBalancer>>,
        /// What is shown as the id of the DNS zone.
        hosted_zone: String,
        /// The marker of the next page, if there is one.
        next: Option<String>,
    },
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceState {
    /// Its id.
    pub id: String,
    /// How it is.
    pub health: Health,
}

/// State, reason and description, in the words of CLB.md §3.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `InService`, `OutOfService` or `Unknown`.
    pub state: &'static str,
    /// `ELB`, `Instance` or `N/A`.
    pub reason: &'static str,
    /// One of a closed list of sentences.
    pub description: &'static str,
}

impl Health {
    /// It answers its checks.
    pub fn in_service() -> Self {
        Self {
            state: "InService",
            reason: "N/A",
            description: "N/A",
        }
    }

    /// It has not been checked yet.
    pub fn registering() -> Self {
        Self {
            state: "OutOfService",
            reason: "ELB",
            description: "Instance registration is still in progress.",
        }
    }

    /// It does not answer its checks.
    pub fn failed() -> Self {
        Self {
            state: "OutOfService",
            reason: "Instance",
            description: "Instance has failed at least the UnhealthyThreshold number of health \
                checks consecutively.",
        }
    }

    /// It answers again, but not yet often enough.
    pub fn recovering() -> Self {
        Self {
            state: "OutOfService",
            reason: "Instance",
            description: "Instance has not passed the configured HealthyThreshold number of health \
                checks consecutively.",
        }
    }

    /// It is leaving, and may still finish what it does.
    pub fn leaving() -> Self {
        Self {
            state: "InService",
            reason: "N/A",
            description: "Instance deregistration currently in progress.",
        }
    }

    /// It is not, or no longer, one of the load balancer's.
    pub fn not_registered() -> Self {
        Self {
            state: "OutOfService",
            reason: "N/A",
            description: "Instance is not currently registered with the LoadBalancer.",
        }
    }
}

/// Attributes, as many as there are to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributesShown {
    /// Whether each node uses the instances of all zones.
    pub cross_zone: Option<bool>,
    /// Access logs.
    pub access_log: Option<AccessLog>,
    /// What happens to requests of an instance that goes.
    pub draining: Option<Draining>,
    /// Seconds that a connection may be idle.
    pub idle_timeout_seconds: Option<u16>,
    /// Keys and values of the others.
    pub additional: Option<Vec<(String, String)>>,
}

/// A policy, as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyShown {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub type_name: &'static str,
    /// Names and values of its attributes.
    pub attributes: Vec<(String, String)>,
}

impl From<&Policy> for PolicyShown {
    fn from(policy: &Policy) -> Self {
        let attributes = policy.kind.attributes().into_iter();
        Self {
            name: policy.name.clone(),
            type_name: policy.kind.type_name(),
            attributes: attributes
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}
