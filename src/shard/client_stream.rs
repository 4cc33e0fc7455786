//! A client's connection, in clear or with TLS on it, with the interface of [`Stream`] either way.
//!
//! An enum and no trait object: the plain way is the stream's own, and nothing of TLS lies in a
//! plain connection's task, as its operations are boxed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use futures_util::future::Either;

use super::tls::Tls;
use crate::sys::{Block, Stream};

/// A client's connection: one receive and one send at a time, both at once.
#[derive(Debug)]
pub(super) enum ClientStream<'s> {
    /// As it is.
    Plain(Stream),
    /// Over TLS.
    Tls(Box<Tls<'s>>),
}

impl ClientStream<'_> {
    /// [`Stream::receive`], or [`Tls::receive`].
    pub(super) fn receive(
        &self,
        block: Block,
        limit: usize,
    ) -> impl Future<Output = (io::Result<usize>, Block)> {
        match self {
            Self::Plain(stream) => Either::Left(stream.receive(block, limit)),
            Self::Tls(tls) => Either::Right(Box::pin(tls.receive(block, limit))),
        }
    }

    /// [`Stream::send`], or [`Tls::send`].
    pub(super) fn send(
        &self,
        block: Block,
        on_progress: impl Fn(),
    ) -> impl Future<Output = (io::Result<()>, Block)> {
        match self {
            Self::Plain(stream) => Either::Left(stream.send(block, on_progress)),
            Self::Tls(tls) => Either::Right(Box::pin(tls.send(block, on_progress))),
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

    /// The session, if there is one.
    pub(super) fn tls(&self) -> Option<&Tls<'_>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls),
        }
    }

    /// The connection under it; whoever passes bytes on as they are, as a relay does, uses this.
    pub(super) fn stream(&self) -> &Stream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.stream(),
        }
    }
}
