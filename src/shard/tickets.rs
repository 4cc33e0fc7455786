//! Sessions of TLS with backends that go on: what each backend has given this shard to resume with.
//!
//! Not the connections (`upstream.rs`). Invariants: a ticket is offered to the backend that gave it
//! and under the terms under which it was given; shards share none, so none waits for another.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::sys::Terms;

/// One configuration for each backend of each listener, with a store of tickets of its own.
#[derive(Debug, Default)]
pub(super) struct Tickets(RefCell<AHashMap<(SocketAddr, usize), Kept>>);

#[derive(Debug)]
struct Kept {
    /// The number of the terms that it was made of.
    terms: u32,
    config: Arc<ClientConfig>,
}

impl Tickets {
    /// The listener's terms, with what that backend has given under them.
    pub(super) fn with(
        &self,
        address: SocketAddr,
        listener: usize,
        terms: &Terms,
    ) -> Arc<ClientConfig> {
        let mut kept = self.0.borrow_mut();
        if let Some(kept) = kept.get(&(address, listener))
            && kept.terms == terms.number
        {
            return Arc::clone(&kept.config);
        }
        let mut config = ClientConfig::clone(&terms.config);
        config.resumption = Resumption::in_memory_sessions(1);
        let config = Arc::new(config);
        let new = Kept {
            terms: terms.number,
            config: Arc::clone(&config),
        };
        kept.insert((address, listener), new);
        config
    }

    /// Forgets backends and listeners that are not there any more.
    pub(super) fn keep_only(
        &self,
        addresses: &AHashSet<SocketAddr>,
        is_listener: impl Fn(usize) -> bool,
    ) {
        let mut kept = self.0.borrow_mut();
        kept.retain(|(address, listener), _| addresses.contains(address) && is_listener(*listener));
    }
}
