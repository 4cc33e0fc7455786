//! Which policies listeners and instance ports use (CLB.md §2.9, §3.5).
//!
//! Invariant: what is set replaces what was there, but a listener with TLS is never without a
//! policy for it.

use super::listeners::find_mut;
use super::load_balancer::{BackendServer, Listener, LoadBalancer};
use super::policies::{judge_public_keys, not_found};
use super::policy::{DEFAULT_SSL_POLICY, is_predefined};
use super::{PolicyKind, invalid_configuration};
use crate::elb::{Answer, Failure};

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
        let current = listener.policies.into_iter().find(is_ssl);
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
) -> Result<Answer, Failure> {
    let policies = each_once(names);
    let kinds: Vec<&PolicyKind> = kinds(load_balancer, &policies)?;
    let users = load_balancer.listeners.iter();
    let mut users = users
        .filter(|listener| listener.instance_port == port)
        .peekable();
    if !policies.is_empty() && users.peek().is_none() {
        return Err(invalid_configuration(format!(
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

/// The names without repeats, in the order they came.
fn each_once(names: &[String]) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}

/// CLB's words, which clients know, and why.
fn cannot_be_enabled(name: &str, why: &str) -> Failure {
    invalid_configuration(format!("{name} cannot be enabled: {why}"))
}
