//! What a client asks for: parameters as one of the 29 actions, with types, ranges and patterns
//! judged (CLB.md §3.2, §3.4).
//!
//! Not what the catalog has to say about it. Invariant: the values of an action are in their ranges
//! by themselves. Parameters that an action does not know are ignored, as AWS does; those of a
//! signature in a query string are among them.

mod attributes;
mod fields;
mod listeners;
mod load_balancer;
mod policies;
mod tags;

use super::{Code, Failure, HealthCheck, Listener, Parameters, Policy, Tag, VERSION};
pub use attributes::{AccessLogChanges, AttributeChanges};
use fields::{Fields, Range};
pub use load_balancer::{NewLoadBalancer, Page};

/// An action. Where a load balancer is meant, its name is the first value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Adds tags, or gives others to their keys.
    AddTags(String, Vec<Tag>),
    /// Replaces the security groups.
    ApplySecurityGroupsToLoadBalancer(String, Vec<String>),
    /// Adds subnets.
    AttachLoadBalancerToSubnets(String, Vec<String>),
    /// Replaces the health check.
    ConfigureHealthCheck(String, HealthCheck),
    /// Adds a policy for application-controlled stickiness.
    CreateAppCookieStickinessPolicy(String, Policy),
    /// Adds a policy for duration-based stickiness.
    CreateLBCookieStickinessPolicy(String, Policy),
    /// Makes a load balancer.
    CreateLoadBalancer(Box<NewLoadBalancer>),
    /// Adds listeners, which have no policies yet.
    CreateLoadBalancerListeners(String, Vec<Listener>),
    /// Adds a policy of any type.
    CreateLoadBalancerPolicy(String, Policy),
    /// Removes a load balancer.
    DeleteLoadBalancer(String),
    /// Removes the listeners at these ports.
    DeleteLoadBalancerListeners(String, Vec<u16>),
    /// Removes the policy of the second name.
    DeleteLoadBalancerPolicy(String, String),
    /// Removes instances.
    DeregisterInstancesFromLoadBalancer(String, Vec<String>),
    /// Asks how many there may be.
    DescribeAccountLimits(Page),
    /// Asks how these instances are; all if none is named.
    DescribeInstanceHealth(String, Vec<String>),
    /// Asks for all attributes.
    DescribeLoadBalancerAttributes(String),
    /// Asks for these policies, or all; of no load balancer: for samples.
    DescribeLoadBalancerPolicies(Option<String>, Vec<String>),
    /// Asks for these types of policies, or all.
    DescribeLoadBalancerPolicyTypes(Vec<String>),
    /// Asks for these load balancers, or all.
    DescribeLoadBalancers(Vec<String>, Page),
    /// Asks for the tags of these load balancers.
    DescribeTags(Vec<String>),
    /// Removes subnets.
    DetachLoadBalancerFromSubnets(String, Vec<String>),
    /// Removes zones.
    DisableAvailabilityZonesForLoadBalancer(String, Vec<String>),
    /// Adds zones.
    EnableAvailabilityZonesForLoadBalancer(String, Vec<String>),
    /// Changes some attributes.
    ModifyLoadBalancerAttributes(String, AttributeChanges),
    /// Adds instances.
    RegisterInstancesWithLoadBalancer(String, Vec<String>),
    /// Removes the tags with these keys.
    RemoveTags(String, Vec<String>),
    /// Gives the listener at a port another certificate.
    SetLoadBalancerListenerSSLCertificate(String, u16, String),
    /// Replaces the policies of an instance port.
    SetLoadBalancerPoliciesForBackendServer(String, u16, Vec<String>),
    /// Replaces the policies of the listener at a port.
    SetLoadBalancerPoliciesOfListener(String, u16, Vec<String>),
}

impl Action {
    /// Reads an action.
    ///
    /// Fails with `MissingAction`, `InvalidAction` (also for another version of the API),
    /// `MissingParameter` without a version, `InvalidQueryParameter` where one text or a list is
    /// expected and something else is there, and with `ValidationError` or a code of its own where
    /// a value is missing or out of its range.
    pub fn parse(parameters: &Parameters) -> Result<Self, Failure> {
        let name = parameters.text("Action").filter(|name| !name.is_empty());
        let name = name
            .ok_or_else(|| Failure::new(Code::MissingAction, "The parameter Action is missing"))?;
        judge_version(parameters.text("Version"), name)?;
        Self::read(name, &Fields::of(parameters))
    }

    fn read(name: &str, f: &Fields<'_>) -> Result<Self, Failure> {
        // The names are those of the variants.
        Ok(match name {
            "AddTags" => Self::AddTags(one_name(f)?, tags::tags(f)?),
            "ApplySecurityGroupsToLoadBalancer" => {
                Self::ApplySecurityGroupsToLoadBalancer(lb(f)?, f.required_texts("SecurityGroups")?)
            }
            "AttachLoadBalancerToSubnets" => {
                Self::AttachLoadBalancerToSubnets(lb(f)?, f.required_texts("Subnets")?)
            }
            "ConfigureHealthCheck" => {
                Self::ConfigureHealthCheck(lb(f)?, load_balancer::health_check(f)?)
            }
            "CreateAppCookieStickinessPolicy" => {
                Self::CreateAppCookieStickinessPolicy(lb(f)?, policies::app_cookie(f)?)
            }
            "CreateLBCookieStickinessPolicy" => {
                Self::CreateLBCookieStickinessPolicy(lb(f)?, policies::lb_cookie(f)?)
            }
            "CreateLoadBalancer" => Self::CreateLoadBalancer(Box::new(load_balancer::new(f)?)),
            "CreateLoadBalancerListeners" => {
                Self::CreateLoadBalancerListeners(lb(f)?, listeners::listeners(f)?)
            }
            "CreateLoadBalancerPolicy" => Self::CreateLoadBalancerPolicy(lb(f)?, policies::any(f)?),
            "DeleteLoadBalancer" => Self::DeleteLoadBalancer(lb(f)?),
            "DeleteLoadBalancerListeners" => {
                Self::DeleteLoadBalancerListeners(lb(f)?, listeners::ports(f)?)
            }
            "DeleteLoadBalancerPolicy" => {
                Self::DeleteLoadBalancerPolicy(lb(f)?, f.required("PolicyName")?)
            }
            _ => return Self::read_further(name, f),
        })
    }

    fn read_further(name: &str, f: &Fields<'_>) -> Result<Self, Failure> {
        Ok(match name {
            "DeregisterInstancesFromLoadBalancer" => {
                Self::DeregisterInstancesFromLoadBalancer(lb(f)?, required_instances(f)?)
            }
            "DescribeAccountLimits" => Self::DescribeAccountLimits(load_balancer::page(f)?),
            "DescribeInstanceHealth" => {
                Self::DescribeInstanceHealth(lb(f)?, instances(f)?.unwrap_or_default())
            }
            "DescribeLoadBalancerAttributes" => Self::DescribeLoadBalancerAttributes(lb(f)?),
            "DescribeLoadBalancerPolicies" => Self::DescribeLoadBalancerPolicies(
                f.optional("LoadBalancerName")?,
                f.texts("PolicyNames")?.unwrap_or_default(),
            ),
            "DescribeLoadBalancerPolicyTypes" => Self::DescribeLoadBalancerPolicyTypes(
                f.texts("PolicyTypeNames")?.unwrap_or_default(),
            ),
            "DescribeLoadBalancers" => {
                let names = f.texts("LoadBalancerNames")?.unwrap_or_default();
                Self::DescribeLoadBalancers(names, load_balancer::page(f)?)
            }
            "DescribeTags" => Self::DescribeTags(names(f, 20)?),
            "DetachLoadBalancerFromSubnets" => {
                Self::DetachLoadBalancerFromSubnets(lb(f)?, f.required_texts("Subnets")?)
            }
            "DisableAvailabilityZonesForLoadBalancer" => {
                let zones = f.required_texts("AvailabilityZones")?;
                Self::DisableAvailabilityZonesForLoadBalancer(lb(f)?, zones)
            }
            "EnableAvailabilityZonesForLoadBalancer" => {
                let zones = f.required_texts("AvailabilityZones")?;
                Self::EnableAvailabilityZonesForLoadBalancer(lb(f)?, zones)
            }
            "ModifyLoadBalancerAttributes" => {
                Self::ModifyLoadBalancerAttributes(lb(f)?, attributes::changes(f)?)
            }
            "RegisterInstancesWithLoadBalancer" => {
                Self::RegisterInstancesWithLoadBalancer(lb(f)?, required_instances(f)?)
            }
            "RemoveTags" => Self::RemoveTags(one_name(f)?, tags::keys(f)?),
            "SetLoadBalancerListenerSSLCertificate" => {
                let certificate = f.required("SSLCertificateId")?;
                let port = f.required_number("LoadBalancerPort", PORTS)?;
                Self::SetLoadBalancerListenerSSLCertificate(lb(f)?, port, certificate)
            }
            "SetLoadBalancerPoliciesForBackendServer" => {
                let port = f.required_number("InstancePort", PORTS)?;
                let names = f.required_texts("PolicyNames")?;
                Self::SetLoadBalancerPoliciesForBackendServer(lb(f)?, port, names)
            }
            "SetLoadBalancerPoliciesOfListener" => {
                let port = f.required_number("LoadBalancerPort", PORTS)?;
                let names = f.required_texts("PolicyNames")?;
                Self::SetLoadBalancerPoliciesOfListener(lb(f)?, port, names)
            }
            _ => return Err(no_operation(name, VERSION)),
        })
    }

    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddTags(..) => "AddTags",
            Self::ApplySecurityGroupsToLoadBalancer(..) => "ApplySecurityGroupsToLoadBalancer",
            Self::AttachLoadBalancerToSubnets(..) => "AttachLoadBalancerToSubnets",
            Self::ConfigureHealthCheck(..) => "ConfigureHealthCheck",
            Self::CreateAppCookieStickinessPolicy(..) => "CreateAppCookieStickinessPolicy",
            Self::CreateLBCookieStickinessPolicy(..) => "CreateLBCookieStickinessPolicy",
            Self::CreateLoadBalancer(..) => "CreateLoadBalancer",
            Self::CreateLoadBalancerListeners(..) => "CreateLoadBalancerListeners",
            Self::CreateLoadBalancerPolicy(..) => "CreateLoadBalancerPolicy",
            Self::DeleteLoadBalancer(..) => "DeleteLoadBalancer",
            Self::DeleteLoadBalancerListeners(..) => "DeleteLoadBalancerListeners",
            Self::DeleteLoadBalancerPolicy(..) => "DeleteLoadBalancerPolicy",
            Self::DeregisterInstancesFromLoadBalancer(..) => "DeregisterInstancesFromLoadBalancer",
            Self::DescribeAccountLimits(..) => "DescribeAccountLimits",
            Self::DescribeInstanceHealth(..) => "DescribeInstanceHealth",
            Self::DescribeLoadBalancerAttributes(..) => "DescribeLoadBalancerAttributes",
            Self::DescribeLoadBalancerPolicies(..) => "DescribeLoadBalancerPolicies",
            Self::DescribeLoadBalancerPolicyTypes(..) => "DescribeLoadBalancerPolicyTypes",
            Self::DescribeLoadBalancers(..) => "DescribeLoadBalancers",
            Self::DescribeTags(..) => "DescribeTags",
            Self::DetachLoadBalancerFromSubnets(..) => "DetachLoadBalancerFromSubnets",
            Self::DisableAvailabilityZonesForLoadBalancer(..) => {
                "DisableAvailabilityZonesForLoadBalancer"
            }
            Self::EnableAvailabilityZonesForLoadBalancer(..) => {
                "EnableAvailabilityZonesForLoadBalancer"
            }
            Self::ModifyLoadBalancerAttributes(..) => "ModifyLoadBalancerAttributes",
            Self::RegisterInstancesWithLoadBalancer(..) => "RegisterInstancesWithLoadBalancer",
            Self::RemoveTags(..) => "RemoveTags",
            Self::SetLoadBalancerListenerSSLCertificate(..) => {
                "SetLoadBalancerListenerSSLCertificate"
            }
            Self::SetLoadBalancerPoliciesForBackendServer(..) => {
                "SetLoadBalancerPoliciesForBackendServer"
            }
            Self::SetLoadBalancerPoliciesOfListener(..) => "SetLoadBalancerPoliciesOfListener",
        }
    }

    /// Whether it only asks. Others need the right to change things and are kept on disk.
    pub fn is_read_only(&self) -> bool {
        self.name().starts_with("Describe")
    }
}

const PORTS: Range<u16> = Range {
    least: 1,
    most: u16::MAX,
};

/// The version that other kinds of load balancers speak, at AWS on the same host.
const NEWER_VERSION: &str = "2015-12-01";

fn judge_version(version: Option<&str>, action: &str) -> Result<(), Failure> {
    let Some(version) = version.filter(|version| !version.is_empty()) else {
        let message = format!("The parameter Version is missing: {VERSION}");
        return Err(Failure::new(Code::MissingParameter, message));
    };
    if version == VERSION {
        return Ok(());
    }
    let mut failure = no_operation(action, version);
    failure.message += if version == NEWER_VERSION {
        ": that is the API of Application, Network and Gateway Load Balancers (`aws elbv2`). Here \
         is that of Classic Load Balancers, version 2012-06-01 (`aws elb`)"
    } else {
        ": here is the API of Classic Load Balancers, version 2012-06-01"
    };
    Err(failure)
}

fn no_operation(action: &str, version: &str) -> Failure {
    let message = format!("Could not find operation {action} for version {version}");
    Failure::new(Code::InvalidAction, message)
}

/// The load balancer that is meant.
fn lb(f: &Fields<'_>) -> Result<String, Failure> {
    f.required("LoadBalancerName")
}

/// The one load balancer of an action that takes a list.
fn one_name(f: &Fields<'_>) -> Result<String, Failure> {
    Ok(names(f, 1)?.remove(0))
}

/// Load balancers, at least one.
fn names(f: &Fields<'_>, most: usize) -> Result<Vec<String>, Failure> {
    let names = f.required_texts("LoadBalancerNames")?;
    if names.is_empty() || names.len() > most {
        let rule = match most {
            1 => "have exactly 1 member".to_owned(),
            most => format!("have 1 to {most} members"),
        };
        let value = format!("[{}]", names.join(", "));
        return Err(f.refused("LoadBalancerNames", Some(&value), &rule));
    }
    Ok(names)
}

fn instances(f: &Fields<'_>) -> Result<Option<Vec<String>>, Failure> {
    let Some(instances) = f.list("Instances")? else {
        return Ok(None);
    };
    let ids = instances
        .iter()
        .map(|instance| instance.required("InstanceId"));
    ids.collect::<Result<_, _>>().map(Some)
}

fn required_instances(f: &Fields<'_>) -> Result<Vec<String>, Failure> {
    instances(f)?.ok_or_else(|| f.missing("Instances"))
}
