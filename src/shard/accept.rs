//! Accepting: a few posted accepts per listener, a task per connection, a panic ends one alone.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use monoio::net::{TcpListener, TcpStream};

use super::Shard;
use super::serve::{Client, serve};
use crate::limits::{ACCEPT_PAUSE, CONNECTIONS_PER_SHARD, POSTED_ACCEPTS};
use crate::sys::Stream;
use crate::sys::socket;

/// Puts the listeners on the ring and posts their accepts.
///
/// # Errors
/// Those of registering a descriptor with the driver.
pub(super) fn open(
    shard: &Rc<Shard>,
    listeners: Vec<std::net::TcpListener>,
    is_epoll: bool,
) -> io::Result<Vec<Rc<TcpListener>>> {
    let mut opened = Vec::with_capacity(listeners.len());
    for (index, listener) in listeners.into_iter().enumerate() {
        // The ring waits by itself and would hand `EAGAIN` through on a non-blocking descriptor.
        listener.set_nonblocking(is_epoll)?;
        let listener = Rc::new(TcpListener::from_std(listener)?);
        for _ in 0..POSTED_ACCEPTS {
            drop(monoio::spawn(accept(
                Rc::clone(shard),
                Rc::clone(&listener),
                index,
            )));
        }
        opened.push(listener);
    }
    Ok(opened)
}

/// Ends the accepts: they complete with an error and see that the shard drains. What waits in the
/// accept queue is served first, as the kernel would reset it.
pub(super) fn close(shard: &Rc<Shard>, listeners: &[Rc<TcpListener>], is_epoll: bool) {
    for (index, listener) in listeners.iter().enumerate() {
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&**listener);
        while let Some((stream, peer)) = socket::accept_waiting(descriptor) {
            // As above. A connection that blocks would hold up the whole shard on epoll.
            let opened = stream.set_nonblocking(is_epoll);
            match opened.and_then(|()| TcpStream::from_std(stream)) {
                Ok(stream) => admit(shard, stream, peer, index),
                Err(error) => tracing::debug!(%error, "a connection was lost in the drain"),
            }
        }
        socket::shut_down(descriptor, socket::Way::Receive);
    }
}

async fn accept(shard: Rc<Shard>, listener: Rc<TcpListener>, index: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&shard, stream, peer, index),
            Err(_) if shard.is_draining() => return,
            Err(error) => {
                shard.counts().accept_errors.add(1);
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    // EMFILE, ENFILE, ENOBUFS, ENOMEM: time may help, trying at once does not.
                    monoio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn admit(shard: &Rc<Shard>, stream: TcpStream, peer: SocketAddr, listener: usize) {
    let counts = shard.counts();
    counts.accepted.add(1);
    if shard.watches.len() >= CONNECTIONS_PER_SHARD {
        counts.connections_refused.add(1);
        return;
    }
    drop(monoio::spawn(connection(
        Rc::clone(shard),
        Stream::new(stream),
        peer,
        listener,
    )));
}

/// One connection from accept to close.
async fn connection(shard: Rc<Shard>, stream: Stream, peer: SocketAddr, listener: usize) {
    let counts = shard.counts();
    counts.connections.add(1);
    {
        let client = Client::new(&shard, stream, peer, listener);
        let mut serving = pin!(serve(&shard, &client));
        let caught = poll_fn(|cx| {
            catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(cx)))
                .map_or_else(|_| Poll::Ready(Err(())), |poll| poll.map(Ok))
        });
        if caught.await.is_err() {
            // The panic hook has told the rest. The future is not polled again, only dropped.
            counts.panics.add(1);
        }
    }
    counts.connections.sub(1);
}
