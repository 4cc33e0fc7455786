//! Deadlines: each connection says what it waits for and until when; one sweep per shard acts.
//!
//! Not a timer per operation, and nothing is cancelled: an expired connection is shut down, its
//! operation in flight completes, and its task sees [`Watch::is_expired`] and says what happened.
//! Invariant: the descriptors in a watch are open, as a watch is taken out before they close.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::Rc;

use slab::Slab;

use crate::state::{Cut, Histogram};
use crate::sys::socket::{Way, reset, reset_on_close, shut_down};
use crate::sys::{Instant, Moment};

/// What a connection waits for. While something is being sent to the client, that comes first: a
/// client that does not read loses both connections on expiry, whatever else is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The client's part in a TLS handshake. Expiry ends the connection.
    Handshake,
    /// The first byte of the next request. Expiry ends the receive, and so the connection without a
    /// word; a request that has come by then is served.
    Idle,
    /// The rest of a head. Expiry ends the receive, so that the task can answer 408.
    Head,
    /// More of a request's body, from the client. Expiry ends both sides' operations: 408.
    Upload,
    /// The backend: that it takes the request, answers, goes on with its answer. Expiry ends its
    /// connection: the task answers 504, or breaks the answer off.
    Answer,
    /// What the client still sends and nobody wants. Expiry ends the receive.
    Leftover,
    /// Bytes of a relayed connection, either way. Expiry resets both sides: neither has said that
    /// it was done.
    Relay,
}

/// One client connection's deadline.
#[derive(Debug)]
pub(super) struct Watch {
    waiting: Cell<Waiting>,
    deadline: Cell<Instant>,
    client: RawFd,
    /// The number of the client's listener.
    listener: usize,
    upstream: Cell<Option<RawFd>>,
    /// Slot and epoch of the backend that the exchange is with.
    backend: Cell<Option<(u32, u64)>>,
    /// Since when that backend owes an answer, or a connection that is to be relayed.
    asked: Cell<Option<Moment>>,
    is_sending: Cell<bool>,
    is_expired: Cell<bool>,
}

impl Watch {
    /// The connection now waits for `waiting`, at the latest until `deadline`.
    pub(super) fn wait(&self, waiting: Waiting, deadline: Instant) {
        self.waiting.set(waiting);
        self.deadline.set(deadline);
    }

    /// There was progress in what is waited for.
    pub(super) fn extend(&self, deadline: Instant) {
        self.deadline.set(deadline);
    }

    /// Whether something is being sent to the client, from now on.
    pub(super) fn set_sending(&self, is_sending: bool) {
        self.is_sending.set(is_sending);
    }

    /// Forgets what expired before: another request begins.
    pub(super) fn renew(&self) {
        self.is_expired.set(false);
        self.backend.set(None);
        self.asked.set(None);
    }

    /// Whether a deadline of this request came to pass.
    pub(super) fn is_expired(&self) -> bool {
        self.is_expired.get()
    }

    /// Which backend connection the exchange uses; `None` before it is closed or given back.
    pub(super) fn set_upstream(&self, descriptor: Option<RawFd>) {
        self.upstream.set(descriptor);
    }

    /// Which backend the exchange is with, by its slot, and of which epoch; `None` between two.
    pub(super) fn set_backend(&self, backend: Option<(u32, u64)>) {
        self.backend.set(backend);
    }

    /// The backend has something to answer from now on, unless it has already; says since when.
    pub(super) fn ask(&self) -> Moment {
        let since = self.asked.get().unwrap_or_else(Moment::now);
        self.asked.set(Some(since));
        since
    }

    /// The backend has answered now: how long that took is counted.
    pub(super) fn answered(&self, latency: &Histogram) -> Moment {
        let now = Moment::now();
        if let Some(since) = self.asked.take() {
            latency.observe(now.since(since));
        }
        now
    }

    /// Whether no request has begun.
    fn is_idle(&self) -> bool {
        matches!(self.waiting.get(), Waiting::Handshake | Waiting::Idle)
    }

    fn is_cut(&self, cuts: &[Cut]) -> bool {
        let backend = self.backend.get();
        backend.is_some_and(|(slot, epoch)| {
            cuts.iter()
                .any(|cut| cut.slot == slot && epoch < cut.before)
        })
    }

    fn expire(&self) {
        self.is_expired.set(true);
        self.deadline.set(Instant::NEVER);
        if self.is_sending.get() {
            // The end that this sends waits behind what the client does not read.
            reset_on_close(self.client);
            shut_down(self.client, Way::Both);
            return self.shut_down_upstream();
        }
        match self.waiting.get() {
            Waiting::Idle | Waiting::Head | Waiting::Leftover => {
                shut_down(self.client, Way::Receive);
            }
            Waiting::Handshake => shut_down(self.client, Way::Both),
            Waiting::Upload => {
                shut_down(self.client, Way::Receive);
                self.shut_down_upstream();
            }
            Waiting::Answer => self.shut_down_upstream(),
            Waiting::Relay => self.reset(),
        }
    }

    /// Resets both sides; their operations in flight complete with an error.
    pub(super) fn reset(&self) {
        reset(self.client);
        if let Some(descriptor) = self.upstream.get() {
            reset(descriptor);
        }
    }

    fn shut_down_upstream(&self) {
        if let Some(descriptor) = self.upstream.get() {
            shut_down(descriptor, Way::Both);
        }
    }
}

/// All watches of a shard.
#[derive(Debug, Default)]
pub(super) struct Watches(RefCell<Slab<Rc<Watch>>>);

impl Watches {
    /// Watches a client connection until the guard is dropped, which must be before it closes.
    pub(super) fn add(&self, client: RawFd, listener: usize) -> Watched<'_> {
        let watch = Rc::new(Watch {
            waiting: Cell::new(Waiting::Idle),
            deadline: Cell::new(Instant::NEVER),
            client,
            listener,
            upstream: Cell::new(None),
            backend: Cell::new(None),
            asked: Cell::new(None),
            is_sending: Cell::new(false),
            is_expired: Cell::new(false),
        });
        let key = self.0.borrow_mut().insert(Rc::clone(&watch));
        Watched {
            watches: self,
            key,
            watch,
        }
    }

    /// Ends the exchanges with backends from which connections are cut, as if their time was over.
    pub(super) fn cut(&self, cuts: &[Cut]) {
        for (_, watch) in self.0.borrow().iter() {
            if watch.is_cut(cuts) && !watch.is_idle() {
                watch.expire();
            }
        }
    }

    /// Ends connections that wait for a request that has not begun, by their listener.
    pub(super) fn end_idle(&self, is_gone: impl Fn(usize) -> bool) {
        for (_, watch) in self.0.borrow().iter() {
            if watch.is_idle() && is_gone(watch.listener) {
                watch.expire();
            }
        }
    }

    /// Acts on every deadline that `now` has reached, and if `ends_idle` also on every connection
    /// that waits for a request that has not begun.
    pub(super) fn sweep(&self, now: Instant, ends_idle: bool) {
        for (_, watch) in self.0.borrow().iter() {
            let is_due = watch.deadline.get() <= now;
            if is_due || (ends_idle && watch.is_idle()) {
                watch.expire();
            }
        }
    }
}

/// A connection under watch.
#[derive(Debug)]
pub(super) struct Watched<'w> {
    watches: &'w Watches,
    key: usize,
    watch: Rc<Watch>,
}

impl Watched<'_> {
    /// The watch, for whoever may outlive this borrow of it.
    pub(super) fn share(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }
}

impl std::ops::Deref for Watched<'_> {
    type Target = Watch;

    fn deref(&self) -> &Watch {
        &self.watch
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.watches.0.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use super::*;
    use crate::limits::HANDSHAKE_TIME;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn a_deadline_acts_when_it_has_come_and_not_before() {
        let (mut client, _peer) = pair();
        let watches = Watches::default();
        let watch = watches.add(client.as_raw_fd(), 0);
        let now = Instant::now();
        watch.wait(Waiting::Head, now.after(Duration::from_secs(1)));
        watches.sweep(now, false);
        assert!(!watch.is_expired());
        watches.sweep(now.after(Duration::from_secs(1)), false);
        assert!(watch.is_expired());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_handshake_that_is_late_or_meets_a_drain_ends_its_connection() {
        for is_drain in [false, true] {
            let (client, mut peer) = pair();
            let watches = Watches::default();
            let watch = watches.add(client.as_raw_fd(), 0);
            let now = Instant::now();
            watch.wait(Waiting::Handshake, now.after(HANDSHAKE_TIME));
            watches.sweep(now, false);
            assert!(!watch.is_expired());
            let later = if is_drain {
                now
            } else {
                now.after(HANDSHAKE_TIME)
            };
            watches.sweep(later, is_drain);
            assert!(watch.is_expired());
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn a_late_answer_ends_the_backends_connection_alone() {
        let (client, mut peer) = pair();
        let (mut upstream, _backend) = pair();
        let watches = Watches::default();
        let watch = watches.add(client.as_raw_fd(), 0);
        watch.set_upstream(Some(upstream.as_raw_fd()));
        watch.wait(Waiting::Answer, Instant::now());
        watches.sweep(Instant::now(), false);
        assert_eq!(upstream.read(&mut [0]).unwrap(), 0);
        std::io::Write::write_all(&mut &client, b"x").unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_client_that_does_not_read_is_dropped_whatever_is_waited_for() {
        let (client, mut peer) = pair();
        let (mut upstream, _backend) = pair();
        let watches = Watches::default();
        let watch = watches.add(client.as_raw_fd(), 0);
        watch.set_upstream(Some(upstream.as_raw_fd()));
        watch.wait(Waiting::Answer, Instant::now());
        watch.set_sending(true);
        watches.sweep(Instant::now(), false);
        assert_eq!(upstream.read(&mut [0]).unwrap(), 0);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert!(std::io::Write::write_all(&mut &client, b"x").is_err());
    }

    #[test]
    fn a_request_that_came_before_the_drain_can_be_answered() {
        let (mut client, mut peer) = pair();
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        client.peek(&mut [0]).unwrap();
        let watches = Watches::default();
        let _watch = watches.add(client.as_raw_fd(), 0);
        watches.sweep(Instant::now(), true);
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
        std::io::Write::write_all(&mut client, b"y").unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_relayed_connection_that_is_silent_is_reset_on_both_sides() {
        let (client, mut peer) = pair();
        let (upstream, mut backend) = pair();
        let watches = Watches::default();
        let watch = watches.add(client.as_raw_fd(), 0);
        watch.set_upstream(Some(upstream.as_raw_fd()));
        watch.wait(Waiting::Relay, Instant::now());
        watches.sweep(Instant::now(), false);
        assert!(watch.is_expired());
        assert!(peer.read(&mut [0]).is_err(), "an end would be a lie");
        assert!(backend.read(&mut [0]).is_err());
    }

    #[test]
    fn draining_closes_idle_connections_and_no_others() {
        let (mut idle, _idle_peer) = pair();
        let (busy, _busy_peer) = pair();
        let watches = Watches::default();
        let _watch = watches.add(idle.as_raw_fd(), 0);
        let busy = watches.add(busy.as_raw_fd(), 0);
        busy.wait(Waiting::Answer, Instant::NEVER);
        watches.sweep(Instant::now(), true);
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
        assert!(!busy.is_expired());
    }

    #[test]
    fn a_watch_ends_with_its_guard() {
        let (client, _peer) = pair();
        let watches = Watches::default();
        drop(watches.add(client.as_raw_fd(), 0));
        assert!(watches.0.borrow().is_empty());
    }
}
