//! A backend leaves its load balancer: the steps of `departure.rs`, and what follows from each.
//!
//! Not here: how backends come and live (`pool.rs`). Invariant: a backend's life ends when it takes
//! no more requests, and it is removed only when none is left on it or they are cut off.

use std::time::Duration;

use super::command::{Effects, Happening, Refusal};
use super::departure::{Departure, Phase};
use super::pool::{LoadBalancer, Scene};
use super::progress::{DrainEnd, Progress};
use super::rows::{DrainRow, Stage};
use crate::config::DrainMode;
use crate::limits::{DRAIN_NOTICE_MS, DRAINS_REMEMBERED};

impl LoadBalancer {
    /// Lets a backend leave, as `mode` or the attributes say.
    pub(super) fn deregister(
        &mut self,
        id: &str,
        mode: Option<DrainMode>,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let index = self.index_of(id)?;
        let member = &self.members[index];
        let is_sticky = self.listeners.iter().any(|l| l.stickiness.is_some());
        let has_sessions = is_sticky && member.is_served(&self.view);
        match mode.unwrap_or(self.attributes.drain_mode) {
            DrainMode::Sessions { deadline } if has_sessions => {
                self.drain_sessions(index, deadline, scene, effects);
            }
            DrainMode::Sessions { .. } => self.drain_connections(index, None, None, scene, effects),
            DrainMode::Connections { timeout } => {
                self.drain_connections(index, None, timeout, scene, effects);
            }
        }
        Ok(())
    }

    /// Lets a backend leave with its sessions, which have no listener any more.
    pub(super) fn drain_at_once(&mut self, id: &str, scene: &mut Scene<'_>, effects: &mut Effects) {
        if let Ok(index) = self.index_of(id) {
            self.drain_connections(index, None, None, scene, effects);
        }
    }

    fn drain_sessions(
        &mut self,
        index: usize,
        deadline: Duration,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        let sessions = scene.population.alive(self.members[index].slot);
        let deadline_ms = scene.now_ms.saturating_add(millis(deadline));
        let member = &mut self.members[index];
        match &mut member.departure {
            // Asked again: the deadline is the new one, the progress is that of the drain.
            Some(Departure {
                phase: Phase::Sessions(progress),
                ..
            }) => progress.postpone(deadline_ms),
            // It is further than that.
            Some(_) => {}
            None => {
                member.departure = Some(Departure {
                    began_ms: scene.now_ms,
                    phase: Phase::Sessions(Progress::begin(scene.now_ms, sessions, deadline_ms)),
                });
                self.reweigh(index, 0, scene, effects);
                self.tell(index, Happening::DrainBegan { sessions }, effects);
            }
        }
    }

    fn drain_connections(
        &mut self,
        index: usize,
        end: Option<DrainEnd>,
        timeout: Option<Duration>,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        let timeout = timeout.or(self.attributes.connection_draining);
        let member = &mut self.members[index];
        let (began_ms, sessions) = match member.departure.take() {
            Some(Departure {
                began_ms,
                phase: Phase::Sessions(progress),
            }) => (
                began_ms,
                // Cut short by whoever asked for this: as good as its deadline.
                Some((progress, end.unwrap_or(DrainEnd::Deadline))),
            ),
            Some(further) => {
                member.departure = Some(further);
                return;
            }
            None => (scene.now_ms, None),
        };
        if let Some((progress, _)) = &sessions {
            let sessions = progress.left();
            self.tell(index, Happening::DrainEnded { sessions }, effects);
        }
        self.end_life(index, scene, effects);
        self.members[index].departure = Some(Departure {
            began_ms,
            phase: Phase::Connections {
                sessions,
                since_ms: scene.now_ms,
                until_ms: scene.now_ms.saturating_add(timeout.map_or(0, millis)),
            },
        });
        effects.is_new = true;
        effects.changes_checks = true;
    }

    /// Keeps a backend whose sessions are drained.
    pub(super) fn cancel_drain(
        &mut self,
        id: &str,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let index = self.index_of(id)?;
        let member = &mut self.members[index];
        if !member
            .departure
            .as_ref()
            .is_some_and(Departure::takes_sessions)
        {
            return Err(Refusal::NotDraining);
        }
        member.departure = None;
        let weight = member.weight;
        self.reweigh(index, weight, scene, effects);
        self.tell(index, Happening::DrainCancelled, effects);
        Ok(())
    }

    /// Time has passed: drains go on, and who has too many sessions is found anew.
    pub(super) fn tick(
        &mut self,
        is_new_window: bool,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        // From behind, as some are removed.
        for index in (0..self.members.len()).rev() {
            self.go_on(index, is_new_window, scene, effects);
        }
        if is_new_window {
            effects.changes_rows = true;
            self.find_overloaded(scene.population, effects);
        }
    }

    /// Takes a backend that leaves to its next step, if it is time.
    fn go_on(
        &mut self,
        index: usize,
        is_new_window: bool,
        scene: &mut Scene<'_>,
        effects: &mut Effects,
    ) {
        let member = &mut self.members[index];
        let Some(Departure { began_ms, phase }) = &mut member.departure else {
            return;
        };
        match phase {
            Phase::Sessions(progress) => {
                if is_new_window {
                    progress.observe(scene.now_ms, scene.population.alive(member.slot));
                }
                // Nobody was seen: that means that nobody is left only if all have been looked at,
                // and if those who came last before the drain have been counted as well.
                let is_sure = scene.population.is_settled()
                    && *began_ms + 2 * scene.window_ms <= scene.now_ms;
                let is_late = progress.deadline_ms() <= scene.now_ms;
                let end = match progress.end(scene.now_ms) {
                    Some(DrainEnd::Idle) if !is_sure => is_late.then_some(DrainEnd::Deadline),
                    end => end,
                };
                if end.is_some() {
                    self.drain_connections(index, end, None, scene, effects);
                }
            }
            Phase::Connections {
                since_ms, until_ms, ..
            } => {
                // A shard may be choosing by what it knew before the last of them began.
                let is_known = *since_ms + DRAIN_NOTICE_MS <= scene.now_ms;
                if *until_ms <= scene.now_ms {
                    self.cut(index, scene);
                    self.remove(index, scene, effects);
                } else if is_known && member.outstanding() == 0 {
                    self.remove(index, scene, effects);
                }
            }
        }
    }

    fn remove(&mut self, index: usize, scene: &mut Scene<'_>, effects: &mut Effects) {
        let outstanding = self.members[index].outstanding();
        self.tell(index, Happening::Deregistered { outstanding }, effects);
        if let Some(row) = self.drain_row(index, scene.now_ms) {
            let departure = self.members[index].departure.as_ref();
            let end = departure.and_then(Departure::end_of_sessions);
            self.done.push_back(DrainRow {
                stage: Stage::Done(end),
                ..row
            });
            if self.done.len() > DRAINS_REMEMBERED {
                self.done.pop_front();
            }
        }
        let member = self.members.remove(index);
        scene.slots.give_back(member.slot);
        effects.is_new = true;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
