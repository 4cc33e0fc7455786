//! The floor: a relay that parses nothing and copies bytes both ways with epoll, on one thread.
//!
//! Not a rival to be used: it cannot stick, does not pool and knows no half-close. What it costs
//! is what the kernel's TCP costs any proxy with two sockets per exchange. Invariant: bytes that
//! one side has not taken yet stop the reading from the other.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::event::epoll::EventFlags;

use crate::poll::{Batch, Poll, Slots, listen};

/// Bytes copied at once; as much as elbow's relay block holds.
const COPY_BYTES: usize = 64 * 1024;

/// The token of the listener; a pair in slot `n` has the tokens `2n` and `2n + 1`.
const LISTENER: usize = 0;

/// Relays connections on `address` to `upstreams` in turn until the process is killed.
///
/// # Errors
/// If a socket cannot be opened or epoll fails. One pair's error closes only that pair.
pub(crate) fn serve(address: SocketAddr, upstreams: &[SocketAddr]) -> io::Result<()> {
    let listener = listen(address)?;
    let poll = Poll::new()?;
    let mut batch = Batch::new();
    let mut pairs: Slots<Pair> = Slots::new(1);
    let mut turns = upstreams.iter().cycle();
    let mut buffer = vec![0; COPY_BYTES];
    poll.add(&listener, LISTENER, EventFlags::IN)?;
    loop {
        poll.wait(&mut batch)?;
        for (event, ready) in batch.iter() {
            if event == LISTENER {
                let Ok((client, _)) = listener.accept() else {
                    continue;
                };
                let upstream = turns.next().expect("a cycle over two addresses has no end");
                let Ok(pair) = Pair::connect(client, *upstream) else {
                    continue;
                };
                let slot = pairs.insert(pair);
                for (side, stream) in pairs[slot].streams.iter().enumerate() {
                    poll.add(stream, slot * 2 + side, EventFlags::IN)?;
                }
                continue;
            }
            let (slot, side) = (event / 2, event % 2);
            let Some(pair) = pairs.get_mut(slot) else {
                continue;
            };
            match pair.advance(side, ready, &mut buffer) {
                Ok(true) => pair.watch(&poll, slot)?,
                Ok(false) | Err(_) => pairs.remove(slot),
            }
        }
        pairs.recycle();
    }
}

/// A client connection and its upstream connection: side 0 and side 1.
struct Pair {
    streams: [TcpStream; 2],
    /// What each side is watched for.
    watched: [EventFlags; 2],
    /// What each side has not taken yet.
    unsent: [Unsent; 2],
    /// One side has ended: close when nothing is left to send.
    is_closing: bool,
}

impl Pair {
    /// Connects to the backend. It blocks, which on loopback costs no wait.
    fn connect(client: TcpStream, upstream: SocketAddr) -> io::Result<Self> {
        let streams = [client, TcpStream::connect(upstream)?];
        for stream in &streams {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        Ok(Self {
            streams,
            watched: [EventFlags::IN; 2],
            unsent: [Unsent::default(), Unsent::default()],
            is_closing: false,
        })
    }

    /// Does what `side` is ready for; `false` when the pair is finished.
    fn advance(&mut self, side: usize, ready: EventFlags, buffer: &mut [u8]) -> io::Result<bool> {
        if ready.contains(EventFlags::OUT) {
            self.unsent[side].send(&mut self.streams[side])?;
        }
        let other = 1 - side;
        let is_ended = ready.intersects(EventFlags::HUP | EventFlags::ERR);
        let is_readable = ready.contains(EventFlags::IN) || is_ended;
        if is_readable && !self.is_closing && self.unsent[other].is_empty() {
            match self.streams[side].read(buffer) {
                Ok(0) => self.is_closing = true,
                Ok(bytes) => send(&mut self.streams[other], &buffer[..bytes])
                    .map(|sent| self.unsent[other].keep(&buffer[sent..bytes]))?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(!self.is_closing || !self.unsent.iter().all(Unsent::is_empty))
    }

    /// Tells epoll what each side is waiting for, where that has changed.
    fn watch(&mut self, poll: &Poll, slot: usize) -> io::Result<()> {
        for side in 0..2 {
            let mut wanted = EventFlags::empty();
            wanted.set(EventFlags::OUT, !self.unsent[side].is_empty());
            wanted.set(
                EventFlags::IN,
                !self.is_closing && self.unsent[1 - side].is_empty(),
            );
            if wanted != self.watched[side] {
                poll.modify(&self.streams[side], slot * 2 + side, wanted)?;
                self.watched[side] = wanted;
            }
        }
        Ok(())
    }
}

/// Bytes that a side has not taken yet: `bytes[sent..]`.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Keeps `rest`; only called when empty, since a side that is behind stops the reading.
    fn keep(&mut self, rest: &[u8]) {
        debug_assert!(self.is_empty());
        self.bytes.extend_from_slice(rest);
    }

    fn send(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.sent += send(stream, &self.bytes[self.sent..])?;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
        Ok(())
    }
}

/// Sends what the socket takes now and tells how much that was.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match stream.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
