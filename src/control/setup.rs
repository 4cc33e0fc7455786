//! The thread that changes what is set up: by the configuration file, which is read again on
//! SIGHUP, by files of certificates and authorities that change, and by the ELB API (`act.rs`).
//!
//! A thread of its own, as it waits for disks, for shards and for the control thread. Not how a
//! load balancer changes (`inventory.rs`, `state`). Invariants: a file that does not hold changes
//! nothing; a load balancer that is the same in it goes on untouched; one change comes after the
//! other, and the log says what came of it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use super::act::Act;
use super::inventory::{Inventory, Prepared};
use super::journal::Journal;
use super::regions::Regions;
use super::{Published, Wish};
use crate::config::{Config, LoadBalancer};
use crate::limits::{
    CERTIFICATE_LOOK_INTERVAL, LISTENERS_LOOK_INTERVAL, LISTENERS_PATIENCE, ORDERS_WAITING,
};
use crate::state::{Command, ControlLine};
use crate::sys::{Instant, Link};

/// Reads the configuration again, from where it was read at the start.
pub struct ReadAgain(Box<dyn Fn() -> Result<Config, String> + Send>);

impl ReadAgain {
    /// `read` gives the configuration, or says why it does not hold.
    pub fn new(read: impl Fn() -> Result<Config, String> + Send + 'static) -> Self {
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
}

/// What is set up, and all that a change of it touches.
pub(super) struct Setup {
    pub(super) inventory: Inventory,
    pub(super) regions: Regions,
    pub(super) journal: Journal,
    /// `None`: there is no file.
    pub(super) read_again: Option<ReadAgain>,
    pub(super) link: Arc<Link>,
    pub(super) wishes: mpsc::Sender<Wish>,
    pub(super) published: watch::Receiver<Published>,
    pub(super) counts: Arc<ControlLine>,
}

/// Hands each SIGHUP on; those that come while one is being dealt with are one.
pub(super) async fn pass_on(mut hangups: Signal, orders: SyncSender<Order>) {
    while hangups.recv().await.is_some() {
        if orders.try_send(Order::Reload).is_err() {
            tracing::warn!("too much is being changed to read the configuration again now");
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
        loop {
            match orders.recv_timeout(CERTIFICATE_LOOK_INTERVAL) {
                Ok(Order::Reload) => self.reload(),
                Ok(Order::Act(act)) => self.act(act),
                Err(RecvTimeoutError::Timeout) => self.inventory.files.look(false, &self.counts),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn reload(&mut self) {
        self.inventory.files.look(true, &self.counts);
        let read = self.read_again.as_ref().map(|read_again| (read_again.0)());
        match read {
            None => tracing::info!("no configuration file to read again"),
            Some(Ok(config)) => match self.regions.with(&config) {
                Ok((regions, wanted)) => {
                    if self.become_as(&wanted) {
                        self.regions = regions;
                    }
                }
                Err(problems) => self.refuse(&problems),
            },
            Some(Err(problem)) => self.refuse(&[problem]),
        }
    }

    fn refuse(&self, problems: &[String]) {
        self.counts.reload_errors.add(1);
        for problem in problems {
            tracing::error!("the configuration stays as it was: {problem}");
        }
    }

    /// Puts and removes load balancers until they are these; false if their files do not hold, and
    /// nothing has changed.
    fn become_as(&mut self, balancers: &[LoadBalancer]) -> bool {
        let (wanted, gone) = self.inventory.differences(balancers);
        let problems = self.inventory.problems(&wanted);
        if !problems.is_empty() {
            self.refuse(&problems);
            return false;
        }
        gone.iter().for_each(|name| self.remove(name));
        let count = wanted.len();
        let mut left = self.put_all(wanted);
        if !left.is_empty() && left.len() < count {
            // An address that one of the others had may be free now.
            left = self.put_all(left.into_iter().map(|(balancer, _)| balancer).collect());
        }
        for (balancer, problems) in &left {
            self.counts.reload_errors.add(1);
            let load_balancer = &balancer.name;
            for problem in problems {
                tracing::error!(%load_balancer, %problem, "the load balancer stays as it was");
            }
        }
        self.counts.reloads.add(1);
        let (changed, removed) = (count - left.len(), gone.len());
        tracing::info!(changed, removed, "the configuration was read again");
        true
    }

    /// Puts load balancers; those that could not be had come back, with the reasons.
    fn put_all(&mut self, wanted: Vec<LoadBalancer>) -> Vec<(LoadBalancer, Vec<String>)> {
        let mut left = Vec::new();
        for balancer in wanted {
            let prepared = self.inventory.prepare(&balancer);
            if let Err(problems) = prepared.and_then(|prepared| self.put(prepared)) {
                left.push((balancer, problems));
            }
        }
        left
    }

    /// Puts a load balancer in force; shards have its listeners open when this returns.
    pub(super) fn put(&mut self, prepared: Prepared) -> Result<(), Vec<String>> {
        let before = self.inventory.written(&prepared.wanted.name);
        self.wish(Command::Put {
            wanted: Box::new(prepared.wanted.clone()),
            before: before.cloned().map(Box::new),
            bound: prepared.bound(),
        })?;
        self.inventory.settle(prepared);
        self.publish();
        Ok(())
    }

    /// Ends a load balancer; its listeners are closed when this returns.
    pub(super) fn remove(&mut self, load_balancer: &Arc<str>) {
        let command = Command::Remove {
            load_balancer: Arc::clone(load_balancer),
        };
        // Refused: it is not there, which is what was wanted.
        drop(self.wish(command));
        self.inventory.remove(load_balancer);
        self.publish();
    }

    /// Has the control thread carry out a command.
    fn wish(&self, command: Command) -> Result<(), Vec<String>> {
        let ending = |()| vec!["the process is ending".to_owned()];
        let (answer, answered) = oneshot::channel();
        let sent = self.wishes.blocking_send(Wish { command, answer });
        sent.map_err(|_| ending(()))?;
        let done = answered.blocking_recv().map_err(|_| ending(()))?;
        done.map_err(|refusal| vec![refusal.to_string()])
    }

    /// Tells the shards which listeners there are, and waits until they have followed.
    fn publish(&self) {
        let listeners = self.inventory.listeners();
        let version = listeners.version;
        self.link.listeners.store(Arc::new(listeners));
        let deadline = Instant::now().after(LISTENERS_PATIENCE);
        while self
            .link
            .shards
            .lines()
            .any(|l| l.listeners_seen.value() < version)
        {
            if deadline <= Instant::now() {
                return tracing::warn!("a shard does not follow the change of listeners");
            }
            pause(LISTENERS_LOOK_INTERVAL);
        }
    }
}

/// Does nothing for so long.
fn pause(duration: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "not a shard, and nobody waits for this thread"
    )]
    thread::sleep(duration);
}
