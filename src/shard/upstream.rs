//! Connections to backends: opened, leased to one exchange at a time, kept warm in between.
//!
//! Not a choice of backend. Invariant: a connection is put back only by [`Lease::put_back`], which
//! an exchange calls when both of its sides are done; a lease that is merely dropped closes it, and
//! so does one that is private.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use ahash::{AHashMap, AHashSet};

use super::Shard;
use super::watch::Watch;
use crate::limits::{CONNECT_TIMEOUT, IDLE_UPSTREAM_PER_BACKEND};
use crate::state::BackendLine;
use crate::sys::socket::is_quiet;
use crate::sys::{Instant, Stream};

/// The idle connections of one shard, by backend address, last in first out.
#[derive(Debug, Default)]
pub(super) struct Idle {
    by_address: RefCell<AHashMap<SocketAddr, Stack>>,
    count: Cell<usize>,
}

/// Those of one address.
#[derive(Debug)]
struct Stack {
    resting: Vec<Resting>,
    /// Until when the last that came would rest. An empty stack stays as long: its connections are
    /// in use, and each of their exchanges would pay for a new one.
    until: Instant,
}

#[derive(Debug)]
struct Resting {
    stream: Stream,
    until: Instant,
}

impl Idle {
    /// A connection that can be used again: open, and with nothing in it. Bytes that came in while
    /// it rested would be taken for the answer to a request that had not been sent.
    fn take(&self, address: SocketAddr) -> Option<Stream> {
        let mut by_address = self.by_address.borrow_mut();
        let stack = by_address.get_mut(&address)?;
        while let Some(Resting { stream, .. }) = stack.resting.pop() {
            self.count.set(self.count.get() - 1);
            if is_quiet(stream.descriptor()) {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection; false if there are too many already.
    fn put(&self, address: SocketAddr, resting: Resting) -> bool {
        let mut by_address = self.by_address.borrow_mut();
        let stack = by_address.entry(address).or_insert_with(|| Stack {
            resting: Vec::new(),
            until: resting.until,
        });
        stack.until = resting.until;
        let has_room = stack.resting.len() < IDLE_UPSTREAM_PER_BACKEND;
        if has_room {
            stack.resting.push(resting);
            self.count.set(self.count.get() + 1);
        }
        has_room
    }

    /// Closes those whose time is over.
    pub(super) fn sweep(&self, now: Instant) {
        let mut by_address = self.by_address.borrow_mut();
        let mut count = 0;
        by_address.retain(|_, stack| {
            stack.resting.retain(|resting| resting.until > now);
            count += stack.resting.len();
            !stack.resting.is_empty() || stack.until > now
        });
        self.count.set(count);
    }

    /// Closes those that the backend has closed: nobody may come to take them for long.
    pub(super) fn close_broken(&self) {
        self.by_address.borrow_mut().retain(|_, stack| {
            let stands = |resting: &Resting| is_quiet(resting.stream.descriptor());
            stack.resting.retain(stands);
            true
        });
    }

    /// Closes those to backends that are not there any more.
    pub(super) fn keep_only(&self, addresses: &AHashSet<SocketAddr>) {
        let mut by_address = self.by_address.borrow_mut();
        by_address.retain(|address, _| addresses.contains(address));
        self.count
            .set(by_address.values().map(|stack| stack.resting.len()).sum());
    }

    /// How many connections rest.
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }
}

/// A connection to a backend, in use by one exchange.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    /// The connection. `None` only after `put_back`.
    stream: Option<Stream>,
    address: SocketAddr,
    watch: &'a Watch,
    /// It carried an exchange before, so the backend may have closed it in the meantime.
    pub(super) is_reused: bool,
    /// It is one client's, for one exchange: it is not kept.
    pub(super) is_private: bool,
}

impl<'a> Lease<'a> {
    /// A warm connection to the backend, or a new one.
    ///
    /// # Errors
    /// Those of `connect(2)`, or `TimedOut` after [`CONNECT_TIMEOUT`].
    pub(super) async fn open(
        shard: &Shard,
        address: SocketAddr,
        counts: &BackendLine,
        watch: &'a Watch,
    ) -> io::Result<Self> {
        if let Some(stream) = shard.idle.take(address) {
            counts.pool_hits.add(1);
            return Ok(Self::new(stream, address, watch, true));
        }
        Self::open_new(address, counts, watch).await
    }

    /// A new connection.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(super) async fn open_new(
        address: SocketAddr,
        counts: &BackendLine,
        watch: &'a Watch,
    ) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "an attempt has no descriptor that the sweep could shut down, and no bytes to lose"
        )]
        let attempt = monoio::time::timeout(CONNECT_TIMEOUT, Stream::connect(address));
        // Boxed: a timer is aligned to 128 bytes and, within the task of every connection, would
        // make idle ones a third larger.
        let attempt = Box::pin(attempt).await;
        let result = attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = result.inspect_err(|_| counts.connect_errors.add(1))?;
        counts.connects.add(1);
        Ok(Self::new(stream, address, watch, false))
    }

    fn new(stream: Stream, address: SocketAddr, watch: &'a Watch, is_reused: bool) -> Self {
        watch.set_upstream(Some(stream.descriptor()));
        Self {
            stream: Some(stream),
            address,
            watch,
            is_reused,
            is_private: false,
        }
    }

    /// The connection.
    pub(super) fn stream(&self) -> &Stream {
        self.stream
            .as_ref()
            .expect("a lease has its stream until it is put back")
    }

    /// The connection's descriptor.
    pub(super) fn descriptor(&self) -> RawFd {
        self.stream().descriptor()
    }

    /// Keeps the connection for a later exchange, unless it is private. Both sides of this one must
    /// be done.
    pub(super) fn put_back(mut self, shard: &Shard, until: Instant) {
        if self.is_private {
            return;
        }
        self.watch.set_upstream(None);
        if let Some(stream) = self.stream.take() {
            let resting = Resting { stream, until };
            if !shard.idle.put(self.address, resting) {
                shard.counts().idle_upstream_surplus.add(1);
            }
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.watch.set_upstream(None);
    }
}
