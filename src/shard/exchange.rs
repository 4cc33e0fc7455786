//! One exchange: choose a backend, forward the request, get the head of its answer, respond.
//!
//! A request that lies whole in one block can be sent again as long as nothing of an answer was
//! seen; one whose body is still coming goes through `streaming.rs`.

use std::io;
use std::sync::Arc;

use super::Shard;
use super::admit::Inbound;
use super::hold::Held;
use super::in_turn::Wanted;
use super::pace::Pace;
use super::proxy_header::{announce, preface};
use super::record::Record;
use super::relay::Opened;
use super::respond::{reply, respond, send_interim, switch};
use super::serve::Client;
use super::streaming::stream_through;
use super::upstream::Lease;
use super::watch::Waiting;
use crate::balance::{Moment, NEWCOMER, Unserved, has_room, least_outstanding};
use crate::http::{HeadEnd, Refusal, Reply, Response, find_end};
use crate::limits::{
    BACKENDS_TRIED_MAX, INTERIM_BYTES_MAX, INTERIM_BYTES_MIN, RELAY_HEADROOM_BYTES,
    RESPONSE_HEAD_BYTES_MAX,
};
use crate::state::{LoadBalancerLine, Report, Route};
use crate::sticky::Next;
use crate::sys::socket::is_shortage;
use crate::sys::{Block, Instant, unix_millis};

/// What one exchange works with.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) shard: &'a Shard,
    pub(super) client: &'a Client<'a>,
    pub(super) route: &'a Route,
    /// The epoch of the snapshot that the route is of.
    pub(super) epoch: u64,
    pub(super) inbound: Inbound,
    /// How the client takes the answer.
    pub(super) pace: Pace,
    /// What came of it before, if it has waited for a backend that has room.
    pub(super) turn: Option<&'a Turn>,
}

/// The turn of an exchange that has waited.
#[derive(Debug)]
pub(super) struct Turn {
    /// Its number in the queue.
    pub(super) number: u64,
    /// Those that it could not reach.
    pub(super) tried: Tried,
    /// It has been with one of them, which did not answer.
    pub(super) is_second: bool,
}

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It carries the next request.
    Next,
    /// It is closed.
    Close,
    /// It is closed once the client has had a chance to read the answer.
    Linger,
    /// It is reset: part of an answer is out, and the only way to say that it is not whole is not
    /// to end well.
    Reset,
}

/// What came of an exchange.
#[derive(Debug)]
pub(super) enum Served {
    /// It is over.
    Done(After),
    /// The client's connection and that of its backend carry another protocol from now on.
    Switched(Box<Opened>),
    /// The backends that could serve it are full.
    Full(Box<Surplus>),
}

/// A request that finds no backend with room.
#[derive(Debug)]
pub(super) struct Surplus {
    /// Its head and what has been taken of its body.
    pub(super) wire: Block,
    /// What it waits for.
    pub(super) wanted: Wanted,
    /// It has been with a backend, which did not answer.
    pub(super) is_second: bool,
    /// It may be with another one in vain.
    pub(super) may_repeat: bool,
}

/// Why a request got no answer.
#[derive(Debug)]
enum Unanswered {
    /// The client gets this one.
    Own(Reply),
    /// It waits, see [`Surplus`].
    Full {
        tried: Tried,
        is_second: bool,
        may_repeat: bool,
    },
}

/// Why there is no head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The connection ended before the first byte of an answer.
    Silent,
    /// The connection ended in the middle of a head, or after an interim one.
    Cut,
    /// The backend's time was over.
    Late,
    /// What came is not a head.
    Bad,
}

impl NoAnswer {
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Silent | Self::Late => Reply::GatewayTimeout,
            Self::Cut | Self::Bad => Reply::BadGateway,
        }
    }
}

/// The backends that an exchange, or a connection to be relayed, could not reach.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried {
    indices: [usize; BACKENDS_TRIED_MAX],
    count: usize,
}

impl Tried {
    pub(super) fn add(&mut self, index: usize) {
        self.indices[self.count] = index;
        self.count += 1;
    }

    /// No more are tried.
    pub(super) fn is_full(&self) -> bool {
        self.count == self.indices.len()
    }

    pub(super) fn as_slice(&self) -> &[usize] {
        &self.indices[..self.count]
    }
}

/// Serves one request, whose head is in `wire`, if a backend has room for it. Bytes behind the head
/// are in `inbox`, which comes back with those that belong to the next request.
pub(super) async fn attempt(
    this: &Exchange<'_>,
    mut inbox: Block,
    mut wire: Block,
) -> (Served, Block) {
    let at_hand = inbox.len().min(wire.room());
    let taken = match this.inbound.pass(&inbox.bytes()[..at_hand]) {
        Ok(taken) => taken,
        Err(broken) => {
            this.shard.blocks.put(wire);
            let own = Refusal::from(broken).reply();
            reply(this.shard, this.client, this.route, own, false).await;
            return (Served::Done(After::Linger), inbox);
        }
    };
    wire.append(&inbox.bytes()[..taken]);
    inbox.consume(taken);
    this.note_received();
    if this.inbound.body.get().is_done() {
        (forward_whole(this, wire).await, inbox)
    } else {
        stream_through(this, inbox, wire).await
    }
}

/// Forwards a request that lies whole in `wire`.
async fn forward_whole(this: &Exchange<'_>, wire: Block) -> Served {
    match ask(this, wire).await {
        (Ok((held, lease, head_bytes)), wire) if this.is_switch(&wire) => {
            switch(this, held, lease, wire, head_bytes).await
        }
        (Ok((held, lease, head_bytes)), wire) => {
            let may_keep_alive = this.inbound.may_keep_alive();
            let (after, keep_upstream) =
                respond(this, &held, &lease, wire, head_bytes, may_keep_alive).await;
            if keep_upstream {
                lease.put_back(this.shard, this.deadline());
            }
            Served::Done(after)
        }
        (
            Err(Unanswered::Full {
                tried,
                is_second,
                may_repeat,
            }),
            wire,
        ) => Served::Full(Box::new(Surplus {
            wire,
            wanted: Wanted::of(&this.inbound.stick, this.route, &tried),
            is_second,
            may_repeat,
        })),
        (Err(Unanswered::Own(own)), wire) => {
            this.shard.blocks.put(wire);
            let keep_alive = this.inbound.may_keep_alive() && !this.shard.is_draining();
            Served::Done(reply(this.shard, this.client, this.route, own, keep_alive).await)
        }
    }
}

/// Sends the request to one backend after the other until one begins to answer. On success the
/// block holds the answer's head, of so many bytes, and what came with it.
async fn ask<'a>(
    this: &Exchange<'a>,
    mut wire: Block,
) -> (Result<(Held<'a>, Lease, usize), Unanswered>, Block) {
    let mut tried = this.tried();
    let mut may_repeat = this.inbound.is_idempotent;
    let mut is_second = this.turn.is_some_and(|turn| turn.is_second);
    let mut again = None;
    loop {
        let (held, mut lease) = match this.open(&mut tried, is_second, again.take()).await {
            Ok(opened) => opened,
            Err(Unserved::Full) => {
                let full = Unanswered::Full {
                    tried,
                    is_second,
                    may_repeat,
                };
                return (Err(full), wire);
            }
            Err(Unserved::Nobody) => return (Err(Unanswered::Own(unserved(is_second))), wire),
        };
        let request = wire.mark();
        announce(this, &mut lease, &mut wire);
        let answer;
        (answer, wire) = send_and_read(this, &lease, wire).await;
        match answer {
            Ok(head_bytes) => return (Ok((held, lease, head_bytes)), wire),
            Err(NoAnswer::Silent) if may_repeat => {
                wire.restore(request);
                this.counts().retries.add(1);
                // A connection that rested may have died of old age: the same backend again, by a
                // new one, and it keeps its place there. A backend that drops a new connection is
                // left alone, and only once.
                if lease.is_reused {
                    again = Some(held);
                } else {
                    tried.add(held.index());
                    may_repeat = false;
                }
                is_second = true;
            }
            Err(no_answer) => {
                held.counts().response_errors.add(1);
                return (Err(Unanswered::Own(no_answer.reply())), wire);
            }
        }
    }
}

/// What the client of a request gets that could not be served. If it has been with a backend, that
/// it was not answered is what happened.
pub(super) fn unserved(is_second: bool) -> Reply {
    if is_second {
        Reply::GatewayTimeout
    } else {
        Reply::ServiceUnavailable
    }
}

async fn send_and_read(
    this: &Exchange<'_>,
    lease: &Lease,
    wire: Block,
) -> (Result<usize, NoAnswer>, Block) {
    this.client.watch.wait(Waiting::Answer, this.deadline());
    let (sent, mut wire) = lease.channel().send(wire, |_| this.progress()).await;
    if sent.is_err() {
        return (Err(this.silence(false)), wire);
    }
    this.note_sent();
    wire.clear(RELAY_HEADROOM_BYTES);
    read_answer(this, lease, wire).await
}

/// Receives the head of the final answer; interim ones go to the client as they come.
pub(super) async fn read_answer(
    this: &Exchange<'_>,
    lease: &Lease,
    mut wire: Block,
) -> (Result<usize, NoAnswer>, Block) {
    let mut searched = 0;
    let mut is_begun = false;
    let mut interim_left = INTERIM_BYTES_MAX;
    loop {
        match find_end(wire.bytes(), searched) {
            HeadEnd::At(bytes) if bytes <= RESPONSE_HEAD_BYTES_MAX => {
                if wire.bytes().get(9) != Some(&b'1') || this.is_switch(&wire) {
                    return (Ok(bytes), wire);
                }
                let Some(left) = interim_left.checked_sub(interim_cost(bytes)) else {
                    return (Err(NoAnswer::Bad), wire);
                };
                interim_left = left;
                if send_interim(this, &wire.bytes()[..bytes]).await.is_err() {
                    return (Err(NoAnswer::Bad), wire);
                }
                // It has said that it goes on.
                this.progress();
                wire.consume(bytes);
                searched = 0;
                continue;
            }
            HeadEnd::Open if wire.len() < RESPONSE_HEAD_BYTES_MAX => {}
            HeadEnd::At(_) | HeadEnd::Open | HeadEnd::BareLineEnd => {
                return (Err(NoAnswer::Bad), wire);
            }
        }
        searched = wire.len();
        if wire.room() == 0 {
            // Interim answers have used it up.
            let mut fresh = this.shard.blocks.relay();
            fresh.append(wire.bytes());
            this.shard.blocks.put(std::mem::replace(&mut wire, fresh));
        }
        let received;
        (received, wire) = lease.channel().receive(wire, usize::MAX).await;
        if !matches!(received, Ok(1..)) {
            return (Err(this.silence(is_begun)), wire);
        }
        is_begun = true;
    }
}

/// What an interim answer of so many bytes takes of [`INTERIM_BYTES_MAX`].
fn interim_cost(bytes: usize) -> u32 {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    bytes.max(INTERIM_BYTES_MIN)
}

impl<'a> Exchange<'a> {
    /// One that begins now.
    pub(super) fn new(
        shard: &'a Shard,
        client: &'a Client<'a>,
        route: &'a Route,
        epoch: u64,
        inbound: Inbound,
    ) -> Self {
        Self {
            shard,
            client,
            route,
            epoch,
            inbound,
            pace: Pace::default(),
            turn: None,
        }
    }

    /// Opens a connection to the backend to which the request belongs, or to the next that can be
    /// reached; a new one if `is_second` or if it is to begin with a PROXY header. `again` is the
    /// place that the request has already. No byte of it has been sent then.
    ///
    /// # Errors
    /// Those that could serve it are full; or there is no backend in service, or none of those
    /// tried could be reached.
    pub(super) async fn open(
        &self,
        tried: &mut Tried,
        is_second: bool,
        mut again: Option<Held<'a>>,
    ) -> Result<(Held<'a>, Lease), Unserved> {
        while !tried.is_full() {
            let held = match again.take() {
                Some(held) => held,
                None => self.take_place(tried.as_slice())?,
            };
            let backend = &self.route.backends[held.index()];
            let watch = &*self.client.watch;
            // What became of the last one, as a cut while it was connected to, is not its fate.
            watch.renew();
            watch.set_backend(Some((backend.slot, self.epoch)));
            // A connection attempt has a bound of its own.
            watch.wait(Waiting::Answer, Instant::NEVER);
            let (shard, client, address) = (self.shard, self.client, backend.address);
            let opened = if is_second || self.route.proxy_protocol.is_some() {
                let preface = preface(client, self.route);
                Lease::open_new(shard, client, address, held.counts(), preface).await
            } else {
                Lease::open(shard, client, address, held.counts()).await
            };
            match opened {
                Ok(lease) => {
                    self.client.record.note(|record| record.connected(address));
                    return Ok((held, lease));
                }
                Err(error) => {
                    self.client.record.note(Record::refused);
                    give_up_on(self.shard, self.route, held.index(), &error, tried)?;
                }
            }
        }
        Err(Unserved::Nobody)
    }

    /// Takes a place on the backend to which the request belongs, or on one of those that it may be
    /// balanced to. It has waited its turn then.
    fn take_place(&self, tried: &[usize]) -> Result<Held<'a>, Unserved> {
        let number = self.turn.map_or(NEWCOMER, |turn| turn.number);
        let index = self.choose(tried, number)?;
        let surge = &self.shard.surge;
        let held = Held::take(surge, &self.route.backends, index).ok_or(Unserved::Full)?;
        if self.turn.is_some() {
            surge.leave(number);
        }
        Ok(held)
    }

    fn choose(&self, tried: &[usize], number: u64) -> Result<usize, Unserved> {
        match self.inbound.stick.next(self.route, tried) {
            Next::Backend(index) if has_room(&self.route.backends[index], number) => Ok(index),
            Next::Backend(_) => Err(Unserved::Full),
            Next::Nobody => Err(Unserved::Nobody),
            Next::Any => {
                let moment = Moment {
                    now_ms: unix_millis(),
                    slow_start: self.route.attributes.affinity.slow_start,
                    number,
                };
                let mut turn = self.shard.turn.get();
                let chosen = least_outstanding(&self.route.backends, tried, &mut turn, moment);
                self.shard.turn.set(turn);
                chosen
            }
        }
    }

    /// The backends that could not be reached before it had to wait.
    pub(super) fn tried(&self) -> Tried {
        self.turn.map(|turn| turn.tried.clone()).unwrap_or_default()
    }

    /// The load balancer's counters of this shard. Looked up each time, as an exchange lies in the
    /// task of every connection.
    pub(super) fn counts(&self) -> &'a LoadBalancerLine {
        self.route.counts.line(self.shard.index)
    }

    /// Notes how much of the body has come.
    pub(super) fn note_received(&self) {
        let record = &self.client.record;
        record.note(|record| record.received(self.inbound.body.get().left()));
    }

    /// Notes that the backend has something of the request, and so owes an answer.
    pub(super) fn note_sent(&self) {
        let asked = self.client.watch.ask();
        self.client.record.note(|record| record.sent(asked));
    }

    /// Notes that the head of the backend's answer is here.
    pub(super) fn note_answered(&self) {
        let answered = self.client.watch.answered(&self.counts().latency);
        self.client.record.note(|record| record.answered(answered));
    }

    /// Whether an answer changes the protocol, as the request asked for.
    fn is_switch(&self, answer: &Block) -> bool {
        self.inbound.upgrade.is_some() && answer.bytes().get(9..12) == Some(b"101")
    }

    /// Whether it changes to what the request asked for.
    pub(super) fn may_switch(&self, response: &Response<'_, '_>) -> bool {
        let place = self.inbound.upgrade;
        let protocol = place.map(|place| self.route.attributes.upgrades.name(place));
        protocol.is_some_and(|protocol| response.switches_to(protocol))
    }

    /// The moment by which the other side must have done something.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now().after(self.route.attributes.idle_timeout)
    }

    /// Something moved: whoever is waited for gets the whole time again.
    pub(super) fn progress(&self) {
        self.client.watch.extend(self.deadline());
    }

    /// The client has taken so many bytes of an answer: it gets the whole time again if it was as
    /// fast as it must be.
    pub(super) fn took(&self, count: usize) {
        if self.pace.earns(&self.route.attributes, count) {
            self.progress();
        }
    }

    /// What the end of the backend's connection means before there is a whole head.
    fn silence(&self, is_begun: bool) -> NoAnswer {
        if self.client.watch.is_expired() {
            NoAnswer::Late
        } else if is_begun {
            NoAnswer::Cut
        } else {
            NoAnswer::Silent
        }
    }
}

/// Notes that a backend cannot be reached, and has it checked.
///
/// # Errors
/// It is this process that is short of descriptors or memory. The backend is not to blame for that,
/// and another one with a connection at rest would only take a session away from its home.
pub(super) fn give_up_on(
    shard: &Shard,
    route: &Route,
    index: usize,
    error: &io::Error,
    tried: &mut Tried,
) -> Result<(), Unserved> {
    if is_shortage(error) {
        shard.counts().sockets_short.add(1);
        return Err(Unserved::Nobody);
    }
    tried.add(index);
    let counts: &LoadBalancerLine = route.counts.line(shard.index);
    counts.redispatches.add(1);
    let backend = &route.backends[index].id;
    tracing::debug!(%backend, %error, "cannot connect");
    let is_told = shard.link.report(Report::Unreachable {
        load_balancer: Arc::clone(&route.load_balancer),
        backend: Arc::clone(backend),
        problem: (error.kind() == io::ErrorKind::InvalidData).then(|| error.to_string()),
    });
    if !is_told {
        shard.counts().reports_dropped.add(1);
    }
    Ok(())
}
