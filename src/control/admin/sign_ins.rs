//! Who has signed in to the console, and by which pass: what a browser shows as its cookie.
//!
//! Not how somebody proves to have the secret of a credential (`proof.rs`), nor the text of the
//! cookie (`sign_in.rs`). Pure but for random bytes: time comes in. Invariants: no pass can be made
//! of what is kept here; one is taken only where it was given, for as long as its credential has
//! the secret that it was given for, and never after its end.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use tokio::time::Instant;

use super::guesses::Network;
use crate::control::credentials::{Held, Holder};
use crate::control::hex;
use crate::limits::{SIGN_IN_REST_MAX, SIGN_IN_TIME_MAX};

/// 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pass([u8; 32]);

/// Those that hold, by the SHA-256 of their pass.
#[derive(Debug)]
pub(super) struct SignIns {
    all: BTreeMap<[u8; 32], SignIn>,
    most: usize,
}

#[derive(Debug)]
struct SignIn {
    access_key_id: String,
    fingerprint: [u8; 32],
    network: Network,
    ends_at: Instant,
    used_at: Instant,
}

/// A pass that holds, and what there is to know of it.
#[derive(Debug, Clone)]
pub(super) struct SignedIn {
    pub(super) pass: Pass,
    pub(super) who: String,
    pub(super) is_read_only: bool,
    /// At the latest.
    pub(super) ends_in: Duration,
}

impl Pass {
    fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// As the cookie has it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        hex::to_bytes(text).map(Self)
    }

    /// For the cookie.
    pub(super) fn text(&self) -> String {
        hex::to_text(&self.0)
    }

    /// What a page shows beside it to change something. It is made of the pass, so that nothing
    /// more is kept; the pass cannot be made of it.
    pub(super) fn token(&self) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        hex::to_text(hmac::sign(&key, b"elbow token").as_ref())
    }

    /// Whether that is its token, in constant time.
    pub(super) fn has_token(&self, text: &[u8]) -> bool {
        verify_slices_are_equal(self.token().as_bytes(), text).is_ok()
    }

    fn hash(&self) -> [u8; 32] {
        let hash = digest(&SHA256, &self.0);
        hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

/// Not a byte of it.
impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass")
    }
}

impl SignIns {
    /// None yet; `most` of them at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            most,
        }
    }

    /// Somebody from there has proved to have a credential. Also whether another one ended for it,
    /// as as many hold as may: the one that has rested longest.
    ///
    /// # Errors
    /// There are no random bytes.
    pub(super) fn begin(
        &mut self,
        holder: &Holder,
        network: Network,
        now: Instant,
    ) -> Result<(SignedIn, bool), Unspecified> {
        let pass = Pass::random()?;
        self.all.retain(|_, sign_in| sign_in.holds(now));
        let is_full = self.all.len() >= self.most;
        if is_full {
            let longest = self.all.iter().min_by_key(|(_, sign_in)| sign_in.used_at);
            let longest = longest.map(|(hash, _)| *hash);
            longest.map(|hash| self.all.remove(&hash));
        }
        let sign_in = SignIn {
            access_key_id: holder.key.access_key_id().to_owned(),
            fingerprint: holder.fingerprint(),
            network,
            ends_at: now + SIGN_IN_TIME_MAX,
            used_at: now,
        };
        let signed_in = sign_in.shown(&pass, holder, now);
        self.all.insert(pass.hash(), sign_in);
        Ok((signed_in, is_full))
    }

    /// Whose pass it is, from there; it rests from now on. `None`: it does not hold.
    pub(super) fn find(
        &mut self,
        pass: &Pass,
        held: &Held,
        network: Network,
        now: Instant,
    ) -> Option<SignedIn> {
        let hash = pass.hash();
        let sign_in = self.all.get_mut(&hash)?;
        if sign_in.network != network {
            // Whoever has it holds it no longer if others could end it.
            return None;
        }
        let holder = held.holder(&sign_in.access_key_id);
        let holder = holder.filter(|holder| holder.fingerprint() == sign_in.fingerprint);
        match holder.filter(|_| sign_in.holds(now)) {
            Some(holder) => {
                sign_in.used_at = now;
                Some(sign_in.shown(pass, holder, now))
            }
            None => {
                self.all.remove(&hash);
                None
            }
        }
    }

    /// It holds no more.
    pub(super) fn end(&mut self, pass: &Pass) {
        self.all.remove(&pass.hash());
    }
}

impl SignIn {
    fn holds(&self, now: Instant) -> bool {
        now < self.ends_at && now < self.used_at + SIGN_IN_REST_MAX
    }

    fn shown(&self, pass: &Pass, holder: &Holder, now: Instant) -> SignedIn {
        SignedIn {
            pass: pass.clone(),
            who: self.access_key_id.clone(),
            is_read_only: holder.is_read_only,
            ends_in: self.ends_at.saturating_duration_since(now),
        }
    }
}

#[cfg(test)]
mod tests;
