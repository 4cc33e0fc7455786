//! A load balancer comes: its name, what it listens on, where it is.

use super::attributes::Attributes;
use super::listeners;
use super::load_balancer::{HealthCheck, Listener, LoadBalancer, Scheme};
use super::{Catalog, World, places, tags};
use crate::elb::{Answer, Code, Failure, NewLoadBalancer};

impl Catalog {
    /// Makes a load balancer. One of the same name that is as asked for already is left as it is,
    /// so that a client may ask again; one that differs is in the way.
    pub(super) fn create(
        &mut self,
        new: &NewLoadBalancer,
        world: &World<'_>,
    ) -> Result<Answer, Failure> {
        let Some(first) = new.listeners.first() else {
            return Err(Failure::invalid("Listeners cannot be empty"));
        };
        let mut made = bare(new, HealthCheck::of_new(first.instance_port), world);
        places::place(&mut made, new, world)?;
        tags::add(&mut made, &new.tags, world)?;
        listeners::create(&mut made, &new.listeners, world)?;

        if let Some(there) = self.load_balancer(&new.name) {
            if is_as_asked_for(there, &made) {
                return Ok(Answer::DnsName(there.dns_name.clone()));
            }
            let message = format!(
                "The specified load balancer name already exists for this account: {}",
                new.name
            );
            return Err(Failure::new(Code::DuplicateLoadBalancerName, message));
        }
        let limit = world.limits.load_balancers;
        if self.load_balancers.len() >= limit {
            let message = format!("There are {limit} load balancers, as many as there may be");
            return Err(Failure::new(Code::TooManyLoadBalancers, message));
        }
        let answer = Answer::DnsName(made.dns_name.clone());
        self.put(made);
        Ok(answer)
    }
}

/// With a name and a health check, and nothing else yet.
fn bare(new: &NewLoadBalancer, health_check: HealthCheck, world: &World<'_>) -> LoadBalancer {
    let prefix = match new.scheme {
        Scheme::InternetFacing => "",
        Scheme::Internal => "internal-",
    };
    let (name, number) = (&new.name, world.number);
    let region = world.region;
    let dns_name = match world.dns_suffix {
        Some(suffix) => format!("{prefix}{name}-{number:010}.{region}.{suffix}"),
        None => world.address.to_string(),
    };
    LoadBalancer {
        name: name.clone(),
        dns_name,
        created_ms: world.now_ms,
        scheme: new.scheme,
        zones: Vec::new(),
        subnets: Vec::new(),
        security_groups: Vec::new(),
        listeners: Vec::new(),
        policies: Vec::new(),
        backend_servers: Vec::new(),
        instances: Vec::new(),
        health_check,
        attributes: Attributes::default(),
        tags: Vec::new(),
    }
}

/// Whether a request for `made` finds in `there` what it asks for. The order does not matter, nor
/// does what a request to make a load balancer has no words for, such as policies.
fn is_as_asked_for(there: &LoadBalancer, made: &LoadBalancer) -> bool {
    let are_alike = |a: &[Listener], b: &[Listener]| {
        a.len() == b.len() && a.iter().all(|one| b.iter().any(|other| one.is_like(other)))
    };
    there.scheme == made.scheme
        && are_alike(&there.listeners, &made.listeners)
        && sorted(&there.zones) == sorted(&made.zones)
        && sorted(there.subnets.iter().map(|subnet| &subnet.id))
            == sorted(made.subnets.iter().map(|subnet| &subnet.id))
        && sorted(&there.security_groups) == sorted(&made.security_groups)
        && sorted(&there.tags) == sorted(&made.tags)
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}
