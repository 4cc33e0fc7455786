//! Listeners of a shard, and accepting: a few posted accepts each, a task per connection, a panic
//! ends one alone.

use std::cell::Cell;
use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use monoio::net::{TcpListener, TcpStream};

use super::Shard;
use super::handshake::has_place;
use super::relay::relay;
use super::serve::{Client, serve};
use crate::limits::{
    ACCEPT_ERROR_QUIET, ACCEPT_PAUSE, CLIENT_QUARTERS, CONNECTIONS_PER_SHARD, POSTED_ACCEPTS,
};
use crate::sys::{BackendTerms, Instant, Listening, Stream, TlsOffer, socket};

/// A listener as this shard has it.
#[derive(Debug)]
pub(super) struct Listener {
    /// By which its route is found; never another listener's.
    pub(super) number: usize,
    /// What it shakes hands with; `None`: it speaks in clear.
    pub(super) offer: Option<TlsOffer>,
    /// How it speaks TLS to its backends; `None`: in clear.
    pub(super) terms: Option<BackendTerms>,
    socket: TcpListener,
    is_open: Cell<bool>,
}

/// Opens the listeners that are new to this shard, and closes those that are gone.
///
/// # Errors
/// Those of registering a descriptor with the driver; the listener is not opened then.
pub(super) fn follow(shard: &Rc<Shard>, is_epoll: bool) -> io::Result<()> {
    let wanted = &shard.link.listeners.load_full().all;
    let is_gone = |listener: &mut Rc<Listener>| {
        let number = listener.number;
        wanted.iter().all(|listening| listening.number != number)
    };
    let gone: Vec<_> = shard
        .listeners
        .borrow_mut()
        .extract_if(.., is_gone)
        .collect();
    for listener in gone {
        close(shard, &listener, is_epoll);
    }
    for listening in wanted.iter() {
        let number = listening.number;
        let is_open = shard.listeners.borrow().iter().any(|l| l.number == number);
        if !is_open {
            let listener = open(shard, listening, is_epoll)?;
            shard.listeners.borrow_mut().push(listener);
        }
    }
    Ok(())
}

/// Closes all listeners.
pub(super) fn close_all(shard: &Rc<Shard>, is_epoll: bool) {
    let listeners = shard.listeners.take();
    for listener in listeners {
        close(shard, &listener, is_epoll);
    }
}

/// Puts a listener on the ring and posts its accepts.
fn open(shard: &Rc<Shard>, listening: &Listening, is_epoll: bool) -> io::Result<Rc<Listener>> {
    let socket = listening.sockets[shard.index].try_clone()?;
    // The ring waits by itself and would hand `EAGAIN` through on a non-blocking descriptor.
    socket.set_nonblocking(is_epoll)?;
    let listener = Rc::new(Listener {
        number: listening.number,
        offer: listening.offer.clone(),
        terms: listening.terms.clone(),
        socket: TcpListener::from_std(socket)?,
        is_open: Cell::new(true),
    });
    for _ in 0..POSTED_ACCEPTS {
        drop(monoio::spawn(accept(
            Rc::clone(shard),
            Rc::clone(&listener),
        )));
    }
    Ok(listener)
}

/// Ends the accepts: they complete with an error and see why. What waits in the accept queue is
/// served first, as the kernel would reset it.
fn close(shard: &Rc<Shard>, listener: &Rc<Listener>, is_epoll: bool) {
    listener.is_open.set(false);
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&listener.socket);
    while let Some((stream, peer)) = socket::accept_waiting(descriptor) {
        // As above. A connection that blocks would hold up the whole shard on epoll.
        let opened = stream.set_nonblocking(is_epoll);
        match opened.and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => admit(shard, stream, peer, listener),
            Err(error) => tracing::debug!(%error, "a connection was lost as a listener closed"),
        }
    }
    socket::shut_down(descriptor, socket::Way::Receive);
}

/// With how many clients a shard of `shards` lets no other in, if the process may have so many
/// files open; `None`: nobody knows.
pub(super) fn clients_max(open_files: Option<u64>, shards: usize) -> usize {
    let part = open_files.map(|files| files / 4 * CLIENT_QUARTERS / shards.max(1) as u64);
    let part = part.and_then(|part| usize::try_from(part).ok());
    part.unwrap_or(usize::MAX).max(1)
}

/// How many clients it has.
fn clients(shard: &Shard) -> usize {
    usize::try_from(shard.counts().connections.value()).unwrap_or(usize::MAX)
}

/// Waits until another client may come, or its listener closes.
async fn wait_for_room(shard: &Shard, listener: &Listener) {
    while clients(shard) >= shard.clients_max && listener.is_open.get() {
        shard.counts().accepts_paused.add(1);
        tell(
            shard,
            &"clients have their part of the descriptors (RLIMIT_NOFILE)",
        );
        monoio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn accept(shard: Rc<Shard>, listener: Rc<Listener>) {
    loop {
        wait_for_room(&shard, &listener).await;
        match listener.socket.accept().await {
            Ok((stream, peer)) => admit(&shard, stream, peer, &listener),
            Err(_) if !listener.is_open.get() => return,
            Err(error) => {
                shard.counts().accept_errors.add(1);
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    tell(&shard, &error);
                    // EMFILE, ENFILE, ENOBUFS, ENOMEM: time may help, trying at once does not.
                    monoio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Logs why accepts fail, unless that was done a moment ago.
fn tell(shard: &Shard, error: &dyn Display) {
    let now = Instant::now();
    if shard.accepts_told_until.get() <= now {
        shard.accepts_told_until.set(now.after(ACCEPT_ERROR_QUIET));
        tracing::warn!(shard = shard.index, %error, "cannot accept: clients wait");
    }
}

fn admit(shard: &Rc<Shard>, stream: TcpStream, peer: SocketAddr, listener: &Rc<Listener>) {
    let counts = shard.counts();
    counts.accepted.add(1);
    if clients(shard) >= CONNECTIONS_PER_SHARD {
        counts.connections_refused.add(1);
        return;
    }
    if listener.offer.is_some() && !has_place(&counts.tls) {
        return;
    }
    let world = shard.world();
    let Some(route) = world.route(listener.number) else {
        return;
    };
    // Here and not by its task, which may begin after others have been let in.
    counts.connections.add(1);
    let (shard, stream, listener) = (Rc::clone(shard), Stream::new(stream), Rc::clone(listener));
    if route.relays() {
        drop(monoio::spawn(connection(
            shard, stream, peer, listener, relay,
        )));
    } else {
        drop(monoio::spawn(connection(
            shard, stream, peer, listener, serve,
        )));
    }
}

/// One connection from accept to close. A task is as large as what it carries out needs.
async fn connection(
    shard: Rc<Shard>,
    stream: Stream,
    peer: SocketAddr,
    listener: Rc<Listener>,
    carry_out: impl AsyncFn(&Shard, &mut Client<'_>),
) {
    let counts = shard.counts();
    {
        let mut client = Client::new(&shard, stream, peer, &listener);
        if contain(pin!(carry_out(&shard, &mut client))).await.is_err() {
            counts.panics.add(1);
        }
        shard.log.end(&shard, &client);
    }
    counts.connections.sub(1);
}

/// The future panicked; the panic hook has told where. It was not polled again.
#[derive(Debug, PartialEq, Eq)]
struct Panicked;

/// Runs a future so that its panic ends it alone: monoio would let it end the shard. Pinned by the
/// caller, as a future that is passed by value takes its place twice.
async fn contain<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(|cx| {
        // What a panic leaves behind is dropped with the future: its borrows, its hold on a
        // backend, its descriptors. Nothing else can be in the middle of a change.
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)))
            .map_or_else(|_payload| Poll::Ready(Err(Panicked)), |poll| poll.map(Ok))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::super::Runtime;
    use super::*;
    use crate::config::Driver;
    use crate::limits::{CONNECTION_TASK_BYTES_MAX, RELAY_TASK_BYTES_MAX};

    /// Sets its cell when it is dropped, as a backend's hold or a watch's guard would.
    struct Guard<'c>(&'c Cell<bool>);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn three_quarters_of_the_descriptors_are_for_clients() {
        assert_eq!(clients_max(Some(1024), 1), 768);
        assert_eq!(clients_max(Some(1024), 4), 192);
        assert_eq!(clients_max(Some(3), 64), 1, "one is always let in");
        assert_eq!(clients_max(None, 2), usize::MAX);
    }

    #[test]
    fn a_panic_ends_its_connection_and_releases_what_it_held() {
        let (mut runtime, _) = Runtime::build(Driver::Epoll).unwrap();
        let is_released = Cell::new(false);
        let panicking = async {
            let _guard = Guard(&is_released);
            monoio::time::sleep(std::time::Duration::from_millis(1)).await;
            panic!("this panic is part of a test");
        };
        assert_eq!(runtime.block_on(contain(pin!(panicking))), Err(Panicked));
        assert!(is_released.get());
        assert_eq!(runtime.block_on(contain(pin!(async { 7 }))), Ok(7));
    }

    /// The state that an async function's calls take.
    fn state_bytes<F>(_: fn(Rc<Shard>, Stream, SocketAddr, Rc<Listener>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_holds_a_small_task() {
        const TASK_HEADER_BYTES: usize = 56; // monoio's, around the state
        let http = state_bytes(|shard, stream, peer, listener| {
            connection(shard, stream, peer, listener, serve)
        });
        let bytes = http + TASK_HEADER_BYTES;
        assert!(bytes <= CONNECTION_TASK_BYTES_MAX, "{bytes} bytes");
        let tcp = state_bytes(|shard, stream, peer, listener| {
            connection(shard, stream, peer, listener, relay)
        });
        let bytes = tcp + TASK_HEADER_BYTES;
        assert!(bytes <= RELAY_TASK_BYTES_MAX, "{bytes} bytes");
    }
}
