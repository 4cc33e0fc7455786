//! The listeners of the process, open for every shard: who has which address, and under what
//! number.
//!
//! Not what is done with a connection (`state::Route`). Invariants: a load balancer's listeners are
//! opened together or not at all; a number is one listener's as long as the process runs.

use std::io;
use std::net::SocketAddr;
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
    /// `offers` and `terms` are for all of them, and held by the new.
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

    /// These are from now on the listeners of that load balancer, and all it has.
    pub(super) fn replace(&mut self, load_balancer: &str, new: Vec<Port>) {
        self.open
            .retain(|port| *port.load_balancer != *load_balancer);
        self.open.extend(new);
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
        socket::probe_free(listener.address).map_err(told)?;
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

impl Port {
    fn is(&self, load_balancer: &str, listener: &config::Listener) -> bool {
        *self.load_balancer == *load_balancer
            && self.asked == listener.address
            && self.protocols == (listener.protocol, listener.instance_protocol)
    }
}
