//! All that threads share: snapshots and the phase go down to the shards, reports come up, and
//! shards wake one another.
//!
//! Not a command queue: a shard is never told to do something, it looks. Invariant: nothing here
//! makes a shard wait. Reading a snapshot is one relaxed load when nothing changed, a report that
//! finds the mailbox full is dropped and counted, a client's connections are counted without a
//! lock.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::mpsc;

use super::bell::Bell;
use crate::limits;
use crate::state::{Clients, PerShard, Report, ShardLine, Snapshot};

/// What one HTTPS or SSL listener shakes hands with, the same for all shards. Only the control
/// thread stores another; that holds for connections to come.
pub type TlsOffer = Arc<ArcSwap<ServerConfig>>;

/// How one listener speaks TLS to its backends, the same for all shards. Only the control thread
/// stores others; they hold for requests to come.
pub type BackendTerms = Arc<ArcSwap<Terms>>;

/// What shards need to speak TLS to backends.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Listeners with the same number share connections; other terms have another. From 1.
    pub number: u32,
    /// Whom to trust.
    pub config: Arc<ClientConfig>,
    /// The name that is sent (SNI) and, where names count, checked; `None`: none is sent, and the
    /// backend's address is what is checked.
    pub name: Option<ServerName<'static>>,
}

/// A listener as shards get it. Its address and what is done with a connection are its route's.
#[derive(Debug)]
pub struct Listening {
    /// Its number, by which its route is found.
    pub number: usize,
    /// For each shard a socket of its own; they share the port.
    pub sockets: Vec<TcpListener>,
    /// What it shakes hands with; `None`: it speaks in clear. Looked at for each connection.
    pub offer: Option<TlsOffer>,
    /// How it speaks TLS to its backends; `None`: in clear.
    pub terms: Option<BackendTerms>,
}

impl Listening {
    /// How many sockets it has: one for each shard.
    pub fn socket_count(&self) -> u32 {
        u32::try_from(self.sockets.len()).expect("a shard for each core")
    }
}

/// All listeners, as of one change.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Grows by one with every change; shards say which they have seen.
    pub version: u64,
    /// The listeners.
    pub all: Vec<Arc<Listening>>,
}

/// The tie between the shards and the control thread.
#[derive(Debug)]
pub struct Link {
    /// The world as of the last change. Only the control thread stores.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The listeners that are to be open. Only the control thread stores; a listener is here once
    /// it has a route.
    pub listeners: ArcSwap<Listeners>,
    /// Counters of each shard.
    pub shards: PerShard<ShardLine>,
    /// How many connections each client has, where that is bounded.
    pub clients: Clients,
    /// By which a shard is told that somebody there may go on who waits, or that there are other
    /// listeners.
    pub bells: PerShard<Bell>,
    /// The last number that was given to somebody who waits.
    arrivals: AtomicU64,
    reports: mpsc::Sender<Report>,
    phase: AtomicU8,
}

/// What the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Accepting and serving.
    Serving,
    /// Not accepting; finishing what runs, telling clients to go.
    Draining,
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}

impl Link {
    /// A link for `shard_count` shards, and the end from which the control thread reads reports.
    pub fn new(
        snapshot: Snapshot,
        listeners: Listeners,
        shard_count: usize,
    ) -> (Arc<Self>, mpsc::Receiver<Report>) {
        let (reports, inbox) = mpsc::channel(limits::REPORTS_WAITING);
        let link = Self {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            listeners: ArcSwap::from_pointee(listeners),
            shards: PerShard::new(shard_count),
            clients: Clients::default(),
            bells: PerShard::new(shard_count),
            arrivals: AtomicU64::new(0),
            reports,
            phase: AtomicU8::new(Phase::Serving as u8),
        };
        (Arc::new(link), inbox)
    }

    /// Tells the control thread something; false if its mailbox is full and the report is lost.
    #[must_use]
    pub fn report(&self, report: Report) -> bool {
        self.reports.try_send(report).is_ok()
    }

    /// A number for whoever begins to wait, larger than all before, from 1.
    pub fn next_arrival(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What the process is doing now.
    pub fn phase(&self) -> Phase {
        if self.phase.load(Ordering::Relaxed) == Phase::Draining as u8 {
            Phase::Draining
        } else {
            Phase::Serving
        }
    }

    /// Begins the drain; shards notice within [`limits::SWEEP_INTERVAL`].
    pub fn begin_drain(&self) {
        self.phase.store(Phase::Draining as u8, Ordering::Relaxed);
    }
}
