//! `[[admin.credential]]`: who may ask the admin address, and how much.
//!
//! Not the secrets: they are in files of their own, which the shell reads
//! (`control::credentials`), so that a configuration can be shown to anybody.

use std::collections::HashSet;
use std::path::PathBuf;

use super::Mistake;
use super::read::{Field, Report, Section};
use crate::limits::{ACCESS_KEY_ID_BYTES_MAX, CREDENTIALS_MAX};

/// One `[[admin.credential]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Whose it is, as clients and the log name it. Unique: 1–128 of `[A-Za-z0-9_-]`; AWS's own
    /// look like `AKIAIOSFODNN7EXAMPLE`.
    pub access_key_id: String,
    /// The file that holds the secret and nothing else.
    pub secret_access_key_file: PathBuf,
    /// Whether it may only ask. Default false.
    pub is_read_only: bool,
    /// The line of the file that names the secret, from 1; for messages.
    pub line: usize,
}

/// Reads all `[[admin.credential]]`.
pub(super) fn credentials(
    admin: &mut Section<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<Credential>> {
    let sections = admin.sections("credential", report)?;
    if sections.len() > CREDENTIALS_MAX {
        let mistake = format!("more than {CREDENTIALS_MAX} [[admin.credential]]");
        admin.refuse(report, mistake);
        return None;
    }
    let mut taken = HashSet::new();
    let read = sections
        .into_iter()
        .map(|section| credential(section, &mut taken, report));
    // All of them are read, so that every problem is noted.
    let all: Vec<Option<Credential>> = read.collect();
    all.into_iter().collect()
}

fn credential(
    mut section: Section<'_>,
    taken: &mut HashSet<String>,
    report: &mut Report<'_>,
) -> Option<Credential> {
    let access_key_id = section
        .required("access_key_id", report)
        .and_then(|field| unique_id(&field, taken, report));
    let secret = section
        .required("secret_access_key_file", report)
        .and_then(|field| Some((field.parsed(file, report)?, field.line(report))));
    let is_read_only = section.read_or("read_only", false, |field| field.boolean(report));
    section.finish(report);
    let (secret_access_key_file, line) = secret?;
    Some(Credential {
        access_key_id: access_key_id?,
        secret_access_key_file,
        is_read_only: is_read_only?,
        line,
    })
}

fn unique_id(
    field: &Field<'_>,
    taken: &mut HashSet<String>,
    report: &mut Report<'_>,
) -> Option<String> {
    let id = field.parsed(access_key_id, report)?;
    if !taken.insert(id.clone()) {
        report.refuse(field, "is the id of another credential too");
        return None;
    }
    Some(id)
}

fn file(text: &str) -> Result<PathBuf, Mistake> {
    match text {
        "" => Err("must be the path of a file that holds the secret and nothing else".into()),
        _ => Ok(PathBuf::from(text)),
    }
}

/// Characters that stand for themselves in a signature's scope, in HTTP Basic and in the log.
fn access_key_id(text: &str) -> Result<String, Mistake> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if text.is_empty() || text.len() > ACCESS_KEY_ID_BYTES_MAX || !text.bytes().all(is_allowed) {
        return Err(format!("must be 1 to {ACCESS_KEY_ID_BYTES_MAX} of A-Z a-z 0-9 _ -").into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_no_character_that_means_something_elsewhere() {
        let long = "A".repeat(ACCESS_KEY_ID_BYTES_MAX);
        for id in ["A", "AKIAIOSFODNN7EXAMPLE", "prometheus_1-b", &long] {
            assert_eq!(access_key_id(id), Ok(id.to_owned()));
        }
        let longer = format!("{long}A");
        for id in ["", "a/b", "a:b", "a,b", "a b", "a\n", "\u{e9}", &longer] {
            assert!(access_key_id(id).is_err(), "{id:?} was taken");
        }
    }
}
