//! One direction of a relayed connection at bulk speed: bytes pass through a pipe and are never
//! copied.
//!
//! Not for small messages, which cost less in blocks, and not for TLS. Invariants: a pipe is held
//! only while bytes are in it, so a stream that waits for more holds nothing; no call ever waits,
//! as both connections were told not to block; what is in a pipe is sent, or the connection is
//! over.

use std::io;

use crate::limits::RELAY_BLOCK_BYTES;
use crate::state::ShardLine;
use crate::sys::{Pipe, Pipes, Stream};

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
    /// All was passed on that came, and whoever sent it has closed without that word, which TLS has
    /// for it. Never so where bytes are spliced.
    Unannounced,
    /// Receiving failed.
    Receiving,
    /// Sending failed.
    Sending,
}

/// Moves bytes one way until there is a reason to stop, at the pace of `to`. `passed` counts what
/// was sent, `on_progress` is called for whatever moved on either side.
pub(super) async fn splice(
    pipes: &Pipes,
    counts: &ShardLine,
    from: &Stream,
    to: &Stream,
    passed: impl Fn(u64),
    on_progress: impl Fn(),
) -> Stop {
    let unblocked = || from.unblock().and_then(|()| to.unblock());
    if counts.splice_refused.value() > 0 || unblocked().is_err() {
        return Stop::NoPipe;
    }
    let mut small = 0;
    while small < SMALL_IN_A_ROW {
        if from.readable().await.is_err() {
            return Stop::End(End::Receiving);
        }
        let Ok(mut pipe) = pipes.take() else {
            counts.pipes_short.add(1);
            return Stop::NoPipe;
        };
        let filled = pipe.fill(from);
        let drained = match filled {
            Ok(1..) => {
                on_progress();
                drain(&mut pipe, to, |count| {
                    passed(count);
                    counts.spliced.add(count);
                    on_progress();
                })
                .await
            }
            _ => Ok(()),
        };
        pipes.put(pipe);
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::super::Runtime;
    use super::*;
    use crate::config::Driver;
    use crate::limits::PIPES_MAX;
    use crate::sys::Blocks;

    /// A connection as shards have them on epoll, and its peer.
    fn connection() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nonblocking(true).unwrap();
        let near = monoio::net::TcpStream::from_std(near).unwrap();
        (Stream::new(near), listener.accept().unwrap().0)
    }

    /// Splices while three bytes wait; then nothing was passed on, and they can be received.
    async fn expect_no_pipe(pipes: &Pipes, counts: &ShardLine) {
        let ((from, mut sender), (to, _receiver)) = (connection(), connection());
        sender.write_all(b"abc").unwrap();
        let passed = Cell::new(0);
        let pass = |bytes| passed.set(passed.get() + bytes);
        let stop = splice(pipes, counts, &from, &to, pass, || {}).await;
        assert!(matches!(stop, Stop::NoPipe), "{stop:?}");
        assert_eq!((passed.get(), counts.spliced.value()), (0, 0));
        let (received, block) = from.receive(Blocks::default().idle(), 8).await;
        assert_eq!(received.unwrap(), 3);
        assert_eq!(block.bytes(), b"abc");
    }

    #[test]
    fn where_all_pipes_are_in_use_blocks_go_on_and_it_is_counted() {
        let (mut runtime, _) = Runtime::build(Driver::Epoll).unwrap();
        let (pipes, counts) = (Pipes::default(), ShardLine::default());
        let _taken: Vec<Pipe> = (0..PIPES_MAX).map(|_| pipes.take().unwrap()).collect();
        runtime.block_on(expect_no_pipe(&pipes, &counts));
        assert_eq!(counts.pipes_short.value(), 1);
    }

    #[test]
    fn where_splicing_was_refused_it_is_not_tried_again() {
        let (mut runtime, _) = Runtime::build(Driver::Epoll).unwrap();
        let (pipes, counts) = (Pipes::default(), ShardLine::default());
        counts.splice_refused.set(1);
        runtime.block_on(expect_no_pipe(&pipes, &counts));
        assert_eq!(counts.pipes_short.value(), 0);
    }

    #[test]
    fn a_broken_connection_is_no_refusal() {
        for code in [libc::ENOSYS, libc::EPERM, libc::EINVAL] {
            assert!(is_refusal(&io::Error::from_raw_os_error(code)));
        }
        for code in [libc::ECONNRESET, libc::ENOTCONN, libc::ETIMEDOUT] {
            assert!(!is_refusal(&io::Error::from_raw_os_error(code)));
        }
    }
}
