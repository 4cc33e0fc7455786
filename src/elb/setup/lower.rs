//! What elbow is to run for a load balancer as the API has it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::Places;
use super::lift::{self, at_port, is_shown, whole_seconds};
use crate::config::{
    self, ApplicationPolicy, Backend, BackendPolicy, Bucket, CertificateFiles, DurationPolicy,
    Logging, Protocol, Refresh, SslPolicy, Stickiness, Tls, Trust, public_key,
};
use crate::elb::{
    AccessLog, Attributes, Code, Failure, HealthCheck, Listener, LoadBalancer, PolicyKind,
};
use crate::proxy_protocol::Version;

/// Makes what elbow is to run.
///
/// `base` is the same load balancer as the file has it, if it does. The name is that of the API
/// with `prefix` before it, which is empty for the host's own region, else the region and a slash.
/// Listeners that are in both come in the order of the file, then the others.
///
/// # Errors
/// `CertificateNotFound`, `InvalidInstance`: an ARN or an id leads nowhere, or two ids to the same
/// place. `InvalidConfigurationRequest`: an SSL policy of which elbow has nothing, what is no
/// public key.
pub fn lower(
    one: &LoadBalancer,
    base: Option<&config::LoadBalancer>,
    prefix: &str,
    places: &Places<'_>,
) -> Result<config::LoadBalancer, Failure> {
    let work = Work { one, base, places };
    let listeners = work.listeners()?;
    Ok(config::LoadBalancer {
        name: format!("{prefix}{}", one.name),
        backends: work.backends()?,
        health_check: health_check(&one.health_check, base),
        backend_policies: work.backend_policies(&listeners)?,
        listeners,
        attributes: attributes(&one.attributes, base),
    })
}

/// What is at hand.
struct Work<'a> {
    one: &'a LoadBalancer,
    base: Option<&'a config::LoadBalancer>,
    places: &'a Places<'a>,
}

impl<'a> Work<'a> {
    /// The listeners that the file has.
    fn written(&self) -> &'a [config::Listener] {
        self.base.map_or(&[], |base| &base.listeners)
    }

    fn listeners(&self) -> Result<Vec<config::Listener>, Failure> {
        let written = self.written();
        let mut listeners = Vec::with_capacity(self.one.listeners.len());
        for before in written {
            let port = before.address.port();
            match self.one.listener(port) {
                Some(listener) if is_shown(written, before) => {
                    listeners.push(self.listener(listener, Some(before))?);
                }
                // The API does not see it; but a port that it has closed is closed.
                Some(_) => listeners.push(before.clone()),
                None if port == 0 => listeners.push(before.clone()),
                None => {}
            }
        }
        for listener in &self.one.listeners {
            if at_port(written, listener.port).is_none() {
                listeners.push(self.listener(listener, None)?);
            }
        }
        Ok(listeners)
    }

    fn listener(
        &self,
        listener: &Listener,
        before: Option<&config::Listener>,
    ) -> Result<config::Listener, Failure> {
        let protocol = listener.protocol;
        let tls = protocol.is_secure().then(|| self.tls(listener, before));
        Ok(config::Listener {
            address: before.map_or_else(
                || SocketAddr::new(self.places.address, listener.port),
                |before| before.address,
            ),
            protocol,
            instance_protocol: listener.instance_protocol,
            instance_port: listener.instance_port,
            stickiness: self.stickiness(listener),
            behind_tls: protocol == Protocol::Http && before.is_some_and(|l| l.behind_tls),
            tls: tls.transpose()?,
            proxy_networks: before.map_or_else(Vec::new, |l| l.proxy_networks.clone()),
        })
    }

    fn stickiness(&self, listener: &Listener) -> Option<Stickiness> {
        let policy = self.one.stickiness(listener)?;
        let name = &policy.name;
        let written = self.written().iter();
        let mut written = written.filter_map(|listener| listener.stickiness.as_ref());
        match &policy.kind {
            PolicyKind::LbCookie { expiration_seconds } => {
                let same = written.find_map(|policy| match policy {
                    Stickiness::Duration(policy) if policy.name == *name => Some(policy.clone()),
                    Stickiness::Duration(_) | Stickiness::Application(_) => None,
                });
                let mut policy = same.unwrap_or_else(|| DurationPolicy::new(name, None));
                policy.expiration_seconds = expiration_seconds.and_then(NonZeroU32::new);
                // A browser session has no half.
                if policy.expiration_seconds.is_none() && policy.refresh == Refresh::HalfLife {
                    policy.refresh = Refresh::Never;
                }
                Some(Stickiness::Duration(policy))
            }
            PolicyKind::AppCookie { cookie } => {
                let same = written.find_map(|policy| match policy {
                    Stickiness::Application(policy) if policy.name == *name => Some(policy.clone()),
                    Stickiness::Duration(_) | Stickiness::Application(_) => None,
                });
                let mut policy = same.unwrap_or_else(|| ApplicationPolicy::new(name, ""));
                policy.cookie_name.clone_from(cookie);
                Some(Stickiness::Application(policy))
            }
            PolicyKind::ProxyProtocol { .. }
            | PolicyKind::SslNegotiation { .. }
            | PolicyKind::PublicKey { .. }
            | PolicyKind::BackendServerAuthentication { .. } => None,
        }
    }

    fn tls(&self, listener: &Listener, before: Option<&config::Listener>) -> Result<Tls, Failure> {
        let arn = listener.certificate.as_deref().unwrap_or_default();
        let files = self.certificate(arn, before);
        let before = before.and_then(|before| before.tls.as_ref());
        let further = before.and_then(|tls| tls.certificates.get(1..));
        let mut certificates = vec![files.ok_or_else(|| no_certificate(arn))?];
        certificates.extend_from_slice(further.unwrap_or_default());
        Ok(Tls {
            certificates,
            policy: self.ssl_policy(listener)?,
            client_auth: before.and_then(|tls| tls.client_auth.clone()),
            is_http: listener.protocol.is_http(),
        })
    }

    /// The files of an ARN. Those without an entry are known from the listeners of the file, and
    /// the one at the same port comes first: two certificates may have keys of their own.
    fn certificate(
        &self,
        arn: &str,
        before: Option<&config::Listener>,
    ) -> Option<CertificateFiles> {
        let listeners = before.into_iter().chain(self.written());
        let mut files =
            listeners.filter_map(|listener| listener.tls.as_ref()?.certificates.first());
        let of_file = files.find(|files| files.file_arn() == arn);
        of_file.cloned().or_else(|| (self.places.certificate)(arn))
    }

    fn ssl_policy(&self, listener: &Listener) -> Result<SslPolicy, Failure> {
        let Some(policy) = self.one.ssl_policy(listener) else {
            return Ok(SslPolicy::default());
        };
        let written = self.written().iter();
        let mut written = written.filter_map(|listener| Some(&listener.tls.as_ref()?.policy));
        let is_same = |written: &&SslPolicy| lift::ssl_policy(written).as_ref() == Some(&policy);
        if let Some(same) = written.find(is_same) {
            return Ok(same.clone());
        }
        let PolicyKind::SslNegotiation {
            reference,
            switches,
        } = &policy.kind
        else {
            return Ok(SslPolicy::default());
        };
        let name = &policy.name;
        let referred = reference.as_deref().and_then(SslPolicy::predefined);
        if let Some(referred) = &referred
            && switches.is_empty()
        {
            return Ok(referred.clone().named(name));
        }
        // What is switched comes on top of the reference.
        let referred = referred.map(|referred| referred.attributes());
        let mut attributes: Vec<&str> = referred.unwrap_or_default();
        for (attribute, is_on) in switches {
            attributes.retain(|other| other != attribute);
            if *is_on {
                attributes.push(attribute);
            }
        }
        SslPolicy::from_attributes(name, &attributes).map_err(|mistake| {
            Failure::configuration(format!("{name} cannot be enabled: {mistake}"))
        })
    }

    fn backends(&self) -> Result<Vec<Backend>, Failure> {
        let written = self.base.map_or(&[][..], |base| &base.backends);
        let written: HashMap<&str, &Backend> = written.iter().map(|b| (b.id.as_str(), b)).collect();
        let mut taken = HashMap::new();
        let mut backends = Vec::with_capacity(self.one.instances.len());
        for id in &self.one.instances {
            let before = written.get(id.as_str()).copied().cloned();
            let backend = before.or_else(|| (self.places.instance)(id));
            let backend = Backend {
                // Addresses may be written in several ways, and the API asks by the one it knows.
                id: id.clone(),
                ..backend.ok_or_else(|| no_instance(id))?
            };
            if let Some(other) = taken.insert((backend.address, backend.port), id) {
                let message = format!("{id} and {other} are the same instance; register one");
                return Err(Failure::new(Code::InvalidInstance, message));
            }
            backends.push(backend);
        }
        Ok(backends)
    }

    /// What holds for instance ports that `listeners` use, in the order of the file, then the rest.
    fn backend_policies(
        &self,
        listeners: &[config::Listener],
    ) -> Result<Vec<BackendPolicy>, Failure> {
        let written = self.base.map_or(&[][..], |base| &base.backend_policies);
        let mut ports: Vec<u16> = written.iter().map(|policy| policy.instance_port).collect();
        for server in &self.one.backend_servers {
            if !ports.contains(&server.instance_port) {
                ports.push(server.instance_port);
            }
        }
        let mut policies = Vec::new();
        for port in ports {
            let is_said = self.one.listeners.iter().any(|l| l.instance_port == port);
            let mut users = listeners
                .iter()
                .filter(|l| l.instance_port == port)
                .peekable();
            if is_said {
                let is_secure = users.any(|listener| listener.instance_protocol.is_secure());
                policies.extend(self.backend_policy(port, is_secure)?);
            } else if users.peek().is_some() {
                // Only listeners use it that the API does not see.
                policies.extend(
                    self.base
                        .and_then(|base| base.backend_policy(port))
                        .cloned(),
                );
            }
        }
        Ok(policies)
    }

    /// What holds for an instance port, to which TLS is spoken or not; `None`: nothing.
    fn backend_policy(
        &self,
        instance_port: u16,
        is_secure: bool,
    ) -> Result<Option<BackendPolicy>, Failure> {
        let before = self
            .base
            .and_then(|base| base.backend_policy(instance_port));
        let version = before.and_then(|policy| policy.proxy_protocol);
        let has_header = self.one.has_proxy_header(instance_port);
        let proxy_protocol = has_header.then(|| version.unwrap_or(Version::V1));
        let before = before.filter(|_| is_secure);
        let trust = match (self.one.public_keys(instance_port), before) {
            (Some(texts), _) => Trust::Keys(keys(instance_port, &texts)?),
            (None, Some(policy)) if matches!(policy.trust, Trust::Authorities(_)) => {
                policy.trust.clone()
            }
            (None, _) => Trust::Anybody,
        };
        let server_name = before.and_then(|policy| policy.server_name.clone());
        let says_something = has_header || trust != Trust::Anybody || server_name.is_some();
        Ok(says_something.then_some(BackendPolicy {
            instance_port,
            proxy_protocol,
            trust,
            server_name,
        }))
    }
}

fn keys(instance_port: u16, texts: &[&str]) -> Result<Vec<Vec<u8>>, Failure> {
    let keys = texts.iter().map(|text| public_key(text));
    keys.collect::<Result<_, _>>().map_err(|mistake| {
        Failure::configuration(format!(
            "The policies for instance port {instance_port} refer to what is no public key: it \
             {mistake}"
        ))
    })
}

/// As written where that is what the API shows: it may be finer.
fn health_check(check: &HealthCheck, base: Option<&config::LoadBalancer>) -> config::HealthCheck {
    let before = base.map(|base| &base.health_check);
    if let Some(before) = before.filter(|before| lift::health_check(before) == *check) {
        return before.clone();
    }
    config::HealthCheck {
        target: check.target.clone(),
        interval: seconds(check.interval_seconds),
        timeout: seconds(check.timeout_seconds),
        unhealthy_threshold: check.unhealthy_threshold.into(),
        healthy_threshold: check.healthy_threshold.into(),
    }
}

/// Those of the file, or CLB's, with what the API says otherwise.
fn attributes(said: &Attributes, base: Option<&config::LoadBalancer>) -> config::Attributes {
    let mut attributes =
        base.map_or_else(config::Attributes::default, |base| base.attributes.clone());
    if whole_seconds(attributes.idle_timeout) != said.idle_timeout_seconds {
        attributes.idle_timeout = seconds(said.idle_timeout_seconds);
    }
    let draining = &said.draining;
    if lift::draining(attributes.connection_draining) != *draining {
        let length = seconds(draining.timeout_seconds);
        attributes.connection_draining = draining.is_enabled.then_some(length);
    }
    attributes.desync_mode = said.desync_mode;
    attributes.access_log = logging(&said.access_log, attributes.access_log);
    attributes
}

/// Files of its own where the API says so; whether it is in the host's log is the file's to say.
fn logging(said: &AccessLog, before: Logging) -> Logging {
    let bucket = said.bucket.as_deref().filter(|_| said.is_enabled);
    // The catalog takes none that does not hold.
    let bucket = bucket.and_then(|name| {
        let prefix = said.prefix.as_deref().unwrap_or_default();
        Bucket::new(name, prefix, said.interval_minutes).ok()
    });
    match (bucket, before) {
        (Some(bucket), _) => Logging::Kept(bucket),
        (None, Logging::Kept(_)) => Logging::On,
        (None, before) => before,
    }
}

fn seconds(count: u16) -> Duration {
    Duration::from_secs(count.into())
}

fn no_certificate(arn: &str) -> Failure {
    let message = format!(
        "Server Certificate not found for the key: {arn}; a [[certificate]] in the configuration or \
         PUT /v1/certificates says which files an ARN stands for"
    );
    Failure::new(Code::CertificateNotFound, message)
}

fn no_instance(id: &str) -> Failure {
    let message = format!(
        "Could not find EC2 instance {id}. An [[instance]] in the configuration or PUT \
         /v1/instances/{id} gives an id its address; or register an address, such as 10.0.1.8 or \
         10.0.1.9:9001"
    );
    Failure::new(Code::InvalidInstance, message)
}
