//! The files that the configuration names, for certificates and authorities: read at the start, and
//! again when one has changed and on SIGHUP.
//!
//! Not what is in them (`certificates.rs`, `trust.rs`). Invariant: what is made of a listener's
//! files changes as a whole, or stays if what is there now does not hold.

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::task;
use tokio::time;

use super::certificates::{self, Certificates};
use super::trust::{self, Trusts};
use crate::config::Config;
use crate::limits::CERTIFICATE_LOOK_INTERVAL;
use crate::state::ControlLine;
use crate::sys::unix_seconds;

/// What was made of files that may change.
#[derive(Debug)]
pub struct Files {
    /// What listeners show their clients.
    pub certificates: Certificates,
    /// Whom they take for a backend.
    pub trusts: Trusts,
}

impl Files {
    /// Reads all of them. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// A line for each file that cannot be used: whose it is, and why.
    pub fn load(config: &Config, now: u64) -> Result<Self, Vec<String>> {
        match (certificates::load(config, now), trust::load(config)) {
            (Ok(certificates), Ok(trusts)) => Ok(Self {
                certificates,
                trusts,
            }),
            (certificates, trusts) => {
                let problems = [certificates.err(), trusts.err()];
                Err(problems.into_iter().flatten().flatten().collect())
            }
        }
    }

    fn look(&mut self, is_asked: bool, counts: &ControlLine) {
        if self.certificates.have_changed() || is_asked {
            self.certificates.renew(unix_seconds(), counts);
        }
        self.certificates.warn(unix_seconds());
        if self.trusts.have_changed() || is_asked {
            self.trusts.renew(counts);
        }
    }
}

/// Keeps what was made of files as the files say, until the runtime ends.
pub(super) async fn keep_current(mut files: Files, mut hangups: Signal, counts: Arc<ControlLine>) {
    let mut looks = time::interval(CERTIFICATE_LOOK_INTERVAL);
    loop {
        let is_asked = tokio::select! {
            Some(()) = hangups.recv() => true,
            _ = looks.tick() => false,
        };
        if is_asked {
            tracing::info!("asked to read certificates and authorities again");
        }
        let counts = Arc::clone(&counts);
        // A disk may take its time; health checks must not wait for it.
        let looked = task::spawn_blocking(move || {
            files.look(is_asked, &counts);
            files
        });
        files = match looked.await {
            Ok(files) => files,
            Err(error) => {
                return tracing::error!(%error, "bug: certificates are no longer renewed");
            }
        };
    }
}
