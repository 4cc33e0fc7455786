//! Client certificates of an HTTPS or SSL listener: who issues them, who needs one, and how
//! backends are told whose it was.
//!
//! Not here: what is in the file; reading it is the shell's (`control::certificates`).

use std::path::PathBuf;

use super::header::header;
use super::read::{Report, Section};
use super::tls::path;
use super::{Listener, Mistake};

/// The field in which ALB tells the same.
const SUBJECT_HEADER: &str = "X-Amzn-Mtls-Clientcert-Subject";

/// Whose certificates clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// The PEM file of the certificates that theirs lead to.
    pub ca: PathBuf,
    /// A client without a certificate is refused; else it is served as one. Default true.
    pub is_required: bool,
    /// The header in which backends read the subject of a client's certificate. 1–128 characters
    /// of a token, and no field that means something to elbow itself. Default as ALB's.
    pub subject_header: String,
}

impl Listener {
    /// The header in which backends read the subject of a client's certificate, if clients are
    /// asked for one.
    pub fn subject_header(&self) -> Option<&str> {
        let tls = self.tls.as_ref().filter(|tls| tls.is_http)?;
        Some(&tls.client_auth.as_ref()?.subject_header)
    }
}

/// The keys about it.
pub(super) const KEYS: [&str; 3] = ["client_ca", "client_auth", "client_subject_header"];

/// Reads the keys about client certificates, of a listener that reads and writes heads or not.
/// `Some(None)`: there is none of them.
pub(super) fn client_auth(
    section: &mut Section<'_>,
    is_http: bool,
    report: &mut Report<'_>,
) -> Option<Option<ClientAuth>> {
    let [ca, is_required, subject_header] = KEYS.map(|key| section.field(key));
    if let Some(field) = &subject_header
        && !is_http
    {
        report.refuse(field, "needs an HTTPS listener: this one writes no headers");
        return None;
    }
    let Some(ca) = ca else {
        let others = [is_required, subject_header];
        others.iter().flatten().for_each(|field| {
            report.refuse(field, "needs a `client_ca`, which issues the certificates");
        });
        return others.iter().all(Option::is_none).then_some(None);
    };
    let ca = path(&ca, report);
    let is_required = is_required.map_or(Some(true), |field| field.parsed(is_required_by, report));
    let subject_header = subject_header.map_or_else(
        || Some(SUBJECT_HEADER.to_owned()),
        |field| field.parsed(header, report),
    );
    Some(Some(ClientAuth {
        ca: ca?,
        is_required: is_required?,
        subject_header: subject_header?,
    }))
}

fn is_required_by(text: &str) -> Result<bool, Mistake> {
    match text {
        "required" => Ok(true),
        "optional" => Ok(false),
        _ => Err("must be \"required\" or \"optional\"".into()),
    }
}
