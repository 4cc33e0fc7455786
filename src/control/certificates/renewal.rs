//! Certificates that change while elbow runs: read again when a file has changed, and on SIGHUP.
//!
//! Not how one is read and judged (`certificates.rs`). Invariants: what a listener offers changes
//! as a whole, or stays if what is there now does not hold; a connection keeps what it began with,
//! and a client's ticket outlives the change, unless another `client_ca` is to judge it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::task;
use tokio::time;

use super::{Certificates, made_of};
use crate::config::Tls;
use crate::limits::CERTIFICATE_LOOK_INTERVAL;
use crate::state::ControlLine;
use crate::sys::unix_seconds;

/// What of a file changes when it is written or replaced: device, number, length, and the time of
/// the last change in seconds and nanoseconds. `None`: there is none.
pub(super) type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Keeps the listeners' offers as their files say, until the runtime ends.
pub(in crate::control) async fn keep_current(
    mut certificates: Certificates,
    mut hangups: Signal,
    counts: Arc<ControlLine>,
) {
    let mut looks = time::interval(CERTIFICATE_LOOK_INTERVAL);
    loop {
        let is_asked = tokio::select! {
            Some(()) = hangups.recv() => true,
            _ = looks.tick() => false,
        };
        let counts = Arc::clone(&counts);
        // A disk may take its time; health checks must not wait for it.
        let looked = task::spawn_blocking(move || {
            if certificates.have_changed() || is_asked {
                certificates.renew(unix_seconds(), &counts);
            }
            certificates
        });
        certificates = match looked.await {
            Ok(certificates) => certificates,
            Err(error) => {
                return tracing::error!(%error, "bug: certificates are no longer renewed");
            }
        };
    }
}

impl Certificates {
    /// Whether a file is another one than when this was last asked.
    pub(super) fn have_changed(&mut self) -> bool {
        let mut have_changed = false;
        for source in &mut self.sources {
            let stamps = stamps(&source.tls);
            have_changed |= stamps != source.stamps;
            source.stamps = stamps;
        }
        have_changed
    }

    /// Reads all files again, and says in the log what came of it. `now` is in seconds since 1970.
    pub(super) fn renew(&mut self, now: u64, counts: &ControlLine) {
        if self.sources.is_empty() {
            tracing::info!("no certificates to read again");
        }
        for source in &mut self.sources {
            let tickets = Arc::clone(&source.offer.load().ticketer);
            match made_of(&source.tls, now, Some((tickets, &source.terms))) {
                Ok(made) => {
                    source.offer.store(Arc::new(made.config));
                    source.ends = made.ends;
                    source.terms = made.terms;
                    counts.certificate_renewals.add(1);
                    tracing::info!(listener = %source.listener, "certificates read again");
                }
                Err(problems) => {
                    counts.certificate_renewal_errors.add(1);
                    for problem in problems {
                        let listener = &source.listener;
                        tracing::error!(%listener, %problem, "the certificates stay as they were");
                    }
                }
            }
        }
        self.tell_ends();
    }
}

/// The stamps of the files that a listener's certificates and those of its clients' issuers are in.
pub(super) fn stamps(tls: &Tls) -> Vec<Stamp> {
    let files = tls.certificates.iter();
    let files = files.flat_map(|files| [Some(&files.chain), files.key.as_ref()]);
    let ca = tls.client_auth.iter().map(|auth| &auth.ca);
    files.flatten().chain(ca).map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let of = |found: fs::Metadata| {
        let (s, ns) = (found.ctime(), found.ctime_nsec());
        (found.dev(), found.ino(), found.size(), s, ns)
    };
    fs::metadata(file).ok().map(of)
}
