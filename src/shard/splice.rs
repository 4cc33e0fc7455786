//! One direction of a relayed connection at bulk speed: bytes pass through a pipe and are never
//! copied.
//!
//! Not for small messages, which cost less in blocks, and not for TLS. Invariants: a pipe is held
//! only while bytes are in it, so a stream that waits for more holds nothing; no call ever waits,
//! as both connections were told not to block; what is in a pipe is sent, or the connection is over.

use std::io;

use super::Shard;
use crate::limits::RELAY_BLOCK_BYTES;
use crate::state::Count;
use crate::sys::{Pipe, Stream};

/// A stream that brings less than this at a time...
const SMALL_BYTES: usize = RELAY_BLOCK_BYTES / 4;

/// ...so many times in a row does as well in blocks.
const SMALL_IN_A_ROW: u32 = 2;

/// Why a stream is not spliced any further.
#[derive(Debug)]
pub(super) enum Stop {
    /// What comes is small now, or must be received another way.
    Small,
    /// No pipe is to be had, or the kernel does not splice.
    NoPipe,
    /// The direction is over.
    End(End),
}

/// How a direction of a relayed connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Whoever sends has said that it is done, and all of it was passed on.
    Done,
    /// Receiving failed.
    Receiving,
    /// Sending failed.
    Sending,
}

/// Moves bytes one way until there is a reason to stop, at the pace of `to`. `on_progress` is
/// called for whatever moved on either side.
pub(super) async fn splice(
    shard: &Shard,
    from: &Stream,
    to: &Stream,
    passed: &Count,
    on_progress: impl Fn(),
) -> Stop {
    let counts = shard.counts();
    let unblocked = || from.unblock().and_then(|()| to.unblock());
    if counts.splice_refused.value() > 0 || unblocked().is_err() {
        return Stop::NoPipe;
    }
    let mut small = 0;
    while small < SMALL_IN_A_ROW {
        if from.readable().await.is_err() {
            return Stop::End(End::Receiving);
        }
        let Ok(mut pipe) = shard.pipes.take() else {
            counts.pipes_short.add(1);
            return Stop::NoPipe;
        };
        let filled = pipe.fill(from);
        let drained = match filled {
            Ok(1..) => {
                on_progress();
                drain(&mut pipe, to, |count| {
                    passed.add(count);
                    counts.spliced.add(count);
                    on_progress();
                })
                .await
            }
            _ => Ok(()),
        };
        shard.pipes.put(pipe);
        match filled {
            _ if drained.is_err() => return Stop::End(End::Sending),
            Ok(0) => return Stop::End(End::Done),
            Ok(count) if count < SMALL_BYTES => small += 1,
            Ok(_) => small = 0,
            // An urgent byte is in the way, which a receive passes over.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Stop::Small,
            Err(error) if is_refusal(&error) => {
                tracing::warn!(%error, "the kernel does not splice: streams are copied");
                counts.splice_refused.set(1);
                return Stop::NoPipe;
            }
            Err(_) => return Stop::End(End::Receiving),
        }
    }
    Stop::Small
}

/// Sends all that is in the pipe.
async fn drain(pipe: &mut Pipe, to: &Stream, on_sent: impl Fn(u64)) -> io::Result<()> {
    while !pipe.is_empty() {
        match pipe.drain(to) {
            Ok(count) => on_sent(count as u64),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the kernel, or a filter before it, does not do this at all. Connections themselves fail
/// otherwise.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EACCES | libc::EOPNOTSUPP)
    )
}
