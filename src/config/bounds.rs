//! What one client may take: bounds among `[load_balancer.attributes]` that the Classic Load
//! Balancer does not have.
//!
//! Not here: the bounds that nobody sets (`limits.rs`). Invariant: none of these is on unless the
//! file says so.

use std::time::Duration;

use super::read::{Report, Section};
use super::size::{Sizes, written};

/// Up to a tebibyte: what is longer goes on for days.
const MAX_BODY: Sizes = Sizes { bytes: 1..=1 << 40 };

/// Up to a mebibyte a second, which not every honest client has.
const MIN_RATE: Sizes = Sizes { bytes: 1..=1 << 20 };

/// What one client may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of content that a request may have: 1 B – 1 TiB; `None`, the default: any.
    pub max_body: Option<u64>,
    /// Bytes a second that a client must send of a body and take of an answer on average over each
    /// idle timeout in which it alone is waited for: 1 B – 1 MiB; `None`, the default: one byte in
    /// an idle timeout is enough.
    pub min_rate: Option<u64>,
    /// Connections that one client address may have at once, an IPv6 network of /64 counting as
    /// one: 1–65,535; `None`, the default: any.
    pub max_connections: Option<u16>,
}

impl Bounds {
    /// Bytes that must move in `idle_timeout` before the next one begins; at least one, and at most
    /// what 32 bits hold.
    pub fn quota(&self, idle_timeout: Duration) -> u64 {
        let Some(rate) = self.min_rate else {
            return 1;
        };
        let ms = u64::try_from(idle_timeout.as_millis()).unwrap_or(u64::MAX);
        (rate.saturating_mul(ms) / 1000).max(1)
    }

    /// Those that are on, as the file would say them.
    pub(super) fn written(&self) -> [(&'static str, Option<String>); 3] {
        [
            ("max_body", self.max_body.map(written)),
            ("min_rate", self.min_rate.map(written)),
            (
                "max_connections_per_client",
                self.max_connections.map(|count| count.to_string()),
            ),
        ]
    }
}

/// Reads the bounds among the attributes; `default` stands for what is not written.
/// `reads_heads`: one of the load balancer's listeners is HTTP.
pub(super) fn bounds(
    section: &mut Section<'_>,
    default: Bounds,
    reads_heads: bool,
    report: &mut Report<'_>,
) -> Option<Bounds> {
    let mut of_bodies = |key, default, sizes| {
        section.read_or(key, default, |field| {
            if !reads_heads {
                report.refuse(
                    &field,
                    "needs an HTTP listener: TCP listeners see no bodies",
                );
                return None;
            }
            field.size(sizes, report).map(Some)
        })
    };
    let max_body = of_bodies("max_body", default.max_body, &MAX_BODY);
    let min_rate = of_bodies("min_rate", default.min_rate, &MIN_RATE);
    let key = "max_connections_per_client";
    let max_connections = section.read_or(key, default.max_connections, |field| {
        let count = field.integer(1..=u64::from(u16::MAX), report)?;
        Some(u16::try_from(count).ok())
    });
    Some(Bounds {
        max_body: max_body?,
        min_rate: min_rate?,
        max_connections: max_connections?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_what_the_rate_makes_of_the_time_and_never_nothing() {
        let quota = |min_rate, ms| {
            let bounds = Bounds {
                min_rate,
                ..Bounds::default()
            };
            bounds.quota(Duration::from_millis(ms))
        };
        assert_eq!(quota(None, 60_000), 1);
        assert_eq!(quota(Some(240), 60_000), 14_400);
        assert_eq!(quota(Some(240), 500), 120);
        assert_eq!(quota(Some(1), 500), 1);
    }
}
