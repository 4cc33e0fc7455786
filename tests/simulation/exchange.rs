//! A request's way: from a client to a shard, to one backend after the other, and back.
//!
//! The loop around the decisions is that of `shard/exchange.rs`, without bytes: who refuses is
//! reported and not tried again, and what is cut off and may be repeated is.

use std::sync::Arc;

use elbow::limits::BACKENDS_TRIED_MAX;
use elbow::state::Snapshot;
use elbow::sticky::{Binding, Stick};

use crate::client::Answer;
use crate::control::Condition;
use crate::judge::{APPLICATION, Case, DURATION, Violation};
use crate::scale::ANSWER_TIMEOUT_MS;
use crate::world::{Event, World};

/// Requests of one client in flight at once.
const IN_FLIGHT_MAX: usize = 6;

/// A request on its way.
pub(crate) struct Exchange {
    client: usize,
    policy: usize,
    shard: usize,
    fields: String,
    /// What the cookie says that is in `fields`.
    cookie: Option<Binding>,
    sent_app: bool,
    is_idempotent: bool,
    /// The one that it is judged by from its arrival on.
    snapshot: Arc<Snapshot>,
    stick: Stick,
    tried: Vec<usize>,
    /// Its connection to a backend had carried a request before.
    is_reused: bool,
    pub(crate) attempt: u32,
    /// The backend that has it, as an index of the route's.
    pub(crate) at: Option<usize>,
}

impl Exchange {
    /// What it is judged by. It has a session only if its cookie was read.
    fn case(&self) -> Case<'_> {
        Case {
            snapshot: &self.snapshot,
            policy: self.policy,
            cookie: self
                .cookie
                .as_ref()
                .filter(|_| self.stick.session.is_some()),
            stick: &self.stick,
            tried: &self.tried,
        }
    }
}

impl World {
    /// A client sends some requests at once, each to a shard of its own.
    pub(crate) fn send(&mut self, client: usize) {
        if self.is_over() {
            return;
        }
        if self.rng.u8(..50) == 0 {
            // Another user, or the browser was closed.
            self.clients[client].jar = Default::default();
        }
        let count = self.rng.usize(1..=IN_FLIGHT_MAX);
        for _ in 0..count.min(IN_FLIGHT_MAX - self.clients[client].in_flight) {
            let shard = self.rng.usize(..self.shards.len());
            let jar = self.clients[client].jar;
            self.clients[client].in_flight += 1;
            self.exchanges.push(Exchange {
                client,
                policy: self.clients[client].policy,
                shard,
                fields: jar.fields(),
                cookie: jar.bound.map(|(_, binding)| binding),
                sent_app: jar.has_app,
                is_idempotent: self.rng.u8(..4) > 0,
                snapshot: Arc::clone(&self.shards[shard].snapshot),
                stick: Stick::NOWHERE,
                tried: Vec::new(),
                is_reused: self.rng.bool(),
                attempt: 0,
                at: None,
            });
            let id = self.exchanges.len() - 1;
            self.queue.plan(self.rng.u64(..20), Event::Arrive(id));
        }
        let pause = self.rng.u64(1..self.scale.think_ms);
        self.queue.plan(pause, Event::Send(client));
    }

    pub(crate) fn arrive(&mut self, id: usize) {
        let now_ms = self.queue.now_ms();
        let exchange = &mut self.exchanges[id];
        let shard = &mut self.shards[exchange.shard];
        exchange.snapshot = Arc::clone(&shard.snapshot);
        let cookie = exchange.cookie.as_ref();
        let (policy, rule) = (exchange.policy, self.rule);
        exchange.stick = shard.look_up(policy, &exchange.fields, cookie, now_ms, rule);
    }

    /// A shard connects to a backend for a request, with the snapshot of its arrival.
    pub(crate) fn connect(&mut self, id: usize) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        let exchange = &self.exchanges[id];
        let case = exchange.case();
        let route = &exchange.snapshot.routes[exchange.policy];
        let chosen = match exchange.tried.len() < BACKENDS_TRIED_MAX {
            true => self.shards[exchange.shard].choose(
                &exchange.stick,
                route,
                &exchange.tried,
                now_ms,
                self.rule,
            ),
            false => None,
        };
        let Some(index) = chosen else {
            self.judge.refuses(&case)?;
            self.reply(id, Answer::default());
            return Ok(());
        };
        self.judge.connects(&case, index)?;
        let server = self.server(id, index);
        let condition = self.control.servers[server].condition;
        if condition == Condition::Dead {
            self.exchanges[id].tried.push(index);
            self.tell(|| format!("request {id}: backend {server} refuses"));
            for delay in self.control.hurry(server, now_ms) {
                self.queue.plan(delay, Event::BurstCheck(server));
            }
            // Now and then a host that is gone answers nothing, and connecting takes its time.
            let delay = if self.rng.u8(..8) == 0 { 200 } else { 1 };
            self.queue.plan(delay, Event::Connect(id));
            return Ok(());
        }
        self.judge.reached(&case, index)?;
        self.shards[exchange.shard].count(route, index, true);
        let exchange = &mut self.exchanges[id];
        exchange.attempt += 1;
        exchange.at = Some(index);
        let attempt = exchange.attempt;
        if exchange.cookie.is_some() {
            let (shard, epoch) = (exchange.shard, exchange.snapshot.epoch);
            self.tell(|| format!("request {id}: shard {shard}, epoch {epoch}, backend {server}"));
        }
        let time = match condition {
            Condition::Hung => ANSWER_TIMEOUT_MS,
            _ if self.rng.u8(..20) == 0 => self.rng.u64(..1500),
            _ => self.rng.u64(1..60),
        };
        self.queue.plan(time, Event::Answer(id, attempt));
        Ok(())
    }

    /// A backend has ended the connection before it answered.
    pub(crate) fn cut(&mut self, id: usize) -> Result<(), Violation> {
        let index = self.leave(id);
        let exchange = &mut self.exchanges[id];
        if !exchange.is_idempotent {
            self.reply(id, Answer::default());
            return Ok(());
        }
        // As in `shard/exchange.rs`: a connection that had rested may have died of old age, and a
        // backend that drops a new one is left alone.
        if !std::mem::take(&mut exchange.is_reused) {
            exchange.tried.push(index);
            exchange.is_idempotent = false;
        }
        self.connect(id)
    }

    /// A backend answers, or the shard has waited for too long.
    pub(crate) fn answer(&mut self, id: usize) {
        let index = self.leave(id);
        let server = self.server(id, index);
        if self.control.servers[server].condition == Condition::Hung {
            return self.reply(id, Answer::default());
        }
        let exchange = &self.exchanges[id];
        let home = exchange.cookie.map(|cookie| cookie.backend);
        let route = &exchange.snapshot.routes[exchange.policy];
        let is_stranger = home.is_some_and(|home| home != route.backends[index].id_hash);
        let sets_app = exchange.policy == APPLICATION
            && (!exchange.sent_app
                || self.rng.u8(..50) == 0
                || is_stranger && self.rng.u8(..4) == 0);
        let binds = match exchange.policy {
            DURATION => !exchange.stick.holds_for(index),
            _ => sets_app,
        };
        let mut bound = None;
        if binds {
            let now = self.queue.now_ms() / 1000;
            let fresh = self.rng.u64(..);
            let nonce = std::array::from_fn(|_| self.rng.u8(..));
            let binding = exchange.stick.binding(route, index, fresh, now);
            let value = self.shards[exchange.shard].seal(&binding, nonce);
            self.issued.push((exchange.policy, value, binding));
            bound = Some((value, binding));
        }
        self.reply(id, Answer { bound, sets_app });
    }

    /// A backend has a request no more; which one.
    fn leave(&mut self, id: usize) -> usize {
        let exchange = &mut self.exchanges[id];
        exchange.attempt += 1;
        let index = exchange.at.take().expect("a backend has it");
        let route = &exchange.snapshot.routes[exchange.policy];
        self.shards[exchange.shard].count(route, index, false);
        index
    }

    fn reply(&mut self, id: usize, answer: Answer) {
        let delay = match self.rng.u8(..20) {
            0 => self.rng.u64(..3000),
            _ => self.rng.u64(..30),
        };
        let client = self.exchanges[id].client;
        self.queue.plan(delay, Event::Receive(client, answer));
    }

    /// The backend behind an index of a request's route.
    pub(crate) fn server(&self, id: usize, index: usize) -> usize {
        let exchange = &self.exchanges[id];
        let backends = &exchange.snapshot.routes[exchange.policy].backends;
        self.control.server_of(&backends[index].id)
    }
}
