//! The listeners of the process, open for every shard: who has which address, and under what number.
//!
//! Not what is done with a connection (`state::Route`). Invariants: a load balancer's listeners are
//! opened together or not at all; a number is one listener's as long as the process runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Files;
use crate::config::{self, Protocol};
use crate::state::Bound;
use crate::sys::{Listening, socket};

/// The listeners that are open.
#[derive(Debug)]
pub struct Ports {
    shard_count: usize,
    next_number: usize,
    open: Vec<Port>,
}

/// One of them.
#[derive(Debug, Clone)]
struct Port {
    load_balancer: Arc<str>,
    /// The address that was asked for; with port 0 the kernel chose another.
    asked: SocketAddr,
    /// What is spoken on either side: a listener that changes that is another one.
    protocols: (Protocol, Protocol),
    bound: Bound,
    listening: Arc<Listening>,
}

impl Ports {
    /// None so far, for that many shards.
    pub fn new(shard_count: usize) -> Self {
        Self {
            shard_count,
            next_number: 0,
            open: Vec::new(),
        }
    }

    /// Opens the listeners of a load balancer that are not open yet, and says where each of all of
    /// them accepts, in order. Those that it has no more stay until [`keep`](Self::keep).
    ///
    /// # Errors
    /// Which address cannot be had, and why; nothing has been opened then.
    pub fn open(
        &mut self,
        wanted: &config::LoadBalancer,
        files: &Files,
    ) -> Result<Vec<Bound>, String> {
        let name: Arc<str> = Arc::from(&*wanted.name);
        let mut all: Vec<Port> = Vec::new();
        for listener in &wanted.listeners {
            let is_same = |port: &&Port| port.is(&name, listener);
            let is_taken = |port: &Port| all.iter().any(|other| other.bound == port.bound);
            let known = self.open.iter().filter(is_same).find(|port| !is_taken(port));
            let port = match known {
                Some(port) => port.clone(),
                None => self.bind(&name, listener, files)?,
            };
            all.push(port);
        }
        for port in &all {
            if self.open.iter().all(|other| other.bound != port.bound) {
                self.open.push(port.clone());
            }
        }
        Ok(all.iter().map(|port| port.bound).collect())
    }

    /// Closes the listeners of a load balancer that are not among these.
    pub fn keep(&mut self, load_balancer: &str, bound: &[Bound]) {
        self.open
            .retain(|port| *port.load_balancer != *load_balancer || bound.contains(&port.bound));
    }

    /// What shards are to have open.
    pub fn listening(&self) -> Vec<Arc<Listening>> {
        let listening = self.open.iter().map(|port| Arc::clone(&port.listening));
        listening.collect()
    }

    fn bind(
        &mut self,
        load_balancer: &Arc<str>,
        listener: &config::Listener,
        files: &Files,
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
                offer: files.certificates.offer(load_balancer, listener),
                terms: files.trusts.terms(load_balancer, listener),
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
