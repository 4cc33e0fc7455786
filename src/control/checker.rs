//! When backends are checked: regularly, and at once when a shard could not reach one.
//!
//! One task per backend. Not here: how a check is made (`check.rs`) and what it changes (`state`).
//! Invariants: regular checks start one interval apart however long they take; a backend has one
//! check at a time; a burst ends with the first success, or with as many failures as condemn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::check::Prober;
use crate::health::{self, Outcome};
use crate::limits;
use crate::state::{CheckPlan, Command, ControlLine};

/// The tasks that check; dropping it ends them.
pub(super) struct Checker {
    bells: HashMap<Key, mpsc::Sender<()>>,
    tasks: JoinSet<()>,
}

/// Load balancer and backend.
type Key = (Arc<str>, Arc<str>);

impl Checker {
    /// Begins to check: every backend at once, then by its interval. Results go to `commands`.
    pub(super) fn start(
        plans: Vec<CheckPlan>,
        commands: &mpsc::Sender<Command>,
        counts: &Arc<ControlLine>,
    ) -> Self {
        let prober = Prober::new();
        let turns = Arc::new(Semaphore::new(limits::CHECKS_AT_ONCE));
        let mut checker = Self {
            bells: HashMap::new(),
            tasks: JoinSet::new(),
        };
        for plan in plans {
            // One report is as good as many, so the bell holds one.
            let (ring, bell) = mpsc::channel(1);
            let key = (Arc::clone(&plan.load_balancer), Arc::clone(&plan.backend));
            checker.bells.insert(key, ring);
            let watch = Watch {
                plan,
                prober: prober.clone(),
                turns: Arc::clone(&turns),
                commands: commands.clone(),
                counts: Arc::clone(counts),
            };
            checker.tasks.spawn(watch.run(bell));
        }
        checker
    }

    /// Has that backend checked at once, unless that is about to happen anyway.
    pub(super) fn hurry(&self, load_balancer: Arc<str>, backend: Arc<str>) {
        if let Some(ring) = self.bells.get(&(load_balancer, backend)) {
            match ring.try_send(()) {
                // Full: rung before and not heard yet. Closed: the task is lost, which is logged.
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Waits for the end of a task. They run until they are dropped, so an end is a panic: our bug.
    pub(super) async fn lost_task(&mut self) -> Option<String> {
        let ended = self.tasks.join_next().await?;
        Some(
            ended
                .err()
                .map_or_else(|| "ended".to_owned(), |error| error.to_string()),
        )
    }
}

/// The checks of one backend.
struct Watch {
    plan: CheckPlan,
    prober: Prober,
    turns: Arc<Semaphore>,
    commands: mpsc::Sender<Command>,
    counts: Arc<ControlLine>,
}

impl Watch {
    async fn run(self, mut bell: mpsc::Receiver<()>) {
        let interval = self.plan.health_check.interval;
        let start = Instant::now();
        let mut regular = time::interval_at(start + interval - jitter(&self.plan), interval);
        regular.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut quiet_until = start;
        self.check().await;
        loop {
            let reported = async {
                time::sleep_until(quiet_until).await;
                bell.recv().await
            };
            tokio::select! {
                _ = regular.tick() => { self.check().await; }
                Some(()) = reported => {
                    self.burst().await;
                    // What was reported meanwhile is older than the verdict.
                    while bell.try_recv().is_ok() {}
                    quiet_until = Instant::now() + limits::CHECK_BURST_PAUSE;
                }
            }
        }
    }

    /// Checks until the verdict is settled.
    async fn burst(&self) {
        self.counts.check_bursts.add(1);
        let mut spacing = time::interval(limits::CHECK_BURST_SPACING);
        spacing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..self.plan.health_check.unhealthy_threshold {
            spacing.tick().await;
            if self.check().await == Outcome::Success {
                return;
            }
        }
    }

    async fn check(&self) -> Outcome {
        let CheckPlan {
            load_balancer,
            backend,
            address,
            health_check,
        } = &self.plan;
        let turn = if let Ok(turn) = self.turns.try_acquire() {
            turn
        } else {
            self.counts.checks_delayed.add(1);
            self.turns
                .acquire()
                .await
                .expect("nobody closes the semaphore")
        };
        let outcome = self.prober.check(*address, health_check).await;
        drop(turn);
        match outcome {
            Outcome::Success => self.counts.checks_passed.add(1),
            Outcome::Failure(failure) => {
                self.counts.checks_failed.add(1);
                tracing::debug!(%load_balancer, %backend, %address, reason = %failure, "check failed");
            }
        }
        let command = Command::Checked {
            load_balancer: Arc::clone(load_balancer),
            backend: Arc::clone(backend),
            outcome,
        };
        // Closed: the control thread is returning, and nobody wants the result.
        drop(self.commands.send(command).await);
        outcome
    }
}

/// How much earlier than one interval the second check comes: up to a tenth of the interval, by
/// the backend's name, so that checks that began together do not stay together.
fn jitter(plan: &CheckPlan) -> Duration {
    let hash = health::mix(
        health::id_hash(&plan.load_balancer),
        health::id_hash(&plan.backend),
    );
    let steps = u32::try_from(hash % 1024).expect("a remainder of 1024 fits");
    plan.health_check.interval / 10_240 * steps
}

#[cfg(test)]
mod tests;
