//! TLS of an HTTPS or SSL listener: which files hold its certificates, and the policy that was asked for.
//!
//! Not here: what is in those files; reading them is the shell's (`control::certificates`).

use std::fmt;
use std::path::PathBuf;

use super::problem::nearest;
use super::read::{Field, Report, Section};
use super::{Mistake, Protocol};
use crate::limits::CERTIFICATES_PER_LISTENER_MAX;

/// The policies that CLB has by name (CLB.md §4.11).
const POLICIES: [&str; 11] = [
    "ELBSecurityPolicy-2016-08",
    "ELBSecurityPolicy-TLS-1-2-2017-01",
    "ELBSecurityPolicy-TLS-1-1-2017-01",
    "ELBSecurityPolicy-2015-05",
    "ELBSecurityPolicy-2015-03",
    "ELBSecurityPolicy-2015-02",
    "ELBSecurityPolicy-2014-10",
    "ELBSecurityPolicy-2014-01",
    "ELBSecurityPolicy-2011-08",
    "ELBSample-ELBDefaultNegotiationPolicy",
    "ELBSample-OpenSSLDefaultNegotiationPolicy",
];

/// What an HTTPS or SSL listener needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates, not empty. The first is shown to clients that name no host or one that no
    /// certificate is for; the others, which CLB does not have, to those that name theirs (SNI).
    pub certificates: Vec<CertificateFiles>,
    /// What clients are to be offered.
    pub policy: SslPolicy,
    /// HTTP is spoken over it, which clients are told (ALPN).
    pub is_http: bool,
}

/// Where one certificate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The PEM file of the certificate and those that lead from it to its issuer's.
    pub chain: PathBuf,
    /// The PEM file of the key; `None`: it is in the same file.
    pub key: Option<PathBuf>,
}

/// A policy of CLB by its name. Whichever it is, elbow offers TLS 1.3 and 1.2 with forward secrecy
/// and authenticated encryption, and nothing of what else the policy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SslPolicy(&'static str);

impl Default for SslPolicy {
    /// The policy that CLB's API gives a listener (CLB.md §4.11).
    fn default() -> Self {
        Self(POLICIES[0])
    }
}

impl fmt::Display for SslPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl SslPolicy {
    fn parse(text: &str) -> Result<Self, Mistake> {
        let known = POLICIES.into_iter().find(|name| *name == text);
        known.map(Self).ok_or_else(|| {
            let nearest = nearest(text, POLICIES).unwrap_or(POLICIES[0]);
            format!("is no policy of CLB; did you mean `{nearest}`?").into()
        })
    }
}

/// The keys that only such listeners have.
const KEYS: [&str; 4] = [
    "certificate",
    "certificate_key",
    "certificates",
    "ssl_policy",
];

/// Reads the TLS keys of a listener. `Some(None)`: its protocol has none of them.
pub(super) fn tls(
    section: &mut Section<'_>,
    protocol: Option<Protocol>,
    report: &mut Report<'_>,
) -> Option<Option<Tls>> {
    if let Some(protocol) = protocol.filter(|protocol| protocol.is_secure()) {
        return terms(section, protocol, report).map(Some);
    }
    let mut is_clean = true;
    for key in KEYS {
        if let Some(field) = section.field(key)
            && protocol.is_some()
        {
            report.refuse(&field, "only a listener for HTTPS or SSL has it");
            is_clean = false;
        }
    }
    is_clean.then_some(None)
}

fn terms(section: &mut Section<'_>, protocol: Protocol, report: &mut Report<'_>) -> Option<Tls> {
    let chain = section
        .required("certificate", report)
        .and_then(|field| path(&field, report));
    let key = section.read_or("certificate_key", None, |field| {
        path(&field, report).map(Some)
    });
    let others = section.read_or("certificates", Vec::new(), |field| others(&field, report));
    let policy = section.read_or("ssl_policy", SslPolicy::default(), |field| {
        field.parsed(SslPolicy::parse, report)
    });
    let default = CertificateFiles {
        chain: chain?,
        key: key?,
    };
    let mut certificates = vec![default];
    certificates.extend(others?);
    Some(Tls {
        certificates,
        policy: policy?,
        is_http: protocol.is_http(),
    })
}

/// The further certificates, each in one file with its key.
fn others(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<CertificateFiles>> {
    let items = field.items(report)?;
    if items.len() >= CERTIFICATES_PER_LISTENER_MAX {
        let mistake = format!("more than {CERTIFICATES_PER_LISTENER_MAX} certificates in all");
        report.refuse(field, mistake);
        return None;
    }
    let files: Vec<Option<CertificateFiles>> = items
        .iter()
        .map(|item| path(item, report).map(|chain| CertificateFiles { chain, key: None }))
        .collect();
    files.into_iter().collect()
}

fn path(field: &Field<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    field.parsed(
        |text| match text {
            "" => Err("must be the path of a PEM file".into()),
            _ => Ok(PathBuf::from(text)),
        },
        report,
    )
}
