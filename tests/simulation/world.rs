//! One world: what happens to backends, checks, shards and clients, and in which order.
//!
//! Everything is drawn from the seed. What happens to backends is in `trouble.rs`, to requests in
//! `exchange.rs`. Nothing here decides where a request goes: the product's functions do, which
//! `shard.rs` calls, and `judge.rs` says whether that was right.

use std::sync::Arc;

use elbow::health::Outcome;
use elbow::limits::TICK_INTERVAL;
use elbow::state::Snapshot;
use elbow::sticky::{Binding, Stick, Value};
use fastrand::Rng;

use crate::client::{Answer, Client, Jar};
use crate::control::Control;
use crate::exchange::Exchange;
use crate::judge::{APPLICATION, Case, DURATION, Judge, Tally, Violation};
use crate::queue::Queue;
use crate::scale::Scale;
use crate::shard::{Rule, Shard};

/// What may happen.
pub(crate) enum Event {
    Tick,
    Trouble,
    /// A backend is as it was before its trouble.
    Mend(usize),
    Check(usize),
    Checked(usize, Outcome),
    /// A check of a burst begins.
    BurstCheck(usize),
    Deliver(usize, Arc<Snapshot>),
    /// A shard loses its table.
    Forget(usize),
    Send(usize),
    /// A shard has read the head of a request.
    Arrive(usize),
    /// A shard looks for a backend, or for another one.
    Connect(usize),
    /// The attempt of that number has come to its end at its backend.
    Answer(usize, u32),
    /// The connection of that attempt has ended.
    Cut(usize, u32),
    Receive(usize, Answer),
}

/// The world.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) rule: Rule,
    pub(crate) scale: Scale,
    pub(crate) queue: Queue<Event>,
    pub(crate) control: Control,
    pub(crate) shards: Vec<Shard>,
    pub(crate) clients: Vec<Client>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) issued: Vec<(usize, Value, Binding)>,
    /// In a calm world: who is to be mended next.
    pub(crate) broken: Option<usize>,
    pub(crate) judge: Judge,
    /// One line for each thing that happened, if somebody wants to read it.
    trace: Option<Vec<String>>,
}

/// What came of a world.
pub(crate) struct Story {
    pub(crate) result: Result<Tally, Violation>,
    pub(crate) trace: Vec<String>,
}

/// Lets the world of that seed happen.
pub(crate) fn run(seed: u64, rule: Rule, is_traced: bool) -> Story {
    let mut world = World::new(seed, rule, is_traced);
    let result = world.live();
    Story {
        result,
        trace: world.trace.unwrap_or_default(),
    }
}

impl World {
    fn new(seed: u64, rule: Rule, is_traced: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scale = Scale::draw(&mut rng);
        let queue = Queue::new();
        let control = Control::new(&scale, queue.now_ms());
        let snapshot = control.snapshot();
        let mut judge = Judge::new(scale.is_calm);
        judge.publish(&snapshot);
        let shards = (0..scale.shards).map(|index| Shard::new(index, Arc::clone(&snapshot)));
        let client = |index| Client {
            policy: [DURATION, APPLICATION][index % 2],
            ..Client::default()
        };
        let mut world = Self {
            rng,
            rule,
            queue,
            control,
            shards: shards.collect(),
            clients: (0..scale.clients).map(client).collect(),
            exchanges: Vec::new(),
            issued: Vec::new(),
            broken: None,
            judge,
            trace: is_traced.then(Vec::new),
            scale,
        };
        world.plan_first();
        world
    }

    fn plan_first(&mut self) {
        self.queue.plan(0, Event::Tick);
        for server in 0..self.scale.backends {
            self.queue.plan(self.rng.u64(..50), Event::Check(server));
        }
        for client in 0..self.scale.clients {
            self.queue
                .plan(self.rng.u64(100..2000), Event::Send(client));
        }
        self.queue.plan(3000, Event::Trouble);
    }

    /// Until nothing is left to happen; then the shards are compared.
    fn live(&mut self) -> Result<Tally, Violation> {
        while let Some(event) = self.queue.advance() {
            self.happen(event)?;
        }
        self.settle()?;
        Ok(self.judge.tally)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.queue.age_ms() > self.scale.until_ms
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        match event {
            Event::Tick => {
                let news = self.control.tick(now_ms);
                self.publish(news);
                if !self.is_over() {
                    let interval = u64::try_from(TICK_INTERVAL.as_millis()).expect("short");
                    self.queue.plan(interval, Event::Tick);
                }
            }
            Event::Trouble => self.trouble(),
            Event::Mend(server) => self.mend(server),
            Event::Check(server) => self.check(server),
            Event::BurstCheck(server) => self.probe(server),
            Event::Checked(server, outcome) => {
                let news = self.control.checked(server, outcome, now_ms);
                self.publish(news);
            }
            Event::Deliver(shard, snapshot) => self.shards[shard].take(&snapshot),
            Event::Forget(shard) => self.shards[shard].forget(),
            Event::Send(client) => self.send(client),
            Event::Arrive(id) => {
                self.arrive(id);
                return self.connect(id);
            }
            Event::Connect(id) => return self.connect(id),
            Event::Answer(id, attempt) if self.exchanges[id].attempt == attempt => self.answer(id),
            Event::Cut(id, attempt) if self.exchanges[id].attempt == attempt => {
                return self.cut(id);
            }
            // A backend had ended the connection before.
            Event::Answer(..) | Event::Cut(..) => {}
            Event::Receive(client, answer) => {
                self.clients[client].receive(&answer);
            }
        }
        Ok(())
    }

    /// Sends a snapshot on its way to each shard.
    pub(crate) fn publish(&mut self, news: Option<Arc<Snapshot>>) {
        let Some(snapshot) = news else {
            return;
        };
        self.tell(|| {
            let alive = snapshot.routes[APPLICATION].backends.iter();
            let alive = alive.filter(|b| b.is_in_service());
            let alive: Vec<_> = alive.map(|b| format!("{} life {}", b.id, b.life)).collect();
            format!("epoch {}: {}", snapshot.epoch, alive.join(", "))
        });
        self.judge.publish(&snapshot);
        for shard in 0..self.shards.len() {
            let delay = self.rng.u64(..=self.scale.delivery_ms);
            let delivery = Event::Deliver(shard, Arc::clone(&snapshot));
            self.queue.plan(delay, delivery);
        }
    }

    /// All shards have heard everything, and one of them has just started.
    fn settle(&mut self) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        let newest = self.control.snapshot();
        self.judge.publish(&newest);
        self.shards.push(Shard::new(0, Arc::clone(&newest)));
        for shard in &mut self.shards {
            shard.take(&newest);
        }
        for (policy, value, binding) in &self.issued {
            let jar = Jar {
                bound: Some((*value, *binding)),
                has_app: true,
            };
            let fields = jar.fields();
            let sticks = self
                .shards
                .iter_mut()
                .map(|shard| shard.look_up(*policy, &fields, Some(binding), now_ms, self.rule));
            let sticks: Vec<Stick> = sticks.collect();
            let case = Case {
                snapshot: &newest,
                policy: *policy,
                cookie: Some(binding),
                stick: &sticks[0],
                tried: &[],
            };
            for other in &sticks[1..] {
                self.judge.compare(&case, other, binding)?;
            }
        }
        Ok(())
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        let age_ms = self.queue.age_ms();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{age_ms:6} ms  {}", line()));
        }
    }
}
