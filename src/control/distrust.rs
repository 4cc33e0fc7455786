//! Backends that fail the TLS handshake, told in the log: each once in a while, however many
//! requests find out.
//!
//! Not a verdict: whether a backend is in service is for its checks to say.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use crate::limits::DISTRUST_PAUSE;

/// Who has been told of lately.
#[derive(Debug)]
pub(super) struct Distrust {
    /// Load balancer and backend.
    told: BTreeSet<(Arc<str>, Arc<str>)>,
    /// When all of them are forgotten.
    until: Instant,
}

impl Distrust {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            told: BTreeSet::new(),
            until: now,
        }
    }

    /// A shard could not shake hands with that backend.
    pub(super) fn note(
        &mut self,
        load_balancer: &Arc<str>,
        backend: &Arc<str>,
        problem: &str,
        now: Instant,
    ) {
        if self.is_new(load_balancer, backend, now) {
            tracing::warn!(%load_balancer, %backend, problem, "backend fails the TLS handshake");
        }
    }

    fn is_new(&mut self, load_balancer: &Arc<str>, backend: &Arc<str>, now: Instant) -> bool {
        if self.until <= now {
            self.told.clear();
            self.until = now + DISTRUST_PAUSE;
        }
        let who = (Arc::clone(load_balancer), Arc::clone(backend));
        self.told.insert(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_backend_is_told_of_once_in_a_while() {
        let (web, one, two) = (Arc::from("web"), Arc::from("one"), Arc::from("two"));
        let start = Instant::now();
        let mut distrust = Distrust::new(start);
        assert!(distrust.is_new(&web, &one, start));
        assert!(distrust.is_new(&web, &two, start));
        assert!(!distrust.is_new(&web, &one, start));
        assert!(distrust.is_new(&web, &one, start + DISTRUST_PAUSE));
    }
}
