//! A load balancer of the file as the API shows it.
//!
//! Invariant: what comes out holds to the rules of the catalog, except that there may be more
//! policies, one for each public key of a backend, and that a file may have listeners that speak
//! TLS to an instance port beside others that do not.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Facts;
use crate::config::{self, Logging, SslPolicy, Stickiness, Trust};
use crate::elb::catalog::SSL_POLICIES;
use crate::elb::{
    AccessLog, Attributes, BackendServer, Draining, HealthCheck, Listener, LoadBalancer, Policy,
    PolicyKind, Scheme,
};

/// Shows a load balancer. Of listeners at the same port the first is shown, and none at port 0.
pub fn lift(balancer: &config::LoadBalancer, facts: &Facts<'_>) -> LoadBalancer {
    let mut policies = Policies::default();
    let listeners = balancer.listeners.iter();
    let listeners = listeners.filter(|one| is_shown(&balancer.listeners, one));
    let listeners: Vec<Listener> = listeners
        .map(|one| listener(one, &mut policies, facts))
        .collect();
    let is_used = |port| {
        listeners
            .iter()
            .any(|one: &Listener| one.instance_port == port)
    };
    let servers = balancer.backend_policies.iter();
    let backend_servers = servers
        .filter(|policy| is_used(policy.instance_port))
        .filter_map(|policy| backend_server(policy, &mut policies))
        .collect();
    let first_address = balancer.listeners.first();
    let first_address = first_address.map(|one| one.address.ip().to_string());
    // The name of one in another region begins with that.
    let name = balancer.name.rsplit('/').next().unwrap_or_default();
    LoadBalancer {
        name: name.to_owned(),
        dns_name: facts
            .dns_name
            .map_or_else(|| first_address.unwrap_or_default(), str::to_owned),
        created_ms: facts.created_ms,
        scheme: Scheme::InternetFacing,
        zones: vec![format!("{}a", facts.region)],
        subnets: Vec::new(),
        security_groups: Vec::new(),
        listeners,
        policies: policies.0,
        backend_servers,
        instances: balancer.backends.iter().map(|b| b.id.clone()).collect(),
        health_check: health_check(&balancer.health_check),
        attributes: Attributes {
            cross_zone: false,
            access_log: access_log(&balancer.attributes.access_log),
            draining: draining(balancer.attributes.connection_draining),
            idle_timeout_seconds: whole_seconds(balancer.attributes.idle_timeout),
            desync_mode: balancer.attributes.desync_mode,
        },
        tags: Vec::new(),
    }
}

fn access_log(logging: &Logging) -> AccessLog {
    let Logging::Kept(bucket) = logging else {
        return AccessLog::default();
    };
    AccessLog {
        is_enabled: true,
        bucket: Some(bucket.name.clone()),
        interval_minutes: bucket.interval_minutes,
        prefix: Some(bucket.prefix.clone()).filter(|prefix| !prefix.is_empty()),
    }
}

/// The listener that the API sees at a port.
pub(super) fn at_port(listeners: &[config::Listener], port: u16) -> Option<&config::Listener> {
    listeners.iter().find(|one| one.address.port() == port)
}

/// Whether the API sees a listener, which is one of `listeners`. Addresses with a port are unique.
pub(super) fn is_shown(listeners: &[config::Listener], one: &config::Listener) -> bool {
    let port = one.address.port();
    port != 0 && at_port(listeners, port).is_some_and(|first| first.address == one.address)
}

/// The policies so far; names are unique.
#[derive(Default)]
struct Policies(Vec<Policy>);

impl Policies {
    /// Puts a policy that the file names. Of one name there is one policy in a file.
    fn put(&mut self, policy: Policy) -> String {
        let name = policy.name.clone();
        if !self.has(&name) {
            self.0.push(policy);
        }
        name
    }

    /// Puts a policy that the file has no name for, under `wanted` or a name that is free.
    fn put_unnamed(&mut self, wanted: &str, kind: PolicyKind) -> String {
        let mut name = wanted.to_owned();
        while self.has(&name) {
            name.push_str("-x");
        }
        self.put(Policy { name, kind })
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|policy| policy.name == name)
    }
}

fn listener(one: &config::Listener, policies: &mut Policies, facts: &Facts<'_>) -> Listener {
    let tls = one.tls.as_ref();
    let files = tls.and_then(|tls| tls.certificates.first());
    let mut names = Vec::new();
    if let Some(stickiness) = &one.stickiness {
        names.push(policies.put(stickiness_policy(stickiness)));
    }
    if let Some(tls) = tls {
        names.push(match ssl_policy(&tls.policy) {
            Some(own) => policies.put(own),
            None => tls.policy.to_string(),
        });
    }
    Listener {
        port: one.address.port(),
        protocol: one.protocol,
        instance_port: one.instance_port,
        instance_protocol: one.instance_protocol,
        certificate: files.map(|files| (facts.arn)(files).unwrap_or_else(|| files.file_arn())),
        policies: names,
    }
}

fn stickiness_policy(stickiness: &Stickiness) -> Policy {
    let (name, kind) = match stickiness {
        Stickiness::Duration(policy) => {
            let expiration_seconds = policy.expiration_seconds.map(u32::from);
            (&policy.name, PolicyKind::LbCookie { expiration_seconds })
        }
        Stickiness::Application(policy) => {
            let cookie = policy.cookie_name.clone();
            (&policy.name, PolicyKind::AppCookie { cookie })
        }
    };
    Policy {
        name: name.clone(),
        kind,
    }
}

/// A policy of the operator's own: a reference to the first predefined one that comes to the same,
/// else what it offers. `None`: it is predefined.
pub(super) fn ssl_policy(policy: &SslPolicy) -> Option<Policy> {
    let name = policy.to_string();
    if SslPolicy::predefined(&name).is_some() {
        return None;
    }
    let comes_to_same = |reference: &&str| {
        let reference = SslPolicy::predefined(reference);
        reference.is_some_and(|reference| reference.named(&name) == *policy)
    };
    let reference = SSL_POLICIES.into_iter().find(comes_to_same);
    let switches = match reference {
        Some(_) => Vec::new(),
        None => policy
            .attributes()
            .into_iter()
            .map(|attribute| (attribute.to_owned(), true))
            .collect(),
    };
    Some(Policy {
        name,
        kind: PolicyKind::SslNegotiation {
            reference: reference.map(str::to_owned),
            switches,
        },
    })
}

/// What the API shows of an instance port; `None`: it has no words for what holds there.
fn backend_server(
    policy: &config::BackendPolicy,
    policies: &mut Policies,
) -> Option<BackendServer> {
    let instance_port = policy.instance_port;
    let mut names = Vec::new();
    if policy.proxy_protocol.is_some() {
        let kind = PolicyKind::ProxyProtocol { is_enabled: true };
        let wanted = format!("elbow-proxy-protocol-{instance_port}");
        names.push(policies.put_unnamed(&wanted, kind));
    }
    if let Trust::Keys(keys) = &policy.trust {
        let mut put_key = |(index, key): (usize, &Vec<u8>)| {
            let text = STANDARD.encode(key);
            let wanted = format!("elbow-key-{instance_port}-{}", index + 1);
            policies.put_unnamed(&wanted, PolicyKind::PublicKey { text })
        };
        let public_keys = keys.iter().enumerate().map(&mut put_key).collect();
        let kind = PolicyKind::BackendServerAuthentication { public_keys };
        names.push(policies.put_unnamed(&format!("elbow-keys-{instance_port}"), kind));
    }
    (!names.is_empty()).then_some(BackendServer {
        instance_port,
        policies: names,
    })
}

pub(super) fn health_check(check: &config::HealthCheck) -> HealthCheck {
    let threshold = |count: u32| u8::try_from(count).unwrap_or(u8::MAX);
    HealthCheck {
        target: check.target.clone(),
        interval_seconds: whole_seconds(check.interval),
        timeout_seconds: whole_seconds(check.timeout),
        unhealthy_threshold: threshold(check.unhealthy_threshold),
        healthy_threshold: threshold(check.healthy_threshold),
    }
}

pub(super) fn draining(length: Option<Duration>) -> Draining {
    match length {
        None => Draining::default(),
        Some(length) => Draining {
            is_enabled: true,
            timeout_seconds: whole_seconds(length),
        },
    }
}

/// Rounded up: a shorter time is shown longer, never as none.
pub(super) fn whole_seconds(length: Duration) -> u16 {
    let seconds = length.as_secs() + u64::from(length.subsec_nanos() > 0);
    u16::try_from(seconds).unwrap_or(u16::MAX)
}
