//! Which instances a load balancer has, and what is said of their health (CLB.md §3.6).
//!
//! Not whether they are healthy: the world says so.

use super::{LoadBalancer, World, each_once};
use crate::elb::{Answer, Code, Failure, Health, InstanceState};

/// Adds instances; those that are there already stay where they are. Answers with all.
pub(super) fn register(
    load_balancer: &mut LoadBalancer,
    ids: &[String],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let instances = &mut load_balancer.instances;
    for id in ids {
        if instances.contains(id) {
            continue;
        }
        judge(id, world)?;
        let limit = world.limits.instances;
        if instances.len() >= limit {
            return Err(Failure::invalid(format!(
                "A load balancer has at most {limit} instances"
            )));
        }
        instances.push(id.clone());
    }
    Ok(Answer::Instances(instances.clone()))
}

/// Removes instances, as far as they are there. Answers with those that remain.
pub(super) fn deregister(
    load_balancer: &mut LoadBalancer,
    ids: &[String],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let instances = &mut load_balancer.instances;
    for id in ids {
        match instances.iter().position(|instance| instance == id) {
            // Also if nothing is known of it any more: it has to be possible to let it go.
            Some(index) => drop(instances.remove(index)),
            None => judge(id, world)?,
        }
    }
    Ok(Answer::Instances(instances.clone()))
}

/// How instances are; all that are registered if none is named.
pub(super) fn describe(
    load_balancer: &LoadBalancer,
    ids: &[String],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let named = if ids.is_empty() {
        load_balancer.instances.clone()
    } else {
        each_once(ids)
    };
    let mut states = Vec::with_capacity(named.len());
    for id in named {
        let is_registered = load_balancer.instances.contains(&id);
        let health = (world.health)(&load_balancer.name, &id);
        // One that leaves is not registered any more, but its health is known till it has left.
        if !is_registered && health.is_none() {
            judge(&id, world)?;
        }
        let default = if is_registered {
            Health::registering
        } else {
            Health::not_registered
        };
        states.push(InstanceState {
            id,
            health: health.unwrap_or_else(default),
        });
    }
    Ok(Answer::InstanceStates(states))
}

fn judge(id: &str, world: &World<'_>) -> Result<(), Failure> {
    if (world.is_instance)(id) {
        return Ok(());
    }
    let message = format!("Could not find EC2 instance {id}.");
    Err(Failure::new(Code::InvalidInstance, message))
}
