//! What the backend and the relay share: a listening socket, epoll with tokens, and slots.
//!
//! Not a runtime: each of the two has its own loop. Invariant: a token of a removed slot is not
//! given out again before [`Slots::recycle`], so a stale event of the same batch meets nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Index;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

/// Length of the accept queues: above the 512 connections of the widest scenario.
const ACCEPT_QUEUE: i32 = 4096;

/// Events taken in one wake-up.
const EVENTS_MAX: usize = 256;

/// A non-blocking listening socket with an accept queue for a burst of all clients.
///
/// # Errors
/// What the kernel says, for example that the address is in use.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_QUEUE)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Level-triggered epoll.
pub(crate) struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    /// # Errors
    /// If the kernel gives no epoll descriptor.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches `source` until it is closed.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn add(
        &self,
        source: impl AsFd,
        token: usize,
        wanted: EventFlags,
    ) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            source,
            EventData::new_u64(token as u64),
            wanted,
        )?)
    }

    /// Changes what `source` is watched for.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn modify(
        &self,
        source: impl AsFd,
        token: usize,
        wanted: EventFlags,
    ) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            source,
            EventData::new_u64(token as u64),
            wanted,
        )?)
    }

    /// Waits for at least one event and replaces `batch` by up to [`EVENTS_MAX`] of them.
    ///
    /// # Errors
    /// What the kernel says; an interrupted wait is an empty batch.
    pub(crate) fn wait(&self, batch: &mut Batch) -> io::Result<()> {
        batch.0.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut batch.0), None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The events of one wake-up.
pub(crate) struct Batch(Vec<Event>);

impl Batch {
    /// An empty batch with room for [`EVENTS_MAX`].
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(EVENTS_MAX))
    }

    /// Each event's token and what is ready.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, EventFlags)> {
        self.0.iter().map(|event| {
            let token = usize::try_from(event.data.u64()).expect("it was a usize in `add`");
            (token, event.flags)
        })
    }
}

/// Values by token. Tokens below `first` belong to the caller, for its listeners.
pub(crate) struct Slots<T> {
    first: usize,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
    freed_in_batch: Vec<usize>,
}

impl<T> Slots<T> {
    /// No values yet; the first token given out is `first`.
    pub(crate) fn new(first: usize) -> Self {
        Self {
            first,
            slots: Vec::new(),
            free: Vec::new(),
            freed_in_batch: Vec::new(),
        }
    }

    /// Keeps `value` and names its token.
    pub(crate) fn insert(&mut self, value: T) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(value);
        self.first + index
    }

    /// The value of `token`, unless it was removed.
    pub(crate) fn get_mut(&mut self, token: usize) -> Option<&mut T> {
        self.slots.get_mut(token.checked_sub(self.first)?)?.as_mut()
    }

    /// Drops the value of `token`, which closes its descriptors.
    pub(crate) fn remove(&mut self, token: usize) {
        let index = token - self.first;
        if self.slots[index].take().is_some() {
            self.freed_in_batch.push(index);
        }
    }

    /// Makes the tokens that were removed in this batch available again.
    pub(crate) fn recycle(&mut self) {
        self.free.append(&mut self.freed_in_batch);
    }
}

impl<T> Index<usize> for Slots<T> {
    type Output = T;

    fn index(&self, token: usize) -> &T {
        self.slots[token - self.first]
            .as_ref()
            .expect("the caller has just inserted this token")
    }
}
