//! What the shards know: an immutable, numbered picture of listeners, backends and health.
//!
//! A shard takes one snapshot per exchange and never sees half of a change. All that moves behind
//! it are the counters of `load.rs`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::load::{BackendLine, LoadBalancerLine, PerShard};
use crate::config::{Attributes, Failover, Network, Protocol, Stickiness};
use crate::health::View;
use crate::proxy_protocol::Version;
use crate::sticky::{Moved, Sketch};

/// One epoch of the world.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows by one with every change; shards re-resolve table entries of older epochs.
    pub epoch: u64,
    /// One route per listener, by load balancer, in the order in which they were declared.
    pub routes: Vec<Route>,
    /// Backends whose connections are to be closed, whatever is on them. The cuts of the last
    /// [`crate::limits::CUTS_KEPT_MS`]; shards look at them as they see a new epoch.
    pub cuts: Vec<Cut>,
}

/// An end to what runs on a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The backend's [`Backend::slot`].
    pub slot: u32,
    /// Exchanges that began in an earlier epoch than this end now.
    pub before: u64,
}

/// What one listener does with a request, or with a connection where it relays bytes.
#[derive(Debug, Clone)]
pub struct Route {
    /// The listener's number: its own, and never another's as long as the process runs.
    pub listener: usize,
    /// The load balancer's name.
    pub load_balancer: Arc<str>,
    /// The load balancer's counters, shared by its listeners.
    pub counts: Arc<PerShard<LoadBalancerLine>>,
    /// Where the listener accepts; the port is the real one, also where 0 was asked for.
    pub address: SocketAddr,
    /// What clients speak here. Where it is not HTTP, bytes are relayed and never read.
    pub protocol: Protocol,
    /// What a cookie is valid for: load balancer and instance port.
    pub scope: u64,
    /// The cookie policy; `None`: every request is balanced anew.
    pub stickiness: Option<Arc<Stickiness>>,
    /// The load balancer's switches.
    pub attributes: Arc<Attributes>,
    /// The front end is HTTPS: `X-Forwarded-Proto: https`, second cookie.
    pub is_secure: bool,
    /// From where clients' connections begin with a PROXY header.
    pub proxy_networks: Arc<[Network]>,
    /// Connections to backends begin with a PROXY header of this form.
    pub proxy_protocol: Option<Version>,
    /// The header in which backends are told whose certificate the client has shown; clients' own
    /// are cut. `None`: clients are asked for none.
    pub subject_header: Option<Arc<str>>,
    /// All registered backends, in service or not; order is stable within an epoch and the same in
    /// all routes of a load balancer.
    pub backends: Vec<Backend>,
    /// The chronicles of the load balancer's backends, shared by its listeners.
    pub view: Arc<View>,
}

impl Route {
    /// Whether bytes are relayed here, and no requests read.
    pub fn relays(&self) -> bool {
        !self.protocol.is_http()
    }

    /// Whether a session whose backend is out goes to the first of the others by its rank, which
    /// application policies always need, as the view goes by it.
    pub fn goes_by_rank(&self) -> bool {
        let follows_app = matches!(self.stickiness.as_deref(), Some(Stickiness::Application(_)));
        follows_app || self.attributes.affinity.failover == Failover::Rank
    }
}

/// One backend as a listener sees it.
#[derive(Debug, Clone)]
pub struct Backend {
    /// The id as the operator wrote it.
    pub id: Arc<str>,
    /// The id's hash (`health::id_hash`): what a cookie names, and what ranks use.
    pub id_hash: u64,
    /// A small number of its own in this process, by which its sessions are counted.
    pub slot: u32,
    /// Where requests go.
    pub address: SocketAddr,
    /// Which requests it takes.
    pub admits: Admits,
    /// How often it came into service, from 1; 0 before the first time. A cookie records it.
    pub life: u32,
    /// Its share of new sessions, and of those that lose their backend: 0–256.
    pub weight: u32,
    /// When its life began, in milliseconds since 1970.
    pub born_ms: u64,
    /// It has more than its share of sessions and takes no new ones.
    pub is_over_bound: bool,
    /// How many requests it has at most at once, over all shards, connections of TCP listeners
    /// included; `None`: however many come.
    pub max_outstanding: Option<NonZeroU32>,
    /// Its counters, shared by all listeners of the load balancer.
    pub counts: Arc<PerShard<BackendLine>>,
}

/// Which requests a backend takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admits {
    /// None: it is out of service, or leaves.
    Nothing,
    /// Those of the sessions that it has: it leaves once they have ended.
    Sessions,
    /// All.
    All,
}

impl Backend {
    /// Whether a session that lives here is served here.
    pub fn is_in_service(&self) -> bool {
        self.admits != Admits::Nothing
    }

    /// Its weight for sessions that come from elsewhere: none while it leaves.
    pub fn weight_for_others(&self) -> u32 {
        if self.admits == Admits::All {
            self.weight
        } else {
            0
        }
    }
}

/// What a shard tells the control thread.
#[derive(Debug)]
pub enum Report {
    /// A backend refused or did not answer a connection attempt: check it at once.
    Unreachable {
        /// Its load balancer.
        load_balancer: Arc<str>,
        /// Its id.
        backend: Arc<str>,
        /// What was wrong with its TLS handshake; `None`: it was not that.
        problem: Option<String>,
    },
    /// The sessions that a shard served in one window, by [`Backend::slot`].
    Counted(Vec<(u32, Sketch)>),
    /// Sessions that a shard has seen to have moved.
    Moved(Vec<Moved>),
}
