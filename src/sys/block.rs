//! Blocks: the buffers that the ring reads into and sends from, and the shard's pool of them.
//!
//! Not a byte queue: a block holds one run of received or composed bytes, `start..end`, with free
//! room on both sides. Invariant: `start <= end <= capacity`, and `start..end` is initialised.
//!
//! A block is owned by whoever works with it and moves into an operation of the ring and back, so
//! the kernel never writes to memory that someone else holds. In the end it goes back to where it
//! came from ([`Blocks::put`]), by which those in use are counted.

use std::cell::{Cell, RefCell};
use std::mem::{self, MaybeUninit};

use monoio::buf::{IoBuf, IoBufMut};

use crate::limits::{
    BULK_BLOCK_BYTES, BULK_BLOCKS_MAX, FREE_BLOCKS_KEPT_BYTES, FREE_BULK_BLOCKS, FREE_IDLE_BLOCKS,
    FREE_RELAY_BLOCKS, IDLE_BLOCK_BYTES, RELAY_BLOCK_BYTES, RELAY_BLOCKS_MAX, RELAY_HEADROOM_BYTES,
};

/// A heap buffer with one run of bytes in it.
#[derive(Debug)]
pub struct Block {
    memory: Box<[MaybeUninit<u8>]>,
    start: usize,
    end: usize,
}

/// A place in a block, see [`Block::mark`].
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    start: usize,
    end: usize,
}

impl Block {
    /// An empty block of `capacity` bytes, not zeroed.
    fn with_capacity(capacity: usize) -> Self {
        Self {
            memory: Box::new_uninit_slice(capacity),
            start: 0,
            end: 0,
        }
    }

    /// The bytes in the block.
    #[expect(
        unsafe_code,
        reason = "a view of initialised memory that the block owns"
    )]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start..end` is initialised (module invariant).
        unsafe { self.memory[self.start..self.end].assume_init_ref() }
    }

    /// The bytes in the block, to be changed in place.
    #[expect(
        unsafe_code,
        reason = "a view of initialised memory that the block owns"
    )]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `start..end` is initialised (module invariant).
        unsafe { self.memory[self.start..self.end].assume_init_mut() }
    }

    /// How many bytes are in the block.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether no byte is in the block.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes that can still be received or appended behind those that are here.
    pub fn room(&self) -> usize {
        self.memory.len() - self.end
    }

    /// Bytes that the block holds in all.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Where the bytes lie, for [`restore`](Self::restore).
    pub fn mark(&self) -> Mark {
        Mark {
            start: self.start,
            end: self.end,
        }
    }

    /// Brings back the bytes that were here at `mark`, which this block has made. What a receive
    /// or an append has written over since is not undone.
    pub fn restore(&mut self, mark: Mark) {
        assert!(mark.end <= self.memory.len(), "a mark of a larger block");
        self.start = mark.start;
        self.end = mark.end;
    }

    /// Throws all bytes away and leaves `headroom` bytes free in front of those to come.
    pub fn clear(&mut self, headroom: usize) {
        assert!(headroom <= self.memory.len(), "headroom beyond the block");
        self.start = headroom;
        self.end = headroom;
    }

    /// Throws the first `count` bytes away.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consumed more than there is");
        self.start += count;
    }

    /// Throws all but the first `count` bytes away.
    pub fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
    }

    /// Moves the bytes to the front of the block, so that the room behind them is largest.
    pub fn compact(&mut self) {
        self.memory.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// Puts `more` behind the bytes that are here.
    ///
    /// # Panics
    /// If there is less [`room`](Self::room) than that.
    pub fn append(&mut self, more: &[u8]) {
        assert!(
            more.len() <= self.room(),
            "appended more than there is room for"
        );
        self.memory[self.end..self.end + more.len()].write_copy_of_slice(more);
        self.end += more.len();
    }

    /// Replaces the first `old_bytes` bytes by `head`, growing into the room in front; what follows
    /// them stays where it is, or moves into the room behind if that in front is not enough. False,
    /// with nothing changed, if both together are not: see [`Blocks::replace_front`].
    #[must_use]
    pub fn replace_front(&mut self, old_bytes: usize, head: &[u8]) -> bool {
        assert!(old_bytes <= self.len(), "replaced more than there is");
        let mut seam = self.start + old_bytes;
        if seam < head.len() {
            let end = head.len() + (self.end - seam);
            if end > self.memory.len() {
                return false;
            }
            self.memory.copy_within(seam..self.end, head.len());
            seam = head.len();
            self.end = end;
        }
        self.start = seam - head.len();
        self.memory[self.start..seam].write_copy_of_slice(head);
        true
    }
}

/// A block as the source of a send: its bytes.
pub(super) struct Outgoing(pub(super) Block);

#[expect(unsafe_code, reason = "monoio's buffer trait is unsafe to implement")]
// SAFETY: the pointer is to heap memory that does not move when the value does, and
// `start..end` is initialised.
unsafe impl IoBuf for Outgoing {
    fn read_ptr(&self) -> *const u8 {
        self.0.bytes().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.len()
    }
}

/// A block as the target of a receive: up to `limit` bytes of its room.
pub(super) struct Incoming {
    pub(super) block: Block,
    pub(super) limit: usize,
}

#[expect(unsafe_code, reason = "monoio's buffer trait is unsafe to implement")]
// SAFETY: the pointer is to heap memory that does not move when the value does;
// `end..end + bytes_total` lies within the allocation.
unsafe impl IoBufMut for Incoming {
    fn write_ptr(&mut self) -> *mut u8 {
        let end = self.block.end;
        self.block.memory[end..].as_mut_ptr().cast()
    }

    fn bytes_total(&mut self) -> usize {
        self.block.room().min(self.limit)
    }

    #[expect(unsafe_code, reason = "monoio's buffer trait has an unsafe method")]
    unsafe fn set_init(&mut self, received: usize) {
        // Called once per receive with the count that the kernel wrote at `write_ptr`.
        assert!(
            received <= self.block.room(),
            "the kernel wrote past the block"
        );
        self.block.end += received;
    }
}

/// The shard's free blocks: last in, first out, so that few blocks stay warm in the cache.
#[derive(Debug)]
pub struct Blocks {
    idle: RefCell<Free>,
    relay: RefCell<Free>,
    bulk: RefCell<Free>,
    relay_in_use: Cell<usize>,
    bulk_in_use: Cell<usize>,
}

/// Free blocks of one kind.
#[derive(Debug)]
struct Free {
    blocks: Vec<Block>,
    block_bytes: usize,
    /// Most blocks that are kept.
    bound: usize,
    /// The fewest that were free since the last [`Blocks::trim`]: so many were not needed.
    least: usize,
}

impl Default for Blocks {
    fn default() -> Self {
        let free = |block_bytes, bound| {
            RefCell::new(Free {
                blocks: Vec::new(),
                block_bytes,
                bound,
                least: 0,
            })
        };
        Self {
            idle: free(IDLE_BLOCK_BYTES, FREE_IDLE_BLOCKS),
            relay: free(RELAY_BLOCK_BYTES, FREE_RELAY_BLOCKS),
            bulk: free(BULK_BLOCK_BYTES, FREE_BULK_BLOCKS),
            relay_in_use: Cell::new(0),
            bulk_in_use: Cell::new(0),
        }
    }
}

impl Blocks {
    /// A small block, for the head of a request that may never come; no headroom.
    pub fn idle(&self) -> Block {
        self.idle.borrow_mut().take()
    }

    /// A large block with [`RELAY_HEADROOM_BYTES`] of headroom, for what has begun and goes on.
    pub fn relay(&self) -> Block {
        let mut block = self.lend(RELAY_BLOCK_BYTES);
        block.clear(RELAY_HEADROOM_BYTES);
        block
    }

    /// The same, for what is about to begin; `None` from [`RELAY_BLOCKS_MAX`] in use on.
    pub fn try_relay(&self) -> Option<Block> {
        (self.relay_in_use.get() < RELAY_BLOCKS_MAX).then(|| self.relay())
    }

    /// How many large blocks are in use.
    pub fn relay_in_use(&self) -> usize {
        self.relay_in_use.get()
    }

    /// The smallest kind of block that can hold `bytes`, with those in it.
    ///
    /// # Panics
    /// If there are more than [`BULK_BLOCK_BYTES`].
    pub fn holding(&self, bytes: &[u8]) -> Block {
        let mut block = self.lend(bytes.len());
        block.append(bytes);
        block
    }

    /// A block for a body that has much to come: one of the largest kind if fewer than
    /// [`BULK_BLOCKS_MAX`] are in use, else the same. What was in it is gone.
    pub fn larger(&self, mut block: Block) -> Block {
        block.clear(0);
        let is_bulk = block.capacity() >= BULK_BLOCK_BYTES;
        if is_bulk || !self.may_lend(BULK_BLOCK_BYTES) {
            return block;
        }
        self.put(block);
        self.lend(BULK_BLOCK_BYTES)
    }

    /// [`Block::replace_front`]; if the block is too small, its bytes move to one that is not.
    /// False, with nothing changed, if none can be had: the bytes are more than
    /// [`BULK_BLOCK_BYTES`], or [`BULK_BLOCKS_MAX`] are in use.
    #[must_use]
    pub fn replace_front(&self, block: &mut Block, old_bytes: usize, head: &[u8]) -> bool {
        if block.replace_front(old_bytes, head) {
            return true;
        }
        let rest = &block.bytes()[old_bytes..];
        let length = head.len() + rest.len();
        if !self.may_lend(length) {
            return false;
        }
        let mut larger = self.lend(length);
        larger.append(head);
        larger.append(rest);
        self.put(mem::replace(block, larger));
        true
    }

    /// Whether [`replace_front`](Self::replace_front) would do with so many new bytes.
    pub fn can_replace_front(&self, block: &Block, old_bytes: usize, new_bytes: usize) -> bool {
        let length = block.len() - old_bytes + new_bytes;
        length <= block.capacity() || self.may_lend(length)
    }

    /// Takes a block back; beyond the bounds it goes to the allocator.
    pub fn put(&self, block: Block) {
        if let Some(in_use) = self.in_use(block.capacity()) {
            in_use.set(in_use.get() - 1);
        }
        let mut free = self.kind(block.capacity()).borrow_mut();
        if free.blocks.len() < free.bound {
            free.blocks.push(block);
        }
    }

    /// Whether there is a block for so many bytes within the bounds.
    fn may_lend(&self, bytes: usize) -> bool {
        bytes <= RELAY_BLOCK_BYTES
            || (bytes <= BULK_BLOCK_BYTES && self.bulk_in_use.get() < BULK_BLOCKS_MAX)
    }

    fn lend(&self, bytes: usize) -> Block {
        let block = self.kind(bytes).borrow_mut().take();
        if let Some(in_use) = self.in_use(block.capacity()) {
            in_use.set(in_use.get() + 1);
        }
        block
    }

    /// How many blocks of that size are in use; idle ones are as many as connections.
    fn in_use(&self, capacity: usize) -> Option<&Cell<usize>> {
        match capacity {
            BULK_BLOCK_BYTES => Some(&self.bulk_in_use),
            RELAY_BLOCK_BYTES => Some(&self.relay_in_use),
            _ => None,
        }
    }

    /// Gives half of the blocks that were not needed since the last call back to the allocator,
    /// down to [`FREE_BLOCKS_KEPT_BYTES`] of each kind: what a burst took is not kept for ever.
    pub fn trim(&self) {
        for free in [&self.idle, &self.relay, &self.bulk] {
            free.borrow_mut().trim();
        }
    }

    fn kind(&self, bytes: usize) -> &RefCell<Free> {
        if bytes <= IDLE_BLOCK_BYTES {
            &self.idle
        } else if bytes <= RELAY_BLOCK_BYTES {
            &self.relay
        } else {
            &self.bulk
        }
    }
}

impl Free {
    /// The block that came back last, or a new one; empty either way.
    fn take(&mut self) -> Block {
        let reused = self.blocks.pop();
        self.least = self.least.min(self.blocks.len());
        let mut block = reused.unwrap_or_else(|| Block::with_capacity(self.block_bytes));
        block.clear(0);
        block
    }

    fn trim(&mut self) {
        let kept = FREE_BLOCKS_KEPT_BYTES / self.block_bytes;
        let surplus = self.least.min(self.blocks.len().saturating_sub(kept));
        // The front has the blocks that have been free for longest.
        self.blocks.drain(..surplus.div_ceil(2));
        self.least = self.blocks.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(capacity: usize, headroom: usize, bytes: &[u8]) -> Block {
        let mut block = Block::with_capacity(capacity);
        block.clear(headroom);
        block.append(bytes);
        block
    }

    #[test]
    fn a_longer_head_grows_into_the_headroom_and_the_body_stays() {
        let mut block = block(64, 8, b"old-head|body");
        assert!(block.replace_front(8, b"a-longer-head"));
        assert_eq!(block.bytes(), b"a-longer-head|body");
    }

    #[test]
    fn a_shorter_head_moves_up_to_the_body() {
        let mut block = block(64, 8, b"old-head|body");
        assert!(block.replace_front(8, b"new"));
        assert_eq!(block.bytes(), b"new|body");
    }

    #[test]
    fn a_head_beyond_the_headroom_moves_the_body_back() {
        let mut block = block(16, 2, b"head|body");
        assert!(block.replace_front(4, b"0123456"));
        assert_eq!(block.bytes(), b"0123456|body");
        assert_eq!(block.room(), 4);
        assert!(block.replace_front(7, b"01234567890"));
        assert_eq!(block.bytes(), b"01234567890|body");
        assert_eq!(block.room(), 0);
    }

    #[test]
    fn a_head_that_the_block_cannot_hold_changes_nothing() {
        let mut block = block(16, 2, b"head|body");
        assert!(!block.replace_front(4, b"012345678901"));
        assert_eq!(block.bytes(), b"head|body");
        assert_eq!(block.room(), 5);
    }

    #[test]
    fn a_head_that_the_block_cannot_hold_moves_the_bytes_to_a_larger_one() {
        let blocks = Blocks::default();
        let body = vec![b'x'; RELAY_BLOCK_BYTES - RELAY_HEADROOM_BYTES - 4];
        let mut block = blocks.relay();
        block.append(b"head");
        block.append(&body);
        let head = vec![b'h'; RELAY_HEADROOM_BYTES + 5];
        assert!(blocks.replace_front(&mut block, 4, &head));
        assert_eq!(block.capacity(), BULK_BLOCK_BYTES);
        assert_eq!(block.bytes(), [head, body].concat());
        assert_eq!(blocks.relay.borrow().blocks.len(), 1, "the other came back");
    }

    #[test]
    fn a_head_that_no_block_can_hold_changes_nothing() {
        let blocks = Blocks::default();
        let mut block = blocks.relay();
        block.append(b"head|body");
        let too_long = vec![b'h'; BULK_BLOCK_BYTES - 4];
        assert!(!blocks.can_replace_front(&block, 4, too_long.len()));
        assert!(!blocks.replace_front(&mut block, 4, &too_long));
        blocks.bulk_in_use.set(BULK_BLOCKS_MAX);
        assert!(!blocks.replace_front(&mut block, 4, &too_long[1..]));
        assert_eq!(block.bytes(), b"head|body");
        blocks.bulk_in_use.set(BULK_BLOCKS_MAX - 1);
        assert!(blocks.replace_front(&mut block, 4, &too_long[1..]));
        assert_eq!(block.len(), BULK_BLOCK_BYTES);
    }

    #[test]
    fn nothing_begins_once_the_large_blocks_are_in_use_and_what_has_begun_goes_on() {
        let blocks = Blocks::default();
        blocks.relay_in_use.set(RELAY_BLOCKS_MAX - 1);
        let last = blocks.try_relay().expect("one is left");
        assert!(blocks.try_relay().is_none());
        let going_on = blocks.relay();
        assert_eq!(blocks.relay_in_use(), RELAY_BLOCKS_MAX + 1);
        blocks.put(last);
        blocks.put(going_on);
        assert!(blocks.try_relay().is_some());
    }

    #[test]
    fn consume_compact_and_append_keep_the_order_of_bytes() {
        let mut block = block(16, 4, b"abcdef");
        block.consume(2);
        block.compact();
        assert_eq!(block.room(), 12);
        block.append(b"gh");
        assert_eq!(block.bytes(), b"cdefgh");
        block.truncate(3);
        assert_eq!(block.bytes(), b"cde");
        block.bytes_mut()[0] = b'C';
        assert_eq!(block.bytes(), b"Cde");
    }

    #[test]
    #[should_panic(expected = "room")]
    fn more_than_the_room_is_refused() {
        block(4, 0, b"abcd").append(b"e");
    }

    #[test]
    fn a_receive_lands_behind_the_bytes_and_within_the_limit() {
        let mut incoming = Incoming {
            block: block(16, 2, b"ab"),
            limit: 3,
        };
        assert_eq!(incoming.bytes_total(), 3);
        incoming.block.memory[4..7].write_copy_of_slice(b"xyz");
        #[expect(unsafe_code, reason = "plays the kernel's part")]
        // SAFETY: three bytes were written behind those in the block.
        unsafe {
            incoming.set_init(3);
        }
        assert_eq!(incoming.block.bytes(), b"abxyz");
    }

    #[test]
    fn a_body_moves_to_the_largest_kind_and_stays_there() {
        let blocks = Blocks::default();
        let bulk = blocks.larger(blocks.relay());
        assert_eq!((bulk.capacity(), bulk.len()), (BULK_BLOCK_BYTES, 0));
        let memory = bulk.memory.as_ptr();
        assert_eq!(blocks.larger(bulk).memory.as_ptr(), memory);
    }

    #[test]
    fn large_blocks_in_use_are_bounded() {
        let blocks = Blocks::default();
        let larger = || blocks.larger(blocks.relay());
        let mut in_use: Vec<_> = (0..BULK_BLOCKS_MAX).map(|_| larger()).collect();
        assert!(
            in_use
                .iter()
                .all(|block| block.capacity() == BULK_BLOCK_BYTES)
        );
        assert_eq!(
            larger().capacity(),
            RELAY_BLOCK_BYTES,
            "the same block comes back"
        );
        blocks.put(in_use.pop().unwrap());
        assert_eq!(larger().capacity(), BULK_BLOCK_BYTES);
    }

    #[test]
    fn what_a_burst_took_is_given_back_and_what_is_in_use_is_not() {
        let blocks = Blocks::default();
        let burst: Vec<_> = (0..200).map(|_| blocks.relay()).collect();
        burst.into_iter().for_each(|block| blocks.put(block));
        let free = || blocks.relay.borrow().blocks.len();
        blocks.trim();
        assert_eq!(free(), 200, "all were in use since the last look");
        let in_use: Vec<_> = (0..150).map(|_| blocks.relay()).collect();
        in_use.into_iter().for_each(|block| blocks.put(block));
        blocks.trim();
        assert_eq!(free(), 175, "half of the 50 that were not needed");
        for _ in 0..20 {
            blocks.trim();
        }
        assert_eq!(free(), FREE_BLOCKS_KEPT_BYTES / RELAY_BLOCK_BYTES);
    }

    #[test]
    fn the_pool_hands_out_the_block_that_came_back_last() {
        let blocks = Blocks::default();
        let (first, second) = (blocks.relay(), blocks.relay());
        let last = second.memory.as_ptr();
        blocks.put(first);
        blocks.put(second);
        assert_eq!(blocks.relay().memory.as_ptr(), last);
    }
}
