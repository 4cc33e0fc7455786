//! What the catalog cannot know: the time, numbers nobody has had yet, which ids there are outside
//! of it, how instances are.
//!
//! Invariant: the same action on the same catalog in the same world has the same outcome.

use std::net::IpAddr;

use crate::elb::Health;
use crate::limits::{BACKENDS_MAX, LISTENERS_MAX, LOAD_BALANCERS_MAX, POLICIES_MAX, TAGS_MAX};

/// The surroundings of one action.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// A number of ten digits that no other load balancer has had, for a DNS name.
    pub number: u64,
    /// The region whose catalog this is.
    pub region: &'a str,
    /// What DNS names end with after the region, without a leading dot; `None`: nobody's server
    /// knows such names, and the name of a load balancer is its address.
    pub dns_suffix: Option<&'a str>,
    /// Where a new load balancer would listen.
    pub address: IpAddr,
    /// What is shown as the id of the DNS zone.
    pub hosted_zone: &'a str,
    /// Whether an instance id leads to an address.
    pub is_instance: &'a dyn Fn(&str) -> bool,
    /// Whether an ARN leads to a certificate.
    pub is_certificate: &'a dyn Fn(&str) -> bool,
    /// Whether the text of a policy is a public key that elbow can compare with.
    pub is_public_key: &'a dyn Fn(&str) -> bool,
    /// Whether there is a zone of this name.
    pub is_zone: &'a dyn Fn(&str) -> bool,
    /// Whether there is a security group of this id.
    pub is_security_group: &'a dyn Fn(&str) -> bool,
    /// What is known of a subnet; `None`: there is none of this id.
    pub subnet: &'a dyn Fn(&str) -> Option<SubnetFacts>,
    /// How an instance is, by the names of load balancer and instance. Instances that are leaving
    /// are known too; `None`: nothing is known of it yet, or it is not registered.
    pub health: &'a dyn Fn(&str, &str) -> Option<Health>,
    /// How many there may be.
    pub limits: Limits,
}

/// What is known of a subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubnetFacts {
    /// The zone that it lies in.
    pub zone: Option<String>,
    /// The VPC that it belongs to.
    pub vpc: Option<String>,
}

/// How many there may be; the default is what [`crate::limits`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Load balancers in this region.
    pub load_balancers: usize,
    /// Listeners of a load balancer.
    pub listeners: usize,
    /// Instances of a load balancer.
    pub instances: usize,
    /// Policies of a load balancer, without predefined ones.
    pub policies: usize,
    /// Tags of a load balancer.
    pub tags: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            load_balancers: LOAD_BALANCERS_MAX,
            listeners: LISTENERS_MAX,
            instances: BACKENDS_MAX,
            policies: POLICIES_MAX,
            tags: TAGS_MAX,
        }
    }
}
