//! Certificates that change while elbow runs: how a change is seen, and what is done about it; and
//! those that should have changed by now, of which the log warns.
//!
//! Not how one is read and judged (`certificates.rs`), nor when to look (`files.rs`). Invariants:
//! what a listener offers changes as a whole, or stays if what is there now does not hold; a
//! connection keeps what it began with, and a client's ticket outlives the change, unless another
//! `client_ca` is to judge it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::{Certificates, SECONDS_PER_DAY, days_left, made_of};
use crate::config::Tls;
use crate::limits::CERTIFICATE_DAYS_WARNED;
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
            match made_of(&source.tls, &source.issuer, now) {
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

    /// Says in the log which certificates end soon, at the first call and once a day from then on.
    pub(in crate::control) fn warn(&mut self, now: u64) {
        for Late {
            listener,
            file,
            days,
        } in self.late(now)
        {
            match days {
                0.. => tracing::warn!(%listener, %file, days, "the certificate ends soon"),
                _ => tracing::warn!(%listener, %file, days, "the certificate has ended"),
            }
        }
    }

    /// The certificates to warn of at `now`, in seconds since 1970; none within a day of the last
    /// time. A clock that was set back makes it a new day.
    pub(super) fn late(&mut self, now: u64) -> Vec<Late<'_>> {
        let since = self.warned_at.and_then(|at| now.checked_sub(at));
        if since.is_some_and(|seconds| seconds < SECONDS_PER_DAY.unsigned_abs()) {
            return Vec::new();
        }
        self.warned_at = Some(now);
        let ends = self.sources.iter().flat_map(|source| {
            let listener = source.listener.as_str();
            let ends = source.ends.iter();
            ends.map(move |(file, end)| Late {
                listener,
                file,
                days: days_left(*end, now),
            })
        });
        ends.filter(|late| late.days < CERTIFICATE_DAYS_WARNED)
            .collect()
    }
}

/// A certificate that should have been renewed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Late<'a> {
    pub(super) listener: &'a str,
    pub(super) file: &'a str,
    /// What is left to it; below 0: nothing.
    pub(super) days: i64,
}

/// The stamps of the files that a listener's certificates and those of its clients' issuers are in.
pub(super) fn stamps(tls: &Tls) -> Vec<Stamp> {
    let files = tls.certificates.iter();
    let files = files.flat_map(|files| [Some(&files.chain), files.key.as_ref()]);
    let ca = tls.client_auth.iter().map(|auth| &auth.ca);
    files.flatten().chain(ca).map(|file| stamp(file)).collect()
}

/// The stamp of one file.
pub(in crate::control) fn stamp(file: &Path) -> Stamp {
    let of = |found: fs::Metadata| {
        let (s, ns) = (found.ctime(), found.ctime_nsec());
        (found.dev(), found.ino(), found.size(), s, ns)
    };
    fs::metadata(file).ok().map(of)
}
