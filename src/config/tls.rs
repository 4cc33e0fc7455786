//! TLS of an HTTPS or SSL listener: which files hold its certificates, and what it asks of clients.
//!
//! Not here: what is in those files; reading them is the shell's (`control::certificates`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::certificate::{Certificates, certificate, is_arn};
use super::read::{Field, Report, Section};
use super::ssl_policy::{SslPolicies, ssl_policy};
use super::{ClientAuth, Protocol, SslPolicy, client_auth};
use crate::limits::CERTIFICATES_PER_LISTENER_MAX;

/// What an HTTPS or SSL listener needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates, not empty. The first is shown to clients that name no host or one that no
    /// certificate is for; the others, which CLB does not have, to those that name theirs (SNI).
    pub certificates: Vec<CertificateFiles>,
    /// What clients are to be offered.
    pub policy: SslPolicy,
    /// What is asked of clients; `None`: nothing.
    pub client_auth: Option<ClientAuth>,
    /// HTTP is spoken over it, which clients are told (ALPN).
    pub is_http: bool,
}

/// Where one certificate lies. Its JSON is kept on disk (`control::journal`): keys do not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The PEM file of the certificate and those that lead from it to its issuer's.
    pub chain: PathBuf,
    /// The PEM file of the key; `None`: it is in the same file.
    pub key: Option<PathBuf>,
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
    policies: &SslPolicies<'_>,
    certificates: &Certificates<'_>,
    report: &mut Report<'_>,
) -> Option<Option<Tls>> {
    if let Some(protocol) = protocol.filter(|protocol| protocol.is_secure()) {
        return terms(section, protocol, policies, certificates, report).map(Some);
    }
    let mut is_clean = true;
    for key in KEYS.into_iter().chain(client_auth::KEYS) {
        if let Some(field) = section.field(key)
            && protocol.is_some()
        {
            report.refuse(&field, "only a listener for HTTPS or SSL has it");
            is_clean = false;
        }
    }
    is_clean.then_some(None)
}

fn terms(
    section: &mut Section<'_>,
    protocol: Protocol,
    policies: &SslPolicies<'_>,
    certificates: &Certificates<'_>,
    report: &mut Report<'_>,
) -> Option<Tls> {
    let default = default(section, certificates, report);
    let others = section.read_or("certificates", Vec::new(), |field| {
        others(&field, certificates, report)
    });
    let policy = section.read_or("ssl_policy", SslPolicy::default(), |field| {
        ssl_policy(&field, policies, report)
    });
    let client_auth = client_auth::client_auth(section, protocol.is_http(), report);
    let mut certificates = vec![default?];
    certificates.extend(others?);
    Some(Tls {
        certificates,
        policy: policy?,
        client_auth: client_auth?,
        is_http: protocol.is_http(),
    })
}

/// The first certificate: its file and perhaps one for the key, or an ARN that says both.
fn default(
    section: &mut Section<'_>,
    certificates: &Certificates<'_>,
    report: &mut Report<'_>,
) -> Option<CertificateFiles> {
    let field = section.required("certificate", report);
    let files = field.and_then(|field| certificate(&field, certificates, report));
    let Some(key_field) = section.field("certificate_key") else {
        return files;
    };
    let key = path(&key_field, report)?;
    let files = files?;
    let is_named = section.peek("certificate").and_then(DeValue::as_str);
    if is_named.is_some_and(is_arn) {
        let mistake = "the [[certificate]] that is named says already where its key is";
        report.refuse(&key_field, mistake);
        return None;
    }
    Some(CertificateFiles {
        key: Some(key),
        ..files
    })
}

/// The further certificates, each in one file with its key, or by its ARN.
fn others(
    field: &Field<'_>,
    certificates: &Certificates<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<CertificateFiles>> {
    let items = field.items(report)?;
    if items.len() >= CERTIFICATES_PER_LISTENER_MAX {
        let mistake = format!("more than {CERTIFICATES_PER_LISTENER_MAX} certificates in all");
        report.refuse(field, mistake);
        return None;
    }
    let files: Vec<Option<CertificateFiles>> = items
        .iter()
        .map(|item| certificate(item, certificates, report))
        .collect();
    files.into_iter().collect()
}

pub(super) fn path(field: &Field<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    field.parsed(
        |text| match text {
            "" => Err("must be the path of a PEM file".into()),
            _ => Ok(PathBuf::from(text)),
        },
        report,
    )
}
