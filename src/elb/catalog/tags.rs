//! Tags: words that users put on a load balancer. Nothing depends on them.

use std::collections::BTreeSet;

use super::load_balancer::{LoadBalancer, Tag};
use super::{Catalog, World};
use crate::elb::{Answer, Code, Failure};

/// Adds tags; the value of a key that is there already is replaced.
pub(super) fn add(
    load_balancer: &mut LoadBalancer,
    new: &[Tag],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let mut seen = BTreeSet::new();
    for tag in new {
        if !seen.insert(&tag.key) {
            let message = format!("The tag key '{}' is there more than once", tag.key);
            return Err(Failure::new(Code::DuplicateTagKeys, message));
        }
        match load_balancer
            .tags
            .iter_mut()
            .find(|there| there.key == tag.key)
        {
            Some(there) => there.value.clone_from(&tag.value),
            None => load_balancer.tags.push(tag.clone()),
        }
    }
    let limit = world.limits.tags;
    if load_balancer.tags.len() > limit {
        let message = format!("A load balancer has at most {limit} tags");
        return Err(Failure::new(Code::TooManyTags, message));
    }
    Ok(Answer::Done)
}

/// Removes the tags with these keys, as far as they are there.
pub(super) fn remove(load_balancer: &mut LoadBalancer, keys: &[String]) -> Answer {
    load_balancer.tags.retain(|tag| !keys.contains(&tag.key));
    Answer::Done
}

impl Catalog {
    /// The tags of load balancers, in the order they are named.
    pub(super) fn describe_tags(&self, names: &[String]) -> Result<Answer, Failure> {
        let tags = |name: &String| Ok((name.clone(), self.find(name)?.tags.clone()));
        let all = names.iter().map(tags).collect::<Result<_, _>>()?;
        Ok(Answer::Tags(all))
    }
}
