//! TLS session tickets: what a client keeps of its session, sealed, and comes back with.
//!
//! ```text
//! key name 16 | nonce 12 | AES-256-GCM of the session | tag 16
//! authenticated with it: key name 16, scope 32
//! ```
//!
//! Not what a session is (rustls), nor which keys there are (`ring.rs`) and how they outlive the
//! process (`keeper.rs`). Invariants: a ticket opens only for the scope that it was sealed for, so
//! that nobody gets past the terms of a listener by what another one gave him; a shard takes the
//! keys as they are and waits for nobody who changes them.
//!
//! Nonces are random, so one key should seal at most 2^32 tickets, over all machines that share it:
//! 99,000 a second for as long as it seals.

mod file;
mod keeper;
mod ring;

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

use self::ring::{Key, NAME_BYTES, Ring};
use crate::limits::{TICKET_LIFETIME, TICKET_SESSION_BYTES_MAX};

pub(super) use self::keeper::keep_turning;
pub use self::keeper::{Keeper, load};

const TAG_BYTES: usize = 16;

/// What a ticket has more than the session in it.
const FRAME_BYTES: usize = NAME_BYTES + NONCE_LEN + TAG_BYTES;

/// The keys of the process, shared by all shards. Empty until [`load`] fills it: no ticket is
/// given then and none is taken.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Arc<ArcSwap<Ring>>);

/// What gives and takes the tickets of one listener, whose certificates and terms may change.
#[derive(Debug)]
pub(super) struct Issuer {
    keyring: Keyring,
    load_balancer: String,
    port: u16,
}

impl Issuer {
    pub(super) fn new(keyring: &Keyring, load_balancer: &str, port: u16) -> Self {
        Self {
            keyring: keyring.clone(),
            load_balancer: load_balancer.to_owned(),
            port,
        }
    }

    /// Tickets for clients that met these terms, whatever tells them from others: a session that
    /// began on other terms is not resumed. Listeners of one load balancer and port with the same
    /// terms take each other's, in this process and the next.
    pub(super) fn tickets(&self, terms: &[&[u8]]) -> Arc<dyn ProducesTickets> {
        let port = self.port.to_be_bytes();
        let mut parts = vec![self.load_balancer.as_bytes(), &port[..]];
        parts.extend(terms);
        Arc::new(Tickets {
            keyring: self.keyring.clone(),
            scope: scope(&parts),
        })
    }
}

/// A digest of the parts that differs wherever one of them does, or where they are parted.
fn scope(parts: &[&[u8]]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut context = digest::Context::new(&SHA256);
    for part in parts {
        let length = part.len() as u64;
        context.update(&length.to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

/// Seals and opens the tickets of one scope.
#[derive(Debug)]
struct Tickets {
    keyring: Keyring,
    scope: [u8; SHA256_OUTPUT_LEN],
}

impl Tickets {
    fn authenticated(&self, key: &Key) -> Aad<Vec<u8>> {
        Aad::from([&key.name[..], &self.scope[..]].concat())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(TICKET_LIFETIME.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        if session.len() > TICKET_SESSION_BYTES_MAX {
            return None;
        }
        let ring = self.keyring.0.load();
        let key = ring.sealing()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(FRAME_BYTES + session.len());
        ticket.extend(key.name);
        ticket.extend(nonce);
        ticket.extend(session);
        let sealed = &mut ticket[NAME_BYTES + NONCE_LEN..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = self.authenticated(key);
        let tag = key.cipher.seal_in_place_separate_tag(nonce, aad, sealed);
        ticket.extend(tag.ok()?.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > FRAME_BYTES + TICKET_SESSION_BYTES_MAX {
            return None;
        }
        let (name, rest) = ticket.split_first_chunk::<NAME_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let ring = self.keyring.0.load();
        let key = ring.named(name)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = self.authenticated(key);
        let session = key.cipher.open_in_place(nonce, aad, &mut opened).ok()?;
        let count = session.len();
        opened.truncate(count);
        Some(opened)
    }
}

#[cfg(test)]
mod tests;
