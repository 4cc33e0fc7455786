//! Pipes: what bytes pass through on their way from one connection to another without being copied.
//!
//! Not a wait: both calls say `WouldBlock` at once where nothing moves (`shard/splice.rs` waits).
//! Invariant: a pipe in the pool is empty, so nobody's bytes reach somebody else.
//!
//! These are `splice(2)` itself and not the ring's operation, which the kernel hands to a thread of
//! a pool each time.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::Stream;
use crate::limits::{FREE_PIPES, PIPE_BYTES, PIPES_MAX};

/// A pipe and how much is in it.
#[derive(Debug)]
pub struct Pipe {
    source: OwnedFd,
    sink: OwnedFd,
    held: usize,
}

impl Pipe {
    /// An empty pipe of [`PIPE_BYTES`].
    fn open() -> io::Result<Self> {
        let mut ends = [0; 2];
        #[expect(unsafe_code, reason = "pipe2(2); the standard library's may block")]
        // SAFETY: the kernel writes two descriptors to a live array of two.
        let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) };
        if made < 0 {
            return Err(io::Error::last_os_error());
        }
        let [source, sink] = ends.map(|end| {
            #[expect(unsafe_code, reason = "a descriptor that the kernel has just given")]
            // SAFETY: it is open and nobody else's.
            unsafe {
                OwnedFd::from_raw_fd(end)
            }
        });
        let bytes = libc::c_int::try_from(PIPE_BYTES).expect("a pipe is small");
        #[expect(unsafe_code, reason = "fcntl(2) on a descriptor of ours")]
        // SAFETY: `F_SETPIPE_SZ` takes a number and no pointer; the descriptor is open.
        let sized = unsafe { libc::fcntl(sink.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
        if sized < 0 {
            // One of another size would be slower than blocks: beyond its user's limit a pipe has
            // room for two segments.
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            source,
            sink,
            held: 0,
        })
    }

    /// How many bytes are in it.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes in what has been received and fits. `Ok(0)`: the peer is done. The stream must not
    /// block, see [`Stream::unblock`].
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there that can be taken so, or nothing more fits; otherwise those
    /// of `recv(2)`, or the kernel's refusal to splice.
    pub fn fill(&mut self, from: &Stream) -> io::Result<usize> {
        let room = PIPE_BYTES.saturating_sub(self.held);
        let moved = splice(from.descriptor(), self.sink.as_raw_fd(), room)?;
        self.held += moved;
        Ok(moved)
    }

    /// Sends as much of what is in it as the stream takes, which must not block.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing now; otherwise those of `send(2)`.
    pub fn drain(&mut self, to: &Stream) -> io::Result<usize> {
        let moved = splice(self.source.as_raw_fd(), to.descriptor(), self.held)?;
        if moved == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held -= moved;
        Ok(moved)
    }
}

/// Moves up to `bytes` between two descriptors, one of them a pipe.
fn splice(from: RawFd, to: RawFd, bytes: usize) -> io::Result<usize> {
    let nowhere = std::ptr::null_mut();
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    #[expect(unsafe_code, reason = "splice(2) on descriptors that monoio owns")]
    // SAFETY: no offsets are passed; both descriptors are open, as their owners are borrowed.
    let moved = unsafe { libc::splice(from, nowhere, to, nowhere, bytes, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// The shard's pipes: last in, first out.
#[derive(Debug, Default)]
pub struct Pipes {
    free: RefCell<Vec<Pipe>>,
    open: Cell<usize>,
    /// The fewest that were free since the last [`Pipes::trim`]: so many were not needed.
    least: Cell<usize>,
}

impl Pipes {
    /// An empty pipe.
    ///
    /// # Errors
    /// `QuotaExceeded` if [`PIPES_MAX`] are in use; those of `pipe(2)`, such as `EMFILE`; `EPERM`
    /// if this user's pipes hold as much as they may.
    pub fn take(&self) -> io::Result<Pipe> {
        let mut free = self.free.borrow_mut();
        let pipe = match free.pop() {
            Some(pipe) => pipe,
            None if self.open.get() >= PIPES_MAX => {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            None => {
                let pipe = Pipe::open()?;
                self.open.set(self.open.get() + 1);
                pipe
            }
        };
        self.least.set(self.least.get().min(free.len()));
        Ok(pipe)
    }

    /// Takes a pipe back. One that is not empty is closed, and so is one beyond [`FREE_PIPES`].
    pub fn put(&self, pipe: Pipe) {
        let mut free = self.free.borrow_mut();
        if pipe.is_empty() && free.len() < FREE_PIPES {
            free.push(pipe);
        } else {
            self.open.set(self.open.get() - 1);
        }
    }

    /// Closes as many as were not needed since the last time.
    pub fn trim(&self) {
        let mut free = self.free.borrow_mut();
        let surplus = self.least.get().min(free.len());
        // From the bottom: those were used longest ago.
        free.drain(..surplus);
        self.open.set(self.open.get() - surplus);
        self.least.set(free.len());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

    use super::*;
    use crate::sys::Blocks;
    use crate::sys::socket::{self, Way};

    /// More than two sockets and a pipe hold between them.
    const MUCH: usize = 128 << 20;

    /// Runs on epoll, and on io_uring where that is to be had.
    fn on_each_driver(test: impl AsyncFn()) {
        let epoll = RuntimeBuilder::<LegacyDriver>::new().build();
        epoll.expect("epoll").block_on(test());
        if let Ok(mut ring) = RuntimeBuilder::<IoUringDriver>::new().build() {
            ring.block_on(test());
        }
    }

    /// A connection as shards have them, and its peer.
    fn connection() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nonblocking(monoio::utils::is_legacy()).unwrap();
        let near = monoio::net::TcpStream::from_std(near).unwrap();
        (Stream::new(near), listener.accept().unwrap().0)
    }

    fn is_waiting(result: io::Result<usize>) -> bool {
        result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    #[test]
    fn neither_side_of_a_pipe_waits_and_bytes_stay_as_they_are() {
        on_each_driver(async || {
            let ((from, mut sender), (to, mut receiver)) = (connection(), connection());
            from.unblock().unwrap();
            to.unblock().unwrap();
            sender.set_nonblocking(true).unwrap();
            let mut pipe = Pipe::open().unwrap();
            assert!(is_waiting(pipe.fill(&from)), "nothing has come");
            let mut sent = Vec::new();
            while sent.len() < MUCH {
                let chunk = [u8::try_from(sent.len() % 251).unwrap(); 8 * 1009];
                let count = sender.write(&chunk).unwrap_or(0);
                sent.extend(&chunk[..count]);
                from.readable().await.unwrap();
                if pipe.is_empty() {
                    assert!(pipe.fill(&from).unwrap() > 0);
                }
                if is_waiting(pipe.drain(&to)) {
                    break;
                }
            }
            assert!(!pipe.is_empty(), "nobody reads, and all was taken");
            let reader = std::thread::spawn(move || {
                let mut bytes = Vec::new();
                receiver.read_to_end(&mut bytes).map(|_| bytes)
            });
            while !pipe.is_empty() {
                to.writable().await.unwrap();
                pipe.drain(&to).unwrap();
            }
            socket::shut_down(to.descriptor(), Way::Send);
            let arrived = reader.join().unwrap().unwrap();
            assert!(sent.starts_with(&arrived) && arrived.len() > PIPE_BYTES);
        });
    }

    #[test]
    fn what_no_longer_blocks_is_received_from_as_before() {
        on_each_driver(async || {
            let ((stream, mut peer), (other, mut other_peer)) = (connection(), connection());
            stream.unblock().unwrap();
            other_peer.write_all(b"x").unwrap();
            let blocks = Blocks::default();
            let ((received, block), ()) = monoio::join!(stream.receive(blocks.idle(), 8), async {
                // Comes back after the receive above was begun.
                other.readable().await.unwrap();
                peer.write_all(b"late").unwrap();
            });
            assert_eq!(received.unwrap(), 4);
            assert_eq!(block.bytes(), b"late");
        });
    }

    #[test]
    fn an_end_and_a_reset_are_told_apart() {
        on_each_driver(async || {
            let mut pipe = Pipe::open().unwrap();
            let (stream, peer) = connection();
            stream.unblock().unwrap();
            drop(peer);
            stream.readable().await.unwrap();
            assert_eq!(pipe.fill(&stream).unwrap(), 0);
            let (stream, peer) = connection();
            stream.unblock().unwrap();
            let peer = socket2::Socket::from(peer);
            peer.set_linger(Some(std::time::Duration::ZERO)).unwrap();
            drop(peer);
            stream.readable().await.unwrap();
            let error = pipe.fill(&stream).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    }

    #[test]
    fn a_pipe_with_bytes_in_it_is_not_used_again() {
        on_each_driver(async || {
            let (stream, mut peer) = connection();
            stream.unblock().unwrap();
            peer.write_all(b"somebody's").unwrap();
            stream.readable().await.unwrap();
            let pipes = Pipes::default();
            let mut pipe = pipes.take().unwrap();
            assert!(pipe.fill(&stream).unwrap() > 0);
            pipes.put(pipe);
            assert_eq!((pipes.free.borrow().len(), pipes.open.get()), (0, 0));
            pipes.put(pipes.take().unwrap());
            assert_eq!((pipes.free.borrow().len(), pipes.open.get()), (1, 1));
        });
    }

    #[test]
    fn pipes_have_a_bound_and_are_closed_when_nobody_needs_them() {
        let pipes = Pipes::default();
        let taken: Vec<Pipe> = (0..PIPES_MAX).map(|_| pipes.take().unwrap()).collect();
        let refused = pipes.take().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
        taken.into_iter().for_each(|pipe| pipes.put(pipe));
        assert_eq!(pipes.open.get(), FREE_PIPES);
        pipes.trim();
        // One is in use now and then.
        let pipe = pipes.take().unwrap();
        pipes.put(pipe);
        pipes.trim();
        assert_eq!(pipes.open.get(), 1);
        pipes.trim();
        assert_eq!(pipes.open.get(), 0);
    }
}
