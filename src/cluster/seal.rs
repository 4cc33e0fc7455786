//! Datagrams between nodes, sealed by the secret that they share.
//!
//! ```text
//! version 1 | key id 4 | nonce 12 | AES-256-GCM-SIV of record and piece | tag 16
//! record: node 4, start 8, sequence 8, wall clock 8
//! piece:  message 4, index 1, count 1, its bytes
//! ```
//!
//! All numbers are big-endian; version, key id and nonce are authenticated too. Nodes agree on no
//! nonces: they are random, and this cipher shows no more than that two datagrams are the same if
//! one comes twice, as in a machine that was put back to an earlier moment.
//!
//! Not here: sockets, the clock, where nonces come from, and what messages say. Invariants: a piece
//! that was opened was sealed by who has the secret, within [`CLOCK_SKEW_MS_MAX`] of now, and is
//! opened once; what is refused changes nothing.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};

use super::pieces::{self, Piece};
use super::{Refusal, Secret, Secrets};
use crate::limits::{CLOCK_SKEW_MS_MAX, GOSSIP_DATAGRAM_BYTES_MAX, PEERS_MAX, REPLAY_WINDOW};

/// What datagrams of this form begin with. A node that knows another form refuses this one.
const VERSION: u8 = 1;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

const KEY_ID_BYTES: usize = 4;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
const RECORD_BYTES: usize = 28;
const TAG_BYTES: usize = 16;

/// What a datagram has beside the bytes of its piece.
pub(super) const OVERHEAD_BYTES: usize =
    HEADER_BYTES + RECORD_BYTES + pieces::HEADER_BYTES + TAG_BYTES;

/// How long a node is remembered that is not heard. By then the clock refuses whatever it has
/// sealed before, so that nothing can come twice; and one whose clock was put back is heard again.
const REMEMBERED_MS: u64 = 2 * CLOCK_SKEW_MS_MAX;

/// Who has sealed a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sender {
    /// Its number, which comes of its name.
    pub node: u32,
    /// When it was started, in milliseconds since 1970 by its own clock: a later start is another
    /// sender, whose sequence begins anew.
    pub boot_ms: u64,
}

/// Seals what one node has to say.
#[derive(Debug)]
pub struct Sealer {
    key: Key,
    sender: Sender,
    sequence: u64,
}

impl Sealer {
    /// By the first of the secrets. A sender has one of these in its life.
    pub fn new(secrets: &Secrets, sender: Sender) -> Self {
        Self {
            key: Key::of(secrets.first()),
            sender,
            sequence: 0,
        }
    }

    /// The datagram that carries this piece, of at most [`GOSSIP_DATAGRAM_BYTES_MAX`] bytes.
    /// `now_ms` is in milliseconds since 1970; the nonce must be fresh and random.
    pub fn seal(&mut self, piece: &Piece<'_>, now_ms: u64, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        self.sequence += 1;
        let record = Record {
            sender: self.sender,
            sequence: self.sequence,
            wall_ms: now_ms,
        };
        let mut datagram = Vec::with_capacity(GOSSIP_DATAGRAM_BYTES_MAX);
        datagram.push(VERSION);
        datagram.extend_from_slice(&self.key.id);
        datagram.extend_from_slice(&nonce);
        datagram.extend_from_slice(&record.to_bytes());
        piece.write(&mut datagram);
        let (header, plain) = datagram.split_at_mut(HEADER_BYTES);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .cipher
            .seal_in_place_separate_tag(nonce, Aad::from(&*header), plain)
            .expect("a datagram is far below the cipher's bound");
        datagram.extend_from_slice(tag.as_ref());
        datagram
    }
}

/// Opens what other nodes have sealed, each once.
#[derive(Debug)]
pub struct Opener {
    keys: Vec<Key>,
    own: Sender,
    /// By the number of the node; at most [`PEERS_MAX`].
    heard: BTreeMap<u32, Heard>,
    /// What was opened last.
    plain: Vec<u8>,
}

/// What a datagram says.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'o> {
    /// Who has sealed it.
    pub sender: Sender,
    /// A message, or a part of one.
    pub piece: Piece<'o>,
}

impl Opener {
    /// By all of the secrets, for this node, which does not listen to itself.
    pub fn new(secrets: &Secrets, own: Sender) -> Self {
        Self {
            keys: secrets.iter().map(Key::of).collect(),
            own,
            heard: BTreeMap::new(),
            plain: Vec::new(),
        }
    }

    /// Opens a datagram that came at `now_ms`, in milliseconds since 1970.
    ///
    /// # Errors
    /// Why it is not to be listened to.
    pub fn open(&mut self, datagram: &[u8], now_ms: u64) -> Result<Opened<'_>, Refusal> {
        if datagram.len() > GOSSIP_DATAGRAM_BYTES_MAX {
            return Err(Refusal::Long);
        }
        if datagram.len() < OVERHEAD_BYTES {
            return Err(Refusal::Short);
        }
        if datagram[0] != VERSION {
            return Err(Refusal::Version);
        }
        self.decrypt(datagram)?;
        let (record, piece) = self.plain.split_first_chunk().ok_or(Refusal::Malformed)?;
        let record = Record::from_bytes(record);
        // Judged before it is read: what comes again is not malformed.
        let verdict = judge(&mut self.heard, self.own, &record, now_ms);
        verdict?;
        let piece = Piece::read(piece).ok_or(Refusal::Malformed)?;
        Ok(Opened {
            sender: record.sender,
            piece,
        })
    }

    /// Leaves what was sealed in `plain`.
    fn decrypt(&mut self, datagram: &[u8]) -> Result<(), Refusal> {
        let (header, sealed) = datagram.split_at(HEADER_BYTES);
        let (sealed, tag) = sealed.split_at(sealed.len() - TAG_BYTES);
        let (id, nonce) = header[1..].split_at(KEY_ID_BYTES);
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().expect("the rest of the header");
        self.plain.resize(sealed.len(), 0);
        let mut refusal = Refusal::UnknownKey;
        for key in self.keys.iter().filter(|key| key.id == id) {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let aad = Aad::from(header);
            let plain = &mut self.plain;
            match key
                .cipher
                .open_separate_gather(nonce, aad, sealed, tag, plain)
            {
                Ok(()) => return Ok(()),
                Err(_) => refusal = Refusal::Forged,
            }
        }
        Err(refusal)
    }
}

/// Whether a record of this node or another is to be heard now; if so, it never is again.
fn judge(
    heard: &mut BTreeMap<u32, Heard>,
    own: Sender,
    record: &Record,
    now_ms: u64,
) -> Result<(), Refusal> {
    let Sender { node, boot_ms } = record.sender;
    if node == own.node {
        let is_this = boot_ms == own.boot_ms;
        return Err(if is_this {
            Refusal::Own
        } else {
            Refusal::Namesake
        });
    }
    let known = heard.get_mut(&node).filter(|known| known.is_fresh(now_ms));
    if let Some(known) = &known
        && boot_ms == known.boot_ms
        && !known.window.is_new(record.sequence)
    {
        return Err(Refusal::Replayed);
    }
    // Before the start, which is older too if the clock is behind: that is what is to be told.
    if record.wall_ms.abs_diff(now_ms) > CLOCK_SKEW_MS_MAX {
        let off_ms = i128::from(record.wall_ms) - i128::from(now_ms);
        return Err(Refusal::Clock { node, off_ms });
    }
    if known.as_ref().is_some_and(|known| boot_ms < known.boot_ms) {
        return Err(Refusal::OlderStart);
    }
    match known {
        Some(known) if boot_ms == known.boot_ms => {
            known.window.mark(record.sequence);
            known.last_ms = now_ms;
        }
        Some(known) => *known = Heard::new(record, now_ms),
        None => {
            if heard.len() >= PEERS_MAX {
                heard.retain(|_, known| known.is_fresh(now_ms));
            }
            if heard.len() >= PEERS_MAX && !heard.contains_key(&node) {
                return Err(Refusal::Crowded);
            }
            heard.insert(node, Heard::new(record, now_ms));
        }
    }
    Ok(())
}

/// What is made of one secret for datagrams.
#[derive(Debug)]
struct Key {
    /// Tells which secret opens a datagram; of two with the same, both are tried.
    id: [u8; KEY_ID_BYTES],
    cipher: LessSafeKey,
}

impl Key {
    fn of(secret: &Secret) -> Self {
        let bytes: [u8; 32] = secret.derive("elbow datagram key 1");
        let cipher = UnboundKey::new(&AES_256_GCM_SIV, &bytes).expect("32 bytes are a key");
        Self {
            id: secret.derive("elbow datagram key id 1"),
            cipher: LessSafeKey::new(cipher),
        }
    }
}

/// What every datagram says of itself.
#[derive(Debug, Clone, Copy)]
struct Record {
    sender: Sender,
    /// From 1, another one for each datagram of the sender.
    sequence: u64,
    /// When it was sealed, in milliseconds since 1970 by the sender's clock.
    wall_ms: u64,
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..4].copy_from_slice(&self.sender.node.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.sender.boot_ms.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[20..].copy_from_slice(&self.wall_ms.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Self {
        let number = |from: usize, width: usize| {
            let bytes = &bytes[from..from + width];
            bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        Self {
            sender: Sender {
                node: u32::try_from(number(0, 4)).expect("four bytes"),
                boot_ms: number(4, 8),
            },
            sequence: number(12, 8),
            wall_ms: number(20, 8),
        }
    }
}

/// A node since its latest start.
#[derive(Debug)]
struct Heard {
    boot_ms: u64,
    /// When it was heard last, by this node's clock.
    last_ms: u64,
    window: Window,
}

impl Heard {
    fn new(record: &Record, now_ms: u64) -> Self {
        let mut window = Window::default();
        window.mark(record.sequence);
        Self {
            boot_ms: record.sender.boot_ms,
            last_ms: now_ms,
            window,
        }
    }

    fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) <= REMEMBERED_MS
    }
}

/// Which numbers of a sequence have come: of the latest [`REPLAY_WINDOW`] each, and of those before
/// them all count as if they had.
#[derive(Debug, Default)]
struct Window {
    /// The highest that has come.
    top: u64,
    /// A bit for each of the latest, at its number modulo their count.
    come: [u64; REPLAY_WINDOW / 64],
}

impl Window {
    fn is_new(&self, number: u64) -> bool {
        match self.top.checked_sub(number) {
            None => true,
            Some(behind) if behind >= REPLAY_WINDOW as u64 => false,
            Some(_) => {
                let (word, bit) = Self::place(number);
                self.come[word] & bit == 0
            }
        }
    }

    fn mark(&mut self, number: u64) {
        let ahead = number.saturating_sub(self.top);
        if ahead >= REPLAY_WINDOW as u64 {
            self.come.fill(0);
        } else {
            for skipped in self.top..number {
                let (word, bit) = Self::place(skipped + 1);
                self.come[word] &= !bit;
            }
        }
        self.top = self.top.max(number);
        let (word, bit) = Self::place(number);
        self.come[word] |= bit;
    }

    fn place(number: u64) -> (usize, u64) {
        let place = usize::try_from(number % REPLAY_WINDOW as u64).expect("below a small bound");
        (place / 64, 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests;
