//! What one region knows: its load balancers, and every rule of how the API changes them (CLB.md
//! §2.9, §2.10, §3).
//!
//! Not what types and ranges parameters have (`action`), not what elbow runs (`config`). Invariant:
//! [`Catalog::apply`] changes everything that an action asks for or nothing; it works on a copy of
//! the load balancer and puts that in place at the end.
//!
//! | file | |
//! |---|---|
//! | `load_balancer.rs`, `policy.rs`, `attributes.rs` | what is known, and its keys on disk |
//! | `create.rs` | load balancers come and go |
//! | `listeners.rs` | listeners come and go, and their certificates |
//! | `policies.rs`, `uses.rs` | policies come and go; who uses which |
//! | `instances.rs`, `places.rs`, `tags.rs` | lists of ids and words |
//! | `describe.rs` | what is shown, in pages |
//! | `world.rs` | what the catalog cannot know |

mod attributes;
mod create;
mod describe;
mod instances;
mod listeners;
mod load_balancer;
mod places;
mod policies;
mod policy;
mod tags;
mod uses;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Action, Answer, Code, Failure};
pub use attributes::{AccessLog, Attributes, Draining};
pub use load_balancer::{BackendServer, HealthCheck, Listener, LoadBalancer, Scheme, Subnet, Tag};
pub(super) use policy::{
    APP_COOKIE, BACKEND_SERVER_AUTHENTICATION, COOKIE_NAME, COOKIE_PERIOD, KEY, KEY_POLICY,
    LB_COOKIE, PROXY, PROXY_PROTOCOL, PUBLIC_KEY, REFERENCE, RESERVED_PREFIXES, SSL_NEGOTIATION,
    SSL_POLICIES, TLS_PROTOCOLS,
};
pub use policy::{Policy, PolicyKind, PolicyType};
pub use world::{Limits, SubnetFacts, World};

/// The load balancers of one region. Its JSON is `{"load_balancers": [..]}`, in order of names.
/// Reading that back trusts it: no rule is judged again.
///
/// A clone shares the load balancers with the original until one of the two changes them, so that a
/// change can be tried on a clone, written to disk, and only then be in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Catalog {
    load_balancers: BTreeMap<String, Arc<LoadBalancer>>,
}

/// A catalog as JSON.
#[derive(Serialize, Deserialize)]
struct Written {
    load_balancers: Vec<Arc<LoadBalancer>>,
}

impl From<Written> for Catalog {
    fn from(written: Written) -> Self {
        written.load_balancers.into_iter().collect()
    }
}

impl From<Catalog> for Written {
    fn from(catalog: Catalog) -> Self {
        Self {
            load_balancers: catalog.load_balancers.into_values().collect(),
        }
    }
}

/// Of load balancers with the same name the last one stays. No rule is judged.
impl FromIterator<Arc<LoadBalancer>> for Catalog {
    fn from_iter<T: IntoIterator<Item = Arc<LoadBalancer>>>(all: T) -> Self {
        let all = all.into_iter();
        Self {
            load_balancers: all.map(|one| (one.name.clone(), one)).collect(),
        }
    }
}

impl Catalog {
    /// All load balancers, in order of their names.
    pub fn load_balancers(&self) -> impl ExactSizeIterator<Item = &Arc<LoadBalancer>> {
        self.load_balancers.values()
    }

    /// The load balancer of this name, in this case.
    pub fn load_balancer(&self, name: &str) -> Option<&Arc<LoadBalancer>> {
        self.load_balancers.get(name)
    }

    /// Does what an action asks for and says what there is to answer; or fails and changes nothing.
    #[expect(clippy::too_many_lines, reason = "an arm for each action")]
    pub fn apply(&mut self, action: &Action, world: &World<'_>) -> Result<Answer, Failure> {
        match action {
            Action::AddTags(name, tags) => self.change(name, |lb| tags::add(lb, tags, world)),
            Action::ApplySecurityGroupsToLoadBalancer(name, ids) => {
                self.change(name, |lb| places::apply_security_groups(lb, ids, world))
            }
            Action::AttachLoadBalancerToSubnets(name, ids) => {
                self.change(name, |lb| places::attach(lb, ids, world))
            }
            Action::ConfigureHealthCheck(name, check) => self.change(name, |lb| {
                lb.health_check.clone_from(check);
                Ok(Answer::HealthCheck(check.clone()))
            }),
            Action::CreateAppCookieStickinessPolicy(name, policy)
            | Action::CreateLBCookieStickinessPolicy(name, policy)
            | Action::CreateLoadBalancerPolicy(name, policy) => {
                self.change(name, |lb| policies::create(lb, policy, world))
            }
            Action::CreateLoadBalancer(new) => self.create(new, world),
            Action::CreateLoadBalancerListeners(name, new) => {
                self.change(name, |lb| listeners::create(lb, new, world))
            }
            Action::DeleteLoadBalancer(name) => {
                self.load_balancers.remove(name);
                Ok(Answer::Done)
            }
            Action::DeleteLoadBalancerListeners(name, ports) => {
                self.change(name, |lb| Ok(listeners::delete(lb, ports)))
            }
            Action::DeleteLoadBalancerPolicy(name, policy) => {
                self.change(name, |lb| policies::delete(lb, policy))
            }
            Action::DeregisterInstancesFromLoadBalancer(name, ids) => {
                self.change(name, |lb| instances::deregister(lb, ids, world))
            }
            Action::DescribeAccountLimits(page) => describe::account_limits(page, world),
            Action::DescribeInstanceHealth(name, ids) => {
                instances::describe(self.find(name)?, ids, world)
            }
            Action::DescribeLoadBalancerAttributes(name) => {
                Ok(Answer::Attributes(self.find(name)?.attributes.shown()))
            }
            Action::DescribeLoadBalancerPolicies(name, names) => {
                let load_balancer = name.as_ref().map(|name| self.find(name)).transpose()?;
                policies::describe(load_balancer, names)
            }
            Action::DescribeLoadBalancerPolicyTypes(names) => policies::describe_types(names),
            Action::DescribeLoadBalancers(names, page) => {
                self.describe_load_balancers(names, page, world)
            }
            Action::DescribeTags(names) => self.describe_tags(names),
            Action::DetachLoadBalancerFromSubnets(name, ids) => {
                self.change(name, |lb| places::detach(lb, ids))
            }
            Action::DisableAvailabilityZonesForLoadBalancer(name, zones) => {
                self.change(name, |lb| places::disable(lb, zones))
            }
            Action::EnableAvailabilityZonesForLoadBalancer(name, zones) => {
                self.change(name, |lb| places::enable(lb, zones, world))
            }
            Action::ModifyLoadBalancerAttributes(name, changes) => {
                self.change(name, |lb| attributes::modify(lb, changes))
            }
            Action::RegisterInstancesWithLoadBalancer(name, ids) => {
                self.change(name, |lb| instances::register(lb, ids, world))
            }
            Action::RemoveTags(name, keys) => self.change(name, |lb| Ok(tags::remove(lb, keys))),
            Action::SetLoadBalancerListenerSSLCertificate(name, port, arn) => {
                self.change(name, |lb| listeners::set_certificate(lb, *port, arn, world))
            }
            Action::SetLoadBalancerPoliciesForBackendServer(name, port, names) => self
                .change(name, |lb| {
                    uses::set_of_backend_server(lb, *port, names, world)
                }),
            Action::SetLoadBalancerPoliciesOfListener(name, port, names) => {
                self.change(name, |lb| uses::set_of_listener(lb, *port, names))
            }
        }
    }

    /// Changes a copy, which takes the place of the load balancer once all has gone well.
    fn change(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut LoadBalancer) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let mut changed = LoadBalancer::clone(self.find(name)?);
        let answer = change(&mut changed)?;
        self.put(changed);
        Ok(answer)
    }

    fn put(&mut self, one: LoadBalancer) {
        self.load_balancers.insert(one.name.clone(), Arc::new(one));
    }

    fn find(&self, name: &str) -> Result<&LoadBalancer, Failure> {
        self.load_balancers
            .get(name)
            .map(Arc::as_ref)
            .ok_or_else(|| {
                let message = format!("There is no ACTIVE Load Balancer named '{name}'");
                Failure::new(Code::LoadBalancerNotFound, message)
            })
    }
}

/// The names without repeats, in the order they came.
fn each_once(names: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let once = names.iter().filter(|name| seen.insert(*name));
    once.cloned().collect()
}
