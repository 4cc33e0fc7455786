//! The surge queue (CLB.md §4.2) as a shard has it: the clients that wait for a backend with room,
//! and how their turn reaches them.
//!
//! Not who may go first (`balance::queue`, `balance::room`), and not what is done then
//! (`in_turn.rs`). To be called is to be woken and nothing more: whoever is called tries for itself
//! and stays where it is if it finds no room. So a call too many does no harm, and none is missing:
//! whoever gives a place back, or goes from the queue, calls the first that could use what is free;
//! on another shard by its bell. Invariants: no shard waits for another; nothing of a client that
//! waits is in flight.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::serve::Client;
use super::watch::Waiting;
use super::{Shard, World};
use crate::balance::{self, First, Queue, Wish};
use crate::state::{Backend, BackendLine, LoadBalancerLine, PerShard, Route};
use crate::sys::{Instant, Link};

/// The places that a shard holds on backends, and who waits for one.
#[derive(Debug)]
pub(super) struct Surge {
    shard: usize,
    link: Arc<Link>,
    /// The epoch that the last sweep was in.
    seen_epoch: Cell<u64>,
    /// By the load balancer's counters, which stay the same objects as long as it is there. Those
    /// for which nobody waits are not here.
    queues: RefCell<BTreeMap<*const PerShard<LoadBalancerLine>, Published>>,
    /// By number.
    waiters: RefCell<BTreeMap<u64, Waiter>>,
}

/// The queue of one load balancer.
#[derive(Debug)]
struct Published {
    queue: Queue,
    /// In whose counters it is published.
    world: Rc<World>,
    /// Which of its routes is one of the load balancer's.
    at: usize,
}

#[derive(Debug)]
struct Waiter {
    counts: Arc<PerShard<LoadBalancerLine>>,
    wish: Wish,
    deadline: Instant,
    client: RawFd,
    is_gone: fn(RawFd) -> bool,
    waker: Option<Waker>,
    is_called: bool,
}

/// Why a client waits no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The queue is full; counted.
    Spilled,
    /// It has waited as long as it may; counted.
    Late,
    /// The client has gone; counted.
    Gone,
    /// Its listener had, by the time that it began to wait.
    Closed,
}

impl Surge {
    pub(super) fn new(shard: usize, link: Arc<Link>) -> Self {
        Self {
            shard,
            link,
            seen_epoch: Cell::new(0),
            queues: RefCell::default(),
            waiters: RefCell::default(),
        }
    }

    /// Counts a request as outstanding on a backend, if it may have one more.
    #[must_use]
    pub(super) fn take(&self, backend: &Backend) -> bool {
        let is_taken = balance::take(backend, self.shard);
        if !is_taken {
            self.call_next(&backend.counts);
        }
        is_taken
    }

    /// A request has ended on a backend, for which others may wait if `is_bounded`.
    pub(super) fn give_back(&self, counts: &PerShard<BackendLine>, is_bounded: bool) {
        counts.line(self.shard).outstanding.sub(1);
        if is_bounded {
            self.call_next(counts);
        }
    }

    /// The counters of this shard.
    pub(super) fn line<'c, T>(&self, counts: &'c PerShard<T>) -> &'c T {
        counts.line(self.shard)
    }

    fn call_next(&self, counts: &PerShard<BackendLine>) {
        if let Some(first) = balance::next(counts) {
            self.call(first);
        }
    }

    fn call(&self, first: First) {
        if first.shard != self.shard {
            self.link.bells.line(first.shard).ring();
        } else if let Some(waiter) = self.waiters.borrow_mut().get_mut(&first.number) {
            waiter.call();
        }
    }

    /// Calls those of this shard who are the first for a backend that has room: the bell was rung.
    pub(super) fn call_own(&self) {
        for line in self.queues.borrow().values() {
            let firsts = balance::firsts(&line.route().backends);
            for first in firsts.filter(|first| first.shard == self.shard) {
                self.call(first);
            }
        }
    }

    /// Calls all whose time is over or whose client has gone, and all if the world is another. And
    /// those who may go on, should a call have been missed.
    pub(super) fn sweep(&self, now: Instant, world: &Rc<World>) {
        let epoch = world.snapshot.epoch;
        let is_new = self.seen_epoch.replace(epoch) != epoch;
        if self.waiters.borrow().is_empty() {
            return;
        }
        for line in self.queues.borrow_mut().values_mut() {
            line.follow(world, self.shard);
        }
        for waiter in self.waiters.borrow_mut().values_mut() {
            if is_new || waiter.deadline <= now || (waiter.is_gone)(waiter.client) {
                waiter.call();
            }
        }
        self.call_own();
    }

    /// Gives up a place in the queue; it may have none.
    pub(super) fn leave(&self, number: u64) {
        let Some(waiter) = self.waiters.borrow_mut().remove(&number) else {
            return;
        };
        let mut queues = self.queues.borrow_mut();
        let line = queues.get_mut(&Arc::as_ptr(&waiter.counts));
        let line = line.expect("whoever waits does so in a queue");
        line.queue.leave(number, waiter.wish);
        self.line(&*waiter.counts).surge_waiting.sub(1);
        self.announce(line);
        if line.queue.is_empty() {
            queues.remove(&Arc::as_ptr(&waiter.counts));
        }
    }

    /// Gives a waiter a place in the queue of its load balancer, or another wish there.
    fn stand(&self, number: u64, waiter: Waiter, world: &Rc<World>, route: &Route) {
        let mut queues = self.queues.borrow_mut();
        let line = queues
            .entry(Arc::as_ptr(&route.counts))
            .or_insert_with(|| Published::new(world, route));
        line.follow(world, self.shard);
        let wish = waiter.wish;
        match self.waiters.borrow_mut().entry(number) {
            Entry::Occupied(known) if known.get().wish == wish => return,
            Entry::Occupied(mut known) => {
                let before = std::mem::replace(&mut known.get_mut().wish, wish);
                line.queue.leave(number, before);
            }
            Entry::Vacant(vacant) => _ = vacant.insert(waiter),
        }
        line.queue.enter(number, wish);
        self.announce(line);
    }

    /// Publishes a queue that is another than before, and calls those who may go on by that; if
    /// there was room before it was published, whoever made it so has called nobody.
    fn announce(&self, line: &Published) {
        let backends = &line.route().backends;
        line.queue.publish(backends, self.shard);
        balance::firsts(backends).for_each(|first| self.call(first));
    }
}

impl Published {
    fn new(world: &Rc<World>, route: &Route) -> Self {
        let at = world
            .snapshot
            .routes
            .iter()
            .position(|r| r.listener == route.listener);
        Self {
            queue: Queue::default(),
            world: Rc::clone(world),
            at: at.expect("it is a route of this world"),
        }
    }

    fn route(&self) -> &Route {
        &self.world.snapshot.routes[self.at]
    }

    /// Publishes the queue in the counters of the backends that there are now, if the world is a
    /// later one. A load balancer that is gone stays as it was until all have left.
    fn follow(&mut self, world: &Rc<World>, shard: usize) {
        if world.snapshot.epoch <= self.world.snapshot.epoch {
            return;
        }
        let counts = Arc::clone(&self.route().counts);
        let mut routes = world.snapshot.routes.iter();
        if let Some(at) = routes.position(|route| Arc::ptr_eq(&route.counts, &counts)) {
            // Nobody is left behind in the counters of backends that are gone.
            Queue::default().publish(&self.route().backends, shard);
            (self.world, self.at) = (Rc::clone(world), at);
            self.queue.publish(&self.route().backends, shard);
        }
    }
}

impl Waiter {
    fn call(&mut self) {
        self.is_called = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A client's place in the queue, from the first time that it waits until it is served. Should it
/// have to wait again, as the backend of its turn could not be reached, it does so where it was,
/// if the queue is not full by then.
#[derive(Debug)]
pub(super) struct Place<'a> {
    shard: &'a Shard,
    client: &'a Client<'a>,
    is_gone: fn(RawFd) -> bool,
    pub(super) number: u64,
    deadline: Instant,
    /// The last in which its listener was there.
    world: RefCell<Rc<World>>,
}

impl<'a> Place<'a> {
    /// A place behind all others. `is_gone` tells by a connection that its client waits no more.
    pub(super) fn new(
        shard: &'a Shard,
        client: &'a Client<'a>,
        route: &Route,
        is_gone: fn(RawFd) -> bool,
    ) -> Self {
        Self {
            shard,
            client,
            is_gone,
            number: shard.link.next_arrival(),
            deadline: Instant::now().after(route.attributes.queue_timeout()),
            world: RefCell::new(shard.world()),
        }
    }

    /// Waits until it is worth trying for a backend once more, and says in which world: that of
    /// now, or the last in which the listener was there, as whoever was accepted is served.
    ///
    /// # Errors
    /// There is nothing more to wait for.
    pub(super) async fn turn(&self, wish: Wish) -> Result<Rc<World>, Ended> {
        // Not a word from a backend is waited for; a cut is none of its business.
        self.client.watch.renew();
        self.client.watch.wait(Waiting::Answer, Instant::NEVER);
        self.stand(wish)?;
        poll_fn(|cx| self.poll_called(cx.waker())).await;
        let world = self.world();
        let route = world.route(self.client.listener.number);
        let route = route.ok_or(Ended::Closed)?;
        let counts: &LoadBalancerLine = route.counts.line(self.shard.index);
        if (self.is_gone)(self.client.stream.descriptor()) {
            counts.aborted.add(1);
            return Err(Ended::Gone);
        }
        if self.deadline <= Instant::now() {
            counts.surge_timeouts.add(1);
            return Err(Ended::Late);
        }
        Ok(world)
    }

    fn stand(&self, wish: Wish) -> Result<(), Ended> {
        let surge = &self.shard.surge;
        let world = self.world();
        let route = world.route(self.client.listener.number);
        let route = route.ok_or(Ended::Closed)?;
        if !surge.waiters.borrow().contains_key(&self.number) {
            let (counts, max) = (&route.counts, route.attributes.overload.surge_queue.into());
            let line: &LoadBalancerLine = surge.line(counts);
            if !counts.add_within(self.shard.index, max, |line| &line.surge_waiting) {
                line.spillover.add(1);
                return Err(Ended::Spilled);
            }
            line.surge_waits.add(1);
        }
        let waiter = Waiter {
            counts: Arc::clone(&route.counts),
            wish,
            deadline: self.deadline,
            client: self.client.stream.descriptor(),
            is_gone: self.is_gone,
            waker: None,
            is_called: false,
        };
        surge.stand(self.number, waiter, &world, route);
        Ok(())
    }

    fn world(&self) -> Rc<World> {
        let mut last = self.world.borrow_mut();
        let world = self.shard.world();
        if world.route(self.client.listener.number).is_some() {
            *last = world;
        }
        Rc::clone(&last)
    }

    fn poll_called(&self, waker: &Waker) -> Poll<()> {
        let mut waiters = self.shard.surge.waiters.borrow_mut();
        let Some(waiter) = waiters.get_mut(&self.number) else {
            return Poll::Ready(());
        };
        if std::mem::take(&mut waiter.is_called) {
            return Poll::Ready(());
        }
        waiter.waker = Some(waker.clone());
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shard.surge.leave(self.number);
    }
}
