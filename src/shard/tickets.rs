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

use super::upstream::Place;
use crate::sys::BackendTerms;

/// One configuration for each place, with a store of tickets of its own.
#[derive(Debug, Default)]
pub(super) struct Tickets(RefCell<AHashMap<Place, Kept>>);

#[derive(Debug)]
struct Kept {
    /// The terms as all shards have them.
    shared: Arc<ClientConfig>,
    own: Arc<ClientConfig>,
}

impl Tickets {
    /// The terms in force, with what that place has given under them.
    pub(super) fn with(&self, place: Place, terms: &BackendTerms) -> Arc<ClientConfig> {
        let shared = terms.config.load();
        let mut kept = self.0.borrow_mut();
        if let Some(kept) = kept.get(&place)
            && Arc::ptr_eq(&kept.shared, &shared)
        {
            return Arc::clone(&kept.own);
        }
        let mut own = ClientConfig::clone(&shared);
        own.resumption = Resumption::in_memory_sessions(1);
        let own = Arc::new(own);
        let new = Kept {
            shared: Arc::clone(&shared),
            own: Arc::clone(&own),
        };
        kept.insert(place, new);
        own
    }

    /// Forgets backends that are not there any more.
    pub(super) fn keep_only(&self, addresses: &AHashSet<SocketAddr>) {
        let mut kept = self.0.borrow_mut();
        kept.retain(|place, _| addresses.contains(&place.address));
    }
}
