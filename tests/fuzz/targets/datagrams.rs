//! Datagrams between nodes: whatever comes, and however often, only what who has the secret has
//! sealed is heard, once and in time; messages come out as they went in, and all else changes
//! nothing.
//!
//! Input: steps of four bytes each: what is done, to which datagram, and how. Some take as many
//! bytes as they say from what follows.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use elbow::cluster::{Joiner, NONCE_BYTES, Opener, Refusal, Sealer, Secrets, Sender, cut};
use elbow::limits::{CLOCK_SKEW_MS_MAX, HALF_MESSAGE_MS_MAX, HALF_MESSAGES_MAX};
use libfuzzer_sys::fuzz_target;

/// When everything was sealed, in milliseconds since 1970.
const SEALED_MS: u64 = 1_700_000_000_000;

/// Who hears.
const OWN: Sender = Sender {
    node: 1,
    boot_ms: SEALED_MS - 1000,
};

static SENT: LazyLock<Vec<Sent>> = LazyLock::new(sent);

/// A datagram that was sealed.
struct Sent {
    sender: Sender,
    /// It is by the secret, and of another node.
    is_for_us: bool,
    bytes: Vec<u8>,
    /// The message that it belongs to; no two are the same.
    message: Vec<u8>,
}

fn secrets(text: &str) -> Secrets {
    Secrets::parse(text).expect("it holds")
}

/// Of two nodes, one of which was started again, of this one, of its namesake and of a stranger;
/// each with a short message and one in three pieces.
fn sent() -> Vec<Sent> {
    let of = |node, boot_ms| Sender { node, boot_ms };
    let ours = "correct horse battery staple";
    let senders = [
        (of(2, SEALED_MS - 5000), ours, true),
        (of(2, SEALED_MS - 10), ours, true),
        (of(3, 7), "fedcba9876543210", true),
        (OWN, ours, false),
        (of(1, 5), ours, false),
        (of(4, 5), "0123456789abcdef", false),
    ];
    let mut all = Vec::new();
    for (fill, (sender, secret, is_for_us)) in (1_u8..).zip(senders) {
        let mut sealer = Sealer::new(&secrets(secret), sender);
        for (number, length) in [(0, 20), (1, 3000), (2, 2500)] {
            let message = vec![fill + 10 * u8::try_from(number).expect("few"); length];
            let pieces = cut(number, &message).expect("it is short");
            all.extend(pieces.map(|piece| Sent {
                sender,
                is_for_us,
                bytes: sealer.seal(&piece, SEALED_MS, [fill; NONCE_BYTES]),
                message: message.clone(),
            }));
        }
    }
    all
}

fuzz_target!(|input: &[u8]| {
    let mut node = Node::new();
    let mut rest = input;
    while let Some((&[what, which, a, b], more)) = rest.split_first_chunk() {
        rest = more;
        let index = usize::from(which) % SENT.len();
        let bytes = &SENT[index].bytes;
        match what % 8 {
            0..=2 => node.hear(index),
            3 => {
                let mut altered = bytes.clone();
                altered[(usize::from(a) << 3 | usize::from(b & 7)) % bytes.len()] ^= 1 << (b >> 5);
                node.refuse(&altered);
            }
            4 => node.refuse(&bytes[..(usize::from(a) << 3) % bytes.len()]),
            5 => {
                let (tail, more) = rest.split_at(rest.len().min(usize::from(a) + 1));
                if !tail.is_empty() {
                    node.refuse(&[&bytes[..bytes.len() / (1 + usize::from(b & 1))], tail].concat());
                }
                rest = more;
            }
            6 => {
                let (raw, more) = rest.split_at(rest.len().min(usize::from(a) << 3));
                node.refuse(raw);
                rest = more;
            }
            _ => node.now_ms += u64::from(a) * u64::from(b),
        }
        node.check();
    }
});

/// Who hears, and what it should have.
struct Node {
    opener: Opener,
    joiner: Joiner,
    now_ms: u64,
    heard: BTreeSet<usize>,
    /// The latest start of each node that was heard.
    starts: BTreeMap<u32, u64>,
    /// Pieces of messages that have come, and when the first did.
    halves: BTreeMap<Vec<u8>, (usize, u64)>,
}

impl Node {
    fn new() -> Self {
        let secrets = secrets("correct horse battery staple\nfedcba9876543210");
        Self {
            opener: Opener::new(&secrets, OWN),
            joiner: Joiner::default(),
            now_ms: SEALED_MS,
            heard: BTreeSet::new(),
            starts: BTreeMap::new(),
            halves: BTreeMap::new(),
        }
    }

    /// A datagram comes as it was sealed.
    fn hear(&mut self, index: usize) {
        let sent = &SENT[index];
        let latest = self.starts.get(&sent.sender.node).copied().unwrap_or(0);
        let is_due = sent.is_for_us
            && !self.heard.contains(&index)
            && sent.sender.boot_ms >= latest
            && self.now_ms - SEALED_MS <= CLOCK_SKEW_MS_MAX;
        let opened = match self.opener.open(&sent.bytes, self.now_ms) {
            Ok(opened) => opened,
            Err(refusal) => return assert!(!is_due, "{refusal:?} of what is due"),
        };
        assert!(is_due, "{index} was heard");
        assert_eq!(opened.sender, sent.sender);
        let joined = self.joiner.join(sent.sender, &opened.piece, self.now_ms);
        self.heard.insert(index);
        self.starts.insert(sent.sender.node, sent.sender.boot_ms);
        let of_message = SENT.iter().filter(|other| other.message == sent.message);
        let now_ms = self.now_ms;
        let is_late = |began| now_ms - began > HALF_MESSAGE_MS_MAX;
        self.halves.retain(|_, (_, began)| !is_late(*began));
        let half = self.halves.entry(sent.message.clone());
        let (pieces, _) = half.or_insert((0, now_ms));
        *pieces += 1;
        let is_whole = *pieces == of_message.count();
        if is_whole {
            self.halves.remove(&sent.message);
        }
        // There are too few messages for one to be given up before its time.
        assert_eq!(joined.as_ref(), is_whole.then_some(&sent.message));
    }

    /// Something comes that nobody has sealed.
    fn refuse(&mut self, datagram: &[u8]) {
        let refusal = self
            .opener
            .open(datagram, self.now_ms)
            .expect_err("it is forged");
        let is_known_by_its_form = matches!(
            refusal,
            Refusal::Short
                | Refusal::Long
                | Refusal::Version
                | Refusal::UnknownKey
                | Refusal::Forged
        );
        assert!(is_known_by_its_form, "{refusal:?}");
    }

    fn check(&mut self) {
        assert!(self.joiner.waiting() <= HALF_MESSAGES_MAX);
    }
}
