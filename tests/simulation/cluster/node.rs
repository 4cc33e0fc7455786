//! One node: the product's state, what it knows of others, and its clock.
//!
//! Every change of the state goes through the product's own [`State::apply`], with what travels in
//! the texts in which it travels.

use std::sync::Arc;

use elbow::cluster::{Peer, Roll, Saying};
use elbow::config::Config;
use elbow::health::{Failure, Outcome, Standing};
use elbow::state::{Bound, Command, Effects, Remembered, State};

use super::gossip::{Ledger, Message, Name, Told};
use crate::scale::LOAD_BALANCER;

/// One node, while it runs.
pub(crate) struct Node {
    pub(crate) name: Name,
    pub(crate) state: State,
    pub(crate) ledger: Ledger,
    roll: Roll,
    /// What its clock shows more than the world's.
    pub(crate) offset_ms: i64,
    expected: usize,
    /// Of what it knows now.
    pub(crate) lives_hash: u64,
    /// Lives are counted before and after each step.
    pub(crate) is_judged: bool,
    /// Lives that ended by this node's own decision without a quorum: there must be none.
    pub(crate) rash_ends: usize,
}

/// What follows from something for the world.
#[derive(Default)]
pub(crate) struct Followed {
    /// There may be something to tell.
    pub(crate) has_news: bool,
    /// Backends that are to be checked at once.
    pub(crate) doubted: Vec<Arc<str>>,
}

impl Followed {
    pub(crate) fn add(&mut self, more: Self) {
        self.has_news |= more.has_news;
        self.doubted.extend(more.doubted);
    }
}

impl Node {
    pub(crate) fn boot(
        index: usize,
        config: &Config,
        nodes: usize,
        remembered: Remembered,
        offset_ms: i64,
        world_ms: u64,
    ) -> Self {
        let name: Name = Arc::from(format!("10.0.1.{index}:7946"));
        let boot_ms = world_ms.saturating_add_signed(offset_ms);
        let roll = Roll::new(&name, nodes);
        let listeners = config.load_balancers[0].listeners.iter();
        let listen: Vec<_> = listeners.map(|listener| listener.address).collect();
        let bound = Bound::first(&listen);
        let state = State::among(roll.clone(), config, &bound, 1, remembered, boot_ms);
        Self {
            lives_hash: state.lives_hash(),
            state,
            ledger: Ledger::new(Arc::clone(&name), boot_ms),
            roll,
            offset_ms,
            expected: nodes,
            is_judged: true,
            rash_ends: 0,
            name,
        }
    }

    /// What its clock shows.
    pub(crate) fn now_ms(&self, world_ms: u64) -> u64 {
        world_ms.saturating_add_signed(self.offset_ms)
    }

    /// Looks who is there.
    pub(crate) fn look(&mut self, world_ms: u64) -> Followed {
        let others = self.ledger.others(world_ms).into_iter();
        let others: Vec<Peer> = others
            .map(|(name, boot_ms, is_live)| Peer {
                name,
                boot_ms,
                is_live,
            })
            .collect();
        if others.iter().any(|peer| peer.is_live) {
            self.expected = 1;
        }
        let roll = Roll {
            own: Arc::clone(&self.name),
            others,
            expected: self.expected,
        };
        if roll == self.roll {
            return Followed::default();
        }
        self.roll = roll.clone();
        self.apply(Command::Nodes(roll), world_ms)
    }

    pub(crate) fn checked(&mut self, backend: &Arc<str>, is_well: bool, world_ms: u64) -> Followed {
        let outcome = match is_well {
            true => Outcome::Success,
            false => Outcome::Failure(Failure::Refused),
        };
        let command = Command::Checked {
            load_balancer: Arc::from(LOAD_BALANCER),
            backend: Arc::clone(backend),
            outcome,
        };
        self.apply(command, world_ms)
    }

    /// A message has come in; what follows, and what is answered.
    pub(crate) fn hear(&mut self, message: Message, world_ms: u64) -> (Followed, Option<Message>) {
        let (answer, news) = self.ledger.hear(message, world_ms);
        let mut followed = Followed::default();
        if !news.is_empty() {
            followed = self.look(world_ms);
        }
        for (node, boot_ms, key, value) in news {
            followed.add(self.told((node, boot_ms, key, value), world_ms));
        }
        (followed, answer)
    }

    fn told(&mut self, (node, boot_ms, key, value): Told, world_ms: u64) -> Followed {
        let saying = Saying::read(&key, &value).expect("the product wrote it");
        let Some(saying) = saying else {
            return Followed::default();
        };
        let command = Command::Heard {
            node,
            boot_ms,
            saying,
        };
        self.apply(command, world_ms)
    }

    /// Another node does not come to know the same.
    pub(crate) fn speak_up(&mut self) -> bool {
        self.state.speak_up() && self.tell()
    }

    /// Tells what is new of what it knows; whether there was something.
    pub(crate) fn tell(&mut self) -> bool {
        let sayings = self.state.take_sayings();
        for saying in &sayings {
            self.ledger.say(saying.key(), saying.value());
        }
        !sayings.is_empty()
    }

    pub(crate) fn apply(&mut self, command: Command, world_ms: u64) -> Followed {
        let is_merge = matches!(&command, Command::Heard { saying, .. }
            if matches!(saying.said, elbow::cluster::Said::Chronicle(_)));
        let open_before = if self.is_judged { self.open_lives() } else { 0 };
        // Refused: it tells of what is to come, or of a backend that is gone.
        let effects: Effects = self
            .state
            .apply(command, self.now_ms(world_ms))
            .unwrap_or_default();
        let has_ended = self.is_judged && self.open_lives() < open_before;
        self.rash_ends += usize::from(has_ended && !is_merge && !self.roll.has_quorum());
        if effects.changes_view {
            self.lives_hash = self.state.lives_hash();
        }
        Followed {
            has_news: effects.changes_sayings || effects.changes_view,
            doubted: effects
                .doubted
                .into_iter()
                .map(|(_, backend)| backend)
                .collect(),
        }
    }

    fn open_lives(&self) -> usize {
        let views = self.state.remembered();
        let chronicles = views.values().flat_map(|view| view.chronicles());
        chronicles
            .filter(|(_, one)| Standing::of(Some(one)).is_open)
            .count()
    }
}
