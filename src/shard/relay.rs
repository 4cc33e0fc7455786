//! A connection of a TCP listener: bytes pass from client to backend and back as they are
//! (CLB.md §4.1).
//!
//! Not a reader of them, and no stickiness beyond the client's address. Invariants: an end
//! on one side is passed on as what it was, an end of sending as that, and whatever else as a reset
//! on both sides; a connection that waits for bytes holds the smallest block each way.

use std::cell::Cell;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use super::Shard;
use super::channel::Channel;
use super::exchange::{Exchange, Tried, give_up_on};
use super::handshake::shake_hands;
use super::hold::{Held, Kept};
use super::in_turn::Wanted;
use super::proxy_header::{announced, preface, receive_header};
use super::record::{Record, Slot};
use super::seat::take_seat;
use super::serve::Client;
use super::splice::{End, Stop, splice};
use super::surge::{Ended, Place};
use super::upstream::Lease;
use super::watch::{Waiting, Watch};
use crate::balance::{Moment, NEWCOMER, Unserved, has_room, round_robin};
use crate::config::Fallback;
use crate::health;
use crate::limits::{BULK_BLOCK_BYTES, IDLE_BLOCK_BYTES, RELAY_BLOCK_BYTES};
use crate::proxy_protocol::Version;
use crate::state::{LoadBalancerLine, PerShard, Route};
use crate::sticky::{Next, Stick};
use crate::sys::socket::{Way, is_quiet, shut_down};
use crate::sys::{Block, Instant, Stream, socket, unix_millis};

/// Relays a connection until both sides are done with it.
pub(super) async fn relay(shard: &Shard, client: &mut Client<'_>) {
    if let Some(route) = shard.world().route(client.listener.number) {
        shard.log.begin(&client.record, route, None);
    }
    let Some(early) = receive_header(shard, client).await else {
        return;
    };
    let client = &*client;
    let Some(_seat) = take_seat(shard, client) else {
        return shard.blocks.put(early);
    };
    let Some(early) = shake_hands(shard, client, early).await else {
        return;
    };
    let Some(opened) = open(shard, client).await else {
        shard.blocks.put(early);
        // Nobody was there to end it, and an end would seem to be somebody's answer.
        return client.watch.reset();
    };
    let Some(first) = announced(shard, client, opened.proxy_protocol, early) else {
        return client.watch.reset();
    };
    let this = Relay::begin(shard, client, &opened);
    this.pass_both(client, first).await;
    this.end();
}

/// Relays a connection of an HTTP listener that carries another protocol from now on. What the
/// client has said of it already is in the block.
pub(super) async fn relay_switched(
    shard: &Shard,
    client: &Client<'_>,
    opened: Opened,
    early: Block,
) {
    let this = Relay::begin(shard, client, &opened);
    this.pass_both(client, early).await;
    this.end();
}

/// A connection whose backend is connected. It holds no snapshot: it may outlive many.
#[derive(Debug)]
pub(super) struct Opened {
    lease: Lease,
    _held: Kept,
    counts: Arc<PerShard<LoadBalancerLine>>,
    /// As it was when the connection came.
    idle_timeout: Duration,
    /// What the backend is to be told of the client first.
    proxy_protocol: Option<Version>,
}

impl Opened {
    /// What an exchange has left behind that changed the protocol.
    pub(super) fn switched(this: &Exchange<'_>, lease: Lease, held: Held<'_>) -> Self {
        Self {
            lease,
            _held: held.keep(),
            counts: Arc::clone(&this.route.counts),
            idle_timeout: this.route.attributes.idle_timeout,
            proxy_protocol: None,
        }
    }
}

/// Connects to the backend whose turn it is, or to the next that can be reached, once one has room;
/// `None`: there is none in service, none of those tried could be reached, or it took too long.
async fn open(shard: &Shard, client: &Client<'_>) -> Option<Opened> {
    let world = shard.world();
    let route = world.route(client.listener.number)?;
    let counts: &LoadBalancerLine = route.counts.line(shard.index);
    // Shards begin with different backends.
    let turn = counts.relays.value() + shard.index as u64;
    counts.relays.add(1);
    let stick = stick(client, route);
    if stick.session.is_some() {
        counts.verdicts[stick.verdict as usize].add(1);
    }
    let here = Here {
        shard,
        client,
        route,
        epoch: world.snapshot.epoch,
        turn,
        number: NEWCOMER,
    };
    let mut tried = Tried::default();
    match here.connect(&stick, &mut tried).await {
        Ok(opened) => Some(opened),
        Err(Unserved::Nobody) => {
            counts.relays_unserved.add(1);
            None
        }
        Err(Unserved::Full) => {
            // Boxed: it would make the task of every connection larger.
            Box::pin(open_in_turn(&here, Wanted::of(&stick, route, &tried))).await
        }
    }
}

/// As [`open`], for a connection that has found no backend with room. What a client that is done
/// has sent before is still passed on; one that has sent nothing has gone.
async fn open_in_turn(first: &Here<'_>, mut wanted: Wanted) -> Option<Opened> {
    let (shard, client) = (first.shard, first.client);
    let counts: &LoadBalancerLine = first.route.counts.line(shard.index);
    let place = Place::new(shard, client, first.route, socket::is_over);
    loop {
        let world = match place.turn(wanted.wish).await {
            Ok(world) => world,
            Err(ended) => {
                counts.relays_unserved.add((ended != Ended::Gone).into());
                return None;
            }
        };
        let route = world.route(client.listener.number);
        let route = route.expect("a turn is in a world that has the listener");
        let here = Here {
            route,
            epoch: world.snapshot.epoch,
            number: place.number,
            ..*first
        };
        let stick = stick(client, route);
        let mut tried = wanted.tried(route);
        match here.connect(&stick, &mut tried).await {
            Ok(opened) => return Some(opened),
            Err(Unserved::Nobody) => {
                counts.relays_unserved.add(1);
                return None;
            }
            Err(Unserved::Full) => wanted = Wanted::of(&stick, route, &tried),
        }
    }
}

/// A connection with the world that it is relayed in.
#[derive(Clone, Copy)]
struct Here<'a> {
    shard: &'a Shard,
    client: &'a Client<'a>,
    route: &'a Route,
    epoch: u64,
    /// Whose turn it is of the backends.
    turn: u64,
    /// Its number in the surge queue.
    number: u64,
}

impl Here<'_> {
    /// Connects to a backend that has room.
    async fn connect(&self, stick: &Stick, tried: &mut Tried) -> Result<Opened, Unserved> {
        while !tried.is_full() {
            let index = self.choose(stick, tried.as_slice())?;
            let (shard, client, backend) = (self.shard, self.client, &self.route.backends[index]);
            let held = Kept::take(&shard.surge, backend).ok_or(Unserved::Full)?;
            shard.surge.leave(self.number);
            // What became of the last one is not this one's fate.
            client.watch.renew();
            client.watch.set_backend(Some((backend.slot, self.epoch)));
            // A connection attempt has a bound of its own.
            client.watch.wait(Waiting::Answer, Instant::NEVER);
            let line = backend.counts.line(shard.index);
            let preface = preface(client, self.route);
            let asked = client.watch.ask();
            client.record.note(|record| record.connecting(asked));
            match Lease::open_new(shard, client, backend.address, line, preface).await {
                Ok(lease) => {
                    let latency = &self.route.counts.line(shard.index).latency;
                    client.watch.answered(latency);
                    client
                        .record
                        .note(|record| record.connected(backend.address));
                    if let Some(session) = stick.session {
                        let slot = self.route.backends[index].slot;
                        self.shard.census.borrow_mut().note(slot, session);
                    }
                    return Ok(Opened {
                        lease,
                        _held: held,
                        counts: Arc::clone(&self.route.counts),
                        idle_timeout: self.route.attributes.idle_timeout,
                        proxy_protocol: self.route.proxy_protocol,
                    });
                }
                Err(error) => give_up_on(self.shard, self.route, index, &error, tried)?,
            }
        }
        Err(Unserved::Nobody)
    }

    fn choose(&self, stick: &Stick, tried: &[usize]) -> Result<usize, Unserved> {
        let (backends, number) = (&self.route.backends, self.number);
        match stick.next(self.route, tried) {
            Next::Backend(index) if has_room(&backends[index], number) => Ok(index),
            Next::Backend(_) => Err(Unserved::Full),
            Next::Nobody => Err(Unserved::Nobody),
            Next::Any => {
                let moment = Moment {
                    now_ms: unix_millis(),
                    slow_start: self.route.attributes.affinity.slow_start,
                    number,
                };
                round_robin(backends, tried, self.turn, moment)
            }
        }
    }
}

/// Where the client belongs: somewhere only if its address says so.
fn stick(client: &Client<'_>, route: &Route) -> Stick {
    if route.attributes.affinity.fallback != Fallback::ClientAddress {
        return Stick::NOWHERE;
    }
    let key = health::key_hash(client.address.as_bytes());
    Stick::known(health::mix(route.scope, key), route)
}

/// What the two directions share.
struct Relay<'a> {
    shard: &'a Shard,
    watch: &'a Watch,
    record: &'a Slot,
    opened: &'a Opened,
    /// A side ended otherwise than by saying that it was done.
    is_broken: Cell<bool>,
    /// Whose bytes came last.
    spoke_last: Cell<Side>,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Backend,
}

impl<'a> Relay<'a> {
    fn begin(shard: &'a Shard, client: &'a Client<'_>, opened: &'a Opened) -> Self {
        let this = Self {
            shard,
            watch: &client.watch,
            record: &client.record,
            opened,
            is_broken: Cell::new(false),
            spoke_last: Cell::new(Side::Client),
        };
        client.watch.wait(Waiting::Relay, this.deadline());
        if client.watch.is_expired() {
            // The backend was cut off while it was connected to.
            this.break_off();
        }
        this
    }

    /// Passes bytes both ways, those in the block to the backend first, until both sides are done.
    /// Not an `async fn`: it would hold everything twice.
    fn pass_both<'o>(&'o self, client: &'o Client<'_>, first: Block) -> impl Future + 'o {
        let (near, far) = (&client.stream, self.opened.lease.channel());
        let idle = self.shard.blocks.idle();
        join(
            self.pass(Side::Client, (near, far), first),
            self.pass(Side::Backend, (far, near), idle),
        )
    }

    /// Both sides are done, or one has broken.
    fn end(&self) {
        if self.is_broken.get() {
            self.watch.reset();
            self.opened.counts.line(self.shard.index).aborted.add(1);
        }
    }

    /// Moves bytes one way, those in the block first, then one block at a time, until `from` has
    /// said that it is done, or a side breaks. How fast `to` takes them is how fast they are
    /// received. What goes on and on is spliced.
    async fn pass(&self, side: Side, (from, to): (&Channel<'_>, &Channel<'_>), mut block: Block) {
        // Bytes since the other side had its turn.
        let mut in_a_row = 0;
        let mut waits = false;
        let end = loop {
            if !block.is_empty() {
                let sent;
                (sent, block) = to.send(block, |_| self.progress()).await;
                if sent.is_err() {
                    break End::Sending;
                }
                in_a_row += block.len();
                self.passed(side, block.len() as u64);
                (waits, block) = self.fitting(block, from);
            }
            if in_a_row >= SPLICED_FROM_BYTES
                && let (Channel::Plain(from), Channel::Plain(to)) = (from, to)
            {
                in_a_row = 0;
                self.shard.blocks.put(block);
                block = match self.splice(side, from, to).await {
                    Stop::Small => self.shard.blocks.idle(),
                    Stop::NoPipe => match self.shard.blocks.try_relay() {
                        Some(block) => self.shard.larger(block),
                        None => self.shard.blocks.idle(),
                    },
                    Stop::End(end) => {
                        block = self.shard.blocks.idle();
                        break end;
                    }
                };
            }
            let received;
            (received, block) = from.receive(block, usize::MAX).await;
            match received {
                Ok(1..) => {
                    self.progress();
                    if side == Side::Backend {
                        self.record.note(Record::spoken);
                    }
                    if self.spoke_last.replace(side) != side && !waits {
                        in_a_row = 0;
                    }
                }
                Ok(_) => break End::Done,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break End::Unannounced,
                Err(_) => break End::Receiving,
            }
        };
        self.shard.blocks.put(block);
        match end {
            // What is left of the other direction goes on.
            End::Done | End::Unannounced if !self.is_broken.get() => {
                to.end(end == End::Done).await;
            }
            End::Done | End::Unannounced => {}
            End::Receiving => self.break_off(),
            End::Sending => {
                // What it had sent before it broke can still be received, and then an end.
                self.is_broken.set(true);
                shut_down(to.descriptor(), Way::Receive);
            }
        }
    }

    /// The block for the next receive, and whether more waits already.
    fn fitting(&self, mut block: Block, from: &Channel<'_>) -> (bool, Block) {
        let blocks = &self.shard.blocks;
        let size = next_size(block.capacity(), block.room() == 0, || {
            is_quiet(from.descriptor())
        });
        let waits =
            size == Size::Larger || (size == Size::Same && block.capacity() > IDLE_BLOCK_BYTES);
        block.clear(0);
        let next = match size {
            Size::Same => block,
            Size::Larger if block.capacity() >= RELAY_BLOCK_BYTES => self.shard.larger(block),
            Size::Larger => match blocks.try_relay() {
                Some(mut larger) => {
                    blocks.put(block);
                    larger.clear(0);
                    larger
                }
                None => {
                    self.shard.counts().relay_blocks_short.add(1);
                    block
                }
            },
            Size::Smallest => {
                blocks.put(block);
                blocks.idle()
            }
        };
        (waits, next)
    }

    /// [`splice`]. Boxed: it would make the task of every relayed connection larger.
    fn splice<'p>(
        &'p self,
        side: Side,
        from: &'p Stream,
        to: &'p Stream,
    ) -> Pin<Box<impl Future<Output = Stop> + 'p>> {
        let (pipes, counts) = (&self.shard.pipes, self.shard.counts());
        let passed = move |bytes| self.passed(side, bytes);
        Box::pin(splice(pipes, counts, from, to, passed, || self.progress()))
    }

    /// So many bytes have gone from that side to the other.
    fn passed(&self, side: Side, bytes: u64) {
        let counts: &LoadBalancerLine = self.opened.counts.line(self.shard.index);
        let is_up = side == Side::Client;
        let count = if is_up {
            &counts.relayed_up
        } else {
            &counts.relayed_down
        };
        count.add(bytes);
        self.record.note(|record| record.relayed(is_up, bytes));
    }

    /// Ends both directions, on both sides, by a reset.
    fn break_off(&self) {
        self.is_broken.set(true);
        self.watch.reset();
    }

    /// Something moved: both sides may be silent for the whole time again.
    fn progress(&self) {
        self.watch.extend(self.deadline());
    }

    fn deadline(&self) -> Instant {
        Instant::now().after(self.opened.idle_timeout)
    }
}

/// So many bytes come without a word of the other side before a stream is spliced: one MiB is
/// cheaper in blocks, by 6 % of its CPU time, and 16 are in pipes, by a fifth.
const SPLICED_FROM_BYTES: usize = 2 * 1024 * 1024;

/// How large the next block is, beside the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Same,
    /// The next kind.
    Larger,
    /// What a connection holds that waits.
    Smallest,
}

/// Larger blocks while bytes come faster than they are moved, and the smallest while none wait.
/// `is_quiet` costs a system call, which small messages are spared.
fn next_size(capacity: usize, is_filled: bool, is_quiet: impl FnOnce() -> bool) -> Size {
    let is_smallest = capacity <= IDLE_BLOCK_BYTES;
    if is_smallest && !is_filled {
        Size::Same
    } else if is_quiet() {
        Size::Smallest
    } else if is_filled && capacity < BULK_BLOCK_BYTES {
        Size::Larger
    } else {
        Size::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_while_bytes_wait_and_are_given_back_when_none_do() {
        let kinds = [IDLE_BLOCK_BYTES, RELAY_BLOCK_BYTES, BULK_BLOCK_BYTES];
        let size = |is_filled, is_quiet| kinds.map(|kind| next_size(kind, is_filled, || is_quiet));
        assert_eq!(size(true, false), [Size::Larger, Size::Larger, Size::Same]);
        assert_eq!(size(false, false), [Size::Same; 3]);
        assert_eq!(size(true, true), [Size::Smallest; 3]);
        assert_eq!(
            size(false, true),
            [Size::Same, Size::Smallest, Size::Smallest]
        );
    }

    #[test]
    fn small_messages_are_not_looked_behind() {
        let size = next_size(IDLE_BLOCK_BYTES, false, || panic!("a system call"));
        assert_eq!(size, Size::Same);
    }
}
