//! The seal: what a cookie says, encrypted and authenticated into 138 upper-case hex digits.
//!
//! ```text
//! key id 1 | nonce 12 | AES-128-GCM of the record 40 | tag 16
//! record: scope 8, backend 8, life 4, issued 8, session 8, began 4
//! ```
//!
//! Not an error source: a value that does not open is treated as absent (CLB.md §2.4). Invariant:
//! a [`Binding`] that was opened was sealed with one of our keys.
//!
//! Nonces are random, so one key should seal at most 2^32 cookies; rotate it before that.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::limits::SEAL_KEYS_MAX;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// Digits of a cookie value, the length that Classic Load Balancers' own have.
pub const VALUE_BYTES: usize = 2 * SEALED_BYTES;

/// The text of a cookie value.
pub type Value = [u8; VALUE_BYTES];

const PLAIN_BYTES: usize = 40;
const TAG_BYTES: usize = 16;
const SEALED_BYTES: usize = 1 + NONCE_BYTES + PLAIN_BYTES + TAG_BYTES;

/// What a cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Load balancer and instance port for which it is valid (R-034).
    pub scope: u64,
    /// The backend's id hash.
    pub backend: u64,
    /// Which of the backend's lives answered.
    pub life: u32,
    /// When it was sealed, in seconds since 1970.
    pub issued: u64,
    /// The session; it stays the same when the session moves to another backend.
    pub session: u64,
    /// When the session began, in seconds since 1970; 0 if that was not written down.
    pub began: u32,
}

/// One key: its number on the wire and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Tells which key opens a cookie. Of several with the same number each is tried: those of a
    /// cluster know nothing of a node's own.
    pub id: u8,
    /// The AES-128 key.
    pub secret: [u8; 16],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The keys in use: the first seals, all open.
#[derive(Debug)]
pub struct Seals(Vec<(u8, LessSafeKey)>);

impl Seals {
    /// Takes the primary key and older ones that still open.
    ///
    /// # Panics
    /// If there is no key or more than [`SEAL_KEYS_MAX`]: whoever reads keys checks that.
    pub fn new(keys: &[Key]) -> Self {
        assert!(
            (1..=SEAL_KEYS_MAX).contains(&keys.len()),
            "{} cookie keys",
            keys.len()
        );
        let ready = |key: &Key| {
            let unbound = UnboundKey::new(&AES_128_GCM, &key.secret).expect("16 bytes are a key");
            (key.id, LessSafeKey::new(unbound))
        };
        Self(keys.iter().map(ready).collect())
    }

    /// Seals a binding with the primary key. The nonce must be fresh and random.
    pub fn seal(&self, binding: &Binding, nonce: [u8; NONCE_BYTES]) -> Value {
        let (id, key) = &self.0[0];
        let mut sealed = [0; SEALED_BYTES];
        sealed[0] = *id;
        sealed[1..=NONCE_BYTES].copy_from_slice(&nonce);
        let (plain, tag) = sealed[1 + NONCE_BYTES..].split_at_mut(PLAIN_BYTES);
        plain.copy_from_slice(&binding.to_bytes());
        let made = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from([*id]),
                plain,
            )
            .expect("40 bytes are within AES-GCM's bound");
        tag.copy_from_slice(made.as_ref());
        to_hex(&sealed)
    }

    /// Opens a cookie value. `None`: not ours, forged, damaged, or of a key that was retired.
    pub fn open(&self, value: &[u8]) -> Option<Binding> {
        let sealed = from_hex(value)?;
        let id = sealed[0];
        let mut keys = self.0.iter().filter(|(ours, _)| *ours == id);
        keys.find_map(|(_, key)| open_by(key, sealed))
    }
}

/// What is sealed there, if it was by this key. It is opened in place: another key needs it anew.
fn open_by(key: &LessSafeKey, mut sealed: [u8; SEALED_BYTES]) -> Option<Binding> {
    let (id, rest) = sealed.split_first_mut()?;
    let (nonce, rest) = rest.split_first_chunk_mut::<NONCE_BYTES>()?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = key.open_in_place(nonce, Aad::from([*id]), rest).ok()?;
    Some(Binding::from_bytes(plain.first_chunk::<PLAIN_BYTES>()?))
}

impl Binding {
    /// When the session began, in seconds since 1970, as far as is known.
    pub fn began(&self) -> u32 {
        match self.began {
            0 => u32::try_from(self.issued).unwrap_or(u32::MAX),
            began => began,
        }
    }

    fn to_bytes(self) -> [u8; PLAIN_BYTES] {
        let mut bytes = [0; PLAIN_BYTES];
        bytes[..8].copy_from_slice(&self.scope.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.backend.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.life.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.issued.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.session.to_be_bytes());
        bytes[36..].copy_from_slice(&self.began.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; PLAIN_BYTES]) -> Self {
        let number = |from: usize, width: usize| {
            bytes[from..from + width]
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        let short = |from| u32::try_from(number(from, 4)).expect("four bytes");
        Self {
            scope: number(0, 8),
            backend: number(8, 8),
            life: short(16),
            issued: number(20, 8),
            session: number(28, 8),
            began: short(36),
        }
    }
}

fn to_hex(sealed: &[u8; SEALED_BYTES]) -> Value {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut value = [0; VALUE_BYTES];
    for (pair, byte) in value.chunks_exact_mut(2).zip(sealed) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    value
}

fn from_hex(value: &[u8]) -> Option<[u8; SEALED_BYTES]> {
    if value.len() != VALUE_BYTES {
        return None;
    }
    let mut sealed = [0; SEALED_BYTES];
    for (byte, pair) in sealed.iter_mut().zip(value.chunks_exact(2)) {
        let digit = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|n| u8::try_from(n).ok())
        };
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(sealed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BINDING: Binding = Binding {
        scope: 1,
        backend: u64::MAX,
        life: 3,
        issued: 1_700_000_000,
        session: 5,
        began: 1_600_000_000,
    };

    fn key(id: u8) -> Key {
        Key {
            id,
            secret: [id; 16],
        }
    }

    #[test]
    fn a_value_is_138_upper_case_hex_digits_that_show_nothing() {
        let value = Seals::new(&[key(1)]).seal(&BINDING, [7; NONCE_BYTES]);
        assert_eq!(value.len(), 138);
        assert!(
            value
                .iter()
                .all(|c| c.is_ascii_digit() || (b'A'..=b'F').contains(c))
        );
        let text = String::from_utf8(value.to_vec()).unwrap();
        assert!(!text.contains("FFFFFFFFFFFFFFFF"));
    }

    #[test]
    fn lower_case_digits_open_as_well() {
        let seals = Seals::new(&[key(1)]);
        let value = seals.seal(&BINDING, [7; NONCE_BYTES]).to_ascii_lowercase();
        assert_eq!(seals.open(&value), Some(BINDING));
    }

    #[test]
    fn an_older_key_opens_until_it_is_retired() {
        let value = Seals::new(&[key(1)]).seal(&BINDING, [7; NONCE_BYTES]);
        assert_eq!(Seals::new(&[key(2), key(1)]).open(&value), Some(BINDING));
        assert_eq!(Seals::new(&[key(2)]).open(&value), None);
    }

    #[test]
    fn the_same_number_with_another_secret_does_not_open() {
        let value = Seals::new(&[key(1)]).seal(&BINDING, [7; NONCE_BYTES]);
        let other = Seals::new(&[Key {
            id: 1,
            secret: [9; 16],
        }]);
        assert_eq!(other.open(&value), None);
    }

    #[test]
    fn keys_of_one_number_open_each_its_own() {
        let same = Key {
            id: 1,
            secret: [9; 16],
        };
        let both = Seals::new(&[key(1), same.clone()]);
        for sealing in [key(1), same] {
            let value = Seals::new(&[sealing]).seal(&BINDING, [7; NONCE_BYTES]);
            assert_eq!(both.open(&value), Some(BINDING));
        }
        let value = Seals::new(&[key(2)]).seal(&BINDING, [7; NONCE_BYTES]);
        assert_eq!(both.open(&value), None);
    }

    #[test]
    fn wrong_lengths_and_digits_are_absent() {
        let seals = Seals::new(&[key(1)]);
        let value = seals.seal(&BINDING, [7; NONCE_BYTES]).to_vec();
        assert_eq!(seals.open(&value[..136]), None);
        assert_eq!(seals.open(&[&value[..], b"00"].concat()), None);
        assert_eq!(seals.open(b"0"), None);
        assert_eq!(seals.open(b""), None);
        assert_eq!(seals.open(&[b'G'; VALUE_BYTES]), None);
    }

    #[test]
    #[should_panic(expected = "0 cookie keys")]
    fn no_key_is_refused() {
        drop(Seals::new(&[]));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(
            scope: u64, backend: u64, life: u32, issued: u64, session: u64, began: u32, nonce: [u8; 12],
        ) {
            let binding = Binding { scope, backend, life, issued, session, began };
            let seals = Seals::new(&[key(1)]);
            prop_assert_eq!(seals.open(&seals.seal(&binding, nonce)), Some(binding));
        }

        #[test]
        fn any_changed_digit_closes_it(at in 0_usize..VALUE_BYTES, flip in 1_u8..16) {
            let seals = Seals::new(&[key(1)]);
            let mut value = seals.seal(&BINDING, [7; NONCE_BYTES]);
            let digit = char::from(value[at]).to_digit(16).unwrap() ^ u32::from(flip);
            value[at] = u8::try_from(char::from_digit(digit, 16).unwrap()).unwrap();
            prop_assert_eq!(seals.open(&value), None);
        }
    }
}
