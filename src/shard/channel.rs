//! A connection, in clear or with TLS on it, with the interface of [`Stream`] whichever it is.
//!
//! An enum and no trait object: the plain way is the stream's own, and nothing of TLS lies in a
//! plain connection's task, as its operations are boxed. Invariant: an end that is passed on says
//! no more than the one that came: only one that was announced is announced.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use futures_util::future::Either;

use super::tls::Tls;
use crate::sys::socket::{self, Sight, Way, shut_down};
use crate::sys::{Block, Secured, Stream};

/// A connection: one receive and one send at a time, both at once.
#[derive(Debug)]
pub(super) enum Channel<'s> {
    /// As it is.
    Plain(Stream),
    /// A client's, over TLS.
    Tls(Box<Tls<'s>>),
    /// To a backend, over TLS.
    Secured(Box<Secured>),
}

impl Channel<'_> {
    /// [`Stream::receive`]. Over TLS `Ok(0)` is an end that was announced, and one that was not is
    /// an error, `UnexpectedEof`.
    pub(super) fn receive(
        &self,
        block: Block,
        limit: usize,
    ) -> impl Future<Output = (io::Result<usize>, Block)> {
        match self {
            Self::Plain(stream) => Either::Left(stream.receive(block, limit)),
            Self::Tls(tls) => Either::Right(Either::Left(Box::pin(tls.receive(block, limit)))),
            Self::Secured(secured) => {
                Either::Right(Either::Right(Box::pin(secured.receive(block, limit))))
            }
        }
    }

    /// [`Stream::send`].
    pub(super) fn send(
        &self,
        block: Block,
        on_progress: impl Fn(usize),
    ) -> impl Future<Output = (io::Result<()>, Block)> {
        match self {
            Self::Plain(stream) => Either::Left(stream.send(block, on_progress)),
            Self::Tls(tls) => Either::Right(Either::Left(Box::pin(tls.send(block, on_progress)))),
            Self::Secured(secured) => {
                Either::Right(Either::Right(Box::pin(secured.send(block, on_progress))))
            }
        }
    }

    /// Says that nothing more will be sent; over TLS in a way that nobody can forge if
    /// `is_announced`. A peer that is gone needs no word.
    pub(super) async fn end(&self, is_announced: bool) {
        if is_announced {
            self.announce_end().await;
        }
        shut_down(self.descriptor(), Way::Send);
    }

    /// The word that TLS has for an end (close_notify), if TLS is on it.
    pub(super) async fn announce_end(&self) {
        match self {
            Self::Plain(_) => {}
            Self::Tls(tls) => drop(Box::pin(tls.close_notify()).await),
            Self::Secured(secured) => drop(Box::pin(secured.announce_end()).await),
        }
    }

    /// What there is to see of it while nobody reads it.
    pub(super) fn look(&self) -> Sight {
        match self {
            Self::Plain(_) | Self::Tls(_) => socket::look(self.descriptor()),
            Self::Secured(secured) => secured.look(),
        }
    }

    /// [`Stream::descriptor`].
    pub(super) fn descriptor(&self) -> RawFd {
        self.stream().descriptor()
    }

    /// [`Stream::local_address`].
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream().local_address()
    }

    /// The client's session, if there is one.
    pub(super) fn tls(&self) -> Option<&Tls<'_>> {
        match self {
            Self::Tls(tls) => Some(tls),
            Self::Plain(_) | Self::Secured(_) => None,
        }
    }

    /// The connection below whatever is on it.
    pub(super) fn stream(&self) -> &Stream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.stream(),
            Self::Secured(secured) => secured.stream(),
        }
    }
}
