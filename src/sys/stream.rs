//! A TCP connection on the ring: receive, send, connect. With `pipe.rs`, all I/O of the data path.
//!
//! Not a buffer and not a timeout: blocks move through it, deadlines act on the descriptor from
//! outside ([`Stream::descriptor`]). Invariant: no operation is dropped in flight; whoever wants to
//! end one shuts the connection down and the operation completes.

use std::cell::UnsafeCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use monoio::io::{AsyncReadRent, AsyncWriteRent};
use monoio::net::TcpStream;

use super::block::{Block, Incoming, Outgoing};
use super::socket;

/// On epoll what is known of readiness may be out of date, as not all system calls are monoio's:
/// each wait asks the kernel.
const IS_GUESS_ENOUGH: bool = false;

/// A connection that can be received from and sent to at the same time.
#[derive(Debug)]
pub struct Stream(UnsafeCell<TcpStream>);

impl Stream {
    /// Wraps an accepted connection.
    pub fn new(stream: TcpStream) -> Self {
        Self(UnsafeCell::new(stream))
    }

    /// Opens a connection, without Nagle's delay. The caller bounds the time it may take.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    /// Receives at most `limit` bytes behind those in the block. `Ok(0)`: the peer is done.
    pub async fn receive(&self, block: Block, limit: usize) -> (io::Result<usize>, Block) {
        debug_assert!(block.room() > 0 && limit > 0, "no room to receive into");
        let (result, incoming) = self.operand().read(Incoming { block, limit }).await;
        (result, incoming.block)
    }

    /// Sends all bytes of the block, which comes back as it went. `on_progress` is called with the
    /// bytes of every part of it that the peer has taken, so that slow is not mistaken for stuck.
    ///
    /// A plain `send(2)` before the ring measured no faster at 8, 64 and 512 connections, and
    /// slower with 16 KiB bodies, so there is the one way.
    pub async fn send(
        &self,
        mut block: Block,
        on_progress: impl Fn(usize),
    ) -> (io::Result<()>, Block) {
        let mark = block.mark();
        let result = loop {
            if block.is_empty() {
                break Ok(());
            }
            let (result, outgoing) = self.operand().write(Outgoing(block)).await;
            block = outgoing.0;
            match result {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    block.consume(count);
                    on_progress(count);
                }
                Err(error) => break Err(error),
            }
        };
        block.restore(mark);
        (result, block)
    }

    /// Waits until something can be received: bytes, an end or an error.
    ///
    /// # Errors
    /// Those of the wait itself.
    pub async fn readable(&self) -> io::Result<()> {
        self.operand().readable(IS_GUESS_ENOUGH).await
    }

    /// Waits until something can be sent, or sending fails.
    ///
    /// # Errors
    /// As for [`readable`](Self::readable).
    pub async fn writable(&self) -> io::Result<()> {
        self.operand().writable(IS_GUESS_ENOUGH).await
    }

    /// From now on system calls on it say `WouldBlock` rather than wait. The operations above go
    /// on as before: epoll's want it so, and the ring's go by the flags of each operation and not
    /// by those of the descriptor.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn unblock(&self) -> io::Result<()> {
        socket::unblock(self.descriptor())
    }

    /// The descriptor, for `shutdown(2)` and options. Valid as long as the stream lives.
    pub fn descriptor(&self) -> RawFd {
        self.operand().as_raw_fd()
    }

    /// The address on this side, by a system call.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.operand().local_addr()
    }

    #[expect(
        unsafe_code,
        clippy::mut_from_ref,
        reason = "one receive and one send at a time"
    )]
    pub(super) fn operand(&self) -> &mut TcpStream {
        // SAFETY: monoio's operations take a counted reference to the descriptor when they are
        // made and touch nothing else of the stream; `TcpStream` declares receiving and sending
        // independent (`unsafe impl Split`), which is how monoio's own halves share it too. The
        // type is not `Sync`, so all calls are on one thread.
        unsafe { &mut *self.0.get() }
    }
}
