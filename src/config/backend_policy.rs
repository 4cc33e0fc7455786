//! `[[load_balancer.backend_policy]]`: what holds for all backends at one instance port, as CLB's
//! `SetLoadBalancerPoliciesForBackendServer` has it.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{DnsName, SubjectPublicKeyInfoDer};
use x509_parser::prelude::FromDer;

use super::read::{Field, Report, Section};
use super::{BackendPolicy, Listener, LoadBalancer, Mistake, Trust};
use crate::limits::BACKEND_KEYS_MAX;
use crate::proxy_protocol::Version;

/// The keys beside the port.
const ALL_KEYS: [&str; 4] = ["proxy_protocol", "public_keys", "ca", "server_name"];

/// Those of them that are about TLS.
const TLS_KEYS: &[&str] = ALL_KEYS.split_at(1).1;

impl LoadBalancer {
    /// What holds for its backends at `instance_port`, if anything was said.
    pub fn backend_policy(&self, instance_port: u16) -> Option<&BackendPolicy> {
        let mut policies = self.backend_policies.iter();
        policies.find(|policy| policy.instance_port == instance_port)
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
        let proxy_protocol = section.read_or("proxy_protocol", None, |field| {
            field.parsed(version, report).map(Some)
        });
        let trust = trust(&mut section, report);
        let server_name = section.read_or("server_name", None, |field| {
            field.parsed(server_name, report).map(Some)
        });
        if let (Some(port_field), Some(port)) = (&port_field, instance_port) {
            let is_same = |policy: &BackendPolicy| policy.instance_port == port;
            if policies.iter().flatten().any(is_same) {
                report.refuse(port_field, "has a policy already");
            }
            judge_use(&section, port_field, port, listeners, report);
        }
        if ALL_KEYS.iter().all(|key| section.peek(key).is_none()) {
            section.refuse(
                report,
                format!("says nothing; it may have {}", ALL_KEYS.join(", ")),
            );
        }
        section.finish(report);
        let policy = || {
            Some(BackendPolicy {
                instance_port: instance_port?,
                proxy_protocol: proxy_protocol?,
                trust: trust?,
                server_name: server_name?,
            })
        };
        policies.push(policy());
    }
    policies.into_iter().collect()
}

/// Notes what would have no effect: a port of no listener, words about TLS where it is not spoken.
/// A listener that is wrong may be the one that is meant.
fn judge_use(
    section: &Section<'_>,
    port_field: &Field<'_>,
    port: u16,
    listeners: &[Option<Listener>],
    report: &mut Report<'_>,
) {
    let mut is_used = false;
    let mut is_secure = false;
    for listener in listeners {
        let is_meant = listener.as_ref().is_none_or(|l| l.instance_port == port);
        is_used |= is_meant;
        is_secure |= is_meant
            && listener
                .as_ref()
                .is_none_or(|l| l.instance_protocol.is_secure());
    }
    if !is_used {
        report.refuse(port_field, "is the instance port of no listener here");
    } else if !is_secure && let Some(key) = TLS_KEYS.iter().find(|key| section.peek(key).is_some())
    {
        let mistake = format!(
            "`{key}` needs a listener with instance_protocol = \"HTTPS\" or \"SSL\" to this port"
        );
        report.refuse(port_field, mistake);
    }
}

fn version(text: &str) -> Result<Version, Mistake> {
    let all = [Version::V1, Version::V2];
    all.into_iter()
        .find(|version| version.name() == text)
        .ok_or_else(|| "must be \"v1\" or \"v2\"".into())
}

fn server_name(text: &str) -> Result<String, Mistake> {
    match DnsName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must be a DNS name; addresses are checked without it".into()),
    }
}

fn trust(section: &mut Section<'_>, report: &mut Report<'_>) -> Option<Trust> {
    let keys = section.read_or("public_keys", None, |field| {
        public_keys(&field, report).map(Some)
    });
    let Some(ca_field) = section.field("ca") else {
        return keys.map(|keys| keys.map_or(Trust::Anybody, Trust::Keys));
    };
    let ca = ca_field.text(report);
    if section.peek("public_keys").is_some() {
        let mistake = "public_keys say already who is trusted; only one of the two can hold";
        report.refuse(&ca_field, mistake);
    }
    ca.map(|file| Trust::Authorities(PathBuf::from(file)))
}

fn public_keys(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<Vec<u8>>> {
    let items = field.items(report)?;
    if items.is_empty() || items.len() > BACKEND_KEYS_MAX {
        report.refuse(field, format!("must be 1 to {BACKEND_KEYS_MAX} keys"));
        return None;
    }
    let keys: Vec<Option<Vec<u8>>> = items
        .iter()
        .map(|item| item.parsed(public_key, report))
        .collect();
    keys.into_iter().collect()
}

/// Reads a public key as `openssl x509 -pubkey` prints it, or its lines alone, as CLB takes them.
/// What comes back is its DER.
///
/// # Errors
/// It is none.
pub fn public_key(text: &str) -> Result<Vec<u8>, Mistake> {
    let text = text.trim();
    let armoured = if text.starts_with("-----BEGIN") {
        text.to_owned()
    } else {
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    };
    let mistake = "must be a public key in PEM, as `openssl x509 -pubkey -noout` prints it";
    let key = SubjectPublicKeyInfoDer::from_pem_slice(armoured.as_bytes());
    let key = key.map_err(|_| Mistake::from(mistake))?;
    match x509_parser::x509::SubjectPublicKeyInfo::from_der(&key) {
        Ok(([], _)) => Ok(key.to_vec()),
        _ => Err(mistake.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EC key on P-256, made for this test.
    const LINES: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbMZxFdJr3V7Y/2e2SWj71S1EFvQ3\n\
        7vcuZKuuH6HjCSGM9FC8kv68i9K1UrPvTvmZ4ZsGKVptzlDxDWMblbF/cg==";

    #[test]
    fn a_public_key_is_taken_with_and_without_its_armour() {
        let bare = public_key(LINES).unwrap();
        assert_eq!(bare.len(), 91);
        let armoured = format!("-----BEGIN PUBLIC KEY-----\n{LINES}\n-----END PUBLIC KEY-----");
        assert_eq!(public_key(&armoured).unwrap(), bare);
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let certificate =
            format!("-----BEGIN CERTIFICATE-----\n{LINES}\n-----END CERTIFICATE-----");
        for text in ["", "key", "AAAA", &LINES[..60], &certificate] {
            assert!(public_key(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_server_name_is_no_address() {
        assert!(server_name("app.internal").is_ok());
        for text in ["", "10.0.0.1", "two words", "-a.b"] {
            assert!(server_name(text).is_err(), "{text:?} was taken");
        }
    }
}
