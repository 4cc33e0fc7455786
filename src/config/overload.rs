//! How much of a load balancer's traffic one backend takes at once, and what becomes of the rest.
//!
//! Not here: who waits and in what order (`balance`).

use std::num::NonZeroU32;
use std::time::Duration;

use super::attributes::IDLE_TIMEOUT;
use super::read::{Field, Report, Section};
use crate::limits::{OUTSTANDING_MAX, SURGE_QUEUE_MAX};

/// The bound of a load balancer's backends and its surge queue. Without a bound nobody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// How many requests one backend has at most at once: on TCP and SSL listeners connections,
    /// after an upgrade sockets. 1–65,536; `None`, the default: however many come.
    pub max_outstanding: Option<NonZeroU32>,
    /// How many may wait for a backend that has room. 0–1,024, default 1,024 (CLB.md §4.2).
    pub surge_queue: u32,
    /// How long each of them may wait: 1–4000 s (as text from 50 ms). `None`, the default: as long
    /// as either side may be silent.
    pub queue_timeout: Option<Duration>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            max_outstanding: None,
            surge_queue: SURGE_QUEUE_MAX,
            queue_timeout: None,
        }
    }
}

/// Reads these keys among the attributes.
pub(super) fn overload(section: &mut Section<'_>, report: &mut Report<'_>) -> Option<Overload> {
    let default = Overload::default();
    let max_outstanding = section.read_or("max_outstanding", default.max_outstanding, |field| {
        max_outstanding(&field, report)
    })?;
    if max_outstanding.is_none() {
        for key in ["surge_queue", "queue_timeout"] {
            if let Some(field) = section.field(key) {
                report.refuse(&field, "needs max_outstanding: without it nobody waits");
            }
        }
        return Some(default);
    }
    let surge_queue = section.read_or("surge_queue", default.surge_queue, |field| {
        let most = field.integer(0..=SURGE_QUEUE_MAX.into(), report)?;
        Some(u32::try_from(most).expect("the range ends with one"))
    });
    let queue_timeout = section.read_or("queue_timeout", default.queue_timeout, |field| {
        field.duration(&IDLE_TIMEOUT, report).map(Some)
    });
    Some(Overload {
        max_outstanding,
        surge_queue: surge_queue?,
        queue_timeout: queue_timeout?,
    })
}

/// Reads a bound, or `false`.
fn max_outstanding(field: &Field<'_>, report: &mut Report<'_>) -> Option<Option<NonZeroU32>> {
    if field.as_boolean() == Some(false) {
        return Some(None);
    }
    let most = field.integer(1..=OUTSTANDING_MAX.into(), report)?;
    Some(u32::try_from(most).ok().and_then(NonZeroU32::new))
}
