//! Seeded worlds of nodes: the product's own state on each, datagrams that are lost, late, doubled
//! and out of order, partitions, one-way cuts, nodes that pause, crash and start anew, clocks that
//! are apart, backends that die for all or for one node.
//!
//! ```sh
//! ELBOW_SIMULATION_SEEDS=5000 cargo test --release --test simulation nodes
//! ELBOW_SIMULATION_SEED=17 cargo test --test simulation nodes -- --nocapture
//! ELBOW_SIMULATION_BACKENDS=1000 cargo test --release --test simulation many -- --nocapture
//! ```
//!
//! What must hold: no node ends a life without a quorum; a life that has ended stays ended, and
//! its end never becomes later; within [`SETTLED_MS`] after the last trouble all nodes know the
//! same; and what lives for them is what answers. Not here: clients and shards (`world.rs`), what
//! chitchat and sockets do (`tests/cluster`).

mod gossip;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use elbow::config::{self, Config};
use elbow::health::{Home, id_hash};
use elbow::state::Remembered;
use fastrand::Rng;

use self::gossip::Message;
use self::node::{Followed, Node};
use crate::queue::Queue;
use crate::scale::LOAD_BALANCER;
use crate::{SEED_VARIABLE, SEEDS_VARIABLE, number, tell};

/// Worlds of an ordinary run.
const SEEDS: u64 = 60;

/// How many backends fifty nodes have; unset: fewer nodes and backends.
const MANY_VARIABLE: &str = "ELBOW_SIMULATION_BACKENDS";

/// How long nodes may take to agree after the last trouble.
const SETTLED_MS: u64 = 5000;

/// How long after the last trouble what lives is what answers: checks have to find out.
const FOUND_OUT_MS: u64 = 15_000;

/// How long a world is in trouble.
const TROUBLE_MS: u64 = 40_000;

const CHECK_INTERVAL_MS: u64 = 1000;
const GOSSIP_INTERVAL_MS: u64 = 1000;
const GOSSIP_PAUSE_MS: u64 = 20;
const LOOK_INTERVAL_MS: u64 = 250;

/// Beyond this two nodes do not hear each other, as the transport refuses it.
const SKEW_MS_MAX: u64 = 30_000;

enum Event {
    Look(usize),
    Round(usize),
    /// A node makes the checks that are due.
    Checks(usize),
    /// A node checks one backend, as it is doubted.
    Doubt(usize, Arc<str>),
    Deliver(usize, usize, Message),
    /// A node tells at once what is new, again as it may be lost.
    Spread(usize, u64),
    Trouble,
    /// The trouble of that kind is over.
    Mend(Trouble),
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// The backend answers nobody.
    Dead(usize),
    /// One node cannot reach a backend.
    Lost(usize, usize),
    /// Nodes below that index are cut from the others.
    Partition(usize),
    /// One node is not heard by another.
    OneWay(usize, usize),
    /// The node does not run.
    Crash(usize),
    /// The node does nothing, and then goes on.
    Pause(usize),
    /// The node's clock is minutes off.
    Clock(usize),
}

struct World {
    rng: Rng,
    queue: Queue<Event>,
    config: Config,
    backends: Vec<Arc<str>>,
    /// The index of each.
    numbers: BTreeMap<Arc<str>, usize>,
    nodes: Vec<Option<Node>>,
    remembered: Vec<Remembered>,
    offsets: Vec<i64>,
    /// How often each node has told something, and when it gossiped of it last.
    tellings: Vec<u64>,
    spread_ms: Vec<u64>,
    now: Vec<Trouble>,
    /// Datagrams that are lost, in percent.
    loss: u32,
    delay_ms: u64,
    is_over: bool,
    /// When each life that ended did so, as each node has it.
    ends: BTreeMap<(usize, u64, u32), elbow::health::Stamp>,
    messages: u64,
    trace: bool,
}

impl World {
    fn new(seed: u64, node_count: usize, backend_count: usize, trace: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let ids: Vec<String> = (0..backend_count)
            .map(|n| format!("10.1.{}.{}:80", n / 250, n % 250 + 1))
            .collect();
        let backends: Vec<Arc<str>> = ids.iter().map(|id| Arc::from(id.as_str())).collect();
        let queue = Queue::new();
        let config = config_of(&ids);
        let offsets: Vec<i64> = (0..node_count).map(|_| rng.i64(-12_000..12_000)).collect();
        let now_ms = queue.now_ms();
        let boot = |index: usize| {
            let offset = offsets[index];
            Node::boot(
                index,
                &config,
                node_count,
                Remembered::new(),
                offset,
                now_ms,
            )
        };
        let nodes = (0..node_count).map(|index| Some(boot(index))).collect();
        let mut world = Self {
            loss: *rng.choice(&[0, 5, 20]).expect("three"),
            delay_ms: *rng.choice(&[1, 10, 80]).expect("three"),
            rng,
            queue,
            numbers: backends.iter().cloned().zip(0..).collect(),
            backends,
            nodes,
            remembered: vec![Remembered::new(); node_count],
            offsets,
            tellings: vec![0; node_count],
            spread_ms: vec![0; node_count],
            now: Vec::new(),
            is_over: false,
            ends: BTreeMap::new(),
            messages: 0,
            trace,
            config,
        };
        for node in 0..node_count {
            let [look, round, check] = [LOOK_INTERVAL_MS, GOSSIP_INTERVAL_MS, CHECK_INTERVAL_MS]
                .map(|interval| world.rng.u64(..interval));
            world.queue.plan(look, Event::Look(node));
            world.queue.plan(round, Event::Round(node));
            world.queue.plan(check, Event::Checks(node));
        }
        world
    }

    fn say(&self, line: impl FnOnce() -> String) {
        if self.trace {
            tell(&format!("{:6} ms  {}", self.queue.age_ms(), line()));
        }
    }

    fn run_until(&mut self, age_ms: u64) -> Result<(), String> {
        while self.queue.age_ms() < age_ms {
            let Some(event) = self.queue.advance() else {
                return Ok(());
            };
            self.happen(event)?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        let world_ms = self.queue.now_ms();
        match event {
            Event::Look(at) => {
                self.with(at, |node| node.look(world_ms))?;
                self.queue.plan(LOOK_INTERVAL_MS, Event::Look(at));
            }
            Event::Round(at) => {
                self.round(at);
                self.queue.plan(GOSSIP_INTERVAL_MS, Event::Round(at));
            }
            Event::Checks(at) => {
                self.checks(at)?;
                self.queue.plan(CHECK_INTERVAL_MS, Event::Checks(at));
            }
            Event::Doubt(at, backend) => self.check(at, &[backend])?,
            Event::Spread(at, telling) if self.tellings[at] == telling => self.spread(at),
            // Something newer is told since, and tells this too.
            Event::Spread(..) => {}
            Event::Deliver(from, to, message) => {
                if self.is_cut(from, to) {
                    return Ok(());
                }
                let mut answer = None;
                self.with(to, |node| {
                    let followed;
                    (followed, answer) = node.hear(message, world_ms);
                    followed
                })?;
                if let Some(answer) = answer {
                    self.send(to, from, answer);
                }
            }
            Event::Trouble if self.is_over => {}
            Event::Trouble => self.trouble(),
            Event::Mend(trouble) => self.mend(trouble),
        }
        Ok(())
    }

    /// Lets a node do something, if it runs, and brings about what follows.
    fn with(&mut self, at: usize, act: impl FnOnce(&mut Node) -> Followed) -> Result<(), String> {
        if self.is_still(at) {
            return Ok(());
        }
        let Some(node) = &mut self.nodes[at] else {
            return Ok(());
        };
        let Followed { has_news, doubted } = act(node);
        if has_news && node.tell() {
            self.judge(at)?;
            self.plan_spread(at);
        }
        for backend in doubted {
            for pause in [1, 51] {
                self.queue
                    .plan(pause, Event::Doubt(at, Arc::clone(&backend)));
            }
        }
        Ok(())
    }

    /// What must hold for a node at any time.
    fn judge(&mut self, at: usize) -> Result<(), String> {
        let Some(node) = &self.nodes[at] else {
            return Ok(());
        };
        if !node.is_judged {
            return Ok(());
        }
        if node.rash_ends > 0 {
            return Err(format!("node {at} ended a life without a quorum"));
        }
        let views = node.state.remembered();
        for (backend, chronicle) in views.values().flat_map(|view| view.chronicles()) {
            for life in chronicle.lives() {
                let key = (at, backend, life.number);
                match (self.ends.get(&key), life.died) {
                    (Some(before), None) => {
                        return Err(format!("node {at}: life {life:?} had ended at {before:?}"));
                    }
                    (Some(before), Some(now)) if now > *before => {
                        return Err(format!("node {at}: the end of {life:?} was {before:?}"));
                    }
                    (_, Some(now)) => drop(self.ends.insert(key, now)),
                    (None, None) => {}
                }
            }
        }
        Ok(())
    }

    fn round(&mut self, at: usize) {
        if self.is_still(at) {
            return;
        }
        let Some(node) = &mut self.nodes[at] else {
            return;
        };
        node.ledger.beat();
        let mut others: Vec<usize> = (0..self.nodes.len()).filter(|&other| other != at).collect();
        self.rng.shuffle(&mut others);
        others.truncate(4);
        let is_odd = (0..self.nodes.len()).any(|other| self.knows_other(at, other));
        if is_odd
            && let Some(node) = &mut self.nodes[at]
            && node.speak_up()
        {
            self.plan_spread(at);
        }
        let Some(node) = &mut self.nodes[at] else {
            return;
        };
        let ask = node.ledger.ask();
        for other in others {
            self.send(at, other, ask.clone());
        }
    }

    /// Whether two nodes that run know something else, which each learns of the other's head.
    fn knows_other(&self, one: usize, other: usize) -> bool {
        match (&self.nodes[one], &self.nodes[other]) {
            (Some(one), Some(other)) => one.lives_hash != other.lives_hash,
            _ => false,
        }
    }

    /// At once, if nothing was told just now, and again.
    fn plan_spread(&mut self, at: usize) {
        self.tellings[at] += 1;
        let soonest_ms = self.spread_ms[at] + GOSSIP_PAUSE_MS;
        let first = soonest_ms.saturating_sub(self.queue.now_ms());
        for pause in [first, 150, 450] {
            let event = Event::Spread(at, self.tellings[at]);
            self.queue.plan(pause, event);
        }
    }

    fn spread(&mut self, at: usize) {
        self.spread_ms[at] = self.queue.now_ms();
        let Some(node) = &self.nodes[at] else { return };
        let ask = node.ledger.ask();
        for other in (0..self.nodes.len()).filter(|&other| other != at).take(16) {
            self.send(at, other, ask.clone());
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        self.messages += 1;
        let copies = 1 + usize::from(!self.is_over && self.rng.u8(..20) == 0);
        for _ in 0..copies {
            if !self.is_over && self.rng.u32(..100) < self.loss {
                continue;
            }
            let delay = 1 + self.rng.u64(..=self.delay_ms);
            self.queue
                .plan(delay, Event::Deliver(from, to, message.clone()));
        }
    }

    fn checks(&mut self, at: usize) -> Result<(), String> {
        let Some(node) = &self.nodes[at] else {
            return Ok(());
        };
        let plans = node.state.check_plans();
        let plans = plans.into_iter().filter(|plan| plan.is_regular);
        let backends: Vec<Arc<str>> = plans.map(|plan| plan.backend).collect();
        self.check(at, &backends)
    }

    fn check(&mut self, at: usize, backends: &[Arc<str>]) -> Result<(), String> {
        let well: Vec<bool> = backends.iter().map(|one| self.answers(at, one)).collect();
        let world_ms = self.queue.now_ms();
        self.with(at, |node| {
            let mut all = Followed::default();
            for (backend, is_well) in backends.iter().zip(well) {
                all.add(node.checked(backend, is_well, world_ms));
            }
            all
        })
    }

    /// Whether a backend answers a node.
    fn answers(&self, at: usize, backend: &Arc<str>) -> bool {
        let index = self.numbers[backend];
        !self.now.iter().any(|trouble| match *trouble {
            Trouble::Dead(dead) => dead == index,
            Trouble::Lost(node, lost) => (node, lost) == (at, index),
            _ => false,
        })
    }

    fn is_still(&self, at: usize) -> bool {
        let mut now = self.now.iter();
        now.any(|trouble| matches!(trouble, Trouble::Pause(node) if *node == at))
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        let is_cut = self.now.iter().any(|trouble| match *trouble {
            Trouble::Partition(below) => (from < below) != (to < below),
            Trouble::OneWay(deaf, mute) => (from, to) == (mute, deaf),
            Trouble::Pause(node) => node == to,
            _ => false,
        });
        let offset = |at: usize| self.nodes[at].as_ref().map(|node| node.offset_ms);
        let skew = match (offset(from), offset(to)) {
            (Some(one), Some(other)) => one.abs_diff(other),
            _ => 0,
        };
        is_cut || skew > SKEW_MS_MAX
    }

    fn trouble(&mut self) {
        let nodes = self.nodes.len();
        let [node, other] = [self.rng.usize(..nodes), self.rng.usize(..nodes)];
        let backend = self.rng.usize(..self.backends.len());
        let trouble = match self.rng.u8(..9) {
            0..3 => Trouble::Dead(backend),
            3 => Trouble::Lost(node, backend),
            4 => Trouble::Partition(self.rng.usize(1..nodes)),
            5 => Trouble::OneWay(node, other),
            6 => Trouble::Crash(node),
            7 => Trouble::Pause(node),
            _ => Trouble::Clock(node),
        };
        self.say(|| format!("{trouble:?}"));
        match trouble {
            Trouble::Crash(node) => {
                if let Some(gone) = self.nodes[node].take() {
                    let views = gone.state.remembered().into_iter();
                    let views = views.map(|(name, view)| (name.to_string(), (*view).clone()));
                    let keeps = self.rng.bool();
                    self.remembered[node] = views.filter(|_| keeps).collect();
                    self.ends.retain(|(at, _, _), _| *at != node);
                }
            }
            Trouble::Clock(node) => {
                if let Some(node) = &mut self.nodes[node] {
                    node.offset_ms += self.rng.i64(-600_000..600_000);
                }
            }
            _ => {}
        }
        self.now.push(trouble);
        let lasts = self.rng.u64(300..9000);
        self.queue.plan(lasts, Event::Mend(trouble));
        if self.queue.age_ms() < TROUBLE_MS {
            let pause = self.rng.u64(100..5000);
            self.queue.plan(pause, Event::Trouble);
        }
    }

    fn mend(&mut self, trouble: Trouble) {
        self.say(|| format!("over: {trouble:?}"));
        let index = self
            .now
            .iter()
            .position(|one| format!("{one:?}") == format!("{trouble:?}"));
        if let Some(index) = index {
            self.now.remove(index);
        }
        match trouble {
            Trouble::Crash(at) if self.nodes[at].is_none() => {
                let remembered = std::mem::take(&mut self.remembered[at]);
                let world_ms = self.queue.now_ms();
                let (count, offset) = (self.nodes.len(), self.offsets[at]);
                let node = Node::boot(at, &self.config, count, remembered, offset, world_ms);
                self.nodes[at] = Some(node);
            }
            Trouble::Clock(at) => {
                if let Some(node) = &mut self.nodes[at] {
                    node.offset_ms = self.offsets[at];
                }
            }
            _ => {}
        }
    }

    /// Ends all trouble.
    fn heal(&mut self) {
        for trouble in std::mem::take(&mut self.now) {
            self.mend(trouble);
        }
        self.is_over = true;
        self.say(|| "all trouble is over".to_owned());
    }

    /// Whether all nodes know the same, and send the same session to the same backend.
    fn agree(&self) -> Result<(), String> {
        let nodes: Vec<&Node> = self.nodes.iter().flatten().collect();
        let hashes: Vec<u64> = nodes.iter().map(|node| node.lives_hash).collect();
        if hashes.iter().any(|hash| *hash != hashes[0]) {
            return Err(format!("nodes know something else: {hashes:x?}"));
        }
        for session in 0..50 {
            let bound = Home {
                backend: id_hash(&self.backends[session % self.backends.len()]),
                life: 1,
            };
            let home = |node: &&Node| {
                let view = Arc::clone(&node.state.remembered()[LOAD_BALANCER]);
                view.resolve(session as u64, bound, |_| ())
            };
            let homes: Vec<Option<Home>> = nodes.iter().map(home).collect();
            if homes.iter().any(|home| *home != homes[0]) {
                return Err(format!("session {session} lives at {homes:?}"));
            }
        }
        Ok(())
    }

    fn all_live(&self) -> Result<(), String> {
        for (at, node) in self.nodes.iter().flatten().enumerate() {
            let rows = node.state.health();
            if let Some(row) = rows.iter().find(|row| !row.is_serving()) {
                return Err(format!("node {at}: {} is not in service", row.backend));
            }
        }
        Ok(())
    }
}

fn config_of(ids: &[String]) -> Config {
    let text = format!(
        r#"
[[load_balancer]]
name = "{LOAD_BALANCER}"
instances = {ids:?}
[load_balancer.health_check]
target = "HTTP:80/ping"
interval = "{CHECK_INTERVAL_MS}ms"
timeout = "400ms"
unhealthy_threshold = 2
healthy_threshold = 2
[[load_balancer.listener]]
protocol = "HTTP"
port = 8080
instance_port = 8080
"#
    );
    config::parse(&text, "simulation").expect("the text is ours")
}

/// A world of some nodes and backends in every kind of trouble.
fn live(seed: u64, is_traced: bool) -> Result<u64, String> {
    let mut rng = Rng::with_seed(seed ^ 0x6e6f_6465);
    let mut world = World::new(seed, rng.usize(2..=6), rng.usize(2..=5), is_traced);
    world.queue.plan(3000, Event::Trouble);
    world.run_until(TROUBLE_MS + 1000)?;
    world.heal();
    let healed_ms = world.queue.age_ms();
    world.run_until(healed_ms + SETTLED_MS)?;
    world
        .agree()
        .map_err(|problem| format!("after {SETTLED_MS} ms {problem}"))?;
    world.run_until(healed_ms + FOUND_OUT_MS)?;
    world.agree()?;
    world.all_live()?;
    Ok(world.messages)
}

#[test]
fn nodes_agree_after_any_trouble() {
    if let Some(seed) = number(SEED_VARIABLE) {
        live(seed, true).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        return;
    }
    let mut messages = 0;
    for seed in 0..number(SEEDS_VARIABLE).unwrap_or(SEEDS) {
        messages += live(seed, false).unwrap_or_else(|problem| {
            panic!(
                "seed {seed}: {problem}\nagain: {SEED_VARIABLE}={seed} \
                 cargo test --test simulation nodes_agree -- --nocapture"
            )
        });
    }
    assert!(messages > 1000, "{messages}");
}

/// Three to five nodes, one of which alone cannot reach a backend, or which are cut in two:
/// nobody's session moves, as most reach all.
#[test]
fn nodes_that_are_few_end_no_life() {
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let (nodes, backends) = (rng.usize(3..=5), rng.usize(2..=4));
        let mut world = World::new(seed, nodes, backends, false);
        let lasts = |world: &mut World| world.run_until(world.queue.age_ms() + 8000);
        lasts(&mut world).expect("nothing has happened");
        for round in 0..4 {
            let trouble = match rng.bool() {
                true => Trouble::Lost(rng.usize(..nodes), rng.usize(..backends)),
                false => Trouble::Partition(1),
            };
            world.now.push(trouble);
            // Cut off, it cannot reach the backends either.
            if matches!(trouble, Trouble::Partition(_)) {
                world
                    .now
                    .extend((0..backends).map(|backend| Trouble::Lost(0, backend)));
            }
            lasts(&mut world).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
            world.now.clear();
            lasts(&mut world).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
            assert!(
                world.ends.is_empty(),
                "seed {seed}, round {round}: {:?}",
                world.ends
            );
        }
        world
            .agree()
            .unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
    }
}

/// One backend dies while all else is well: each of its sessions moves once, whichever node it asks
/// and whenever.
#[test]
fn sessions_move_once_on_all_nodes() {
    for (seed, nodes) in (0..SEEDS).zip([3, 4, 5].into_iter().cycle()) {
        let mut world = World::new(seed, nodes, 5, false);
        world.run_until(8000).expect("nothing has happened");
        let mut seen: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        let mut look = |world: &World| {
            for node in world.nodes.iter().flatten() {
                let view = Arc::clone(&node.state.remembered()[LOAD_BALANCER]);
                for (session, backend) in (0..100).zip(world.backends.iter().cycle()) {
                    let backend = id_hash(backend);
                    let home = view.resolve(session, Home { backend, life: 1 }, |_| ());
                    let home = home.expect("others live").backend;
                    seen.entry(session).or_default().insert(home);
                }
            }
        };
        look(&world);
        world.now.push(Trouble::Dead(0));
        while world.queue.age_ms() < 14_000 {
            world
                .run_until(world.queue.age_ms() + 7)
                .expect("no invariant is broken");
            look(&world);
        }
        world.now.clear();
        world.run_until(25_000).expect("no invariant is broken");
        look(&world);
        for (session, homes) in &seen {
            let expected = if session % 5 == 0 { 2 } else { 1 };
            assert_eq!(homes.len(), expected, "seed {seed}, session {session}");
        }
    }
}

/// Many nodes and backends come to agree within seconds, and again after a death.
#[test]
fn many_nodes_and_backends_converge() {
    let (nodes, backends) = match number(MANY_VARIABLE) {
        Some(backends) => (50, usize::try_from(backends).expect("they fit")),
        None => (12, 100),
    };
    let mut world = World::new(1, nodes, backends, false);
    world.loss = 0;
    for node in world.nodes.iter_mut().flatten() {
        // Counting all lives at each step takes longer than all else.
        node.is_judged = false;
    }
    let converged = |world: &mut World, from_ms: u64| {
        (0..40).find_map(|step| {
            world
                .run_until(from_ms + step * 250)
                .expect("no invariant is broken");
            world.agree().is_ok().then_some(step * 250)
        })
    };
    let first = (0..40).find_map(|step| {
        world
            .run_until(2000 + step * 500)
            .expect("no invariant is broken");
        (world.all_live().is_ok() && world.agree().is_ok()).then_some(world.queue.age_ms())
    });
    world.now.push(Trouble::Dead(7));
    let began_ms = world.queue.age_ms();
    world
        .run_until(began_ms + 2 * CHECK_INTERVAL_MS + 200)
        .expect("no invariant is broken");
    assert!(world.all_live().is_err(), "the death was noticed");
    let from_ms = world.queue.age_ms();
    let again = converged(&mut world, from_ms);
    tell(&format!(
        "{nodes} nodes, {backends} backends: agreed after {first:?} ms, again after {again:?} ms"
    ));
    assert!(first.is_some_and(|ms| ms < 15_000), "{first:?}");
    assert!(again.is_some_and(|ms| ms <= 3000), "{again:?}");
}
