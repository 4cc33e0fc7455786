//! Whom listeners that speak TLS to their backends take for one, made into what shards shake hands
//! with.
//!
//! Not a handshake (`sys::Secured`). Invariant: what a listener's terms say changes as a whole, or
//! stays if what is in the file now does not hold.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::certificates::renewal::{Stamp, stamp};
use super::certificates::{authorities, in_file};
use super::verifiers::{Anybody, KeyHolders};
use crate::config::{BackendPolicy, Config, LoadBalancer, Trust};
use crate::state::ControlLine;
use crate::sys::BackendTerms;

/// The terms of all listeners of a configuration.
#[derive(Debug, Default)]
pub struct Trusts {
    /// For each listener, in configuration order; `None`: it speaks in clear to its backends.
    pub terms: Vec<Option<BackendTerms>>,
    sources: Vec<Source>,
}

/// Where the terms of one instance port come from, and go.
#[derive(Debug)]
struct Source {
    /// Its load balancer and instance port, for people.
    place: String,
    trust: Trust,
    /// The file of authorities as it was when it was last looked at.
    stamp: Stamp,
    terms: BackendTerms,
}

/// Makes the terms of all listeners, and reads the authorities that they name.
///
/// # Errors
/// A line for each file that cannot be used: whose it is, and why.
pub fn load(config: &Config) -> Result<Trusts, Vec<String>> {
    let mut trusts = Trusts::default();
    let mut problems = Vec::new();
    for balancer in &config.load_balancers {
        let first = trusts.sources.len();
        for listener in &balancer.listeners {
            if !listener.instance_protocol.is_secure() {
                trusts.terms.push(None);
                continue;
            }
            let place = format!("{} to port {}", balancer.name, listener.instance_port);
            let own = &trusts.sources[first..];
            if let Some(same) = own.iter().find(|source| source.place == place) {
                trusts.terms.push(Some(same.terms.clone()));
                continue;
            }
            let number = u32::try_from(trusts.sources.len() + 1).expect("listeners are bounded");
            match Source::new(place, number, policy(balancer, listener.instance_port)) {
                Ok(source) => {
                    trusts.terms.push(Some(source.terms.clone()));
                    trusts.sources.push(source);
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    if problems.is_empty() {
        Ok(trusts)
    } else {
        problems.dedup();
        Err(problems)
    }
}

/// What was said of the backends at a port, or nothing.
fn policy(balancer: &LoadBalancer, instance_port: u16) -> BackendPolicy {
    let said = balancer.backend_policy(instance_port).cloned();
    said.unwrap_or(BackendPolicy {
        instance_port,
        proxy_protocol: None,
        trust: Trust::Anybody,
        server_name: None,
    })
}

impl Trusts {
    /// Whether a file is another one than when this was last asked.
    pub(super) fn have_changed(&mut self) -> bool {
        let mut have_changed = false;
        for source in &mut self.sources {
            let stamp = stamp_of(&source.trust);
            have_changed |= stamp != source.stamp;
            source.stamp = stamp;
        }
        have_changed
    }

    /// Reads all files again, and says in the log what came of it.
    pub(super) fn renew(&mut self, counts: &ControlLine) {
        for source in &mut self.sources {
            let Trust::Authorities(_) = source.trust else {
                continue;
            };
            match client_config(&source.trust) {
                Ok(config) => {
                    source.terms.config.store(Arc::new(config));
                    counts.certificate_renewals.add(1);
                    tracing::info!(backends = %source.place, "authorities read again");
                }
                Err(problem) => {
                    counts.certificate_renewal_errors.add(1);
                    let backends = &source.place;
                    tracing::error!(%backends, %problem, "the authorities stay as they were");
                }
            }
        }
    }
}

impl Source {
    fn new(place: String, number: u32, policy: BackendPolicy) -> Result<Self, String> {
        // Before it is read: what changes from here on is seen as a change.
        let stamp = stamp_of(&policy.trust);
        let config = client_config(&policy.trust);
        let config = config.map_err(|problem| format!("{place}: {problem}"))?;
        let name = policy.server_name.map(|name| {
            let name = ServerName::try_from(name);
            name.expect("the configuration holds DNS names")
        });
        Ok(Self {
            place,
            trust: policy.trust,
            stamp,
            terms: BackendTerms {
                number,
                config: Arc::new(ArcSwap::from_pointee(config)),
                name,
            },
        })
    }
}

fn stamp_of(trust: &Trust) -> Stamp {
    match trust {
        Trust::Authorities(file) => stamp(file),
        Trust::Anybody | Trust::Keys(_) => None,
    }
}

/// TLS 1.3 and 1.2, whichever the backend has. Each shard adds its own store of tickets.
fn client_config(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Anybody => Arc::new(Anybody::new(&provider)),
        Trust::Keys(keys) => Arc::new(KeyHolders::new(keys.clone(), Arc::clone(&provider))),
        Trust::Authorities(file) => vouched_for(file, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for the default versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn vouched_for(
    file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities(file)? {
        add(&mut roots, certificate).map_err(|problem| in_file(file, problem))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| in_file(file, error))
}

fn add(roots: &mut RootCertStore, certificate: CertificateDer<'static>) -> Result<(), String> {
    let added = roots.add(certificate);
    added.map_err(|error| format!("not a certificate of an authority: {error}"))
}

#[cfg(test)]
mod tests;
