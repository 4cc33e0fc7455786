//! Which policies listeners and instance ports use (CLB.md §2.9, §3.5).
//!
//! Invariant: what is set replaces what was there, but a listener with TLS is never without a
//! policy for it.

use super::listeners::find_mut;
use super::load_balancer::{BackendServer, Listener, LoadBalancer};
use super::policies::{judge_public_keys, not_found};
use super::policy::{DEFAULT_SSL_POLICY, Policy, PolicyKind, is_predefined, predefined};
use super::{World, each_once};
use crate::elb::{Answer, Failure};

impl LoadBalancer {
    /// The policy for stickiness of a listener, if it has one.
    pub fn stickiness(&self, listener: &Listener) -> Option<&Policy> {
        let mut own = listener
            .policies
            .iter()
            .filter_map(|name| self.policy(name));
        own.find(|policy| policy.kind.is_stickiness())
    }

    /// The policy for TLS of a listener, if it has TLS.
    pub fn ssl_policy(&self, listener: &Listener) -> Option<Policy> {
        let mut names = listener.policies.iter();
        let name = names.find(|name| is_ssl_policy(self, name))?;
        self.policy(name).cloned().or_else(|| predefined(name))
    }

    /// Whether each connection to an instance at this port begins with a PROXY header.
    pub fn has_proxy_header(&self, instance_port: u16) -> bool {
        let mut kinds = self.kinds_at(instance_port);
        kinds.any(|kind| *kind == PolicyKind::ProxyProtocol { is_enabled: true })
    }

    /// The public keys of which instances at this port have to have one; `None`: they may be
    /// anybody.
    pub fn public_keys(&self, instance_port: u16) -> Option<Vec<&str>> {
        let mut kinds = self.kinds_at(instance_port);
        let names = kinds.find_map(|kind| {
            let PolicyKind::BackendServerAuthentication { public_keys } = kind else {
                return None;
            };
            Some(public_keys)
        })?;
        Some(
            names
                .iter()
                .filter_map(|name| self.public_key(name))
                .collect(),
        )
    }

    /// Predefined policies that its listeners use, each once, in the order of the listeners.
    pub fn predefined_policies(&self) -> Vec<&str> {
        let used = self
            .listeners
            .iter()
            .flat_map(|listener| &listener.policies);
        let mut names: Vec<&str> = Vec::new();
        for name in used.filter(|name| is_predefined(name)) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// Whether a listener or an instance port uses the policy, or one that they use refers to it.
    pub(super) fn uses_policy(&self, name: &str) -> bool {
        let listeners = self.listeners.iter().map(|listener| &listener.policies);
        let ports = self.backend_servers.iter().map(|server| &server.policies);
        let refers = |policy: &Policy| match &policy.kind {
            PolicyKind::BackendServerAuthentication { public_keys } => {
                public_keys.iter().any(|key| key == name)
            }
            PolicyKind::LbCookie { .. }
            | PolicyKind::AppCookie { .. }
            | PolicyKind::ProxyProtocol { .. }
            | PolicyKind::SslNegotiation { .. }
            | PolicyKind::PublicKey { .. } => false,
        };
        let mut used = listeners.chain(ports).flatten();
        used.any(|used| used == name || self.policy(used).is_some_and(refers))
    }

    /// The public key that a policy has, if it is there and of that type.
    pub(super) fn public_key(&self, name: &str) -> Option<&str> {
        let PolicyKind::PublicKey { text } = &self.policy(name)?.kind else {
            return None;
        };
        Some(text)
    }

    fn kinds_at(&self, instance_port: u16) -> impl Iterator<Item = &PolicyKind> {
        let servers = self.backend_servers.iter();
        let here = servers.filter(move |server| server.instance_port == instance_port);
        let names = here.flat_map(|server| &server.policies);
        names
            .filter_map(|name| self.policy(name))
            .map(|policy| &policy.kind)
    }
}

/// Gives a listener the policies of these names, in this order, and no others. If it has TLS and
/// none of them is for that, the one that it has stays, after the others.
pub(super) fn set_of_listener(
    load_balancer: &mut LoadBalancer,
    port: u16,
    names: &[String],
) -> Result<Answer, Failure> {
    let listener = find_mut(load_balancer, port)?.clone();
    let mut policies = each_once(names);
    judge_of_listener(load_balancer, &listener, &policies)?;
    let is_ssl = |name: &String| is_ssl_policy(load_balancer, name);
    if listener.protocol.is_secure() && !policies.iter().any(is_ssl) {
        let current = load_balancer
            .ssl_policy(&listener)
            .map(|policy| policy.name);
        policies.push(current.unwrap_or_else(|| DEFAULT_SSL_POLICY.to_owned()));
    }
    find_mut(load_balancer, port)?.policies = policies;
    Ok(Answer::Done)
}

/// Gives an instance port the policies of these names, and no others.
pub(super) fn set_of_backend_server(
    load_balancer: &mut LoadBalancer,
    port: u16,
    names: &[String],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let policies = each_once(names);
    let kinds: Vec<&PolicyKind> = kinds(load_balancer, &policies)?;
    let users = load_balancer.listeners.iter();
    let mut users = users
        .filter(|listener| listener.instance_port == port)
        .peekable();
    if !policies.is_empty() && users.peek().is_none() {
        return Err(Failure::configuration(format!(
            "Load balancer {} has no listener with the instance port {port}",
            load_balancer.name
        )));
    }
    let is_secure = users.any(|listener| listener.instance_protocol.is_secure());
    for (name, kind) in policies.iter().zip(&kinds) {
        match kind {
            PolicyKind::ProxyProtocol { .. } => {}
            PolicyKind::BackendServerAuthentication { public_keys } if is_secure => {
                judge_public_keys(load_balancer, public_keys)?;
            }
            PolicyKind::BackendServerAuthentication { .. } => {
                return Err(cannot_be_enabled(
                    name,
                    &format!("the instance protocol at port {port} is not HTTPS or SSL"),
                ));
            }
            PolicyKind::LbCookie { .. }
            | PolicyKind::AppCookie { .. }
            | PolicyKind::SslNegotiation { .. }
            | PolicyKind::PublicKey { .. } => {
                let why = format!("a {} is not for instance ports", kind.type_name());
                return Err(cannot_be_enabled(name, &why));
            }
        }
    }
    one_of_each(&policies, &kinds)?;
    let servers = &mut load_balancer.backend_servers;
    match servers
        .iter_mut()
        .find(|server| server.instance_port == port)
    {
        Some(server) => server.policies = policies,
        None => servers.push(BackendServer {
            instance_port: port,
            policies,
        }),
    }
    servers.retain(|server| !server.policies.is_empty());
    let mut keys = load_balancer.public_keys(port).into_iter().flatten();
    if !keys.all(world.is_public_key) {
        return Err(Failure::configuration(format!(
            "The policies for instance port {port} refer to what is no public key"
        )));
    }
    Ok(Answer::Done)
}

fn judge_of_listener(
    load_balancer: &LoadBalancer,
    listener: &Listener,
    names: &[String],
) -> Result<(), Failure> {
    let mut has_stickiness = false;
    let mut has_ssl = false;
    for name in names {
        let protocol = listener.protocol;
        let is_fit = match kind(load_balancer, name)? {
            None | Some(PolicyKind::SslNegotiation { .. }) => {
                if std::mem::replace(&mut has_ssl, true) {
                    let why = "a listener has one policy for TLS";
                    return Err(cannot_be_enabled(name, why));
                }
                protocol.is_secure()
            }
            Some(PolicyKind::LbCookie { .. } | PolicyKind::AppCookie { .. }) => {
                if std::mem::replace(&mut has_stickiness, true) {
                    let why = "a listener has at most one policy for stickiness";
                    return Err(cannot_be_enabled(name, why));
                }
                protocol.is_http()
            }
            Some(
                PolicyKind::ProxyProtocol { .. }
                | PolicyKind::PublicKey { .. }
                | PolicyKind::BackendServerAuthentication { .. },
            ) => return Err(cannot_be_enabled(name, "it is not for listeners")),
        };
        if !is_fit {
            let why = format!("it is not for a listener with the protocol {protocol}");
            return Err(cannot_be_enabled(name, &why));
        }
    }
    Ok(())
}

/// What a policy says; `None` for a predefined one, which is for TLS.
fn kind<'a>(
    load_balancer: &'a LoadBalancer,
    name: &str,
) -> Result<Option<&'a PolicyKind>, Failure> {
    match load_balancer.policy(name) {
        Some(policy) => Ok(Some(&policy.kind)),
        None if is_predefined(name) => Ok(None),
        None => Err(not_found(Some(load_balancer), name)),
    }
}

/// What policies say of which none is predefined.
fn kinds<'a>(
    load_balancer: &'a LoadBalancer,
    names: &[String],
) -> Result<Vec<&'a PolicyKind>, Failure> {
    let own = |name: &String| {
        let why = "it is not for instance ports";
        kind(load_balancer, name)?.ok_or_else(|| cannot_be_enabled(name, why))
    };
    names.iter().map(own).collect()
}

fn is_ssl_policy(load_balancer: &LoadBalancer, name: &str) -> bool {
    let own = load_balancer.policy(name);
    is_predefined(name)
        || own.is_some_and(|policy| matches!(policy.kind, PolicyKind::SslNegotiation { .. }))
}

/// An instance port has one policy of each type: two could say different things.
fn one_of_each(names: &[String], kinds: &[&PolicyKind]) -> Result<(), Failure> {
    for (index, kind) in kinds.iter().enumerate() {
        let type_name = kind.type_name();
        if kinds[..index]
            .iter()
            .any(|other| other.type_name() == type_name)
        {
            let why = format!("an instance port has one policy of the type {type_name}");
            return Err(cannot_be_enabled(&names[index], &why));
        }
    }
    Ok(())
}

/// CLB's words, which clients know, and why.
fn cannot_be_enabled(name: &str, why: &str) -> Failure {
    Failure::configuration(format!("{name} cannot be enabled: {why}"))
}
