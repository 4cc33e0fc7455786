use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::super::tests::{backend, bounded, weighing};
use super::super::{Moment, NEWCOMER, Unserved, firsts, has_room, least_outstanding, next, take};
use super::*;

/// Backends by their slots, as of an empty past.
fn pool(backends: Vec<Backend>) -> Vec<Backend> {
    let numbered = backends.into_iter().zip(0..);
    numbered
        .map(|(backend, slot)| Backend { slot, ..backend })
        .collect()
}

fn anybody() -> Wish {
    Wish::AnyBut(Refusers::default())
}

/// Who is the first on the shard for each backend.
fn published(queue: &Queue, backends: &[Backend]) -> Vec<u64> {
    queue.publish(backends, 0);
    let first = |backend: &Backend| backend.counts.line(0).first_waiting.value();
    backends.iter().map(first).collect()
}

#[test]
fn each_backend_is_told_the_first_that_could_use_it() {
    let backends = pool(vec![bounded(&[3]), bounded(&[3]), bounded(&[3])]);
    let mut queue = Queue::default();
    assert_eq!(published(&queue, &backends), [0, 0, 0]);
    queue.enter(5, anybody());
    queue.enter(3, Wish::Only(1));
    queue.enter(4, Wish::AnyBut(Refusers::of(&[0, 1], &backends)));
    assert_eq!(published(&queue, &backends), [5, 3, 4]);
    queue.leave(3, Wish::Only(1));
    queue.leave(3, Wish::Only(1));
    assert_eq!(published(&queue, &backends), [5, 5, 4]);
    queue.enter(2, anybody());
    assert_eq!(published(&queue, &backends), [2, 2, 2]);
    queue.leave(2, anybody());
    queue.leave(5, anybody());
    assert_eq!(published(&queue, &backends), [0, 0, 4]);
}

#[test]
fn nobody_waits_for_the_last_resort_or_for_who_is_out_as_long_as_there_is_another() {
    let last_resort = weighing(9, 0);
    let backends = pool(vec![bounded(&[3]), last_resort, backend(false, &[0])]);
    let mut queue = Queue::default();
    queue.enter(7, anybody());
    assert_eq!(published(&queue, &backends), [7, 0, 0]);
    queue.enter(8, Wish::AnyBut(Refusers::of(&[0], &backends)));
    assert_eq!(published(&queue, &backends), [7, 8, 0]);
    queue.enter(9, Wish::Only(1));
    queue.leave(8, Wish::AnyBut(Refusers::of(&[0], &backends)));
    assert_eq!(published(&queue, &backends), [7, 9, 0], "a session may");
}

#[test]
fn refusers_are_found_again_where_backends_have_moved() {
    let before = pool(vec![bounded(&[0]), bounded(&[0]), bounded(&[0])]);
    let refusers = Refusers::of(&[2, 0], &before);
    assert_eq!(refusers, Refusers::of(&[0, 2], &before));
    let after = [before[2].clone(), before[1].clone()];
    assert_eq!(refusers.among(&after).collect::<Vec<_>>(), [0]);
}

const SHARDS: usize = 3;

/// Shards with their queues, as `shard::surge` has them, with time in between all that one shard
/// tells another.
struct Model {
    backends: Vec<Backend>,
    max: u64,
    queues: [Queue; SHARDS],
    wishes: [BTreeMap<u64, Wish>; SHARDS],
    /// Those that were woken, and those bells that were rung.
    woken: Vec<(usize, u64)>,
    rung: [bool; SHARDS],
    /// By shard and backend.
    running: Vec<(usize, usize)>,
    last_number: u64,
}

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Arrive { shard: usize, only: Option<usize> },
    End { which: usize },
    Wake { which: usize },
    Ring { shard: usize },
    GiveUp { shard: usize, which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..SHARDS, prop::option::of(0_usize..4))
            .prop_map(|(shard, only)| Step::Arrive { shard, only }),
        3 => any::<usize>().prop_map(|which| Step::End { which }),
        3 => any::<usize>().prop_map(|which| Step::Wake { which }),
        2 => (0..SHARDS).prop_map(|shard| Step::Ring { shard }),
        1 => (0..SHARDS, any::<usize>())
            .prop_map(|(shard, which)| Step::GiveUp { shard, which }),
    ];
    prop::collection::vec(step, 0..200)
}

impl Model {
    fn new(count: usize, max: u32) -> Self {
        let one = Backend {
            max_outstanding: NonZeroU32::new(max),
            ..backend(true, &[0; SHARDS])
        };
        let fresh = |_| Backend {
            counts: backend(true, &[0; SHARDS]).counts,
            ..one.clone()
        };
        Self {
            backends: pool((0..count).map(fresh).collect()),
            max: max.into(),
            queues: Default::default(),
            wishes: Default::default(),
            woken: Vec::new(),
            rung: [false; SHARDS],
            running: Vec::new(),
            last_number: 0,
        }
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Arrive { shard, only } => {
                let only = only.filter(|only| *only < self.backends.len());
                let wish = only.map_or_else(anybody, |only| Wish::Only(self.backends[only].slot));
                if !self.attempt(shard, NEWCOMER, wish) {
                    self.last_number += 1;
                    let number = self.last_number;
                    self.queues[shard].enter(number, wish);
                    self.wishes[shard].insert(number, wish);
                    self.announce(shard);
                }
            }
            Step::End { which } if !self.running.is_empty() => {
                let which = which % self.running.len();
                let (shard, index) = self.running.swap_remove(which);
                let counts = &self.backends[index].counts;
                counts.line(shard).outstanding.sub(1);
                let first = next(counts);
                first.into_iter().for_each(|first| self.call(shard, first));
            }
            Step::Wake { which } if !self.woken.is_empty() => {
                let (shard, number) = self.woken.swap_remove(which % self.woken.len());
                if let Some(&wish) = self.wishes[shard].get(&number)
                    && self.attempt(shard, number, wish)
                {
                    self.leave(shard, number);
                }
            }
            Step::Ring { shard } if std::mem::take(&mut self.rung[shard]) => {
                for first in firsts(&self.backends).filter(|f| f.shard == shard) {
                    self.woken.push((shard, first.number));
                }
            }
            Step::GiveUp { shard, which } if !self.wishes[shard].is_empty() => {
                let which = which % self.wishes[shard].len();
                let number = *self.wishes[shard].keys().nth(which).expect("it is below");
                self.leave(shard, number);
            }
            _ => {}
        }
        for backend in &self.backends {
            assert!(backend.counts.sum(|line| &line.outstanding) <= self.max);
        }
    }

    /// Takes a backend if there is one with room that nobody could use who came before.
    fn attempt(&mut self, shard: usize, number: u64, wish: Wish) -> bool {
        let chosen = match wish {
            Wish::Only(slot) => {
                let index = slot as usize;
                has_room(&self.backends[index], number)
                    .then_some(index)
                    .ok_or(Unserved::Full)
            }
            Wish::AnyBut(_) => {
                let moment = Moment {
                    now_ms: 0,
                    slow_start: Duration::ZERO,
                    number,
                };
                least_outstanding(&self.backends, &[], &mut 0, moment)
            }
        };
        let Ok(index) = chosen else {
            return false;
        };
        let all = self.wishes.iter().flatten();
        let before = all.filter(|(other, _)| **other < number);
        for (_, wish) in before {
            let could_use = match wish {
                Wish::Only(slot) => *slot == self.backends[index].slot,
                Wish::AnyBut(_) => true,
            };
            assert!(!could_use, "{number} overtakes");
        }
        assert!(take(&self.backends[index], shard), "it has room");
        self.running.push((shard, index));
        true
    }

    fn leave(&mut self, shard: usize, number: u64) {
        let wish = self.wishes[shard].remove(&number).expect("it waits");
        self.queues[shard].leave(number, wish);
        self.announce(shard);
    }

    fn announce(&mut self, shard: usize) {
        self.queues[shard].publish(&self.backends, shard);
        for first in firsts(&self.backends).collect::<Vec<_>>() {
            self.call(shard, first);
        }
    }

    fn call(&mut self, by: usize, first: super::super::First) {
        if first.shard == by {
            self.woken.push((by, first.number));
        } else {
            self.rung[first.shard] = true;
        }
    }

    /// Lets all that was told be heard.
    fn settle(&mut self) {
        while !self.woken.is_empty() || self.rung.contains(&true) {
            self.go(Step::Wake { which: 0 });
            (0..SHARDS).for_each(|shard| self.go(Step::Ring { shard }));
        }
    }

    fn expect_nobody_forgotten(&self) {
        let waiting = self.wishes.iter().flatten();
        for (number, wish) in waiting {
            let is_free = |backend: &&Backend| has_room(backend, NEWCOMER);
            let mut free = self.backends.iter().filter(is_free);
            let could_use = free.find(|backend| match wish {
                Wish::Only(slot) => *slot == backend.slot,
                Wish::AnyBut(_) => true,
            });
            assert!(could_use.is_none(), "{number} waits for nothing");
        }
        let first = firsts(&self.backends).next();
        assert_eq!(first, None, "published for a backend that has room");
    }
}

proptest! {
    /// That none overtakes another and that bounds hold is asserted in every step.
    #[test]
    fn nobody_is_forgotten_and_nobody_overtakes(
        count in 1_usize..4,
        max in 1_u32..4,
        steps in steps(),
    ) {
        let mut model = Model::new(count, max);
        for step in steps {
            model.go(step);
        }
        model.settle();
        model.expect_nobody_forgotten();
        // And as the rest ends, all who wait are served.
        while !model.running.is_empty() {
            model.go(Step::End { which: 0 });
            model.settle();
        }
        prop_assert!(model.wishes.iter().all(BTreeMap::is_empty));
    }
}
