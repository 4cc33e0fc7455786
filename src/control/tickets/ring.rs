//! The keys of tickets, by their age.
//!
//! ```text
//!  ahead            born        + 12 h           + 24 h
//!  ─── opens ────────┼─ seals, opens ─┼─── opens ───┤ is forgotten
//! ```
//!
//! Not a clock: time is passed in. Invariants: the newest key that is born seals, so that machines
//! with the same keys change them at the same time; a ticket opens for as long as its client was
//! told, to within [`TICKET_KEY_LOOK_INTERVAL`], and no key is kept once that is over. One that is
//! not born yet opens, since the clock of the machine that sealed by it may be ahead. Where a clock
//! has jumped, tickets are lost and no key seals longer.
//!
//! [`TICKET_KEY_LOOK_INTERVAL`]: crate::limits::TICKET_KEY_LOOK_INTERVAL

use std::fmt;
use std::io;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::rand;

use super::super::hex;
use crate::limits::{TICKET_KEY_SEALS, TICKET_KEYS_AHEAD, TICKET_KEYS_MAX, TICKET_LIFETIME};

/// Bytes of the name of a key.
pub(super) const NAME_BYTES: usize = 16;

/// Bytes of the secret of a key.
pub(super) const SECRET_BYTES: usize = 32;

/// A key of tickets.
pub(super) struct Key {
    /// Tells which key opens a ticket. Unique among the keys in use.
    pub(super) name: [u8; NAME_BYTES],
    /// The AES-256 key.
    pub(super) secret: [u8; SECRET_BYTES],
    /// From when on it seals, in seconds since 1970.
    pub(super) born: u64,
    /// The secret, ready for use.
    pub(super) cipher: LessSafeKey,
}

impl Key {
    pub(super) fn new(name: [u8; NAME_BYTES], secret: [u8; SECRET_BYTES], born: u64) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, &secret).expect("32 bytes are a key");
        Self {
            name,
            secret,
            born,
            cipher: LessSafeKey::new(unbound),
        }
    }

    /// A random one that is born now.
    fn fresh(now: u64) -> io::Result<Self> {
        let (mut name, mut secret) = ([0; NAME_BYTES], [0; SECRET_BYTES]);
        for bytes in [&mut name[..], &mut secret[..]] {
            rand::fill(bytes).map_err(|_| io::Error::other("no randomness to be had"))?;
        }
        Ok(Self::new(name, secret, now))
    }

    /// By what keys are put in order: by name too, so that machines with the same keys agree on
    /// which of two seals.
    fn place(&self) -> (u64, [u8; NAME_BYTES]) {
        (self.born, self.name)
    }

    fn is_born(&self, now: u64) -> bool {
        self.born <= now
    }

    fn seals(&self, now: u64) -> bool {
        self.is_born(now) && now - self.born < TICKET_KEY_SEALS.as_secs()
    }

    fn opens(&self, now: u64) -> bool {
        let lasts = TICKET_KEY_SEALS + TICKET_LIFETIME;
        now.saturating_sub(self.born) < lasts.as_secs()
            && self.born.saturating_sub(now) <= TICKET_KEYS_AHEAD.as_secs()
    }
}

/// Without the secret, which has no place in a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", hex::to_text(&self.name), self.born)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.secret, self.born) == (other.name, other.secret, other.born)
    }
}

/// The keys in use.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ring {
    /// In the order of their birth, at most [`TICKET_KEYS_MAX`].
    keys: Vec<Arc<Key>>,
    /// One of them; `None`: there is none.
    sealing: Option<Arc<Key>>,
}

impl Ring {
    /// These keys as they were found, of which none seals yet.
    pub(super) fn found(mut keys: Vec<Arc<Key>>) -> Self {
        keys.sort_by_key(|key| key.place());
        Self {
            keys,
            sealing: None,
        }
    }

    /// Those of the keys of a ring that are of use at `now`, and a new one if none of them seals.
    /// At [`TICKET_KEYS_MAX`] it takes the place of the oldest.
    ///
    /// # Errors
    /// If a new key is needed and there is no randomness.
    pub(super) fn at(now: u64, keys: &[Arc<Key>]) -> io::Result<Self> {
        let keys = keys.iter().filter(|key| key.opens(now));
        let mut keys: Vec<Arc<Key>> = keys.map(Arc::clone).collect();
        let newest = keys.iter().rfind(|key| key.is_born(now));
        let sealing = match newest.filter(|key| key.seals(now)) {
            Some(key) => Arc::clone(key),
            None => {
                let key = Arc::new(Key::fresh(now)?);
                if keys.len() >= TICKET_KEYS_MAX {
                    keys.remove(0);
                }
                let place = keys.partition_point(|key| key.is_born(now));
                keys.insert(place, Arc::clone(&key));
                key
            }
        };
        Ok(Self {
            keys,
            sealing: Some(sealing),
        })
    }

    pub(super) fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// The key that seals, if there are keys.
    pub(super) fn sealing(&self) -> Option<&Key> {
        self.sealing.as_deref()
    }

    /// The key of that name. Names are no secret: tickets tell them.
    pub(super) fn named(&self, name: &[u8; NAME_BYTES]) -> Option<&Key> {
        let key = self.keys.iter().find(|key| key.name == *name);
        key.map(Arc::as_ref)
    }
}
