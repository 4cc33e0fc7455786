//! The thread that changes what is set up: by the configuration file, which is read again on
//! SIGHUP, by files of certificates and authorities that change, and by the ELB API (`act.rs`).
//!
//! A thread of its own, as it waits for disks, for shards and for the control thread. Not how a
//! load balancer changes (`inventory.rs`, `state`). Invariants: a file that does not hold changes
//! nothing; a load balancer that is the same in it goes on untouched; one change comes after the
//! other, and the log says what came of it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use super::act::Act;
use super::inventory::{Inventory, Prepared};
use super::journal::Journal;
use super::origin::Origin;
use super::outcome::{Outcome, Reloaded, Unchanged};
use super::ports::Turn;
use super::regions::Regions;
use super::replicas::{Replica, Replicas};
use super::{Published, Wish};
use crate::config::{Config, DrainMode, LoadBalancer, Sources};
use crate::limits::{
    BACKENDS_MAX, CERTIFICATE_LOOK_INTERVAL, LAST_HANDSHAKES_TIME, LAST_REQUESTS_TIME,
    LISTENERS_LOOK_INTERVAL, LISTENERS_PATIENCE, ORDERS_WAITING,
};
use crate::state::{Command, ControlLine};
use crate::sys::{self, Bell, Instant, Link};

/// Reads the configuration again, from where it was read at the start.
pub struct ReadAgain(Box<dyn Fn() -> Read + Send>);

/// A configuration and where it comes from, or a line for each problem of it.
type Read = Result<(Config, Sources), Vec<String>>;

impl ReadAgain {
    /// `read` gives the configuration, or says why it does not hold: a line for each problem.
    pub fn new(read: impl Fn() -> Result<(Config, Sources), Vec<String>> + Send + 'static) -> Self {
        Self(Box::new(read))
    }
}

impl fmt::Debug for ReadAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadAgain")
    }
}

/// What is asked of the thread.
#[derive(Debug)]
pub(super) enum Order {
    /// Read everything again.
    Reload,
    /// An action of the API.
    Act(Act),
    /// What `/v1` wants done.
    Do(Task),
    /// Other nodes have changed that.
    Adopt(Vec<Replica>),
}

/// Work on what is set up, by whoever knows what to do with the outcome.
pub(super) struct Task(Box<dyn FnOnce(&mut Setup) + Send>);

impl Task {
    pub(super) fn new(work: impl FnOnce(&mut Setup) + Send + 'static) -> Self {
        Self(Box::new(work))
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

/// What is set up, and all that a change of it touches.
pub(super) struct Setup {
    pub(super) inventory: Inventory,
    pub(super) origin: Origin,
    pub(super) regions: Regions,
    pub(super) journal: Journal,
    /// `None`: there are no other nodes.
    pub(super) replicas: Option<Replicas>,
    /// `None`: there is no file.
    pub(super) read_again: Option<ReadAgain>,
    pub(super) link: Arc<Link>,
    pub(super) wishes: mpsc::Sender<Wish>,
    pub(super) published: watch::Receiver<Published>,
    pub(super) counts: Arc<ControlLine>,
    /// A SIGHUP found no room among the orders.
    pub(super) has_missed_hangup: Arc<AtomicBool>,
}

/// Hands each SIGHUP on; those that come while one is being dealt with are one. One that finds no
/// room among the orders is `missed`, which is looked at after each of them.
pub(super) async fn pass_on(
    mut hangups: Signal,
    orders: SyncSender<Order>,
    missed: Arc<AtomicBool>,
) {
    while hangups.recv().await.is_some() {
        if orders.try_send(Order::Reload).is_err() {
            missed.store(true, Ordering::Relaxed);
        }
    }
}

impl Setup {
    /// Starts the thread, which ends once nobody can order anything any more.
    ///
    /// # Errors
    /// Those of thread creation.
    pub(super) fn start(self) -> io::Result<SyncSender<Order>> {
        let (orders, inbox) = sync_channel(ORDERS_WAITING);
        thread::Builder::new()
            .name("setup".to_owned())
            .spawn(move || self.run(&inbox))?;
        Ok(orders)
    }

    fn run(mut self, orders: &Receiver<Order>) {
        let mut next_look = Instant::now().after(CERTIFICATE_LOOK_INTERVAL);
        loop {
            match orders.recv_timeout(next_look.since(Instant::now())) {
                // The log has told the outcome.
                Ok(Order::Reload) => drop(self.reload()),
                Ok(Order::Act(act)) => self.act(act),
                Ok(Order::Do(task)) => (task.0)(&mut self),
                Ok(Order::Adopt(replicas)) => self.adopt(replicas),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.has_missed_hangup.swap(false, Ordering::Relaxed) {
                drop(self.reload());
            }
            // However many orders there are.
            if next_look <= Instant::now() {
                self.inventory.files.look(false, &self.counts);
                next_look = Instant::now().after(CERTIFICATE_LOOK_INTERVAL);
            }
            let known = self.replicas.as_ref();
            if known.is_some_and(|known| known.is_due(Instant::now())) {
                self.try_waiting();
            }
        }
    }

    /// Reads everything again, and says what came of it.
    pub(super) fn reload(&mut self) -> Outcome {
        self.inventory.files.look(true, &self.counts);
        let Some(read_again) = &self.read_again else {
            tracing::info!("no configuration file to read again");
            return Err(Unchanged::NoFile);
        };
        let done = (read_again.0)().and_then(|(config, sources)| self.become_as(&config, sources));
        match done {
            Ok(reloaded) => {
                self.counts.reloads.add(1);
                let changed = reloaded.added.len() + reloaded.changed.len();
                let removed = reloaded.removed.len();
                tracing::info!(changed, removed, "the configuration was read again");
                for part in &reloaded.needs_restart {
                    tracing::warn!(part, "is read at the start alone: what is new there waits");
                }
                Ok(reloaded)
            }
            Err(problems) => {
                self.counts.reload_errors.add(1);
                for problem in &problems {
                    tracing::error!("the configuration stays as it was: {problem}");
                }
                Err(Unchanged::Problems(problems))
            }
        }
    }

    /// Puts and removes load balancers until they are as the file and what the API has changed
    /// since have it, and says which. The admin address lets in whom the file names.
    ///
    /// # Errors
    /// What does not hold, a line each; nothing has changed.
    fn become_as(&mut self, config: &Config, sources: Sources) -> Result<Reloaded, Vec<String>> {
        let held = self.inventory.files.credentials.read_again(&config.admin)?;
        let settled = self.regions.with(config)?;
        let (wanted, gone) = self.inventory.differences(&settled.wanted);
        let unchanged = settled.wanted.len() - wanted.len();
        let names = wanted.iter().map(|balancer| balancer.name.clone());
        let (changed, added) = names.partition(|name| self.inventory.written(name).is_some());
        let needs_restart = self.origin.differences(config);
        let prepared = self.prepare(wanted, &gone)?;
        let outdated = match &mut self.replicas {
            Some(known) => known.instead_of(settled.outdated),
            None => settled.outdated,
        };
        self.journal.append(&outdated).map_err(|error| {
            self.counts.journal_write_errors.add(1);
            vec![format!("the change cannot be kept on disk: {error}")]
        })?;
        self.inventory.files.credentials.replace(held);
        self.bring_about(prepared, &gone, None);
        self.regions = settled.regions;
        if let Some(known) = &mut self.replicas {
            known.hurry();
        }
        self.origin.follow(config, sources);
        Ok(Reloaded {
            added,
            changed,
            removed: gone.iter().map(ToString::to_string).collect(),
            unchanged,
            needs_restart,
        })
    }

    /// Makes ready what load balancers need to be as they are wanted, and others gone.
    ///
    /// # Errors
    /// What does not hold, a line each; nothing has changed.
    pub(super) fn prepare(
        &mut self,
        wanted: Vec<LoadBalancer>,
        gone: &[Arc<str>],
    ) -> Result<Vec<Prepared>, Vec<String>> {
        let crowded: Vec<String> = wanted.iter().filter_map(|b| self.lacks_room(b)).collect();
        if crowded.is_empty() {
            self.inventory.prepare(wanted, gone)
        } else {
            Err(crowded)
        }
    }

    /// Why a load balancer cannot have its instances beside those that still leave it.
    fn lacks_room(&self, wanted: &LoadBalancer) -> Option<String> {
        let published = self.published.borrow();
        let of_it = published.health.iter();
        let of_it = of_it.filter(|row| *row.load_balancer == *wanted.name);
        let stays: BTreeSet<&str> = wanted.backends.iter().map(|b| b.id.as_str()).collect();
        let count = stays.len() + of_it.filter(|row| !stays.contains(&*row.backend)).count();
        (count > BACKENDS_MAX).then(|| {
            let name = &wanted.name;
            format!("{name}: more than {BACKENDS_MAX} instances with those that still leave")
        })
    }

    /// Has load balancers go and others be as they were prepared. When this returns, shards have
    /// closed what is to close and accept on what is new; a connection that came in between has
    /// waited. `mode` is what backends that leave still take; `None`: as the attributes say.
    pub(super) fn bring_about(
        &mut self,
        prepared: Vec<Prepared>,
        gone: &[Arc<str>],
        mode: Option<DrainMode>,
    ) {
        self.close_old(&prepared, gone);
        for name in gone {
            let load_balancer = Arc::clone(name);
            // Refused: it is not there, which is what was wanted.
            drop(self.wish(Command::Remove { load_balancer }));
            self.inventory.remove(name);
        }
        for ready in prepared {
            let before = self.inventory.written(&ready.wanted.name);
            let done = self.wish(Command::Put {
                wanted: Box::new(ready.wanted.clone()),
                before: before.cloned().map(Box::new),
                bound: ready.bound(),
                mode,
            });
            if let Err(problem) = done {
                // There is room (`lacks_room`): the process is ending.
                tracing::warn!(load_balancer = ready.wanted.name, problem, "not changed");
            }
            self.inventory.settle(ready);
        }
        self.publish();
    }

    /// Closes the listeners that are to go. Where others take over their addresses, no connection
    /// is refused, and none reset in its handshake if that takes no longer than
    /// [`LAST_HANDSHAKES_TIME`].
    fn close_old(&mut self, prepared: &[Prepared], gone: &[Arc<str>]) {
        let successors = self.inventory.successors(prepared);
        let turn = |turn: Turn| successors.iter().for_each(|new| turn.make(new));
        if !successors.is_empty() {
            turn(Turn::New);
            sys::thread::pause(LAST_HANDSHAKES_TIME);
            turn(Turn::FirstNew);
        }
        self.inventory.close_old(prepared, gone);
        if self.publish() {
            turn(Turn::All);
            // Whoever came in last has not asked yet, and is still to be served.
            sys::thread::pause(LAST_REQUESTS_TIME);
        }
    }

    /// Has the control thread carry out a command.
    pub(super) fn wish(&self, command: Command) -> Result<(), String> {
        let ending = || "the process is ending".to_owned();
        let (answer, answered) = oneshot::channel();
        let sent = self.wishes.blocking_send(Wish { command, answer });
        sent.map_err(|_| ending())?;
        let done = answered.blocking_recv().map_err(|_| ending())?;
        done.map_err(|refusal| refusal.to_string())
    }

    /// Tells the shards which listeners there are, if that has changed, wakes them and waits until
    /// they have followed. Whether it has.
    fn publish(&self) -> bool {
        let listeners = self.inventory.listeners();
        let version = listeners.version;
        if self.link.listeners.load().version == version {
            return false;
        }
        self.link.listeners.store(Arc::new(listeners));
        self.link.bells.lines().for_each(Bell::ring);
        let deadline = Instant::now().after(LISTENERS_PATIENCE);
        while self
            .link
            .shards
            .lines()
            .any(|l| l.listeners_seen.value() < version)
        {
            if deadline <= Instant::now() {
                tracing::warn!("a shard does not follow the change of listeners");
                break;
            }
            sys::thread::pause(LISTENERS_LOOK_INTERVAL);
        }
        true
    }
}

#[cfg(test)]
mod tests;
