//! Connections to backends: opened, leased to one exchange at a time, kept warm in between.
//!
//! Not a choice of backend. Invariant: a connection is put back only by [`Lease::put_back`], which
//! an exchange calls when both of its sides are done; a lease that is merely dropped closes it, and
//! so does one that is private.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use super::Shard;
use super::accept::Listener;
use super::channel::Channel;
use super::serve::Client;
use super::watch::{Waiting, Watch};
use crate::limits::{BACKEND_HANDSHAKE_TIME, CONNECT_TIMEOUT, IDLE_UPSTREAM_PER_BACKEND};
use crate::state::{BackendLine, ShardLine};
use crate::sys::socket::Sight;
use crate::sys::{Instant, Secured, Stream, Terms};

/// Where a connection leads and what is on it: those of one place are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// The number of the terms of TLS; 0: in clear.
    terms: u32,
}

impl Place {
    /// A backend of that listener, by its terms as they are now.
    fn new(address: SocketAddr, listener: &Listener) -> Self {
        let terms = listener.terms.as_ref();
        let terms = terms.map_or(0, |terms| terms.load().number);
        Self { address, terms }
    }
}

/// The idle connections of one shard, by place, last in first out.
#[derive(Debug, Default)]
pub(super) struct Idle {
    by_place: RefCell<AHashMap<Place, Stack>>,
    count: Cell<usize>,
}

/// Those of one place.
#[derive(Debug)]
struct Stack {
    resting: Vec<Resting>,
    /// Until when the last that came would rest. An empty stack stays as long: its connections are
    /// in use, and each of their exchanges would pay for a new one.
    until: Instant,
}

#[derive(Debug)]
struct Resting {
    channel: Channel<'static>,
    until: Instant,
}

impl Idle {
    /// A connection that can be used again: open, and with nothing in it. Bytes that came in while
    /// it rested would be taken for the answer to a request that had not been sent.
    fn take(&self, place: Place, counts: &ShardLine) -> Option<Channel<'static>> {
        let mut by_place = self.by_place.borrow_mut();
        let stack = by_place.get_mut(&place)?;
        while let Some(Resting { channel, .. }) = stack.resting.pop() {
            self.count.set(self.count.get() - 1);
            if is_usable(&channel, counts) {
                return Some(channel);
            }
        }
        None
    }

    /// Keeps a connection; false if there are too many already.
    fn put(&self, place: Place, resting: Resting) -> bool {
        let mut by_place = self.by_place.borrow_mut();
        let stack = by_place.entry(place).or_insert_with(|| Stack {
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
        let mut by_place = self.by_place.borrow_mut();
        let mut count = 0;
        by_place.retain(|_, stack| {
            stack.resting.retain(|resting| resting.until > now);
            count += stack.resting.len();
            !stack.resting.is_empty() || stack.until > now
        });
        self.count.set(count);
    }

    /// Closes those that the backend has closed, or has said something on that nobody asked for:
    /// nobody may come to take them for long.
    pub(super) fn close_broken(&self, counts: &ShardLine) {
        let mut count = 0;
        self.by_place.borrow_mut().retain(|_, stack| {
            stack
                .resting
                .retain(|resting| is_usable(&resting.channel, counts));
            count += stack.resting.len();
            true
        });
        self.count.set(count);
    }

    /// Closes those to backends that are not there any more.
    pub(super) fn keep_only(&self, addresses: &AHashSet<SocketAddr>) {
        let mut by_place = self.by_place.borrow_mut();
        by_place.retain(|place, _| addresses.contains(&place.address));
        self.count
            .set(by_place.values().map(|stack| stack.resting.len()).sum());
    }

    /// How many connections rest.
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }
}

/// Whether a connection that rests can carry an exchange.
fn is_usable(channel: &Channel<'static>, counts: &ShardLine) -> bool {
    let sight = channel.look();
    if sight == Sight::Bytes {
        counts.upstream_surplus.add(1);
    }
    sight == Sight::Quiet
}

/// A connection to a backend, in use by one exchange.
#[derive(Debug)]
pub(super) struct Lease {
    /// The connection. `None` only after `put_back`.
    channel: Option<Channel<'static>>,
    place: Place,
    watch: Rc<Watch>,
    /// It carried an exchange before, so the backend may have closed it in the meantime.
    pub(super) is_reused: bool,
    /// It is one client's, for one exchange: it is not kept.
    pub(super) is_private: bool,
}

impl Lease {
    /// A warm connection to a backend of the client's listener, or a new one.
    ///
    /// # Errors
    /// Those of [`open_new`](Self::open_new).
    pub(super) async fn open(
        shard: &Shard,
        client: &Client<'_>,
        address: SocketAddr,
        counts: &BackendLine,
    ) -> io::Result<Self> {
        let place = Place::new(address, client.listener);
        if let Some(channel) = shard.idle.take(place, shard.counts()) {
            counts.pool_hits.add(1);
            return Ok(Self::new(channel, place, client, true));
        }
        Self::open_new(shard, client, address, counts, Vec::new()).await
    }

    /// A new connection. Where TLS is on it, `preface` has been sent in front; there must be none
    /// where it is in clear.
    ///
    /// # Errors
    /// Those of `connect(2)` and of the handshake, or `TimedOut` after [`CONNECT_TIMEOUT`]. No byte
    /// of a request has been sent then.
    pub(super) async fn open_new(
        shard: &Shard,
        client: &Client<'_>,
        address: SocketAddr,
        counts: &BackendLine,
        preface: Vec<u8>,
    ) -> io::Result<Self> {
        let place = Place { address, terms: 0 };
        let opened = match (connect(address).await, &client.listener.terms) {
            (Ok(stream), None) => Ok((Channel::Plain(stream), place)),
            // Boxed: it would make the task of every plain connection larger.
            (Ok(stream), Some(terms)) => Box::pin(secure(
                shard,
                client,
                stream,
                address,
                terms.load_full(),
                preface,
            ))
            .await
            .inspect_err(|_| counts.handshake_errors.add(1)),
            (Err(error), _) => Err(error),
        };
        let (channel, place) = opened.inspect_err(|_| counts.connect_errors.add(1))?;
        counts.connects.add(1);
        Ok(Self::new(channel, place, client, false))
    }

    fn new(channel: Channel<'static>, place: Place, client: &Client<'_>, is_reused: bool) -> Self {
        let watch = client.watch.share();
        watch.set_upstream(Some(channel.descriptor()));
        Self {
            channel: Some(channel),
            place,
            watch,
            is_reused,
            is_private: false,
        }
    }

    /// The connection.
    pub(super) fn channel(&self) -> &Channel<'static> {
        self.channel
            .as_ref()
            .expect("a lease has its connection until it is put back")
    }

    /// The connection's descriptor.
    pub(super) fn descriptor(&self) -> RawFd {
        self.channel().descriptor()
    }

    /// Keeps the connection for a later exchange, unless it is private. Both sides of this one must
    /// be done.
    pub(super) fn put_back(mut self, shard: &Shard, until: Instant) {
        if self.is_private {
            return;
        }
        self.watch.set_upstream(None);
        if let Some(channel) = self.channel.take() {
            let resting = Resting { channel, until };
            if !shard.idle.put(self.place, resting) {
                shard.counts().idle_upstream_surplus.add(1);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.watch.set_upstream(None);
    }
}

/// A connection in clear.
async fn connect(address: SocketAddr) -> io::Result<Stream> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an attempt has no descriptor that the sweep could shut down, and no bytes to lose"
    )]
    let attempt = monoio::time::timeout(CONNECT_TIMEOUT, Stream::connect(address));
    // Boxed: a timer is aligned to 128 bytes and, within the task of every connection, would make
    // idle ones a third larger.
    let attempt = Box::pin(attempt).await;
    attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Puts TLS on a connection. The sweep ends it if it takes too long.
async fn secure(
    shard: &Shard,
    client: &Client<'_>,
    stream: Stream,
    address: SocketAddr,
    terms: Arc<Terms>,
    preface: Vec<u8>,
) -> io::Result<(Channel<'static>, Place)> {
    let watch = &*client.watch;
    watch.set_upstream(Some(stream.descriptor()));
    watch.wait(
        Waiting::Answer,
        Instant::now().after(BACKEND_HANDSHAKE_TIME),
    );
    let config = shard.tickets.with(address, client.listener.number, &terms);
    let name = terms.name.clone();
    let name = name.unwrap_or_else(|| address.ip().into());
    let secured = Secured::connect(stream, &config, name, preface).await;
    // Before anything else runs: where it failed, the connection is closed already.
    watch.set_upstream(None);
    if secured.is_err() {
        // Its time is not that of the next backend.
        watch.renew();
    }
    let place = Place {
        address,
        terms: terms.number,
    };
    Ok((Channel::Secured(Box::new(secured?)), place))
}
