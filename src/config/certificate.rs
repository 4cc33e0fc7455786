//! Certificates by name: `[[certificate]]` gives files an ARN, as the API and listeners may name
//! them.
//!
//! Not here: what is in those files; reading them is the shell's (`control::certificates`).

use std::collections::HashMap;
use std::path::PathBuf;

use super::problem::nearest;
use super::read::{Field, Report, Section};
use super::tls::path;
use super::{CertificateFiles, Mistake};
use crate::limits::{ARN_BYTES_MAX, CERTIFICATES_NAMED_MAX};

/// What every ARN begins with, and no path of a file does that is meant well.
const ARN: &str = "arn:";

/// What the ARN of a file begins with that has no entry; the rest is the path of its certificate.
const FILE_ARN: &str = "arn:elbow:file:";

/// The ARNs that the file defines; `None` for one whose entry is wrong in another way, so that its
/// use elsewhere is not refused as well.
pub(super) type Certificates<'t> = HashMap<&'t str, Option<CertificateFiles>>;

impl CertificateFiles {
    /// The ARN under which the API shows files that no `[[certificate]]` names:
    /// `arn:elbow:file:/etc/elbow/site.pem`. It says where the certificate lies and not where its
    /// key does, so that it leads back to files only where they are known already.
    pub fn file_arn(&self) -> String {
        format!("{FILE_ARN}{}", self.chain.display())
    }

    /// Reads an entry from its parts, by the rules of `[[certificate]]`; but its paths have to be
    /// absolute, as it is not known from where they would be relative after a restart.
    ///
    /// # Errors
    /// The part that does not hold, by its key, and why.
    pub fn from_parts(
        arn: &str,
        certificate: &str,
        certificate_key: Option<&str>,
    ) -> Result<Self, (&'static str, Mistake)> {
        check_arn(arn).map_err(|mistake| ("arn", mistake))?;
        let path = |key, text: &str| match text.starts_with('/') {
            true => Ok(PathBuf::from(text)),
            false => Err((key, "must be the absolute path of a PEM file".into())),
        };
        Ok(Self {
            chain: path("certificate", certificate)?,
            key: certificate_key
                .map(|text| path("certificate_key", text))
                .transpose()?,
        })
    }
}

/// Reads all `[[certificate]]`.
pub(super) fn certificates<'t>(
    document: &mut Section<'t>,
    report: &mut Report<'_>,
) -> Certificates<'t> {
    let mut certificates = Certificates::new();
    let sections = document.sections("certificate", report).unwrap_or_default();
    if sections.len() > CERTIFICATES_NAMED_MAX {
        let mistake = format!("more than {CERTIFICATES_NAMED_MAX} [[certificate]]");
        document.refuse(report, mistake);
        return certificates;
    }
    for mut section in sections {
        let arn_field = section.required("arn", report);
        let chain = section
            .required("certificate", report)
            .and_then(|field| path(&field, report));
        let key = section.read_or("certificate_key", None, |field| {
            path(&field, report).map(Some)
        });
        section.finish(report);
        let Some(arn_field) = arn_field else { continue };
        let Some(arn) = arn_field.text(report) else {
            continue;
        };
        let arn_holds = arn_field.parsed(check_arn, report);
        let files = || {
            arn_holds?;
            Some(CertificateFiles {
                chain: chain?,
                key: key?,
            })
        };
        if certificates.insert(arn, files()).is_some() {
            report.refuse(&arn_field, "is the ARN of another certificate too");
        }
    }
    certificates
}

fn check_arn(arn: &str) -> Result<(), Mistake> {
    let is_printable = arn.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_arn(arn) || arn.len() > ARN_BYTES_MAX || !is_printable {
        return Err(format!(
            "must begin with {ARN} and have at most {ARN_BYTES_MAX} characters: printable ASCII \
             without space"
        )
        .into());
    }
    if arn.starts_with(FILE_ARN) {
        return Err("is what elbow calls a file that has no entry here".into());
    }
    Ok(())
}

/// Whether it is an ARN, of whichever entry, and no path.
pub(super) fn is_arn(text: &str) -> bool {
    text.starts_with(ARN)
}

/// Reads the path of a PEM file, or the ARN of a `[[certificate]]`, which may have its key in a
/// file of its own.
pub(super) fn certificate(
    field: &Field<'_>,
    certificates: &Certificates<'_>,
    report: &mut Report<'_>,
) -> Option<CertificateFiles> {
    let name = field.text(report)?;
    if !is_arn(name) {
        return path(field, report).map(|chain| CertificateFiles { chain, key: None });
    }
    if let Some(files) = certificates.get(name) {
        return files.clone();
    }
    let mistake = match nearest(name, certificates.keys().copied()) {
        Some(known) => format!("is no [[certificate]] of this file; did you mean `{known}`?"),
        None => "is no [[certificate]] of this file".to_owned(),
    };
    report.refuse(field, mistake);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_printable_and_not_that_of_a_file() {
        let long = format!("arn:{}", "a".repeat(ARN_BYTES_MAX - 4));
        for arn in [
            "arn:a",
            "arn:aws:iam::123456789012:server-certificate/x",
            &long,
        ] {
            assert!(check_arn(arn).is_ok(), "{arn:?} was refused");
        }
        let longer = format!("{long}a");
        for arn in [
            "",
            "site",
            "/site.pem",
            "arn:a b",
            "arn:\u{e9}",
            "arn:elbow:file:/a",
            &longer,
        ] {
            assert!(check_arn(arn).is_err(), "{arn:?} was taken");
        }
    }

    #[test]
    fn parts_follow_the_rules_of_the_file_with_absolute_paths() {
        let files = CertificateFiles::from_parts("arn:a", "/a.pem", Some("/a.key")).unwrap();
        assert_eq!(files.chain, PathBuf::from("/a.pem"));
        assert_eq!(files.key, Some("/a.key".into()));
        for (key, arn, certificate, certificate_key) in [
            ("arn", "a", "/a.pem", None),
            ("certificate", "arn:a", "a.pem", None),
            ("certificate", "arn:a", "", None),
            ("certificate_key", "arn:a", "/a.pem", Some("a.key")),
        ] {
            let refused = CertificateFiles::from_parts(arn, certificate, certificate_key);
            assert_eq!(refused.map_err(|(key, _)| key), Err(key));
        }
    }

    #[test]
    fn a_file_without_an_entry_is_called_by_its_path() {
        let files = CertificateFiles {
            chain: "/etc/elbow/site.pem".into(),
            key: Some("/etc/elbow/site.key".into()),
        };
        assert_eq!(files.file_arn(), "arn:elbow:file:/etc/elbow/site.pem");
    }
}
