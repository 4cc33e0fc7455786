//! The wire between nodes: messages of the gossip library in sealed datagrams, over one socket.
//!
//! Not what a seal is (`cluster`), nor what messages say. Invariants: nothing that comes from a
//! network ends the gossip, and nothing goes to the log for each datagram; a message is handed on
//! only if who has the secret has sent all of it, now and for the first time.

mod complaints;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use aws_lc_rs::rand;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Deserializable, Serializable};
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::{self, Instant};

use self::complaints::{Complaint, Complaints};
use crate::cluster::{Joiner, NONCE_BYTES, Opener, Piece, Refusal, Sealer, Secrets, Sender, cut};
use crate::limits::{GOSSIP_DATAGRAM_BYTES_MAX, GOSSIP_ERROR_PAUSE};
use crate::state::GossipLine;
use crate::sys::unix_micros;

/// A socket that is bound, and what seals what goes through it.
pub(in crate::control) struct SealedUdp {
    /// Until the library opens it, which it may do once.
    parts: Mutex<Option<(std::net::UdpSocket, Wire)>>,
}

impl SealedUdp {
    /// Of this node, which is known by its number and by when it started, in milliseconds since
    /// 1970. The first of the secrets seals.
    pub(in crate::control) fn new(
        socket: std::net::UdpSocket,
        secrets: &Secrets,
        node: u32,
        boot_ms: u64,
        counts: Arc<GossipLine>,
    ) -> Self {
        let own = Sender { node, boot_ms };
        let wire = Wire {
            sealer: Sealer::new(secrets, own),
            opener: Opener::new(secrets, own),
            joiner: Joiner::default(),
            messages: 0,
            counts,
            complaints: Complaints::new(Instant::now()),
        };
        Self {
            parts: Mutex::new(Some((socket, wire))),
        }
    }
}

#[async_trait]
impl Transport for SealedUdp {
    /// The socket that is bound already, wherever the library would have it listen.
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let parts = self.parts.lock().await.take();
        let (socket, wire) = parts.context("the socket is open already")?;
        socket.set_nonblocking(true)?;
        Ok(Box::new(SealedSocket {
            socket: UdpSocket::from_std(socket)?,
            // One byte more, by which a datagram is told that is too long.
            buffer: vec![0; GOSSIP_DATAGRAM_BYTES_MAX + 1],
            wire,
        }))
    }
}

struct SealedSocket {
    socket: UdpSocket,
    buffer: Vec<u8>,
    wire: Wire,
}

#[async_trait]
impl Socket for SealedSocket {
    /// Sends a message in as many datagrams as it needs. That one cannot be sent is no error:
    /// messages may be lost anyway.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let message = message.serialize_to_vec();
        let number = self.wire.messages;
        self.wire.messages = number.wrapping_add(1);
        let Some(pieces) = cut(number, &message) else {
            self.wire.counts.messages_too_long.add(1);
            return Ok(());
        };
        for piece in pieces {
            let sent = match self.wire.seal(&piece) {
                Ok(datagram) => self.socket.send_to(&datagram, to).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(bytes) => {
                    self.wire.counts.datagrams_sent.add(1);
                    self.wire.counts.bytes_sent.add(bytes as u64);
                }
                Err(error) => {
                    self.wire.counts.send_errors.add(1);
                    let complaint = Complaint::Send(to.ip());
                    self.wire
                        .complaints
                        .tell_error(complaint, &error, Instant::now());
                    // Without this piece the others are of no use.
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits for a message. Dropped before it is there, it has lost none: pieces that came stay.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let (bytes, from) = match self.socket.recv_from(&mut self.buffer).await {
                Ok(received) => received,
                Err(error) => {
                    self.wire.receive_failed(&error);
                    time::sleep(GOSSIP_ERROR_PAUSE).await;
                    continue;
                }
            };
            if let Some(message) = self.wire.take(&self.buffer[..bytes], from) {
                return Ok((from, message));
            }
        }
    }
}

/// What is between messages and datagrams.
struct Wire {
    sealer: Sealer,
    opener: Opener,
    joiner: Joiner,
    /// How many messages were sent; the number of the next one.
    messages: u32,
    counts: Arc<GossipLine>,
    complaints: Complaints,
}

/// Milliseconds since 1970 by the wall clock as it is now: one that is set right after the start,
/// or that of a machine which was suspended, is to be believed again.
fn wall_millis() -> u64 {
    unix_micros() / 1000
}

impl Wire {
    fn seal(&mut self, piece: &Piece<'_>) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| io::Error::other("no random bytes"))?;
        Ok(self.sealer.seal(piece, wall_millis(), nonce))
    }

    /// The message that is whole with this datagram.
    fn take(&mut self, datagram: &[u8], from: SocketAddr) -> Option<ChitchatMessage> {
        self.counts.datagrams_received.add(1);
        self.counts.bytes_received.add(datagram.len() as u64);
        let now_ms = wall_millis();
        let message = match self.opener.open(datagram, now_ms) {
            Ok(opened) => self.joiner.join(opened.sender, &opened.piece, now_ms),
            Err(refusal) => {
                self.refuse(refusal, from);
                None
            }
        };
        self.counts.messages_incomplete.set(self.joiner.given_up());
        let message = message?;
        let read = ChitchatMessage::deserialize(&mut &*message);
        if read.is_err() {
            self.counts.messages_unreadable.add(1);
        }
        read.ok()
    }

    fn refuse(&mut self, refusal: Refusal, from: SocketAddr) {
        self.counts.refused[refusal.index()].add(1);
        self.complaints.tell_refusal(refusal, from, Instant::now());
    }

    fn receive_failed(&mut self, error: &io::Error) {
        self.counts.receive_errors.add(1);
        self.complaints
            .tell_error(Complaint::Receive, error, Instant::now());
    }
}

#[cfg(test)]
mod tests;
