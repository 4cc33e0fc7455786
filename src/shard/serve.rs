//! One client connection, request by request. This is the data path: read it top to bottom.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::accept::Listener;
use super::admit::{admit, count};
use super::channel::Channel;
use super::exchange::{After, Exchange, Served, attempt};
use super::handshake::shake_hands;
use super::in_turn::exchange_in_turn;
use super::proxy_header::receive_header;
use super::record::Slot;
use super::relay::relay_switched;
use super::respond::{linger, reply};
use super::seat::take_seat;
use super::tls::Tls;
use super::watch::{Waiting, Watched};
use super::{Shard, host_text};
use crate::http::{HeadEnd, Reason, Refusal, Reply, Verdict, excess, find_end, leading_blank};
use crate::limits::{IDLE_BLOCK_BYTES, LINGER_TIME, REQUEST_HEAD_BYTES_MAX};
use crate::proxy_protocol::Endpoints;
use crate::state::Route;
use crate::sys::socket::{Sight, reset_on_close};
use crate::sys::{Block, Instant, Stream};

/// A client connection.
#[derive(Debug)]
pub(super) struct Client<'s> {
    // Before the stream: a watch must be gone when its descriptor closes.
    pub(super) watch: Watched<'s>,
    pub(super) stream: Channel<'s>,
    /// The client's address as `X-Forwarded-For` has it: bare, without a port.
    pub(super) address: Box<str>,
    /// The other end of the socket: the client, or a proxy in front of it.
    pub(super) peer: SocketAddr,
    /// What that proxy has said of the connection. In a box, as few connections have it.
    announced: Option<Box<Endpoints>>,
    /// What the access log is to say of what goes on.
    pub(super) record: Slot,
    /// The listener that accepted it.
    pub(super) listener: &'s Listener,
}

impl<'s> Client<'s> {
    pub(super) fn new(
        shard: &'s Shard,
        stream: Stream,
        peer: SocketAddr,
        listener: &'s Listener,
    ) -> Self {
        let watch = shard.watches.add(stream.descriptor(), listener.number);
        let stream = match &listener.offer {
            None => Channel::Plain(stream),
            Some(offer) => {
                let tls = Tls::new(stream, offer.load_full(), &shard.blocks);
                Channel::Tls(Box::new(tls))
            }
        };
        Self {
            watch,
            stream,
            address: peer.ip().to_string().into(),
            peer,
            announced: None,
            record: Slot::default(),
            listener,
        }
    }

    /// From now on the client is the source of a PROXY header.
    pub(super) fn take_for(&mut self, endpoints: Endpoints) {
        self.address = endpoints.source.ip().to_canonical().to_string().into();
        self.announced = Some(Box::new(endpoints));
    }

    /// The client's address and port, by the socket or by a PROXY header.
    pub(super) fn source(&self) -> SocketAddr {
        match &self.announced {
            Some(endpoints) => endpoints.source,
            None => self.peer,
        }
    }

    /// The client's address.
    pub(super) fn ip(&self) -> IpAddr {
        self.source().ip()
    }

    /// The two ends of the client's own connection, by a system call where no PROXY header has
    /// said them; `None` if it is gone.
    pub(super) fn endpoints(&self) -> Option<Endpoints> {
        if let Some(endpoints) = &self.announced {
            return Some(**endpoints);
        }
        Some(Endpoints {
            source: self.peer,
            destination: self.stream.local_address().ok()?,
        })
    }

    /// Sends all bytes of the block, which comes back as it went. Ends by the deadline at the
    /// latest, which `on_progress` may move.
    pub(super) async fn send(
        &self,
        block: Block,
        on_progress: impl Fn(usize),
    ) -> (io::Result<()>, Block) {
        self.watch.set_sending(true);
        let sent = self.stream.send(block, on_progress).await;
        self.watch.set_sending(false);
        sent
    }

    /// Tells the client that nothing more will come, where TLS has a word for it: without it an
    /// answer that ends with its connection could have been cut short by anybody on the way.
    pub(super) async fn close_notify(&self) {
        if self.stream.tls().is_none() {
            return;
        }
        self.watch
            .wait(Waiting::Leftover, Instant::now().after(LINGER_TIME));
        self.watch.set_sending(true);
        self.stream.announce_end().await;
        self.watch.set_sending(false);
    }

    /// The address on our side as a Host field has it.
    pub(super) fn local_host(&self) -> String {
        self.stream
            .local_address()
            .map_or_else(|_| String::new(), |local| host_text(local.ip()))
    }
}

/// Serves a connection until either side is done with it.
pub(super) async fn serve(shard: &Shard, client: &mut Client<'_>) {
    let Some(inbox) = receive_header(shard, client).await else {
        return;
    };
    let client = &*client;
    let Some(_seat) = take_seat(shard, client) else {
        return shard.blocks.put(inbox);
    };
    let Some(mut inbox) = shake_hands(shard, client, inbox).await else {
        return;
    };
    let end = loop {
        client.watch.renew();
        let arrival;
        (arrival, inbox) = read_head(shard, client, inbox).await;
        let world = shard.world();
        let Some(route) = world.route(client.listener.number) else {
            break Served::Done(After::Close);
        };
        let counts = route.counts.line(shard.index);
        if let Some(head) = arrival.head(&inbox) {
            shard.log.begin(&client.record, route, Some(head));
        }

        let head_bytes = match arrival {
            Arrival::Head(bytes) => bytes,
            Arrival::Gone => break Served::Done(After::Close),
            Arrival::Late => {
                counts.requests.add(1);
                reply(shard, client, route, Reply::RequestTimeout, false).await;
                break Served::Done(After::Close);
            }
            Arrival::Refused(own, verdict) => {
                count(client, counts, verdict);
                break refuse(shard, client, route, own).await;
            }
        };
        // A deadline that passed while the last of the head came in has lost.
        client.watch.renew();

        let Some(mut wire) = large_block(shard) else {
            counts.requests.add(1);
            break refuse(shard, client, route, Reply::ServiceUnavailable).await;
        };
        let head = &inbox.bytes()[..head_bytes];
        let admitted = admit(shard, &world, route, client, head, &mut wire);
        let inbound = match admitted {
            Ok(inbound) => inbound,
            Err(refusal) => {
                shard.blocks.put(wire);
                break refuse(shard, client, route, refusal.reply()).await;
            }
        };
        inbox.consume(head_bytes);

        let epoch = world.snapshot.epoch;
        let this = Exchange::new(shard, client, route, epoch, inbound);
        let mut served;
        (served, inbox) = attempt(&this, inbox, wire).await;
        if let Served::Full(surplus) = served {
            // Boxed: it would make the task of every connection larger.
            (served, inbox) = Box::pin(exchange_in_turn(&this, *surplus, inbox)).await;
        }
        if !matches!(served, Served::Done(After::Next)) {
            break served;
        }
        shard.log.end(shard, client);
        inbox = shrink(shard, inbox);
    };
    conclude(shard, client, end, inbox).await;
}

/// Answers a request that is not forwarded, and has its connection end.
async fn refuse(shard: &Shard, client: &Client<'_>, route: &Route, own: Reply) -> Served {
    reply(shard, client, route, own, false).await;
    Served::Done(After::Linger)
}

/// Ends a connection as its last exchange says, or carries on what it has become.
async fn conclude(shard: &Shard, client: &Client<'_>, end: Served, mut inbox: Block) {
    let end = match end {
        Served::Done(after) => after,
        // Boxed: it would make the task of every connection larger.
        Served::Switched(opened) => {
            return Box::pin(relay_switched(shard, client, *opened, inbox)).await;
        }
        Served::Full(_) => unreachable!("it waits until it is served or refused"),
    };
    shard.log.end(shard, client);
    // Who has said that this was the last may have sent more all the same, and a close with unread
    // bytes would take the answer away.
    let is_spoken_to = end == After::Close && client.stream.look() == Sight::Bytes;
    if end == After::Linger || is_spoken_to {
        inbox = linger(client, inbox).await;
    }
    shard.blocks.put(inbox);
    if end == After::Reset {
        reset_on_close(client.stream.descriptor());
    } else {
        client.close_notify().await;
    }
}

/// What came of waiting for a head.
enum Arrival {
    /// A head, of so many bytes, at the front of the inbox.
    Head(usize),
    /// The client closed, or its time was over before the first byte.
    Gone,
    /// The head was begun and not finished in time.
    Late,
    /// What came cannot be the beginning of a request, or there is no room for it; how far it is
    /// from one.
    Refused(Reply, Verdict),
}

impl Arrival {
    /// What there is of a head, whether it is one or not; `None`: nobody has asked anything.
    fn head<'i>(&self, inbox: &'i Block) -> Option<&'i [u8]> {
        match self {
            Self::Head(bytes) => Some(&inbox.bytes()[..*bytes]),
            Self::Late | Self::Refused(..) => Some(inbox.bytes()),
            Self::Gone => None,
        }
    }
}

/// Receives until there is a whole head. The deadline of a head runs from its first byte and does
/// not move: a client that sends a byte now and then gains nothing by it, and none that sends empty
/// lines does.
async fn read_head(shard: &Shard, client: &Client<'_>, mut inbox: Block) -> (Arrival, Block) {
    let mut searched = 0_usize;
    let mut is_begun = false;
    let idle_until = deadline(shard, client);
    loop {
        let blank = leading_blank(inbox.bytes());
        inbox.consume(blank);
        searched = searched.saturating_sub(blank);
        match find_end(inbox.bytes(), searched) {
            HeadEnd::At(bytes) if bytes <= REQUEST_HEAD_BYTES_MAX => {
                return (Arrival::Head(bytes), inbox);
            }
            HeadEnd::BareLineEnd => {
                let verdict = Reason::NonCrLfLineTermination.into();
                let refused = Arrival::Refused(Refusal::Malformed.reply(), verdict);
                return (refused, inbox);
            }
            HeadEnd::At(_) | HeadEnd::Open => {
                if let Some(refusal) = excess(inbox.bytes()) {
                    return refused(refusal.reply(), inbox);
                }
            }
        }
        searched = inbox.len();
        if inbox.is_empty() {
            inbox.clear(0);
            is_begun = false;
            client.watch.wait(Waiting::Idle, idle_until);
        } else if !is_begun {
            is_begun = true;
            client.watch.wait(Waiting::Head, deadline(shard, client));
        }
        inbox = match with_room(shard, inbox) {
            Ok(roomy) => roomy,
            Err(full) => return refused(Reply::ServiceUnavailable, full),
        };
        let received;
        (received, inbox) = client.stream.receive(inbox, usize::MAX).await;
        if !matches!(received, Ok(1..)) {
            let is_late = client.watch.is_expired() && !inbox.is_empty();
            return (
                if is_late {
                    Arrival::Late
                } else {
                    Arrival::Gone
                },
                inbox,
            );
        }
    }
}

/// The moment by which a head that begins now must be whole: none is waited for where the listener
/// is gone.
pub(super) fn deadline(shard: &Shard, client: &Client<'_>) -> Instant {
    let world = shard.world();
    let route = world.route(client.listener.number);
    let idle_timeout = route.map(|route: &Route| route.attributes.idle_timeout);
    Instant::now().after(idle_timeout.unwrap_or_default())
}

fn refused(own: Reply, inbox: Block) -> (Arrival, Block) {
    (Arrival::Refused(own, Verdict::COMPLIANT), inbox)
}

/// A large block for a request; `None`, which is counted: too many are in use.
fn large_block(shard: &Shard) -> Option<Block> {
    let block = shard.blocks.try_relay();
    if block.is_none() {
        shard.counts().relay_blocks_short.add(1);
    }
    block
}

/// The same bytes in a block that can take more of them.
///
/// # Errors
/// The block as it was, which is counted: too many large ones are in use.
pub(super) fn with_room(shard: &Shard, mut inbox: Block) -> Result<Block, Block> {
    if inbox.room() > 0 {
        return Ok(inbox);
    }
    inbox.compact();
    if inbox.room() > 0 {
        return Ok(inbox);
    }
    let Some(mut larger) = large_block(shard) else {
        return Err(inbox);
    };
    larger.clear(0);
    larger.append(inbox.bytes());
    shard.blocks.put(inbox);
    Ok(larger)
}

/// A large block is not held by a connection that may idle from now on.
pub(super) fn shrink(shard: &Shard, inbox: Block) -> Block {
    if inbox.capacity() <= IDLE_BLOCK_BYTES || inbox.len() > IDLE_BLOCK_BYTES {
        return inbox;
    }
    let smaller = shard.blocks.holding(inbox.bytes());
    shard.blocks.put(inbox);
    smaller
}
