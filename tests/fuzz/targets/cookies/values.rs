//! The cookie values that are about: some that elbow has sealed, some that are not for this route,
//! one that is forged.

use elbow::health::id_hash;
use elbow::sticky::{Binding, Key, NONCE_BYTES, Seals, VALUE_BYTES, Value};

use crate::route::SCOPE;

/// When all of it happens, in seconds since 1970.
pub(crate) const NOW: u64 = 1_700_000_000;

/// Sessions end this long after their last request.
pub(crate) const IDLE_LIMIT_SECONDS: u64 = 3600;

/// A value, and what it says if it opens.
pub(crate) struct Known {
    pub(crate) value: Value,
    pub(crate) binding: Option<Binding>,
}

pub(crate) struct Values {
    pub(crate) all: Vec<Known>,
    pub(crate) seals: Seals,
}

impl Values {
    pub(crate) fn new() -> Self {
        let key = |id, secret| Key {
            id,
            secret: [secret; 16],
        };
        let seals = Seals::new(&[key(2, 2), key(1, 1)]);
        let binding = |session, backend: &str| Binding {
            scope: SCOPE,
            backend: id_hash(backend),
            life: 1,
            issued: NOW - 60,
            session,
            began: 0,
        };
        let elsewhere = Binding {
            scope: SCOPE + 1,
            ..binding(14, "first")
        };
        let outdated = Binding {
            issued: NOW - IDLE_LIMIT_SECONDS - 1,
            ..binding(17, "first")
        };
        let older = Seals::new(&[key(1, 1)]);
        let forged = Seals::new(&[key(2, 9)]);
        let of = |seals: &Seals, binding: Binding, opens: bool| Known {
            value: seals.seal(&binding, [7; NONCE_BYTES]),
            binding: opens.then_some(binding),
        };
        let all = vec![
            of(&seals, binding(10, "first"), true),
            of(&seals, binding(11, "second"), true),
            of(&seals, binding(12, "down"), true),
            of(&seals, binding(13, "gone"), true),
            of(&seals, elsewhere, true),
            of(&older, binding(15, "second"), true),
            of(&forged, binding(16, "first"), false),
            of(&seals, outdated, true),
        ];
        Self { all, seals }
    }

    /// The text with values in the place of the bytes that stand for them.
    pub(crate) fn put_into(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in text {
            match byte {
                1..=8 => out.extend_from_slice(&self.all[usize::from(byte) - 1].value),
                other => out.push(other),
            }
        }
        out
    }

    /// What a text says if it is one of the values that elbow has sealed; digits have no case.
    pub(crate) fn said(&self, text: &[u8]) -> Option<Binding> {
        let known = self
            .all
            .iter()
            .find(|known| text.eq_ignore_ascii_case(&known.value));
        known?.binding
    }

    pub(crate) fn expect_opens_only_own(&self, text: &[u8]) {
        assert_eq!(self.seals.open(text), self.said(text));
        for part in text.split(|&byte| b"=; ".contains(&byte)) {
            assert_eq!(self.seals.open(part), self.said(part));
        }
    }

    /// Whatever is sealed opens as it was, and not once a digit is another.
    pub(crate) fn expect_seals_hold(&self, input: &[u8]) {
        let number = |from: usize| {
            let bytes = (from..from + 8).map(|at| input.get(at).copied().unwrap_or_default());
            bytes.fold(0, |sum, byte| sum << 8 | u64::from(byte))
        };
        let short = |from| u32::try_from(number(from) >> 32).expect("four bytes");
        let binding = Binding {
            scope: number(0),
            backend: number(8),
            life: short(16),
            issued: number(20),
            session: number(28),
            began: short(36),
        };
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&number(3).to_be_bytes());
        let mut value = self.seals.seal(&binding, nonce);
        assert_eq!(self.seals.open(&value), Some(binding));
        assert_eq!(self.seals.open(&value.to_ascii_lowercase()), Some(binding));
        let at = usize::from(input[0]) % VALUE_BYTES;
        value[at] = if value[at] == b'0' { b'1' } else { b'0' };
        assert_eq!(self.seals.open(&value), None);
    }
}
