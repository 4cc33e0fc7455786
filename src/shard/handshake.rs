//! The TLS handshake as a shard sees it: bounded in time and number, and counted.
//!
//! Not the protocol (`tls.rs`). Invariant: a handshake in progress is counted as one until it ends,
//! however it ends.

use super::Shard;
use super::respond::linger;
use super::serve::Client;
use super::watch::Waiting;
use crate::limits::{HANDSHAKE_TIME, HANDSHAKES_PER_SHARD};
use crate::state::{HandshakeFailure, TlsLine};
use crate::sys::{Block, Instant};

/// Whether there is place for another handshake; counted if not.
pub(super) fn has_place(counts: &TlsLine) -> bool {
    let has_place = counts.in_progress.value() < HANDSHAKES_PER_SHARD as u64;
    if !has_place {
        counts.refused.add(1);
    }
    has_place
}

/// Shakes hands where the listener asks for it. What has come in already is in `inbox`, and what
/// came behind the handshake is in the block that is returned. `None`: the connection is at its
/// end.
pub(super) async fn shake_hands(shard: &Shard, client: &Client<'_>, inbox: Block) -> Option<Block> {
    let Some(tls) = client.stream.tls() else {
        return Some(inbox);
    };
    tls.begin_with(inbox);
    let counts = &shard.counts().tls;
    let _in_progress = InProgress::begin(counts);
    client
        .watch
        .wait(Waiting::Handshake, Instant::now().after(HANDSHAKE_TIME));
    // Boxed: it would make the task of every plain connection larger.
    let shaken = Box::pin(tls.shake_hands()).await;
    match shaken {
        Ok(()) => {
            counts.handshakes.add(1);
            counts.resumed.add(tls.is_resumed().into());
        }
        Err(failure) => {
            let failure = if client.watch.is_expired() {
                HandshakeFailure::Late
            } else {
                failure
            };
            counts.failures[failure as usize].add(1);
            if failure == HandshakeFailure::ClientCertificate {
                // By TLS 1.3 a client may have sent a request before it could know, and a reset
                // would take from it what it has to be told.
                let inbox = Box::pin(linger(client, shard.blocks.idle())).await;
                shard.blocks.put(inbox);
            }
        }
    }
    shaken.ok().map(|()| shard.blocks.idle())
}

/// Counts a handshake as in progress.
struct InProgress<'c>(&'c TlsLine);

impl<'c> InProgress<'c> {
    fn begin(counts: &'c TlsLine) -> Self {
        counts.in_progress.add(1);
        Self(counts)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.in_progress.sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_bound_new_handshakes_are_refused_and_counted() {
        let counts = TlsLine::default();
        let mut in_progress: Vec<_> = (0..HANDSHAKES_PER_SHARD)
            .map(|_| InProgress::begin(&counts))
            .collect();
        assert!(!has_place(&counts));
        assert_eq!(counts.refused.value(), 1);
        in_progress.pop();
        assert!(has_place(&counts));
        assert_eq!(counts.refused.value(), 1);
    }
}
