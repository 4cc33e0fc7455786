//! Which certificate a client is shown, by the host that it names.
//!
//! Not whether the certificate holds: clients judge that, and find a wrong one where no certificate
//! is for their host.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;

/// Chooses the certificate by the host that the client names (RFC 6066 §3).
#[derive(Debug)]
pub(super) struct ByName {
    default: Arc<CertifiedKey>,
    hosts: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.` in their name.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    /// Of two certificates for one name the earlier is chosen, and the first where there is none.
    pub(super) fn new(certificates: Vec<Certificate>) -> Option<Self> {
        let mut resolver = Self {
            default: Arc::clone(&certificates.first()?.key),
            hosts: HashMap::new(),
            wildcards: HashMap::new(),
        };
        for Certificate { key, names, .. } in certificates {
            for name in names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcards, parent.to_owned()),
                    None => (&mut resolver.hosts, name),
                };
                names.entry(name).or_insert_with(|| Arc::clone(&key));
            }
        }
        Some(resolver)
    }

    /// `host` in lower case.
    pub(super) fn choose(&self, host: &str) -> &Arc<CertifiedKey> {
        let by_parent = || self.wildcards.get(host.split_once('.')?.1);
        let found = self.hosts.get(host).or_else(by_parent);
        found.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name();
        Some(Arc::clone(
            host.map_or(&self.default, |host| self.choose(host)),
        ))
    }
}
