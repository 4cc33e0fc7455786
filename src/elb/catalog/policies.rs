//! Policies come and go, and are described. They never change.

use super::policy::{POLICY_TYPES, Policy, predefined, samples};
use super::{LoadBalancer, World, each_once};
use crate::elb::{Answer, Code, Failure, PolicyKind, PolicyShown};

/// Adds a policy.
pub(super) fn create(
    load_balancer: &mut LoadBalancer,
    policy: &Policy,
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let name = &policy.name;
    if load_balancer.policy(name).is_some() {
        let message = format!("Policy Name [{name}] already exists.");
        return Err(Failure::new(Code::DuplicatePolicyName, message));
    }
    let limit = world.limits.policies;
    if load_balancer.policies.len() >= limit {
        let message = format!("A load balancer has at most {limit} policies");
        return Err(Failure::new(Code::TooManyPolicies, message));
    }
    if let PolicyKind::BackendServerAuthentication { public_keys } = &policy.kind {
        judge_public_keys(load_balancer, public_keys)?;
    }
    load_balancer.policies.push(policy.clone());
    Ok(Answer::Done)
}

/// Removes a policy; one that is not there is no mistake.
pub(super) fn delete(load_balancer: &mut LoadBalancer, name: &str) -> Result<Answer, Failure> {
    if load_balancer.uses_policy(name) {
        return Err(Failure::configuration(format!(
            "You cannot delete policy [{name}] since it is enabled or referred by other enabled \
             policy."
        )));
    }
    load_balancer.policies.retain(|policy| policy.name != name);
    Ok(Answer::Done)
}

/// Policies of a load balancer with those names, or all: its own, and the predefined ones that its
/// listeners use. Without a load balancer: the samples and the predefined ones.
pub(super) fn describe(
    load_balancer: Option<&LoadBalancer>,
    names: &[String],
) -> Result<Answer, Failure> {
    let all = match load_balancer {
        None => samples(),
        Some(load_balancer) => {
            let in_use = load_balancer.predefined_policies();
            let in_use = in_use.into_iter().filter_map(predefined);
            load_balancer
                .policies
                .iter()
                .cloned()
                .chain(in_use)
                .collect()
        }
    };
    let chosen = if names.is_empty() {
        all
    } else {
        let find = |name: &String| {
            let found = all.iter().find(|policy| policy.name == *name);
            found.cloned().ok_or_else(|| not_found(load_balancer, name))
        };
        let names = each_once(names);
        names.iter().map(find).collect::<Result<_, _>>()?
    };
    Ok(Answer::Policies(
        chosen.iter().map(PolicyShown::from).collect(),
    ))
}

/// The types with those names, or all.
pub(super) fn describe_types(names: &[String]) -> Result<Answer, Failure> {
    if names.is_empty() {
        return Ok(Answer::PolicyTypes(POLICY_TYPES.iter().collect()));
    }
    let find = |name: &String| {
        let found = POLICY_TYPES
            .iter()
            .find(|policy_type| policy_type.name == name);
        found.ok_or_else(|| {
            let message = format!("There is no policy type with name {name}");
            Failure::new(Code::PolicyTypeNotFound, message)
        })
    };
    let names = each_once(names);
    let types = names.iter().map(find).collect::<Result<_, _>>()?;
    Ok(Answer::PolicyTypes(types))
}

/// Whether each of these policies is there and has a public key. The policy that refers to them can
/// be used only then.
pub(super) fn judge_public_keys(
    load_balancer: &LoadBalancer,
    names: &[String],
) -> Result<(), Failure> {
    let has_key = |name: &String| load_balancer.public_key(name).is_some();
    match names.iter().find(|name| !has_key(name)) {
        None => Ok(()),
        Some(name) => Err(Failure::configuration(format!(
            "Load balancer {} has no policy of the type PublicKeyPolicyType with name {name}",
            load_balancer.name
        ))),
    }
}

/// There is no such policy.
pub(super) fn not_found(load_balancer: Option<&LoadBalancer>, name: &str) -> Failure {
    let message = match load_balancer {
        None => format!("There is no policy with name {name}"),
        Some(load_balancer) => format!(
            "There is no policy with name {name} for load balancer {}",
            load_balancer.name
        ),
    };
    Failure::new(Code::PolicyNotFound, message)
}
