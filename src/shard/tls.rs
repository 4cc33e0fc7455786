//! TLS on a client's connection: ciphertext in blocks on one side, plaintext in blocks on the
//! other, rustls in between. It has the interface of [`Stream`].
//!
//! Not who may connect (`handshake.rs`). A receive and a send run at the same time, as on a
//! [`Stream`], and the session that both need is borrowed only between two operations. Invariant:
//! what the session has to say leaves it in [`seal`](Tls::seal) alone, which only a send, the
//! handshake and the close call, never two at once; so records are sent in the order of their
//! numbers. A receive sends nothing: the answer to a key update (RFC 8446 §4.6.3) or an alert waits
//! for the next send or the close, and rustls bounds how many may wait.

use std::cell::{OnceCell, RefCell};
use std::io::{self, BufRead, IoSlice, Write};
use std::sync::Arc;

use rustls::{CipherSuite, HandshakeKind, ServerConfig, ServerConnection, SupportedCipherSuite};

use super::subject::subject;
use crate::config::Suite;
use crate::limits::{IDLE_BLOCK_BYTES, TLS_SEND_BYTES};
use crate::state::HandshakeFailure;
use crate::sys::{Block, Blocks, Stream, unix_seconds};

/// The type of a record that begins a handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// A client's connection with TLS on it: one receive and one send at a time, both at once. It has
/// no deadline; whoever wants to end an operation shuts the connection down.
#[derive(Debug)]
pub struct Tls<'s> {
    stream: Stream,
    blocks: &'s Blocks,
    session: RefCell<ServerConnection>,
    /// Ciphertext that has come in and that the session has not taken yet; not empty.
    sealed: RefCell<Option<Block>>,
    /// Whose certificate the client has shown.
    subject: OnceCell<Box<str>>,
}

/// What there was for a receiver.
enum Opened {
    /// So many bytes, which are in its block.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will come: the client has said so.
    End,
}

impl<'s> Tls<'s> {
    /// A session over an accepted connection; [`shake_hands`](Self::shake_hands) comes first. What
    /// is on its way is in `blocks`.
    ///
    /// # Panics
    /// If `config` sets a `max_fragment_size` that rustls refuses.
    pub fn new(stream: Stream, config: Arc<ServerConfig>, blocks: &'s Blocks) -> Self {
        let session = ServerConnection::new(config)
            .expect("it judges the size of fragments, which is the default");
        Self {
            stream,
            blocks,
            session: RefCell::new(session),
            sealed: RefCell::new(None),
            subject: OnceCell::new(),
        }
    }

    /// The connection below, for its descriptor and address.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether the session goes on from an earlier one. Known after the handshake.
    pub(super) fn is_resumed(&self) -> bool {
        self.session.borrow().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What came with whatever stood in front of the handshake.
    pub(super) fn begin_with(&self, sealed: Block) {
        if sealed.is_empty() {
            self.blocks.put(sealed);
        } else {
            self.sealed.replace(Some(sealed));
        }
    }

    /// Agrees with the client. It may take for ever; the caller ends the connection.
    ///
    /// # Errors
    /// Why they did not agree. What rustls has to say to that, an alert, has been sent.
    pub async fn shake_hands(&self) -> Result<(), HandshakeFailure> {
        let mut is_long = false;
        let mut is_begun = false;
        loop {
            if is_begun || self.sealed.borrow().is_none() {
                match self.receive_sealed(is_long).await {
                    Ok(count @ 1..) => is_long = count >= IDLE_BLOCK_BYTES,
                    Ok(0) | Err(_) => return Err(HandshakeFailure::Closed),
                }
            }
            if !is_begun && !self.begins_handshake() {
                return Err(HandshakeFailure::NotTls);
            }
            is_begun = true;
            let advanced = self.advance();
            // Also what ends the handshake, a ticket: it takes the acknowledgement with it that a
            // client with Nagle's delay waits for before it sends its request.
            let flushed = self.flush().await;
            match advanced {
                Err(error) => return Err(failure(&error)),
                Ok(_) if flushed.is_err() => return Err(HandshakeFailure::Closed),
                Ok(true) => return self.identify(),
                Ok(false) => {}
            }
        }
    }

    /// Cipher and protocol, as OpenSSL names them; `None`: there is no agreement yet.
    pub(super) fn agreed(&self) -> Option<(&'static str, &'static str)> {
        let session = self.session.borrow();
        session.negotiated_cipher_suite().and_then(names)
    }

    /// Whose certificate the client has shown, if it has: [`subject`] of it.
    pub(super) fn subject(&self) -> Option<&str> {
        self.subject.get().map(Box::as_ref)
    }

    /// Notes whose certificate the client has shown, also where the session was resumed.
    fn identify(&self) -> Result<(), HandshakeFailure> {
        let session = self.session.borrow();
        let Some([certificate, ..]) = session.peer_certificates() else {
            return Ok(());
        };
        let subject = subject(certificate, unix_seconds());
        let subject = subject.ok_or(HandshakeFailure::ClientCertificate)?;
        self.subject.get_or_init(|| subject);
        Ok(())
    }

    /// Receives plaintext as [`Stream::receive`] does.
    ///
    /// # Errors
    /// Those of the connection, that what came is not what the client sent, or `UnexpectedEof`: the
    /// connection has ended and the client has not said that it was done.
    pub async fn receive(&self, mut block: Block, limit: usize) -> (io::Result<usize>, Block) {
        // Whoever waits for a head, perhaps for long, offers a small block and costs another one.
        let mut is_long = block.capacity() > IDLE_BLOCK_BYTES;
        loop {
            let received = match self.open(&mut block, limit) {
                Ok(Opened::Bytes(count)) => Ok(count),
                Ok(Opened::End) => Ok(0),
                Ok(Opened::Nothing) => match self.receive_sealed(is_long).await {
                    Ok(count @ 1..) => {
                        is_long |= count >= IDLE_BLOCK_BYTES;
                        continue;
                    }
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(error) => Err(error),
                },
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            };
            return (received, block);
        }
    }

    /// Sends plaintext as [`Stream::send`] does, and whatever the session has to say besides.
    ///
    /// # Errors
    /// Those of the connection, or that its keys may seal no more.
    pub async fn send(&self, block: Block, on_progress: impl Fn(usize)) -> (io::Result<()>, Block) {
        let mut taken = 0;
        loop {
            let (count, wire) = match self.seal(&block.bytes()[taken..]) {
                Ok(sealed) => sealed,
                Err(error) => return (Err(error), block),
            };
            taken += count;
            let Some(wire) = wire else {
                return (Ok(()), block);
            };
            let (sent, wire) = self.stream.send(wire, &on_progress).await;
            self.blocks.put(wire);
            if let Err(error) = sent {
                return (Err(error), block);
            }
        }
    }

    /// Tells the client that nothing more will come (RFC 8446 §6.1), once. If the session has
    /// failed it is told of that instead.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn close_notify(&self) -> io::Result<()> {
        self.session.borrow_mut().send_close_notify();
        self.flush().await
    }

    /// Sends what the session has to say by itself.
    async fn flush(&self) -> io::Result<()> {
        while let (_, Some(wire)) = self.seal(&[])? {
            let (sent, wire) = self.stream.send(wire, |_| ()).await;
            self.blocks.put(wire);
            sent?;
        }
        Ok(())
    }

    /// Takes from the front of the plaintext, says how much, and gives the records that are to be
    /// sent now. No records: everything has been sent.
    fn seal(&self, plaintext: &[u8]) -> io::Result<(usize, Option<Block>)> {
        let mut session = self.session.borrow_mut();
        let count = match &plaintext[..plaintext.len().min(TLS_SEND_BYTES)] {
            [] => 0,
            piece => session.writer().write(piece)?,
        };
        if !session.wants_write() {
            // Of what was taken records are made, unless the keys are used up (2^24 in TLS 1.2).
            return match count {
                0 => Ok((0, None)),
                _ => Err(io::ErrorKind::WriteZero.into()),
            };
        }
        let mut wire = self.blocks.relay();
        wire.clear(0);
        while session.wants_write() && wire.room() > 0 {
            session.write_tls(&mut Tail(&mut wire))?;
        }
        Ok((count, Some(wire)))
    }

    /// Receives ciphertext into a block, a large one if much is to come.
    async fn receive_sealed(&self, is_long: bool) -> io::Result<usize> {
        let mut wire = if is_long {
            self.blocks.relay()
        } else {
            self.blocks.idle()
        };
        wire.clear(0);
        let (received, wire) = self.stream.receive(wire, usize::MAX).await;
        if matches!(received, Ok(1..)) {
            self.sealed.replace(Some(wire));
        } else {
            self.blocks.put(wire);
        }
        received
    }

    /// Whether what came first can be the beginning of a handshake.
    fn begins_handshake(&self) -> bool {
        let sealed = self.sealed.borrow();
        sealed.as_ref().and_then(|wire| wire.bytes().first()) == Some(&HANDSHAKE_RECORD)
    }

    /// Goes on with the handshake by what has come in; true once it is over.
    fn advance(&self) -> Result<bool, rustls::Error> {
        let mut session = self.session.borrow_mut();
        while session.is_handshaking() {
            if !self.feed(&mut session)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves plaintext into the block, as much as fits and has come.
    fn open(&self, block: &mut Block, limit: usize) -> Result<Opened, rustls::Error> {
        let mut session = self.session.borrow_mut();
        let room = limit.min(block.room());
        let mut count = 0;
        loop {
            let (moved, is_end) = take(&mut session, block, room - count);
            count += moved;
            // The session takes ciphertext only while it holds no plaintext.
            if is_end || count == room || !self.feed(&mut session)? {
                return Ok(match count {
                    0 if is_end => Opened::End,
                    0 => Opened::Nothing,
                    _ => Opened::Bytes(count),
                });
            }
        }
    }

    /// Lets the session take some of the ciphertext that has come in; false if there is none.
    fn feed(&self, session: &mut ServerConnection) -> Result<bool, rustls::Error> {
        let mut sealed = self.sealed.borrow_mut();
        let Some(wire) = sealed.as_mut() else {
            return Ok(false);
        };
        let taken = session.read_tls(&mut wire.bytes());
        let taken = taken.map_err(|error| rustls::Error::General(error.to_string()))?;
        wire.consume(taken);
        if wire.is_empty()
            && let Some(wire) = sealed.take()
        {
            self.blocks.put(wire);
        }
        session.process_new_packets()?;
        Ok(true)
    }
}

impl Drop for Tls<'_> {
    /// What the client has sent and nobody has read.
    fn drop(&mut self) {
        if let Some(wire) = self.sealed.take() {
            self.blocks.put(wire);
        }
    }
}

/// A suite and its protocol, as OpenSSL names them.
fn names(suite: SupportedCipherSuite) -> Option<(&'static str, &'static str)> {
    use CipherSuite as C;
    Some(match suite.suite() {
        C::TLS13_AES_128_GCM_SHA256 => ("TLS_AES_128_GCM_SHA256", "TLSv1.3"),
        C::TLS13_AES_256_GCM_SHA384 => ("TLS_AES_256_GCM_SHA384", "TLSv1.3"),
        C::TLS13_CHACHA20_POLY1305_SHA256 => ("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3"),
        suite => {
            let suite = match suite {
                C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => Suite::EcdsaAes128,
                C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Suite::RsaAes128,
                C::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => Suite::EcdsaAes256,
                C::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Suite::RsaAes256,
                C::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => Suite::EcdsaChacha20,
                C::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Suite::RsaChacha20,
                _ => return None,
            };
            (suite.name(), "TLSv1.2")
        }
    })
}

/// Moves plaintext that the session holds into the block, at most `limit` bytes: how many, and
/// whether the client has said that these were the last.
fn take(session: &mut ServerConnection, block: &mut Block, limit: usize) -> (usize, bool) {
    let mut reader = session.reader();
    let mut count = 0;
    while count < limit {
        // An error means that nothing is at hand.
        let Ok(plaintext) = reader.fill_buf() else {
            return (count, false);
        };
        if plaintext.is_empty() {
            return (count, true);
        }
        let moved = plaintext.len().min(limit - count);
        block.append(&plaintext[..moved]);
        reader.consume(moved);
        count += moved;
    }
    (count, false)
}

fn failure(error: &rustls::Error) -> HandshakeFailure {
    match error {
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
            HandshakeFailure::Incompatible
        }
        rustls::Error::AlertReceived(_) => HandshakeFailure::Alerted,
        rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_) => {
            HandshakeFailure::ClientCertificate
        }
        _ => HandshakeFailure::Broken,
    }
}

/// The room behind the bytes of a block, as something to write to: several records in one call.
struct Tail<'b>(&'b mut Block);

impl Write for Tail<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0.room());
        self.0.append(&bytes[..count]);
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut count = 0;
        for slice in slices {
            let written = self.write(slice)?;
            count += written;
            if written < slice.len() {
                break;
            }
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
