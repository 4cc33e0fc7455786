//! When backends are checked: regularly, and at once when a shard could not reach one.
//!
//! One task per backend; what other nodes check is checked here only when it is doubted. Not here:
//! how a check is made (`check.rs`) and what it changes (`state`). Invariants: regular checks start
//! one interval apart however long they take; a backend has one check at a time; a burst ends with
//! the first success, or with as many failures as condemn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{self, Instant, MissedTickBehavior};

use super::check::Prober;
use crate::health::{self, Outcome};
use crate::limits;
use crate::state::{CheckPlan, Command, ControlLine};

/// The tasks that check; dropping it ends them.
pub(super) struct Checker {
    watched: HashMap<Key, Watched>,
    tasks: JoinSet<()>,
    prober: Prober,
    turns: Arc<Semaphore>,
    commands: mpsc::Sender<Command>,
    counts: Arc<ControlLine>,
}

/// Load balancer and backend.
type Key = (Arc<str>, Arc<str>);

/// One backend that is checked.
struct Watched {
    plan: CheckPlan,
    ring: mpsc::Sender<()>,
    task: AbortHandle,
}

impl Checker {
    /// Checks nothing yet. Results will go to `commands`.
    pub(super) fn new(commands: mpsc::Sender<Command>, counts: &Arc<ControlLine>) -> Self {
        Self {
            watched: HashMap::new(),
            tasks: JoinSet::new(),
            prober: Prober::new(),
            turns: Arc::new(Semaphore::new(limits::CHECKS_AT_ONCE)),
            commands,
            counts: Arc::clone(counts),
        }
    }

    /// Checks what `plans` say, and nothing else: who is new at once and then by its interval, who
    /// was checked before in the same way without a break.
    pub(super) fn follow(&mut self, plans: Vec<CheckPlan>) {
        let mut before = std::mem::take(&mut self.watched);
        for plan in plans {
            let key = (Arc::clone(&plan.load_balancer), Arc::clone(&plan.backend));
            let watched = match before.remove(&key) {
                Some(same) if same.plan == plan => same,
                changed => {
                    if let Some(changed) = changed {
                        changed.task.abort();
                    }
                    self.watch(plan)
                }
            };
            self.watched.insert(key, watched);
        }
        before.into_values().for_each(|gone| gone.task.abort());
    }

    fn watch(&mut self, plan: CheckPlan) -> Watched {
        // One report is as good as many, so the bell holds one.
        let (ring, bell) = mpsc::channel(1);
        let watch = Watch {
            plan: plan.clone(),
            prober: self.prober.clone(),
            turns: Arc::clone(&self.turns),
            commands: self.commands.clone(),
            counts: Arc::clone(&self.counts),
        };
        let task = self.tasks.spawn(watch.run(bell));
        Watched { plan, ring, task }
    }

    /// Has that backend checked at once, unless that is about to happen anyway.
    pub(super) fn hurry(&self, load_balancer: Arc<str>, backend: Arc<str>) {
        if let Some(watched) = self.watched.get(&(load_balancer, backend)) {
            match watched.ring.try_send(()) {
                // Full: rung before and not heard yet. Closed: the task is lost, which is logged.
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Waits until a task ends that was not told to. They run for ever, so that is a panic: our
    /// bug.
    pub(super) async fn lost_task(&mut self) -> String {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(())) => return "ended".to_owned(),
                Some(Err(error)) if !error.is_cancelled() => return error.to_string(),
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
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
        let is_regular = self.plan.is_regular;
        if is_regular {
            self.check().await;
        }
        loop {
            let reported = async {
                time::sleep_until(quiet_until).await;
                bell.recv().await
            };
            tokio::select! {
                _ = regular.tick(), if is_regular => { self.check().await; }
                Some(()) = reported => {
                    self.burst().await;
                    // What was reported meanwhile is older than the verdict.
                    while bell.try_recv().is_ok() {}
                    quiet_until = Instant::now() + limits::CHECK_BURST_PAUSE;
                }
            }
        }
    }

    /// Checks until the verdict is settled, or cannot be.
    async fn burst(&self) {
        self.counts.check_bursts.add(1);
        let mut spacing = time::interval(limits::CHECK_BURST_SPACING);
        spacing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..self.plan.health_check.unhealthy_threshold {
            spacing.tick().await;
            if self.check().await == Some(Outcome::Success) {
                return;
            }
        }
    }

    /// Checks once and has the result counted; `None`: the check could not be made, and counts for
    /// nothing.
    async fn check(&self) -> Option<Outcome> {
        let CheckPlan {
            load_balancer,
            backend,
            address,
            health_check,
            is_regular: _,
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
        let checked = self.prober.check(*address, health_check).await;
        drop(turn);
        let outcome = match checked {
            Ok(outcome) => outcome,
            Err(error) => {
                self.counts.checks_unmade.add(1);
                tracing::debug!(%load_balancer, %backend, %address, %error, "not checked");
                return None;
            }
        };
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
        Some(outcome)
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
