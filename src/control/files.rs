//! The files that the configuration names, for certificates, authorities, secrets of the admin
//! address and that of the cluster: read at the start, and all but the last again on SIGHUP; those
//! of TLS also when one has changed.
//!
//! Not what is in them (`certificates.rs`, `trust.rs`, `credentials.rs`, `secrets.rs`), nor when to
//! look (`setup.rs`). Invariant: what is made of a listener's files changes as a whole, or stays if
//! what is there now does not hold.

use std::slice;

use super::certificates::{self, Certificates};
use super::credentials::Credentials;
use super::secrets;
use super::trust::{self, Trusts};
use crate::cluster::Secrets;
use crate::config::{Config, LoadBalancer};
use crate::state::ControlLine;
use crate::sys::{Listening, unix_seconds};

/// What was made of files that may change.
#[derive(Debug, Default)]
pub struct Files {
    /// What listeners show their clients.
    pub certificates: Certificates,
    /// Whom they take for a backend.
    pub trusts: Trusts,
    /// Who may ask the admin address.
    pub credentials: Credentials,
    /// What makes the nodes of the cluster one, if there is a cluster.
    pub secrets: Option<Secrets>,
}

impl Files {
    /// Reads all of them. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// A line for each file that cannot be used: whose it is, and why.
    pub fn load(config: &Config, now: u64) -> Result<Self, Vec<String>> {
        let (read, credentials) = (
            both(certificates::load(config, now), trust::load(config)),
            Credentials::load(&config.admin),
        );
        let secrets = config.cluster.as_ref().map(secrets::load).transpose();
        match (read, credentials, secrets) {
            (Ok(files), Ok(credentials), Ok(secrets)) => Ok(Self {
                credentials,
                secrets,
                ..files
            }),
            (files, credentials, secrets) => {
                let secrets = secrets.err().map(|problem| vec![problem]);
                let problems = [credentials.err(), secrets, files.err()];
                Err(problems.into_iter().flatten().flatten().collect())
            }
        }
    }

    /// What the listeners of a load balancer name, to be held beside what there is.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub(super) fn read(&self, wanted: &LoadBalancer, now: u64) -> Result<Self, Vec<String>> {
        let balancers = slice::from_ref(wanted);
        let keyring = self.certificates.keyring.clone();
        both(
            certificates::read_all(balancers, keyring, now),
            self.trusts.read_all(balancers),
        )
    }

    /// What was read for the listener at `index` is from now on what shards have of it already.
    pub(super) fn adopt(&mut self, index: usize, listening: &Listening) {
        if let Some(offer) = &listening.offer {
            self.certificates.adopt(index, offer);
        }
        if let Some(terms) = &listening.terms {
            self.trusts.adopt(index, terms);
        }
    }

    /// These are from now on the files of that load balancer, and all it has.
    pub(super) fn replace(&mut self, load_balancer: &str, new: Self) {
        self.certificates.replace(load_balancer, new.certificates);
        self.trusts.replace(load_balancer, new.trusts);
    }

    /// Makes what has changed anew, and everything if that `is_asked` for.
    pub(super) fn look(&mut self, is_asked: bool, counts: &ControlLine) {
        if self.certificates.have_changed() || is_asked {
            self.certificates.renew(unix_seconds(), counts);
        }
        self.certificates.warn(unix_seconds());
        if self.trusts.have_changed() || is_asked {
            self.trusts.renew(counts);
        }
    }
}

fn both(
    certificates: Result<Certificates, Vec<String>>,
    trusts: Result<Trusts, Vec<String>>,
) -> Result<Files, Vec<String>> {
    match (certificates, trusts) {
        (Ok(certificates), Ok(trusts)) => Ok(Files {
            certificates,
            trusts,
            ..Files::default()
        }),
        (certificates, trusts) => {
            let problems = [certificates.err(), trusts.err()];
            Err(problems.into_iter().flatten().flatten().collect())
        }
    }
}
