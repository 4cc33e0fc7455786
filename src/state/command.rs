//! What may change the state, and what must happen in the world because of it.
//!
//! Not here: the change itself (`mod.rs`). Invariant: whoever wants a change (checks, shards, the
//! admin address, time) makes a [`Command`]; there is no other way.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::cluster::{Roll, Saying};
use crate::config::{self, DrainMode};
use crate::health::{Outcome, Transition};
use crate::sticky::Sketch;

/// Where a listener accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Its number: its own, and never another's as long as the process runs.
    pub number: usize,
    /// Its address; the port is the real one, also where 0 was asked for.
    pub address: SocketAddr,
}

impl Bound {
    /// The first listeners of a process, in order.
    pub fn first(addresses: &[SocketAddr]) -> Vec<Self> {
        let addresses = addresses.iter().enumerate();
        addresses
            .map(|(number, &address)| Self { number, address })
            .collect()
    }
}

/// A wish to change the state.
#[derive(Debug)]
pub enum Command {
    /// Makes a load balancer as it is written, or changes it until it is: what is the same in both
    /// is left alone, backends that are not in it any more leave as its attributes say.
    Put {
        /// The load balancer as it is to be.
        wanted: Box<config::LoadBalancer>,
        /// As it was written before; `None`: nowhere.
        before: Option<Box<config::LoadBalancer>>,
        /// Where each of its listeners accepts, in order. A listener that goes on keeps its number.
        bound: Vec<Bound>,
        /// What backends that leave by this still take; `None`: as its attributes say.
        mode: Option<DrainMode>,
    },
    /// Ends a load balancer: it takes no new connection, and what is on its backends ends as its
    /// attributes say.
    Remove {
        /// Its name.
        load_balancer: Arc<str>,
    },
    /// A health check ended. Ignored if the backend is no longer registered.
    Checked {
        /// Its load balancer.
        load_balancer: Arc<str>,
        /// Its id.
        backend: Arc<str>,
        /// What the check found.
        outcome: Outcome,
    },
    /// Registers a backend; or gives one that is registered another address or weight, and keeps it
    /// if it was leaving.
    Register {
        /// The load balancer.
        load_balancer: Arc<str>,
        /// The backend as it is to be.
        backend: config::Backend,
    },
    /// Lets a backend leave. Once nothing is left on it, it is deregistered.
    Deregister {
        /// Its load balancer.
        load_balancer: Arc<str>,
        /// Its id.
        backend: Arc<str>,
        /// What it still takes; `None`: as the load balancer's attributes say.
        mode: Option<DrainMode>,
    },
    /// Keeps a backend that was to leave and is still waiting for its sessions to end.
    CancelDrain {
        /// Its load balancer.
        load_balancer: Arc<str>,
        /// Its id.
        backend: Arc<str>,
    },
    /// A shard's count of sessions by slot, of one window.
    Counted(Vec<(u32, Sketch)>),
    /// Those nodes are there now.
    Nodes(Roll),
    /// Another node has said something. Ignored if it has started anew since.
    Heard {
        /// Its name.
        node: Arc<str>,
        /// When it started, in milliseconds since 1970 by its clock.
        boot_ms: u64,
        /// What it said.
        saying: Saying,
    },
    /// This node knows what the others know: backends that are not registered here are nowhere.
    CaughtUp,
    /// Time has passed.
    Tick,
}

/// Why a command was not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no load balancer of this name.
    NoLoadBalancer(String),
    /// No backend of this id is registered with it.
    NoBackend(String),
    /// The backend is not leaving, or not any more waiting for sessions.
    NotDraining,
    /// The load balancer has [`crate::limits::BACKENDS_MAX`] backends already.
    TooMany,
    /// It tells of a moment that is more than [`crate::limits::STAMP_AHEAD_MS_MAX`] ahead.
    FromTheFuture,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLoadBalancer(name) => write!(f, "there is no load balancer `{name}`"),
            Self::NoBackend(id) => {
                write!(f, "no instance `{id}` is registered with the load balancer")
            }
            Self::NotDraining => f.write_str("the instance is not waiting for its sessions to end"),
            Self::TooMany => f.write_str("the load balancer has as many instances as it may have"),
            Self::FromTheFuture => f.write_str("it tells of a moment that is to come"),
        }
    }
}

/// What a command did.
#[derive(Debug, Default)]
#[must_use]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what changed, in any combination"
)]
pub struct Effects {
    /// The snapshot is another one, with a higher epoch: publish it.
    pub is_new: bool,
    /// Sessions were counted anew: rows of health tell other numbers.
    pub changes_rows: bool,
    /// Which backends are checked, and where, has changed.
    pub changes_checks: bool,
    /// Chronicles have changed: what is kept of them on disk is old.
    pub changes_view: bool,
    /// This node may have something to tell others.
    pub changes_sayings: bool,
    /// Backends that are to be checked at once, as another node finds them failed: load balancer
    /// and id.
    pub doubted: Vec<(Arc<str>, Arc<str>)>,
    /// What is to be logged, in order.
    pub events: Vec<Event>,
}

impl Effects {
    /// Adds what another command did after this one.
    pub fn add(&mut self, later: Self) {
        self.is_new |= later.is_new;
        self.changes_rows |= later.changes_rows;
        self.changes_checks |= later.changes_checks;
        self.changes_view |= later.changes_view;
        self.changes_sayings |= later.changes_sayings;
        self.doubted.extend(later.doubted);
        self.events.extend(later.events);
    }
}

/// Something that happened to a backend.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its load balancer.
    pub load_balancer: Arc<str>,
    /// Its id.
    pub backend: Arc<str>,
    /// The number of its life, this one included.
    pub life: u32,
    /// What it was.
    pub what: Happening,
}

/// What may happen to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// Its status changed.
    Changed(Transition),
    /// The nodes agree that it lives, or that it does not any more.
    Agreed {
        /// It lives.
        is_open: bool,
    },
    /// It was registered, or has another address.
    Registered,
    /// It has another weight.
    Weighed(u32),
    /// It takes no new sessions any more, and about that many of its own are alive.
    DrainBegan {
        /// Sessions that are alive.
        sessions: u64,
    },
    /// Its sessions have ended, or their time has; requests in flight may finish.
    DrainEnded {
        /// Sessions that are still alive and have to move.
        sessions: u64,
    },
    /// It stays after all.
    DrainCancelled,
    /// It is no longer registered; that many requests were cut off.
    Deregistered {
        /// Exchanges that ran.
        outstanding: u64,
    },
}
