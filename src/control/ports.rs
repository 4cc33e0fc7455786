//! The listeners of the process, open for every shard: who has which address, and under what
//! number.
//!
//! Not what is done with a connection (`state::Route`). Invariants: a load balancer's listeners are
//! opened together or not at all; a number is one listener's as long as the process runs.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::config::{self, Protocol};
use crate::state::Bound;
use crate::sys::{BackendTerms, Listening, TlsOffer, socket};

/// The listeners that are open.
#[derive(Debug, Default)]
pub(super) struct Ports {
    shard_count: usize,
    next_number: usize,
    open: Vec<Port>,
}

/// One of them, or one that is to be.
#[derive(Debug, Clone)]
pub(super) struct Port {
    load_balancer: Arc<str>,
    /// The address that was asked for; with port 0 the kernel chose another.
    asked: SocketAddr,
    /// What is spoken on either side: a listener that changes that is another one.
    protocols: (Protocol, Protocol),
    pub(super) bound: Bound,
    pub(super) listening: Arc<Listening>,
}

impl Ports {
    /// None so far, for that many shards.
    pub(super) fn new(shard_count: usize) -> Self {
        Self {
            shard_count,
            next_number: 0,
            open: Vec::new(),
        }
    }

    /// The listeners of a load balancer, in order: those that are open and go on, and new ones.
    /// `offers` and `terms` are for all of them, and held by the new. That no two load balancers
    /// want one address is known (see [`clashes`]): what is open and in the way is about to close.
    ///
    /// # Errors
    /// Which address cannot be had, and why.
    pub(super) fn open(
        &mut self,
        wanted: &config::LoadBalancer,
        offers: &[Option<TlsOffer>],
        terms: &[Option<BackendTerms>],
    ) -> Result<Vec<Port>, String> {
        let name: Arc<str> = Arc::from(&*wanted.name);
        let mut all: Vec<Port> = Vec::new();
        for (listener, (offer, terms)) in wanted.listeners.iter().zip(offers.iter().zip(terms)) {
            let is_taken = |port: &&Port| all.iter().any(|other| other.bound == port.bound);
            let mut same = self.open.iter().filter(|port| port.is(&name, listener));
            let port = match same.find(|port| !is_taken(port)).cloned() {
                Some(port) => port,
                None => self.bind(&name, listener, (offer, terms))?,
            };
            all.push(port);
        }
        Ok(all)
    }

    /// Of the listeners of that load balancer only these are left; whether that closes any.
    pub(super) fn keep_only(&mut self, load_balancer: &str, kept: &[Port]) -> bool {
        let count = self.open.len();
        let is_kept = |port: &Port| kept.iter().any(|other| other.bound == port.bound);
        self.open
            .retain(|port| *port.load_balancer != *load_balancer || is_kept(port));
        self.open.len() != count
    }

    /// These are from now on the listeners of that load balancer, and all it has; whether any
    /// opened or closes by that.
    pub(super) fn replace(&mut self, load_balancer: &str, new: Vec<Port>) -> bool {
        let is_closing = self.keep_only(load_balancer, &new);
        let count = self.open.len();
        self.open
            .retain(|port| *port.load_balancer != *load_balancer);
        let is_opening = self.open.len() + new.len() != count;
        self.open.extend(new);
        is_closing || is_opening
    }

    /// Of new listeners those whose very address another has that is still open.
    pub(super) fn successors(&self, new: &[Port]) -> Vec<Arc<Listening>> {
        let succeeds = |port: &&Port| {
            let holder = self.holder(port.bound.address);
            holder.is_some_and(|holder| holder.number != port.bound.number)
        };
        let new = new.iter().filter(succeeds);
        new.map(|port| Arc::clone(&port.listening)).collect()
    }

    /// Who is open at that very address.
    fn holder(&self, address: SocketAddr) -> Option<&Listening> {
        let mut open = self.open.iter();
        let holder = open.find(|port| port.bound.address == address);
        holder.map(|port| &*port.listening)
    }

    /// What shards are to have open.
    pub(super) fn listening(&self) -> Vec<Arc<Listening>> {
        let listening = self.open.iter().map(|port| Arc::clone(&port.listening));
        listening.collect()
    }

    fn bind(
        &mut self,
        load_balancer: &Arc<str>,
        listener: &config::Listener,
        (offer, terms): (&Option<TlsOffer>, &Option<BackendTerms>),
    ) -> Result<Port, String> {
        let told = |error: io::Error| format!("cannot listen on {}: {error}", listener.address);
        if let Some(holder) = self.holder(listener.address) {
            // Nobody is to wait at new sockets that may come to nothing.
            steer(holder, 0..holder.socket_count());
        }
        let is_ours = |port: &Port| overlap(port.asked, listener.address);
        if !self.open.iter().any(is_ours) {
            socket::probe_free(listener.address).map_err(told)?;
        }
        let mut address = listener.address;
        let mut sockets = Vec::with_capacity(self.shard_count);
        for _ in 0..self.shard_count {
            let socket = socket::listen(address).map_err(told)?;
            // The first shard's says which port was given where 0 was asked for.
            address = socket.local_addr().map_err(told)?;
            sockets.push(socket);
        }
        let bound = Bound {
            number: self.next_number,
            address,
        };
        self.next_number += 1;
        Ok(Port {
            load_balancer: Arc::clone(load_balancer),
            asked: listener.address,
            protocols: (listener.protocol, listener.instance_protocol),
            bound,
            listening: Arc::new(Listening {
                number: bound.number,
                sockets,
                offer: offer.clone(),
                terms: terms.clone(),
            }),
        })
    }
}

/// To whom new connections go while an address changes hands. Those who had it listened first, so
/// the kernel numbers their sockets before the new ones.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// To the new ones alone: what waits at the others can be served, and nothing comes after it.
    New,
    /// To the first of the new ones: its number stays while the others close in whatever order.
    FirstNew,
    /// To all who are there.
    All,
}

impl Turn {
    /// Steers the connections to the address of a new listener.
    pub(super) fn make(self, new: &Listening) {
        let count = new.socket_count();
        match self {
            Self::New => steer(new, count..2 * count),
            Self::FirstNew => steer(new, count..count + 1),
            // Where nothing was steered either, that is what is wanted.
            Self::All => drop(socket::steer_no_more(&new.sockets[0])),
        }
    }
}

/// As [`socket::steer`]. Where the kernel refuses, a connection in the middle of its handshake may
/// be reset when the listener that it came to closes.
fn steer(listening: &Listening, some: Range<u32>) {
    if let Err(error) = socket::steer(&listening.sockets[0], some) {
        tracing::debug!(%error, "new connections cannot be steered");
    }
}

/// Which of these load balancers want the address of another, a line for each pair.
pub(super) fn clashes<'b>(all: impl Iterator<Item = &'b config::LoadBalancer>) -> Vec<String> {
    let mut before: BTreeMap<u16, Vec<(SocketAddr, &str)>> = BTreeMap::new();
    let mut clashes = Vec::new();
    for balancer in all {
        for listener in &balancer.listeners {
            let (address, name) = (listener.address, &*balancer.name);
            let others = before.entry(address.port()).or_default();
            let clash = others.iter().find(|(other, _)| overlap(*other, address));
            clashes.extend(clash.map(|(other, theirs)| {
                format!("{name}: cannot listen on {address}: {theirs} listens on {other}")
            }));
            others.push((address, name));
        }
    }
    clashes
}

/// Whether the kernel takes one of the addresses for the other, or for a part of it.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_wide = |address: SocketAddr| address.ip().is_unspecified();
    one.port() == other.port()
        && one.port() != 0
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || is_wide(one) || is_wide(other))
}

impl Port {
    fn is(&self, load_balancer: &str, listener: &config::Listener) -> bool {
        *self.load_balancer == *load_balancer
            && self.asked == listener.address
            && self.protocols == (listener.protocol, listener.instance_protocol)
    }
}
