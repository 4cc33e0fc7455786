//! What is wrong between nodes, told in the log: each thing once in a while, however many datagrams
//! show it.
//!
//! Not a count (`state`). Invariant: whoever sends datagrams from however many addresses makes no
//! more than some lines of it.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use crate::cluster::Refusal;
use crate::limits::{GOSSIP_COMPLAINT_PAUSE, GOSSIP_COMPLAINTS_MAX};

/// Something to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Complaint {
    /// Who is there has another secret.
    UnknownKey(IpAddr),
    /// Who is there is of another version.
    Version(IpAddr),
    /// The clock of the node of this number is off.
    Clock(u32),
    /// Who is there goes by the number of this node.
    Namesake(IpAddr),
    /// There are more nodes than are heard.
    Crowded,
    /// Nothing can be sent there.
    Send(IpAddr),
    /// Nothing can be received.
    Receive,
}

/// What was told lately.
#[derive(Debug)]
pub(super) struct Complaints {
    told: BTreeSet<Complaint>,
    /// When all of it is forgotten.
    until: Instant,
}

impl Complaints {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            told: BTreeSet::new(),
            until: now,
        }
    }

    /// A datagram from there was refused. Most are foreign or forged, and nobody is to be told.
    pub(super) fn tell_refusal(&mut self, refusal: Refusal, from: SocketAddr, now: Instant) {
        let complaint = match refusal {
            Refusal::UnknownKey => Complaint::UnknownKey(from.ip()),
            Refusal::Version => Complaint::Version(from.ip()),
            Refusal::Clock { node, .. } => Complaint::Clock(node),
            Refusal::Namesake => Complaint::Namesake(from.ip()),
            Refusal::Crowded => Complaint::Crowded,
            Refusal::Short
            | Refusal::Long
            | Refusal::Forged
            | Refusal::Malformed
            | Refusal::Own
            | Refusal::OlderStart
            | Refusal::Replayed => return,
        };
        if !self.is_new(complaint, now) {
            return;
        }
        match refusal {
            Refusal::UnknownKey => {
                tracing::warn!(%from, "datagrams of a node, or of nobody, by another secret");
            }
            Refusal::Version => {
                tracing::warn!(%from, "datagrams of a node, or of nobody, of another version");
            }
            Refusal::Clock { node, off_ms } => tracing::warn!(
                %from, node, off_ms,
                "a node is not heard, as its clock and this one's are too far apart"
            ),
            Refusal::Namesake => {
                tracing::warn!(%from, "another node has the name of this one: neither is heard");
            }
            _ => tracing::warn!(%from, "a node is not heard, as there are too many"),
        }
    }

    /// The socket has failed.
    pub(super) fn tell_error(&mut self, complaint: Complaint, error: &io::Error, now: Instant) {
        if !self.is_new(complaint, now) {
            return;
        }
        match complaint {
            Complaint::Send(to) => tracing::warn!(%to, %error, "cannot send to a node"),
            _ => tracing::warn!(%error, "cannot hear other nodes"),
        }
    }

    fn is_new(&mut self, complaint: Complaint, now: Instant) -> bool {
        if self.until <= now {
            self.told.clear();
            self.until = now + GOSSIP_COMPLAINT_PAUSE;
        }
        self.told.len() < GOSSIP_COMPLAINTS_MAX && self.told.insert(complaint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_is_told_once_in_a_while_and_all_of_them_have_a_bound() {
        let start = Instant::now();
        let mut complaints = Complaints::new(start);
        assert!(complaints.is_new(Complaint::Clock(1), start));
        assert!(complaints.is_new(Complaint::Clock(2), start));
        assert!(!complaints.is_new(Complaint::Clock(1), start));
        let from = |number| Complaint::UnknownKey(IpAddr::from([10, 0, number, 1]));
        let told = (0..=u8::MAX).filter(|number| complaints.is_new(from(*number), start));
        assert_eq!(told.count(), GOSSIP_COMPLAINTS_MAX - 2);
        assert!(complaints.is_new(Complaint::Clock(1), start + GOSSIP_COMPLAINT_PAUSE));
    }
}
