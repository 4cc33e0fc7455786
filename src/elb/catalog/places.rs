//! Where a load balancer is: zones or subnets, and security groups. elbow keeps and shows them;
//! nothing else depends on them.
//!
//! Invariant: a load balancer has zones or subnets, never both and never none.

use super::World;
use super::load_balancer::{LoadBalancer, Subnet};
use crate::elb::{Answer, Code, Failure, NewLoadBalancer};
use crate::limits::PLACES_MAX;

/// Puts a new load balancer where it is to be.
pub(super) fn place(
    load_balancer: &mut LoadBalancer,
    new: &NewLoadBalancer,
    world: &World<'_>,
) -> Result<(), Failure> {
    match (new.zones.is_empty(), new.subnets.is_empty()) {
        (true, true) => {
            return Err(Failure::invalid(
                "Either AvailabilityZones or SubnetIds must be specified",
            ));
        }
        (false, false) => {
            return Err(Failure::invalid(
                "Only one of SubnetIds or AvailabilityZones may be specified",
            ));
        }
        (false, true) => add_zones(load_balancer, &new.zones, world)?,
        (true, false) => add_subnets(load_balancer, &new.subnets, world)?,
    }
    load_balancer.security_groups = judged_groups(&new.security_groups, world)?;
    Ok(())
}

/// Replaces the security groups.
pub(super) fn apply_security_groups(
    load_balancer: &mut LoadBalancer,
    ids: &[String],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    if ids.is_empty() {
        return Err(Failure::invalid("SecurityGroups cannot be empty"));
    }
    load_balancer.security_groups = judged_groups(ids, world)?;
    Ok(Answer::SecurityGroups(
        load_balancer.security_groups.clone(),
    ))
}

/// Adds subnets; those that are there already stay as they are.
pub(super) fn attach(
    load_balancer: &mut LoadBalancer,
    ids: &[String],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    if !load_balancer.zones.is_empty() {
        return Err(has_zones(load_balancer));
    }
    add_subnets(load_balancer, ids, world)?;
    Ok(subnets(load_balancer))
}

/// Removes subnets, as far as they are there; one has to stay.
pub(super) fn detach(load_balancer: &mut LoadBalancer, ids: &[String]) -> Result<Answer, Failure> {
    if !load_balancer.zones.is_empty() {
        return Err(has_zones(load_balancer));
    }
    load_balancer
        .subnets
        .retain(|subnet| !ids.contains(&subnet.id));
    if load_balancer.subnets.is_empty() {
        return Err(Failure::configuration(format!(
            "Load balancer {} has to keep one of its subnets",
            load_balancer.name
        )));
    }
    Ok(subnets(load_balancer))
}

/// Adds zones; those that are there already stay.
pub(super) fn enable(
    load_balancer: &mut LoadBalancer,
    zones: &[String],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    if !load_balancer.subnets.is_empty() {
        return Err(has_subnets(load_balancer));
    }
    add_zones(load_balancer, zones, world)?;
    Ok(Answer::Zones(load_balancer.zones.clone()))
}

/// Removes zones, as far as they are there; one has to stay.
pub(super) fn disable(
    load_balancer: &mut LoadBalancer,
    zones: &[String],
) -> Result<Answer, Failure> {
    if !load_balancer.subnets.is_empty() {
        return Err(has_subnets(load_balancer));
    }
    load_balancer.zones.retain(|zone| !zones.contains(zone));
    if load_balancer.zones.is_empty() {
        return Err(Failure::configuration(format!(
            "Load balancer {} has to keep one of its Availability Zones",
            load_balancer.name
        )));
    }
    Ok(Answer::Zones(load_balancer.zones.clone()))
}

fn add_zones(
    load_balancer: &mut LoadBalancer,
    zones: &[String],
    world: &World<'_>,
) -> Result<(), Failure> {
    for zone in zones {
        if !(world.is_zone)(zone) {
            return Err(Failure::invalid(format!(
                "Availability Zone {zone} is not valid"
            )));
        }
        if !load_balancer.zones.contains(zone) {
            load_balancer.zones.push(zone.clone());
        }
    }
    within_bound("Availability Zones", load_balancer.zones.len())
}

fn add_subnets(
    load_balancer: &mut LoadBalancer,
    ids: &[String],
    world: &World<'_>,
) -> Result<(), Failure> {
    let subnets = &mut load_balancer.subnets;
    for id in ids {
        let Some(facts) = (world.subnet)(id) else {
            let message = format!("The subnet ID '{id}' does not exist");
            return Err(Failure::new(Code::SubnetNotFound, message));
        };
        if subnets.iter().any(|subnet| subnet.id == *id) {
            continue;
        }
        let is_known = |subnet: &&Subnet| subnet.vpc.is_some();
        let vpc = subnets.iter().find(is_known).map(|subnet| &subnet.vpc);
        if facts.vpc.is_some() && vpc.is_some_and(|vpc| *vpc != facts.vpc) {
            return Err(Failure::configuration(format!(
                "The subnet '{id}' is in another VPC than the others"
            )));
        }
        let is_taken = |subnet: &Subnet| subnet.zone.is_some() && subnet.zone == facts.zone;
        if let Some(other) = subnets.iter().find(|subnet| is_taken(subnet)) {
            return Err(Failure::configuration(format!(
                "The subnets '{}' and '{id}' are in the same Availability Zone",
                other.id
            )));
        }
        subnets.push(Subnet {
            id: id.clone(),
            zone: facts.zone,
            vpc: facts.vpc,
        });
    }
    within_bound("subnets", subnets.len())
}

fn judged_groups(ids: &[String], world: &World<'_>) -> Result<Vec<String>, Failure> {
    let mut groups: Vec<String> = Vec::new();
    for id in ids {
        if !(world.is_security_group)(id) {
            let message = format!("The security group '{id}' does not exist");
            return Err(Failure::new(Code::InvalidSecurityGroup, message));
        }
        if !groups.contains(id) {
            groups.push(id.clone());
        }
    }
    within_bound("security groups", groups.len())?;
    Ok(groups)
}

fn within_bound(what: &str, count: usize) -> Result<(), Failure> {
    if count <= PLACES_MAX {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "A load balancer has at most {PLACES_MAX} {what}"
    )))
}

fn subnets(load_balancer: &LoadBalancer) -> Answer {
    let subnets = load_balancer.subnets.iter();
    Answer::Subnets(subnets.map(|subnet| subnet.id.clone()).collect())
}

fn has_zones(load_balancer: &LoadBalancer) -> Failure {
    Failure::configuration(format!(
        "Load balancer {} was made with Availability Zones and has no subnets",
        load_balancer.name
    ))
}

fn has_subnets(load_balancer: &LoadBalancer) -> Failure {
    Failure::configuration(format!(
        "Load balancer {} was made with subnets; its Availability Zones are those of them",
        load_balancer.name
    ))
}
