//! What happens to backends, and how their checks find out.

use std::time::Duration;

use elbow::config::DrainMode;

use crate::control::Condition;
use crate::scale::{CALM_MS, CHECK_INTERVAL_MS};
use crate::world::{Event, World};

impl World {
    pub(crate) fn check(&mut self, server: usize) {
        if self.is_over() {
            return;
        }
        if self.control.servers[server].is_registered {
            self.probe(server);
        }
        let interval = CHECK_INTERVAL_MS - self.rng.u64(..100);
        self.queue.plan(interval, Event::Check(server));
    }

    pub(crate) fn probe(&mut self, server: usize) {
        let (delay, outcome) = self.control.probe(server);
        self.queue.plan(delay, Event::Checked(server, outcome));
    }

    /// Something happens to a backend.
    pub(crate) fn trouble(&mut self) {
        if self.is_over() {
            return;
        }
        if self.rng.u8(..4) == 0 {
            let shard = self.rng.usize(..self.shards.len());
            self.queue.plan(0, Event::Forget(shard));
        }
        if let Some(server) = self.broken.take() {
            self.queue.plan(CALM_MS, Event::Trouble);
            return self.mend(server);
        }
        let server = self.rng.usize(..self.scale.backends);
        self.break_down(server);
        if self.scale.is_calm {
            self.broken = Some(server);
            self.queue.plan(CALM_MS, Event::Trouble);
        } else {
            let until_mended = *self
                .rng
                .choice(&[30, 300, 3000, 8000])
                .expect("there are four of them");
            self.queue.plan(until_mended, Event::Mend(server));
            let pause = self.rng.u64(..self.scale.trouble_ms);
            self.queue.plan(pause, Event::Trouble);
        }
    }

    fn break_down(&mut self, server: usize) {
        let now_ms = self.queue.now_ms();
        let kind = self.rng.u8(..10);
        self.tell(|| format!("backend {server} has trouble of kind {kind}"));
        let news = match kind {
            0..=3 => {
                self.control.servers[server].condition = Condition::Dead;
                self.cut_off(server);
                None
            }
            4 => {
                self.control.servers[server].condition = Condition::Hung;
                None
            }
            5 | 6 => {
                self.control.servers[server].condition = Condition::FailsChecks;
                None
            }
            7 => {
                let mode = DrainMode::Connections { timeout: None };
                self.control.deregister(server, mode, now_ms)
            }
            8 => {
                let deadline = Duration::from_millis(self.rng.u64(100..3000));
                let mode = DrainMode::Sessions { deadline };
                self.control.deregister(server, mode, now_ms)
            }
            _ => {
                let weight = self.rng.u32(..=3);
                self.control.register(server, weight, now_ms)
            }
        };
        self.publish(news);
    }

    pub(crate) fn mend(&mut self, server: usize) {
        self.tell(|| format!("backend {server} is mended"));
        self.control.servers[server].condition = Condition::Up;
        if !self.control.servers[server].is_registered {
            let news = self.control.register(server, 1, self.queue.now_ms());
            self.publish(news);
        }
    }

    /// Ends all connections to a backend that has died.
    fn cut_off(&mut self, server: usize) {
        for id in 0..self.exchanges.len() {
            let exchange = &self.exchanges[id];
            let is_there = exchange.at.is_some_and(|at| self.server(id, at) == server);
            if is_there {
                let attempt = exchange.attempt;
                self.queue.plan(self.rng.u64(..3), Event::Cut(id, attempt));
            }
        }
    }
}
