//! Answers as XML, element for element in the order of CLB.md §3.7.

use time::OffsetDateTime;

use super::{Answer, AttributesShown, InstanceState, PolicyShown};
use crate::elb::xml::Xml;
use crate::elb::{
    Action, HealthCheck, Listener, LoadBalancer, NAMESPACE, PolicyKind, PolicyType, Tag,
};

impl Answer {
    /// The body of the answer to `action`. The request id is for the client's log; it belongs into
    /// the header `x-amzn-RequestId` as well.
    pub fn to_xml(&self, action: &Action, request_id: &str) -> String {
        let name = action.name();
        Xml::document(&format!("{name}Response"), NAMESPACE, |x| {
            // There even if it is empty: clients look for it.
            let result = format!("{name}Result");
            if *self == Self::Done {
                x.empty(&result);
            } else {
                x.within(&result, |x| self.write(x));
            }
            x.within("ResponseMetadata", |x| x.text("RequestId", request_id));
        })
    }

    fn write(&self, x: &mut Xml) {
        match self {
            Self::Done => {}
            Self::DnsName(name) => x.text("DNSName", name),
            Self::SecurityGroups(ids) => x.texts("SecurityGroups", ids),
            Self::Subnets(ids) => x.texts("Subnets", ids),
            Self::Zones(names) => x.texts("AvailabilityZones", names),
            Self::Instances(ids) => instances(x, ids),
            Self::HealthCheck(check) => health_check(x, check),
            Self::InstanceStates(states) => x.list("InstanceStates", states, instance_state),
            Self::Attributes(shown) => attributes(x, shown),
            Self::Modified(name, shown) => {
                x.text("LoadBalancerName", name);
                attributes(x, shown);
            }
            Self::Policies(policies) => x.list("PolicyDescriptions", policies, policy),
            Self::PolicyTypes(types) => {
                let types = types.iter().copied();
                x.list("PolicyTypeDescriptions", types, policy_type);
            }
            Self::Tags(all) => x.list("TagDescriptions", all, |x, (name, all)| {
                x.text("LoadBalancerName", name);
                tags(x, all);
            }),
            Self::Limits { limits, next } => {
                x.list("Limits", limits, |x, (name, most)| {
                    x.text("Name", name);
                    x.text("Max", most);
                });
                x.optional("NextMarker", next.as_ref());
            }
            Self::LoadBalancers {
                load_balancers,
                hosted_zone,
                next,
            } => {
                x.list("LoadBalancerDescriptions", load_balancers, |x, one| {
                    load_balancer(x, one, hosted_zone);
                });
                x.optional("NextMarker", next.as_ref());
            }
        }
    }
}

fn load_balancer(x: &mut Xml, one: &LoadBalancer, hosted_zone: &str) {
    x.texts("SecurityGroups", &one.security_groups);
    x.text("CreatedTime", timestamp(one.created_ms));
    x.text("LoadBalancerName", &one.name);
    health_check(x, &one.health_check);
    x.optional("VPCId", one.vpc());
    x.list("ListenerDescriptions", &one.listeners, listener);
    instances(x, &one.instances);
    x.within("Policies", |x| policies(x, one));
    x.texts("AvailabilityZones", one.all_zones());
    x.text("CanonicalHostedZoneName", &one.dns_name);
    x.text("CanonicalHostedZoneNameID", hosted_zone);
    x.text("Scheme", one.scheme.name());
    // What every load balancer had before there were VPCs; there is no account to name here.
    x.within("SourceSecurityGroup", |x| {
        x.text("OwnerAlias", "amazon-elb");
        x.text("GroupName", "amazon-elb-sg");
    });
    x.text("DNSName", &one.dns_name);
    x.list(
        "BackendServerDescriptions",
        &one.backend_servers,
        |x, server| {
            x.text("InstancePort", server.instance_port);
            x.texts("PolicyNames", &server.policies);
        },
    );
    x.texts("Subnets", one.subnets.iter().map(|subnet| &subnet.id));
}

fn listener(x: &mut Xml, listener: &Listener) {
    x.texts("PolicyNames", &listener.policies);
    x.within("Listener", |x| {
        x.text("Protocol", listener.protocol);
        x.text("LoadBalancerPort", listener.port);
        x.text("InstanceProtocol", listener.instance_protocol);
        x.optional("SSLCertificateId", listener.certificate.as_ref());
        x.text("InstancePort", listener.instance_port);
    });
}

/// All policies of a load balancer by type: its own, then the predefined ones that it uses.
fn policies(x: &mut Xml, one: &LoadBalancer) {
    let own = one.policies.iter();
    let apps = own.clone().filter_map(|policy| {
        let PolicyKind::AppCookie { cookie } = &policy.kind else {
            return None;
        };
        Some((&policy.name, cookie))
    });
    x.list("AppCookieStickinessPolicies", apps, |x, (name, cookie)| {
        x.text("PolicyName", name);
        x.text("CookieName", cookie);
    });
    let others = own.clone().filter(|policy| !policy.kind.is_stickiness());
    let others = others.map(|policy| policy.name.as_str());
    x.texts("OtherPolicies", others.chain(one.predefined_policies()));
    let durations = own.filter_map(|policy| {
        let PolicyKind::LbCookie { expiration_seconds } = &policy.kind else {
            return None;
        };
        Some((&policy.name, expiration_seconds))
    });
    x.list(
        "LBCookieStickinessPolicies",
        durations,
        |x, (name, expiration)| {
            x.text("PolicyName", name);
            x.optional("CookieExpirationPeriod", expiration.as_ref());
        },
    );
}

fn health_check(x: &mut Xml, check: &HealthCheck) {
    x.within("HealthCheck", |x| {
        x.text("Interval", check.interval_seconds);
        x.text("Target", &check.target);
        x.text("HealthyThreshold", check.healthy_threshold);
        x.text("Timeout", check.timeout_seconds);
        x.text("UnhealthyThreshold", check.unhealthy_threshold);
    });
}

fn instances(x: &mut Xml, ids: &[String]) {
    x.list("Instances", ids, |x, id| x.text("InstanceId", id));
}

fn instance_state(x: &mut Xml, state: &InstanceState) {
    x.text("Description", state.health.description);
    x.text("InstanceId", &state.id);
    x.text("State", state.health.state);
    x.text("ReasonCode", state.health.reason);
}

fn attributes(x: &mut Xml, shown: &AttributesShown) {
    x.within("LoadBalancerAttributes", |x| {
        if let Some(log) = &shown.access_log {
            x.within("AccessLog", |x| {
                x.text("Enabled", log.is_enabled);
                x.optional("S3BucketName", log.bucket.as_ref());
                // As CLB has it, where logs that are off have no interval.
                x.optional(
                    "EmitInterval",
                    log.is_enabled.then_some(log.interval_minutes),
                );
                x.optional("S3BucketPrefix", log.prefix.as_ref());
            });
        }
        if let Some(seconds) = shown.idle_timeout_seconds {
            x.within("ConnectionSettings", |x| x.text("IdleTimeout", seconds));
        }
        if let Some(is_on) = shown.cross_zone {
            x.within("CrossZoneLoadBalancing", |x| x.text("Enabled", is_on));
        }
        if let Some(draining) = &shown.draining {
            x.within("ConnectionDraining", |x| {
                x.text("Enabled", draining.is_enabled);
                x.text("Timeout", draining.timeout_seconds);
            });
        }
        if let Some(pairs) = &shown.additional {
            x.list("AdditionalAttributes", pairs, |x, (key, value)| {
                x.text("Key", key);
                x.text("Value", value);
            });
        }
    });
}

fn policy(x: &mut Xml, policy: &PolicyShown) {
    x.text("PolicyName", &policy.name);
    x.text("PolicyTypeName", policy.type_name);
    x.list(
        "PolicyAttributeDescriptions",
        &policy.attributes,
        |x, (name, value)| {
            x.text("AttributeName", name);
            x.text("AttributeValue", value);
        },
    );
}

fn policy_type(x: &mut Xml, policy_type: &PolicyType) {
    x.list(
        "PolicyAttributeTypeDescriptions",
        policy_type.all(),
        |x, (name, kind, cardinality)| {
            x.text("AttributeName", name);
            x.text("AttributeType", kind);
            x.text("Cardinality", cardinality);
        },
    );
    x.text("PolicyTypeName", policy_type.name);
    x.text("Description", policy_type.description);
}

fn tags(x: &mut Xml, tags: &[Tag]) {
    x.list("Tags", tags, |x, tag| {
        x.text("Key", &tag.key);
        x.text("Value", &tag.value);
    });
}

/// A moment, in milliseconds since 1970, such as `2026-01-02T03:04:05.670Z`. One that has no such
/// form, some 8,000 years ahead, is shown as the first.
pub fn timestamp(ms: u64) -> String {
    let time = i128::from(ms) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(time);
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}
