//! The certificates of HTTPS and SSL listeners: read from their files, judged, and made into what
//! shards shake hands with.
//!
//! Not a handshake (`shard::tls`), nor when files are read again (`renewal.rs`). Invariant: as a
//! [`TlsOffer`] is made or renewed, each of its certificates is valid and has the key that belongs
//! to it.

mod by_name;
mod clients;
pub(super) mod renewal;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite as suites};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SignatureAlgorithm, SupportedCipherSuite, SupportedProtocolVersion};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use self::by_name::ByName;
use self::clients::Clients;
use self::renewal::Stamp;
use super::tickets::{Issuer, Keyring};
use crate::config::{CertificateFiles, Config, LoadBalancer, SslPolicy, Suite, Tls};
use crate::limits::PEM_FILE_BYTES_MAX;
use crate::sys::TlsOffer;

/// What clients speak once their handshake is done: no HTTP/2, as for CLB (CLB.md §4.1).
const APPLICATION_PROTOCOL: &[u8] = b"http/1.1";

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// When each certificate ends, in seconds since 1970, by its file. Shared: certificates change.
pub type Ends = Arc<ArcSwap<BTreeMap<String, i64>>>;

/// What the HTTPS and SSL listeners of a configuration need.
#[derive(Debug, Default)]
pub struct Certificates {
    /// For each listener that was read last, in order; `None`: it speaks in clear.
    pub offers: Vec<Option<TlsOffer>>,
    /// When they end.
    pub ends: Ends,
    /// What seals the tickets of all of them. Empty, until whoever starts elbow fills it.
    pub keyring: Keyring,
    sources: Vec<Source>,
    /// When the log last said which of them end soon, in seconds since 1970.
    warned_at: Option<u64>,
}

/// Where the certificates of one listener come from, and go.
#[derive(Debug)]
struct Source {
    load_balancer: String,
    /// Its load balancer and address, for people.
    listener: String,
    tls: Tls,
    issuer: Issuer,
    /// The files as they were when they were last looked at.
    stamps: Vec<Stamp>,
    offer: TlsOffer,
    ends: BTreeMap<String, i64>,
}

/// Reads the certificates of all listeners. `now` is in seconds since 1970.
///
/// # Errors
/// A line for each file that cannot be used: which listener's it is, and why.
pub fn load(config: &Config, now: u64) -> Result<Certificates, Vec<String>> {
    read_all(&config.load_balancers, Keyring::default(), now)
}

/// As [`load`], for some load balancers, whose tickets that keyring seals.
pub(super) fn read_all(
    balancers: &[LoadBalancer],
    keyring: Keyring,
    now: u64,
) -> Result<Certificates, Vec<String>> {
    let mut certificates = Certificates {
        keyring,
        ..Certificates::default()
    };
    let mut problems = Vec::new();
    for balancer in balancers {
        for listener in &balancer.listeners {
            let Some(tls) = &listener.tls else {
                certificates.offers.push(None);
                continue;
            };
            let told = format!("{} on {}", balancer.name, listener.address);
            let port = listener.address.port();
            let issuer = Issuer::new(&certificates.keyring, &balancer.name, port);
            match Source::new(&balancer.name, told, (tls, issuer), now) {
                Ok(source) => {
                    certificates.offers.push(Some(Arc::clone(&source.offer)));
                    certificates.sources.push(source);
                }
                Err(found) => problems.extend(found),
            }
        }
    }
    certificates.tell_ends();
    if problems.is_empty() {
        Ok(certificates)
    } else {
        Err(problems)
    }
}

impl Certificates {
    /// What was read for the listener at `index` is from now on what that offer has, which shards
    /// look at already.
    pub(super) fn adopt(&mut self, index: usize, offer: &TlsOffer) {
        let Some(own) = self.offers[index].replace(Arc::clone(offer)) else {
            return;
        };
        offer.store(own.load_full());
        let of_own = |source: &&mut Source| Arc::ptr_eq(&source.offer, &own);
        if let Some(source) = self.sources.iter_mut().find(of_own) {
            source.offer = Arc::clone(offer);
        }
    }

    /// These are from now on the certificates of that load balancer, and all it has.
    pub(super) fn replace(&mut self, load_balancer: &str, new: Self) {
        self.sources
            .retain(|source| source.load_balancer != load_balancer);
        self.sources.extend(new.sources);
        self.tell_ends();
    }

    fn tell_ends(&self) {
        let ends = self.sources.iter().flat_map(|source| source.ends.clone());
        self.ends.store(Arc::new(ends.collect()));
    }
}

impl Source {
    fn new(
        load_balancer: &str,
        listener: String,
        (tls, issuer): (&Tls, Issuer),
        now: u64,
    ) -> Result<Self, Vec<String>> {
        // Before they are read: what changes from here on is seen as a change.
        let stamps = renewal::stamps(tls);
        let (config, ends) = made_of(tls, &issuer, now).map_err(|problems| {
            let told = |problem| format!("{listener}: {problem}");
            problems.into_iter().map(told).collect::<Vec<_>>()
        })?;
        Ok(Self {
            load_balancer: load_balancer.to_owned(),
            listener,
            tls: tls.clone(),
            issuer,
            stamps,
            offer: Arc::new(ArcSwap::from_pointee(config)),
            ends,
        })
    }
}

/// Whole days, rounded down, until `end`, both in seconds since 1970; below 0: it is over.
pub(super) fn days_left(end: i64, now: u64) -> i64 {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    end.saturating_sub(now).div_euclid(SECONDS_PER_DAY)
}

/// Says, once for each policy in use, how what is offered differs from it.
pub fn log_deviations(balancers: &[LoadBalancer]) {
    let listeners = balancers.iter().flat_map(|balancer| &balancer.listeners);
    let policies: BTreeSet<&SslPolicy> = listeners
        .filter_map(|listener| listener.tls.as_ref())
        .map(|tls| &tls.policy)
        .collect();
    for policy in policies {
        if let Some(deviations) = policy.deviations() {
            let offered = policy.versions();
            tracing::info!(%policy, offered, "differs from the policy: {deviations}");
        }
    }
}

/// What a listener offers by its files as they are now, and when its certificates end.
fn made_of(
    tls: &Tls,
    issuer: &Issuer,
    now: u64,
) -> Result<(ServerConfig, BTreeMap<String, i64>), Vec<String>> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let provider = Arc::new(provider(&tls.policy));
    let mut ends = BTreeMap::new();
    let mut read = Vec::new();
    let mut problems = Vec::new();
    for files in &tls.certificates {
        match Certificate::read(files, &provider, now) {
            Ok(certificate) => {
                ends.insert(files.chain.display().to_string(), certificate.ends_at);
                if certificate.names.is_empty() && !read.is_empty() {
                    let file = files.chain.display();
                    problems.push(format!("{file}: names no host, so no client would get it"));
                }
                let unusable = certificate.unusable(&tls.policy);
                problems.extend(unusable.map(|problem| in_file(&files.chain, problem)));
                read.push(certificate);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let clients = Clients::read(tls.client_auth.as_ref(), &provider);
    let clients = clients.map_err(|problem| problems.push(problem));
    let (Some(resolver), Ok(clients), true) = (ByName::new(read), clients, problems.is_empty())
    else {
        return Err(problems);
    };
    // What was sealed for clients who met other terms does not open.
    let tickets = issuer.tickets(&[&clients.terms]);
    let mut config = server_config(provider, &tls.policy, clients.verifier, resolver, tickets)
        .map_err(|error| vec![error.to_string()])?;
    if tls.is_http {
        config.alpn_protocols = vec![APPLICATION_PROTOCOL.to_vec()];
    }
    Ok((config, ends))
}

fn server_config(
    provider: Arc<CryptoProvider>,
    policy: &SslPolicy,
    clients: Arc<dyn ClientCertVerifier>,
    resolver: ByName,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&SupportedProtocolVersion] = match (policy.suites(), policy.has_tls13()) {
        ([], _) => &[&TLS13],
        (_, true) => &[&TLS13, &TLS12],
        (_, false) => &[&TLS12],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(resolver));
    // Tickets hold the session themselves: whichever shard a client comes back to can resume it,
    // and nothing is kept for it.
    config.ticketer = tickets;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    // A request in early data could be replayed.
    config.max_early_data_size = 0;
    config.ignore_client_order = policy.is_ordered();
    Ok(config)
}

/// What the library may use. AES-128-GCM first, as in the policies of CLB: the processors that
/// elbow runs on have it.
fn provider(policy: &SslPolicy) -> CryptoProvider {
    let tls13 = [
        suites::TLS13_AES_128_GCM_SHA256,
        suites::TLS13_AES_256_GCM_SHA384,
        suites::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let tls12 = policy.suites().iter().copied().map(suite);
    CryptoProvider {
        cipher_suites: tls13.into_iter().chain(tls12).collect(),
        ..aws_lc_rs::default_provider()
    }
}

fn suite(suite: Suite) -> SupportedCipherSuite {
    match suite {
        Suite::EcdsaAes128 => suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::RsaAes128 => suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Suite::EcdsaAes256 => suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::RsaAes256 => suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Suite::EcdsaChacha20 => suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Suite::RsaChacha20 => suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

/// One certificate with its key.
#[derive(Debug)]
struct Certificate {
    key: Arc<CertifiedKey>,
    /// The hosts that it is for, in lower case; `*.` in front stands for one label.
    names: Vec<String>,
    ends_at: i64,
}

impl Certificate {
    fn read(files: &CertificateFiles, provider: &CryptoProvider, now: i64) -> Result<Self, String> {
        let chain_file = files.chain.as_path();
        let key_file = files.key.as_deref().unwrap_or(chain_file);
        let chain_text = read(chain_file)?;
        let chain = chain(&chain_text).map_err(|problem| in_file(chain_file, problem))?;
        let key = match &files.key {
            Some(file) => key(&read(file)?),
            None => key(&chain_text),
        };
        let key = key.map_err(|problem| in_file(key_file, problem))?;
        let (names, ends_at) =
            judge(&chain[0], now).map_err(|problem| in_file(chain_file, problem))?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let problem = format!("the key is not that of {}", chain_file.display());
                in_file(key_file, problem)
            }
            other => in_file(key_file, other),
        })?;
        Ok(Self {
            key: Arc::new(key),
            names,
            ends_at,
        })
    }

    /// Why no client could get it under a policy: the ciphers of TLS 1.2 go by the kind of key.
    fn unusable(&self, policy: &SslPolicy) -> Option<String> {
        let is_rsa = self.key.key.algorithm() == SignatureAlgorithm::RSA;
        let fits = |suite: &Suite| suite.is_rsa() == is_rsa;
        if policy.has_tls13() || policy.suites().iter().any(fits) {
            return None;
        }
        let kind = if is_rsa { "RSA" } else { "ECDSA" };
        let example = Suite::ALL.into_iter().find(fits)?.name();
        Some(format!(
            "{policy} has no cipher for its {kind} key; list one such as {example}"
        ))
    }
}

/// What is in the files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inspected {
    /// The hosts that it is for, in lower case.
    pub(super) hosts: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(super) ends_at: i64,
}

/// Reads files that a listener may be to show. `now` is in seconds since 1970.
///
/// # Errors
/// Why they cannot be used, with the file's name.
pub(super) fn inspect(files: &CertificateFiles, now: u64) -> Result<Inspected, String> {
    // Another thing, such as a pipe, might never have an end.
    for file in [Some(&files.chain), files.key.as_ref()]
        .into_iter()
        .flatten()
    {
        let found = fs::metadata(file).map_err(|error| in_file(file, error))?;
        if !found.is_file() {
            return Err(in_file(file, "not a file"));
        }
    }
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let read = Certificate::read(files, &provider(&SslPolicy::default()), now)?;
    Ok(Inspected {
        hosts: read.names,
        ends_at: read.ends_at,
    })
}

/// A problem with the name of the file in front.
pub(super) fn in_file(file: &Path, problem: impl std::fmt::Display) -> String {
    format!("{}: {problem}", file.display())
}

/// The certificates in a PEM file of authorities; at least one.
///
/// # Errors
/// Why the file cannot be used.
pub(super) fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    chain(&read(file)?).map_err(|problem| in_file(file, problem))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = File::open(file);
    let count = opened.and_then(|file| file.take(PEM_FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match count {
        Ok(count) if count as u64 <= PEM_FILE_BYTES_MAX => Ok(bytes),
        Ok(_) => Err(in_file(file, io::Error::from(io::ErrorKind::FileTooLarge))),
        Err(error) => Err(in_file(file, error)),
    }
}

/// The certificates in a PEM text, the server's own first; at least one.
fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("no certificate in it".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("not PEM: {error}")),
    }
}

fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(text) => {
            "its private key is encrypted; elbow cannot ask for the passphrase".to_owned()
        }
        pem::Error::NoItemsFound => "no private key in it".to_owned(),
        other => format!("not PEM: {other}"),
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----").is_some()
}

/// The hosts that a certificate is for and when it ends, if it is valid now.
fn judge(certificate: &CertificateDer<'_>, now: i64) -> Result<(Vec<String>, i64), String> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("not a certificate: {error}"))?;
    let validity = certificate.validity();
    if now > validity.not_after.timestamp() {
        return Err(format!("expired on {}", validity.not_after));
    }
    if now < validity.not_before.timestamp() {
        return Err(format!("not valid before {}", validity.not_before));
    }
    let alternatives = certificate
        .subject_alternative_name()
        .map_err(|error| format!("not a certificate: {error}"))?;
    let names = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
    Ok((names.collect(), validity.not_after.timestamp()))
}

#[cfg(test)]
mod tests;
