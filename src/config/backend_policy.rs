//! `[[load_balancer.backend_policy]]`: what holds for all backends at one instance port, as CLB's
//! `SetLoadBalancerPoliciesForBackendServer` has it.

use super::read::{Report, Section};
use super::{BackendPolicy, Listener, LoadBalancer, Mistake};
use crate::proxy_protocol::Version;

impl LoadBalancer {
    /// In which form its backends at `instance_port` are told whose connection they get, if at all.
    pub fn proxy_protocol(&self, instance_port: u16) -> Option<Version> {
        let policies = self.backend_policies.iter();
        policies
            .filter(|policy| policy.instance_port == instance_port)
            .map(|policy| policy.proxy_protocol)
            .next()
    }
}

/// Reads all `[[load_balancer.backend_policy]]`. `listeners` are those of the load balancer, `None`
/// for one that is wrong.
pub(super) fn backend_policies(
    section: &mut Section<'_>,
    listeners: &[Option<Listener>],
    report: &mut Report<'_>,
) -> Option<Vec<BackendPolicy>> {
    let mut policies: Vec<Option<BackendPolicy>> = Vec::new();
    for mut section in section.sections("backend_policy", report)? {
        let port_field = section.required("instance_port", report);
        let instance_port = port_field.as_ref().and_then(|field| field.port(report));
        let proxy_protocol = section
            .required("proxy_protocol", report)
            .and_then(|field| field.parsed(version, report));
        section.finish(report);
        let (Some(port_field), Some(instance_port)) = (port_field, instance_port) else {
            policies.push(None);
            continue;
        };
        let is_same = |policy: &BackendPolicy| policy.instance_port == instance_port;
        if policies.iter().flatten().any(is_same) {
            report.refuse(&port_field, "has a policy already");
        }
        // A listener that is wrong may be the one that is meant.
        let is_used = |listener: &Option<Listener>| {
            listener
                .as_ref()
                .is_none_or(|l| l.instance_port == instance_port)
        };
        if !listeners.iter().any(is_used) {
            report.refuse(&port_field, "is the instance port of no listener here");
        }
        policies.push(proxy_protocol.map(|proxy_protocol| BackendPolicy {
            instance_port,
            proxy_protocol,
        }));
    }
    policies.into_iter().collect()
}

fn version(text: &str) -> Result<Version, Mistake> {
    let all = [Version::V1, Version::V2];
    all.into_iter()
        .find(|version| version.name() == text)
        .ok_or_else(|| "must be \"v1\" or \"v2\"".into())
}
