//! Certificates that change while elbow runs: how a change is seen, and what is done about it.
//!
//! Not how one is read and judged (`certificates.rs`), nor when to look (`files.rs`). Invariants:
//! what a listener offers changes as a whole, or stays if what is there now does not hold; a
//! connection keeps what it began with, and a client's ticket outlives the change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::{Certificates, made_of};
use crate::config::Tls;
use crate::state::ControlLine;

/// What of a file changes when it is written or replaced: device, number, length, and the time of
/// the last change in seconds and nanoseconds. `None`: there is none.
pub(in crate::control) type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Certificates {
    /// Whether a file is another one than when this was last asked.
    pub(in crate::control) fn have_changed(&mut self) -> bool {
        let mut have_changed = false;
        for source in &mut self.sources {
            let stamps = stamps(&source.tls);
            have_changed |= stamps != source.stamps;
            source.stamps = stamps;
        }
        have_changed
    }

    /// Reads all files again, and says in the log what came of it. `now` is in seconds since 1970.
    pub(in crate::control) fn renew(&mut self, now: u64, counts: &ControlLine) {
        for source in &mut self.sources {
            let tickets = Arc::clone(&source.offer.load().ticketer);
            match made_of(&source.tls, now, Some(tickets)) {
                Ok((config, ends)) => {
                    source.offer.store(Arc::new(config));
                    source.ends = ends;
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

/// The stamps of the files that a listener's certificates are in.
pub(super) fn stamps(tls: &Tls) -> Vec<Stamp> {
    let files = tls.certificates.iter();
    let files = files.flat_map(|files| [Some(&files.chain), files.key.as_ref()]);
    files.flatten().map(|file| stamp(file)).collect()
}

/// The stamp of one file.
pub(in crate::control) fn stamp(file: &Path) -> Stamp {
    let of = |found: fs::Metadata| {
        let (s, ns) = (found.ctime(), found.ctime_nsec());
        (found.dev(), found.ino(), found.size(), s, ns)
    };
    fs::metadata(file).ok().map(of)
}
