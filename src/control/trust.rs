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
use crate::sys::{BackendTerms, Terms};

/// The terms of all listeners.
#[derive(Debug, Default)]
pub struct Trusts {
    /// For each listener that was read last, in order; `None`: it speaks in clear to its backends.
    pub terms: Vec<Option<BackendTerms>>,
    sources: Vec<Source>,
    /// How many terms there have been.
    count: u32,
}

/// Where the terms of one instance port come from, and go.
#[derive(Debug)]
struct Source {
    load_balancer: String,
    instance_port: u16,
    policy: BackendPolicy,
    /// The file of authorities as it was when it was last looked at.
    stamp: Stamp,
    /// What the listeners to that port have, each its own.
    terms: Vec<BackendTerms>,
}

/// Makes the terms of all listeners, and reads the authorities that they name.
///
/// # Errors
/// A line for each file that cannot be used: whose it is, and why.
pub fn load(config: &Config) -> Result<Trusts, Vec<String>> {
    Trusts::default().read_all(&config.load_balancers)
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
    /// As [`load`], for some load balancers, whose terms are to be held beside these.
    ///
    /// # Errors
    /// Those of [`load`].
    pub(super) fn read_all(&self, balancers: &[LoadBalancer]) -> Result<Self, Vec<String>> {
        let mut trusts = Self {
            count: self.count,
            ..Self::default()
        };
        let mut problems = Vec::new();
        for balancer in balancers {
            for listener in &balancer.listeners {
                let terms = listener.instance_protocol.is_secure().then(|| {
                    let made = trusts.terms_of(balancer, listener.instance_port);
                    made.map_err(|problem| problems.push(problem)).ok()
                });
                trusts.terms.push(terms.flatten());
            }
        }
        if problems.is_empty() {
            Ok(trusts)
        } else {
            problems.dedup();
            Err(problems)
        }
    }

    /// The terms of one more listener to that port.
    fn terms_of(
        &mut self,
        balancer: &LoadBalancer,
        instance_port: u16,
    ) -> Result<BackendTerms, String> {
        let known = self.sources.iter_mut().find(|source| {
            source.load_balancer == balancer.name && source.instance_port == instance_port
        });
        if let Some(source) = known {
            let terms = Arc::new(ArcSwap::new(source.terms[0].load_full()));
            source.terms.push(Arc::clone(&terms));
            return Ok(terms);
        }
        self.count += 1;
        let source = Source::new(balancer, instance_port, self.count)?;
        let terms = Arc::clone(&source.terms[0]);
        self.sources.push(source);
        Ok(terms)
    }

    /// What was read for the listener at `index` is from now on what those terms say, which shards
    /// look at already.
    pub(super) fn adopt(&mut self, index: usize, terms: &BackendTerms) {
        let Some(own) = self.terms[index].replace(Arc::clone(terms)) else {
            return;
        };
        terms.store(own.load_full());
        let all = self.sources.iter_mut().flat_map(|source| &mut source.terms);
        for same in all.filter(|same| Arc::ptr_eq(same, &own)) {
            *same = Arc::clone(terms);
        }
    }

    /// These are from now on the terms of that load balancer, and all it has.
    pub(super) fn replace(&mut self, load_balancer: &str, new: Self) {
        self.sources
            .retain(|source| source.load_balancer != load_balancer);
        self.sources.extend(new.sources);
        self.count = self.count.max(new.count);
    }

    /// Whether a file is another one than when this was last asked.
    pub(super) fn have_changed(&mut self) -> bool {
        let mut have_changed = false;
        for source in &mut self.sources {
            let stamp = stamp_of(&source.policy.trust);
            have_changed |= stamp != source.stamp;
            source.stamp = stamp;
        }
        have_changed
    }

    /// Reads all files again, and says in the log what came of it.
    pub(super) fn renew(&mut self, counts: &ControlLine) {
        for source in &mut self.sources {
            let Trust::Authorities(_) = source.policy.trust else {
                continue;
            };
            let backends = source.place();
            match terms(&source.policy, self.count + 1) {
                Ok(new) => {
                    self.count += 1;
                    let new = Arc::new(new);
                    for terms in &source.terms {
                        terms.store(Arc::clone(&new));
                    }
                    counts.certificate_renewals.add(1);
                    tracing::info!(%backends, "authorities read again");
                }
                Err(problem) => {
                    counts.certificate_renewal_errors.add(1);
                    tracing::error!(%backends, %problem, "the authorities stay as they were");
                }
            }
        }
    }
}

impl Source {
    fn new(balancer: &LoadBalancer, instance_port: u16, number: u32) -> Result<Self, String> {
        let policy = policy(balancer, instance_port);
        let mut source = Self {
            load_balancer: balancer.name.clone(),
            instance_port,
            // Before it is read: what changes from here on is seen as a change.
            stamp: stamp_of(&policy.trust),
            policy,
            terms: Vec::new(),
        };
        let made = terms(&source.policy, number);
        let made = made.map_err(|problem| format!("{}: {problem}", source.place()))?;
        source.terms.push(Arc::new(ArcSwap::from_pointee(made)));
        Ok(source)
    }

    /// For people.
    fn place(&self) -> String {
        format!("{} to port {}", self.load_balancer, self.instance_port)
    }
}

fn terms(policy: &BackendPolicy, number: u32) -> Result<Terms, String> {
    let name = policy.server_name.clone().map(|name| {
        let name = ServerName::try_from(name);
        name.expect("the configuration holds DNS names")
    });
    Ok(Terms {
        number,
        config: Arc::new(client_config(&policy.trust)?),
        name,
    })
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
