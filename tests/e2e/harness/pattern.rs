//! Long streams of bytes that are nowhere like what is near them: what is lost, doubled or moved on
//! its way shows, and where.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::LazyLock;

/// A prime: no repetition within blocks, pipes or segments falls together with this one.
const PATTERN_BYTES: usize = 1_000_003;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..PATTERN_BYTES).map(|_| next()).collect()
});

/// Sends that part of the endless pattern.
pub(crate) fn send_pattern(stream: &mut TcpStream, part: Range<usize>) {
    let mut position = part.start;
    while position < part.end {
        let piece = pattern(position..part.end);
        stream.write_all(piece).expect("the stream is taken");
        position += piece.len();
    }
}

/// Reads that part, to its last byte and no further.
pub(crate) fn expect_pattern(stream: &mut TcpStream, part: Range<usize>) {
    let mut block = vec![0; 256 * 1024];
    let mut position = part.start;
    while position < part.end {
        let wanted = block.len().min(part.end - position);
        let count = stream
            .read(&mut block[..wanted])
            .expect("the stream goes on");
        assert!(count > 0, "the stream ends at {position}");
        let mut read = &block[..count];
        while !read.is_empty() {
            let piece = pattern(position..position + read.len());
            assert!(read[..piece.len()] == *piece, "other bytes at {position}");
            position += piece.len();
            read = &read[piece.len()..];
        }
    }
}

/// The beginning of that part, as long as it lies in one piece.
pub(crate) fn pattern(part: Range<usize>) -> &'static [u8] {
    let rest = &PATTERN[part.start % PATTERN_BYTES..];
    &rest[..rest.len().min(part.len())]
}
