//! A load balancer becomes what is written: by a file that is read again, or by whoever else wants
//! it otherwise.
//!
//! Not how single backends come (`pool.rs`) and go (`leave.rs`). Invariant: what is the same in
//! both goes on as it was: connections, health, sessions, counters.

use std::sync::Arc;

use super::command::{Bound, Effects};
use super::pool::{LoadBalancer, Scene, listeners};
use crate::config::{self, DrainMode};
use crate::state::Refusal;

/// What a load balancer is to become.
pub(super) struct Change<'a> {
    pub(super) wanted: &'a config::LoadBalancer,
    /// The backends that were written before.
    pub(super) before: &'a [config::Backend],
    /// Where its listeners accept, in order.
    pub(super) bound: &'a [Bound],
    /// What backends that leave still take; `None`: as its attributes say.
    pub(super) mode: Option<DrainMode>,
}

impl LoadBalancer {
    /// Changes what is otherwise in what is wanted than in what was written before. Backends that
    /// were registered or changed in another way are left alone.
    ///
    /// # Errors
    /// The refusal of more backends than there may be; nothing has changed then.
    pub(super) fn change(
        &mut self,
        change: &Change<'_>,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Change {
            wanted,
            before,
            bound,
            mode,
        } = *change;
        self.judge_room(wanted)?;
        self.is_leaving = false;
        self.attributes = Arc::new(wanted.attributes.clone());
        self.listeners = listeners(wanted, bound);
        effects.is_new = true;
        self.change_check(&wanted.health_check, effects);
        for backend in wanted.backends.iter().filter(|b| !before.contains(b)) {
            self.register(backend, scene, effects)?;
        }
        let is_gone = |id: &str| wanted.backends.iter().all(|backend| backend.id != *id);
        for backend in before.iter().filter(|backend| is_gone(&backend.id)) {
            // Refused: it has left already.
            drop(self.deregister(&backend.id, mode, scene, effects));
        }
        Ok(())
    }

    /// Lets all backends leave; the last one takes the load balancer with it.
    pub(super) fn end(&mut self, scene: &mut Scene<'_>, effects: &mut Effects) {
        self.is_leaving = true;
        self.listeners.clear();
        effects.is_new = true;
        effects.changes_checks = true;
        let ids: Vec<Arc<str>> = self.members.iter().map(|m| Arc::clone(&m.id)).collect();
        for id in ids {
            self.drain_at_once(&id, scene, effects);
        }
    }

    /// Whether nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.is_leaving && self.members.is_empty()
    }

    fn judge_room(&self, wanted: &config::LoadBalancer) -> Result<(), Refusal> {
        let is_new = |backend: &&config::Backend| self.index_of(&backend.id).is_err();
        let new = wanted.backends.iter().filter(is_new).count();
        if self.members.len() + new > crate::limits::BACKENDS_MAX {
            return Err(Refusal::TooMany);
        }
        Ok(())
    }

    fn change_check(&mut self, wanted: &config::HealthCheck, effects: &mut Effects) {
        if *self.health_check == *wanted {
            return;
        }
        self.health_check = Arc::new(wanted.clone());
        let thresholds = self.thresholds();
        for member in &mut self.members {
            member.health.set_thresholds(thresholds);
        }
        effects.changes_checks = true;
    }
}
