//! Who may ask the admin address: access key ids, and the secrets that their files hold.
//!
//! Not how a request proves whose it is (`admin`). Invariant: what is in force changes as a whole,
//! or stays if one of the files does not hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_credential_types::Credentials as Key;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

use super::certificates::in_file;
use crate::config::{self, Credential};
use crate::limits::SECRET_FILE_BYTES_MAX;

/// The bits of a file's mode that let others than its owner do anything.
pub(super) const MODE_OF_OTHERS: u32 = 0o077;

/// Those of the admin address, whoever is let in by them. Shared: they change.
#[derive(Debug, Clone, Default)]
pub struct Credentials(Arc<ArcSwap<Held>>);

/// What holds at one moment.
#[derive(Debug, Default)]
pub(super) struct Held {
    holders: BTreeMap<String, Holder>,
    /// DNS names of the admin address, in lower case.
    pub(super) names: Vec<String>,
    /// Other hosts reach it.
    is_exposed: bool,
}

/// Somebody who may ask.
#[derive(Debug)]
pub(super) struct Holder {
    /// The access key id and its secret.
    pub(super) key: Key,
    pub(super) is_read_only: bool,
}

impl Credentials {
    /// Reads the secrets of all credentials. The log warns of files that others may read.
    ///
    /// # Errors
    /// A line for each file that cannot be used: which one's it is, and why.
    pub fn load(admin: &config::Admin) -> Result<Self, Vec<String>> {
        let held = Held::read(admin)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(held))))
    }

    /// What holds now.
    pub(super) fn now(&self) -> Arc<Held> {
        self.0.load_full()
    }

    /// Reads them as they are written by now, to be put in force by [`replace`](Self::replace).
    ///
    /// # Errors
    /// Those of [`load`](Self::load); or none are left, and other hosts reach the admin address,
    /// which stays where it is until a restart.
    pub(super) fn read_again(&self, admin: &config::Admin) -> Result<Held, Vec<String>> {
        let is_exposed = self.now().is_exposed;
        let held = Held::read(admin)?;
        if is_exposed && held.is_open() {
            let problem = "admin.credential: other hosts reach the admin address until elbow is \
                           started again, so that there must be one";
            return Err(vec![problem.to_owned()]);
        }
        Ok(Held { is_exposed, ..held })
    }

    /// These are in force from now on.
    pub(super) fn replace(&self, held: Held) {
        if held.is_open() && !self.now().is_open() {
            log_open();
        }
        self.0.store(Arc::new(held));
    }
}

impl Held {
    fn read(admin: &config::Admin) -> Result<Self, Vec<String>> {
        let mut holders = BTreeMap::new();
        let mut problems = Vec::new();
        for credential in &admin.credentials {
            match holder(credential) {
                Ok(holder) => drop(holders.insert(credential.access_key_id.clone(), holder)),
                Err(problem) => problems.push(format!(
                    "line {}: secret_access_key_file of {}: {problem}",
                    credential.line, credential.access_key_id
                )),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            holders,
            names: admin.names.clone(),
            is_exposed: !admin.is_within_host(),
        })
    }

    /// Whether everybody may do all of it.
    pub(super) fn is_open(&self) -> bool {
        self.holders.is_empty()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.holders.len()
    }

    /// Whose access key id this is.
    pub(super) fn holder(&self, access_key_id: &str) -> Option<&Holder> {
        self.holders.get(access_key_id)
    }
}

impl Holder {
    /// Whether the secret is this one, in constant time.
    pub(super) fn has_secret(&self, text: &str) -> bool {
        let secret = self.key.secret_access_key().as_bytes();
        verify_slices_are_equal(secret, text.as_bytes()).is_ok()
    }

    /// By which another secret is told from this one: its SHA-256, which never leaves the process.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let hash = digest(&SHA256, self.key.secret_access_key().as_bytes());
        hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

#[cfg(test)]
impl Held {
    /// Of these ids and secrets, and whether they only read.
    pub(super) fn of(keys: &[(&str, &str, bool)]) -> Self {
        let holders = keys.iter().map(|(id, secret, is_read_only)| {
            let key = Key::new(*id, *secret, None, None, "test");
            let is_read_only = *is_read_only;
            ((*id).to_owned(), Holder { key, is_read_only })
        });
        Self {
            holders: holders.collect(),
            ..Self::default()
        }
    }
}

/// Says so if there are none.
pub(super) fn log_if_open(credentials: &Credentials) {
    if credentials.now().is_open() {
        log_open();
    }
}

fn log_open() {
    tracing::warn!("the admin address is open to everybody on this host: no [[admin.credential]]");
}

fn holder(credential: &Credential) -> Result<Holder, String> {
    let file = &credential.secret_access_key_file;
    let secret = secret(file).map_err(|problem| in_file(file, problem))?;
    Ok(Holder {
        key: Key::new(&credential.access_key_id, secret, None, None, "elbow"),
        is_read_only: credential.is_read_only,
    })
}

/// The one word in a file.
fn secret(path: &Path) -> Result<String, String> {
    let told = |error: io::Error| error.to_string();
    let file = File::open(path).map_err(told)?;
    let mode = file.metadata().map_err(told)?.mode();
    if mode & MODE_OF_OTHERS != 0 {
        let file = path.display();
        tracing::warn!(%file, "others than its owner may read or change this secret: chmod 600");
    }
    let mut text = String::new();
    let read = file
        .take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text);
    if read.map_err(told)? as u64 > SECRET_FILE_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).to_string());
    }
    let secret = text.trim();
    if secret.is_empty() {
        return Err("no secret in it".to_owned());
    }
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be one word of printable ASCII".to_owned());
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests;
