//! Listeners come and go, and their certificates (CLB.md §3.4).
//!
//! Invariant: a listener with TLS has a certificate and a policy for it, one without has neither.

use super::World;
use super::load_balancer::{Listener, LoadBalancer};
use super::policy::DEFAULT_SSL_POLICY;
use crate::elb::{Answer, Code, Failure};

/// Adds listeners. One that is there already is left as it is, policies included; another one at
/// its port is refused.
pub(super) fn create(
    load_balancer: &mut LoadBalancer,
    new: &[Listener],
    world: &World<'_>,
) -> Result<Answer, Failure> {
    for listener in new {
        let listener = judged(listener, world)?;
        if let Some(there) = load_balancer.listener(listener.port) {
            if there.is_like(&listener) {
                continue;
            }
            return Err(duplicate(&load_balancer.name, listener.port));
        }
        judge_instance_port(&load_balancer.listeners, &listener)?;
        if load_balancer.listeners.len() >= world.limits.listeners {
            return Err(Failure::configuration(format!(
                "A load balancer has at most {} listeners",
                world.limits.listeners
            )));
        }
        load_balancer.listeners.push(listener);
    }
    Ok(Answer::Done)
}

/// Removes the listeners at these ports, as far as there are any. With the last one for an instance
/// port go the policies of that.
pub(super) fn delete(load_balancer: &mut LoadBalancer, ports: &[u16]) -> Answer {
    let listeners = &mut load_balancer.listeners;
    listeners.retain(|listener| !ports.contains(&listener.port));
    load_balancer.backend_servers.retain(|server| {
        let port = server.instance_port;
        listeners
            .iter()
            .any(|listener| listener.instance_port == port)
    });
    Answer::Done
}

/// Gives a listener with TLS another certificate.
pub(super) fn set_certificate(
    load_balancer: &mut LoadBalancer,
    port: u16,
    arn: &str,
    world: &World<'_>,
) -> Result<Answer, Failure> {
    let listener = find_mut(load_balancer, port)?;
    if !listener.protocol.is_secure() {
        let protocol = listener.protocol;
        return Err(Failure::configuration(format!(
            "The listener at port {port} is {protocol} and takes no certificate"
        )));
    }
    judge_certificate(arn, world)?;
    listener.certificate = Some(arn.to_owned());
    Ok(Answer::Done)
}

/// The listener at a port.
pub(super) fn find_mut(
    load_balancer: &mut LoadBalancer,
    port: u16,
) -> Result<&mut Listener, Failure> {
    let name = &load_balancer.name;
    let mut listeners = load_balancer.listeners.iter_mut();
    listeners
        .find(|listener| listener.port == port)
        .ok_or_else(|| {
            let message = format!("There is no listener at port {port} of load balancer {name}");
            Failure::new(Code::ListenerNotFound, message)
        })
}

/// The listener as it will be: without a certificate that it has no use for, which CLB drops
/// silently; with the default policy where it has TLS.
fn judged(new: &Listener, world: &World<'_>) -> Result<Listener, Failure> {
    let mut listener = new.clone();
    if listener.protocol.is_http() != listener.instance_protocol.is_http() {
        return Err(Failure::configuration(format!(
            "A listener with the protocol {} cannot have the instance protocol {}: HTTP and HTTPS \
             go together, TCP and SSL do",
            listener.protocol, listener.instance_protocol
        )));
    }
    if !listener.protocol.is_secure() {
        listener.certificate = None;
        return Ok(listener);
    }
    let Some(arn) = &listener.certificate else {
        return Err(Failure::invalid(
            "A listener with HTTPS or SSL needs a certificate (SSLCertificateId)",
        ));
    };
    judge_certificate(arn, world)?;
    listener.policies = vec![DEFAULT_SSL_POLICY.to_owned()];
    Ok(listener)
}

fn judge_certificate(arn: &str, world: &World<'_>) -> Result<(), Failure> {
    if (world.is_certificate)(arn) {
        return Ok(());
    }
    let message = format!("Server Certificate not found for the key: {arn}");
    Err(Failure::new(Code::CertificateNotFound, message))
}

/// Listeners with the same instance port all speak TLS to it or none does.
fn judge_instance_port(there: &[Listener], new: &Listener) -> Result<(), Failure> {
    let port = new.instance_port;
    let is_secure = new.instance_protocol.is_secure();
    let mut same = there
        .iter()
        .filter(|listener| listener.instance_port == port);
    match same.find(|listener| listener.instance_protocol.is_secure() != is_secure) {
        None => Ok(()),
        Some(other) => Err(Failure::configuration(format!(
            "The listeners at ports {} and {} have the instance port {port}, so that either both \
             instance protocols are secure (HTTPS, SSL) or none is",
            other.port, new.port
        ))),
    }
}

fn duplicate(name: &str, port: u16) -> Failure {
    let message = format!(
        "A listener already exists for {name} with LoadBalancerPort {port}, but with a different \
         InstancePort, Protocol, or SSLCertificateId"
    );
    Failure::new(Code::DuplicateListener, message)
}
