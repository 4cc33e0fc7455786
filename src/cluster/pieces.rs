//! Messages that are longer than a datagram: cut into pieces, and joined again from them.
//!
//! Not here: seals, and what a message says. Invariants: a message comes out whole, as it went in,
//! or not at all; however many pieces come and never the rest, what is kept has a bound.

use std::collections::VecDeque;

use super::Sender;
use super::seal::OVERHEAD_BYTES;
use crate::limits::{
    GOSSIP_DATAGRAM_BYTES_MAX, GOSSIP_MESSAGE_BYTES_MAX, HALF_MESSAGE_MS_MAX, HALF_MESSAGES_MAX,
    HALF_MESSAGES_PER_NODE_MAX,
};

/// Bytes of message number, index and count.
pub(super) const HEADER_BYTES: usize = 6;

/// Bytes of a message in each piece but the last.
const PIECE_BYTES: usize = GOSSIP_DATAGRAM_BYTES_MAX - OVERHEAD_BYTES;

/// Pieces of the longest message.
const PIECES_MAX: usize = GOSSIP_MESSAGE_BYTES_MAX.div_ceil(PIECE_BYTES);

const _: () = assert!(PIECES_MAX <= 64, "which pieces have come fits one word");

/// A message, or a part of one that does not fit a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Which message of its sender it belongs to; begins anew after 2^32 of them.
    message: u32,
    /// From 0.
    index: u8,
    /// How many there are of the message: at least one, and at most [`PIECES_MAX`].
    count: u8,
    /// [`PIECE_BYTES`], and of the last piece at most as many.
    bytes: &'a [u8],
}

/// Cuts a message; `None`: it is longer than [`GOSSIP_MESSAGE_BYTES_MAX`]. `number` is another one
/// for each message of a sender.
pub fn cut(number: u32, message: &[u8]) -> Option<impl Iterator<Item = Piece<'_>>> {
    if message.len() > GOSSIP_MESSAGE_BYTES_MAX {
        return None;
    }
    let count = message.len().div_ceil(PIECE_BYTES).max(1);
    let count = u8::try_from(count).expect("a word's bits are enough");
    Some((0..count).map(move |index| {
        let start = usize::from(index) * PIECE_BYTES;
        let end = message.len().min(start + PIECE_BYTES);
        Piece {
            message: number,
            index,
            count,
            bytes: &message[start..end],
        }
    }))
}

impl<'a> Piece<'a> {
    /// Appends it as it is sent.
    pub(super) fn write(&self, datagram: &mut Vec<u8>) {
        datagram.extend_from_slice(&self.message.to_be_bytes());
        datagram.extend_from_slice(&[self.index, self.count]);
        datagram.extend_from_slice(self.bytes);
    }

    /// Reads one; `None`: it is none that [`cut`] makes.
    pub(super) fn read(plain: &'a [u8]) -> Option<Self> {
        let (message, rest) = plain.split_first_chunk()?;
        let (&[index, count], bytes) = rest.split_first_chunk()?;
        let is_last = index.checked_add(1)? == count;
        let length_fits = match is_last {
            true => bytes.len() <= PIECE_BYTES && (count == 1 || !bytes.is_empty()),
            false => bytes.len() == PIECE_BYTES,
        };
        let end = usize::from(index) * PIECE_BYTES + bytes.len();
        let fits = index < count
            && usize::from(count) <= PIECES_MAX
            && length_fits
            && end <= GOSSIP_MESSAGE_BYTES_MAX;
        fits.then_some(Self {
            message: u32::from_be_bytes(*message),
            index,
            count,
            bytes,
        })
    }
}

/// The messages of which some pieces have come, and not yet all.
#[derive(Debug, Default)]
pub struct Joiner {
    /// That which began first in front.
    halves: VecDeque<Half>,
    given_up: u64,
}

#[derive(Debug)]
struct Half {
    sender: Sender,
    message: u32,
    count: u8,
    /// A bit for each piece that has come.
    has: u64,
    bytes: Vec<u8>,
    began_ms: u64,
}

impl Joiner {
    /// Adds a piece that came at `now_ms`, in milliseconds since 1970; the message if it is whole
    /// with it. What is too old or too much by now is given up.
    pub fn join(&mut self, sender: Sender, piece: &Piece<'_>, now_ms: u64) -> Option<Vec<u8>> {
        self.give_up_old(now_ms);
        if piece.count == 1 {
            return Some(piece.bytes.to_vec());
        }
        let place = self.place(sender, piece, now_ms);
        let half = &mut self.halves[place];
        half.take(piece);
        if !half.is_whole() {
            return None;
        }
        self.halves.remove(place).map(|whole| whole.bytes)
    }

    /// How many messages began and were given up, as their other pieces did not come.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// How many messages wait for other pieces.
    pub fn waiting(&self) -> usize {
        self.halves.len()
    }

    /// Gives up what has waited too long.
    pub fn give_up_old(&mut self, now_ms: u64) {
        self.retain(|half| now_ms.saturating_sub(half.began_ms) <= HALF_MESSAGE_MS_MAX);
    }

    /// Where the message of this piece is, or from now on will be.
    fn place(&mut self, sender: Sender, piece: &Piece<'_>, now_ms: u64) -> usize {
        let is_same = |half: &Half| half.sender == sender && half.message == piece.message;
        // One with another count is another message, of 2^32 messages ago.
        self.retain(|half| !is_same(half) || half.count == piece.count);
        if let Some(place) = self.halves.iter().position(is_same) {
            return place;
        }
        let is_of_node = |half: &Half| half.sender.node == sender.node;
        let of_node = self.halves.iter().filter(|half| is_of_node(half)).count();
        let crowding = match of_node < HALF_MESSAGES_PER_NODE_MAX {
            true if self.halves.len() < HALF_MESSAGES_MAX => None,
            true => Some(0),
            false => self.halves.iter().position(is_of_node),
        };
        if let Some(place) = crowding {
            self.halves.remove(place);
            self.given_up += 1;
        }
        self.halves.push_back(Half {
            sender,
            message: piece.message,
            count: piece.count,
            has: 0,
            bytes: Vec::new(),
            began_ms: now_ms,
        });
        self.halves.len() - 1
    }

    fn retain(&mut self, keeps: impl Fn(&Half) -> bool) {
        let before = self.halves.len();
        self.halves.retain(keeps);
        self.given_up += (before - self.halves.len()) as u64;
    }
}

impl Half {
    fn take(&mut self, piece: &Piece<'_>) {
        let start = usize::from(piece.index) * PIECE_BYTES;
        let end = start + piece.bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(piece.bytes);
        self.has |= 1 << piece.index;
    }

    fn is_whole(&self) -> bool {
        self.has.count_ones() == u32::from(self.count)
    }
}

#[cfg(test)]
mod tests;
