use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;

const ONE: &str = "correct horse battery staple";
const TWO: &str = "0123456789abcdef";

/// A node on loopback.
struct Node {
    socket: Box<dyn Socket>,
    address: SocketAddr,
    counts: Arc<GossipLine>,
}

impl Node {
    async fn new(number: u32, secrets: &str) -> Self {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let counts = Arc::new(GossipLine::default());
        let secrets = Secrets::parse(secrets).unwrap();
        let transport = SealedUdp::new(socket, &secrets, number, 1, Arc::clone(&counts));
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = transport.open(anywhere).await.unwrap();
        assert!(
            transport.open(anywhere).await.is_err(),
            "it is open already"
        );
        Self {
            socket,
            address,
            counts,
        }
    }

    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) {
        self.socket.send(to, message).await.unwrap();
    }

    /// What it hears next, of whomever.
    async fn hear(&mut self) -> ChitchatMessage {
        self.hear_from().await.1
    }

    async fn hear_from(&mut self) -> (SocketAddr, ChitchatMessage) {
        let heard = time::timeout(Duration::from_secs(10), self.socket.recv());
        heard.await.expect("something comes").unwrap()
    }

    fn refused(&self, name: &str) -> u64 {
        let index = Refusal::NAMES.iter().position(|known| *known == name);
        self.counts.refused[index.unwrap()].value()
    }

    fn refused_in_all(&self) -> u64 {
        self.counts.refused.iter().map(|count| count.value()).sum()
    }
}

/// A message with a text of so many bytes.
fn message(bytes: usize) -> ChitchatMessage {
    ChitchatMessage::Syn {
        cluster_id: "x".repeat(bytes),
        digest: Default::default(),
    }
}

/// Somebody between two nodes.
async fn listener() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

async fn caught(listener: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 2 * GOSSIP_DATAGRAM_BYTES_MAX];
    let bytes = time::timeout(Duration::from_secs(10), listener.recv(&mut buffer));
    let bytes = bytes.await.expect("something comes").unwrap();
    buffer.truncate(bytes);
    buffer
}

#[tokio::test]
async fn nodes_hear_each_other_and_bytes_are_counted() {
    let (mut one, mut two) = (Node::new(1, ONE).await, Node::new(2, ONE).await);
    one.send(two.address, message(5)).await;
    assert_eq!(two.hear_from().await, (one.address, message(5)));
    two.send(one.address, message(7)).await;
    assert_eq!(one.hear().await, message(7));
    assert_eq!(one.counts.datagrams_sent.value(), 1);
    assert_eq!(one.counts.datagrams_received.value(), 1);
    assert_eq!(
        one.counts.bytes_sent.value(),
        two.counts.bytes_received.value()
    );
    assert_eq!(one.refused_in_all() + two.refused_in_all(), 0);
}

#[tokio::test]
async fn a_long_message_comes_in_pieces_and_a_longer_one_not_at_all() {
    let (mut one, mut two) = (Node::new(1, ONE).await, Node::new(2, ONE).await);
    one.send(two.address, message(60_000)).await;
    assert_eq!(two.hear().await, message(60_000));
    assert!(one.counts.datagrams_sent.value() > 50);
    let sent = one.counts.datagrams_sent.value();
    let per_datagram = GOSSIP_DATAGRAM_BYTES_MAX as u64;
    assert!(one.counts.bytes_sent.value() <= sent * per_datagram);
    one.send(two.address, message(65_530)).await;
    assert_eq!(one.counts.messages_too_long.value(), 1);
    assert_eq!(one.counts.datagrams_sent.value(), sent);
}

#[tokio::test]
async fn without_the_secret_nothing_is_heard() {
    let (mut one, mut stranger) = (Node::new(1, ONE).await, Node::new(2, TWO).await);
    let mut friend = Node::new(3, ONE).await;
    stranger.send(one.address, message(5)).await;
    friend.send(one.address, message(7)).await;
    assert_eq!(one.hear().await, message(7));
    assert_eq!(one.refused("unknown_key"), 1);
    // Nor can a stranger read.
    let tap = listener().await;
    one.send(tap.local_addr().unwrap(), message(200)).await;
    let sealed = caught(&tap).await;
    assert!(!sealed.windows(8).any(|bytes| bytes == b"xxxxxxxx"));
}

#[tokio::test]
async fn the_secret_can_be_changed_node_by_node() {
    let (mut old, mut both) = (
        Node::new(1, ONE).await,
        Node::new(2, &format!("{ONE}\n{TWO}")).await,
    );
    let mut new = Node::new(3, &format!("{TWO}\n{ONE}")).await;
    old.send(new.address, message(1)).await;
    assert_eq!(new.hear().await, message(1));
    new.send(both.address, message(2)).await;
    assert_eq!(both.hear().await, message(2));
    both.send(old.address, message(3)).await;
    assert_eq!(old.hear().await, message(3));
}

#[tokio::test]
async fn what_was_caught_and_sent_again_or_altered_is_dropped_and_counted() {
    let (mut one, mut two) = (Node::new(1, ONE).await, Node::new(2, ONE).await);
    let tap = listener().await;
    one.send(tap.local_addr().unwrap(), message(5)).await;
    let datagram = caught(&tap).await;
    let mut altered = datagram.clone();
    *altered.last_mut().unwrap() ^= 1;
    let long = vec![1; GOSSIP_DATAGRAM_BYTES_MAX + 100];
    let attempts = [
        &altered,
        &datagram,
        &datagram,
        &long,
        &datagram[..50].to_vec(),
        &Vec::new(),
    ];
    for attempt in attempts {
        tap.send_to(attempt, two.address).await.unwrap();
    }
    one.send(two.address, message(7)).await;
    // Altered first, it came nevertheless, and once.
    assert_eq!(two.hear().await, message(5));
    assert_eq!(two.hear().await, message(7));
    for (name, count) in [("forged", 1), ("replayed", 1), ("long", 1), ("short", 2)] {
        assert_eq!(two.refused(name), count, "{name}");
    }
    assert_eq!(two.counts.datagrams_received.value(), 7);
    // Back to where it came from.
    tap.send_to(&datagram, one.address).await.unwrap();
    two.send(one.address, message(9)).await;
    assert_eq!(one.hear().await, message(9));
    assert_eq!(one.refused("own"), 1);
}

#[tokio::test]
async fn who_seals_what_the_library_cannot_read_is_counted() {
    let mut two = Node::new(2, ONE).await;
    let own = Sender {
        node: 1,
        boot_ms: 1,
    };
    let mut sealer = Sealer::new(&Secrets::parse(ONE).unwrap(), own);
    let tap = listener().await;
    for text in [&b"nonsense"[..], b""] {
        let piece = cut(1, text).and_then(|mut pieces| pieces.next()).unwrap();
        let datagram = sealer.seal(&piece, wall_millis(), [7; NONCE_BYTES]);
        tap.send_to(&datagram, two.address).await.unwrap();
    }
    let late = cut(1, b"late")
        .and_then(|mut pieces| pieces.next())
        .unwrap();
    let datagram = sealer.seal(&late, wall_millis() - 60_000, [7; NONCE_BYTES]);
    tap.send_to(&datagram, two.address).await.unwrap();
    Node::new(3, ONE).await.send(two.address, message(7)).await;
    assert_eq!(two.hear().await, message(7));
    assert_eq!(two.counts.messages_unreadable.value(), 2);
    assert_eq!(two.refused("clock"), 1);
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_no_piece() {
    let (mut one, mut two) = (Node::new(1, ONE).await, Node::new(2, ONE).await);
    let tap = listener().await;
    one.send(tap.local_addr().unwrap(), message(2000)).await;
    let [first, second] = [caught(&tap).await, caught(&tap).await];
    tap.send_to(&first, two.address).await.unwrap();
    // Dropped once the first piece is in.
    let counts = Arc::clone(&two.counts);
    let came = async {
        while counts.datagrams_received.value() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = two.socket.recv() => panic!("half a message is none"),
        () = came => {}
    }
    tap.send_to(&second, two.address).await.unwrap();
    assert_eq!(two.hear().await, message(2000));
}

#[tokio::test]
async fn what_cannot_be_sent_is_counted_and_ends_nothing() {
    let (mut one, mut two) = (Node::new(1, ONE).await, Node::new(2, ONE).await);
    // No address of the socket's family.
    one.send("[::1]:9".parse().unwrap(), message(5000)).await;
    assert_eq!(one.counts.send_errors.value(), 1);
    one.send(two.address, message(7)).await;
    assert_eq!(two.hear().await, message(7));
}
