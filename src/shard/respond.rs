//! The way back: settle the cookie, write the head anew, relay the body, give answers of our own.

use std::io;

use super::Shard;
use super::exchange::{After, Exchange, Served};
use super::hold::Held;
use super::relay::Opened;
use super::serve::Client;
use super::stick;
use super::upstream::Lease;
use super::watch::Waiting;
use crate::http::{
    BadResponse, Body, BrokenBody, CONTINUE, Downstream, Framing, Reply, Response, Version,
    field_slots,
};
use crate::limits::{LINGER_BYTES_MAX, LINGER_TIME};
use crate::state::Route;
use crate::sticky::encode_path;
use crate::sys::socket::{Way, shut_down};
use crate::sys::{Block, Instant};

/// What has to be known of a response once its head is written anew.
#[derive(Debug)]
struct Outbound {
    /// What is left of the body behind the bytes in the block.
    body: Body,
    /// The client's connection carries another request.
    keep_alive: bool,
    /// The backend's connection carries another exchange.
    keep_upstream: bool,
    /// The body loses its chunks.
    unchunks: bool,
}

impl Outbound {
    /// Lets what has come of the body go past, and says how many bytes of it are to be sent.
    fn take(&mut self, shard: &Shard, bytes: &mut [u8]) -> Result<usize, BrokenBody> {
        let (kept, taken) = if self.unchunks {
            self.body.unchunk(bytes)?
        } else {
            let taken = self.body.pass(bytes)?;
            (taken, taken)
        };
        if taken < bytes.len() {
            // They are behind the end of the answer and belong to nothing that was asked for.
            shard.counts().upstream_surplus.add(1);
            self.keep_upstream = false;
        }
        Ok(kept)
    }
}

/// Sends the backend's answer on to the client, body and all. `wire` holds its head, of so many
/// bytes, and what came with it. `may_keep_alive`: the request is over, its client may send more.
/// Also says whether the backend's connection can carry another exchange.
pub(super) async fn respond(
    this: &Exchange<'_>,
    held: &Held<'_>,
    lease: &Lease,
    mut wire: Block,
    head_bytes: usize,
    may_keep_alive: bool,
) -> (After, bool) {
    this.note_answered();
    let record = &this.client.record;
    let settled = settle(this, held, &mut wire, head_bytes, may_keep_alive);
    let Ok(mut outbound) = settled else {
        held.counts().response_errors.add(1);
        this.shard.blocks.put(wire);
        let keep_alive = may_keep_alive && !this.shard.is_draining();
        let own = Reply::BadGateway;
        return (
            reply(this.shard, this.client, this.route, own, keep_alive).await,
            false,
        );
    };
    let mut is_whole;
    loop {
        if outbound.body.is_done() {
            held.has_answered();
        }
        this.progress();
        let sent;
        (sent, wire) = this.client.send(wire, |count| this.took(count)).await;
        is_whole = sent.is_ok();
        record.note(|record| record.sent_down(is_whole, outbound.body.left()));
        if !is_whole && this.client.watch.is_expired() {
            this.counts().slow_readers.add(1);
        }
        if !is_whole || outbound.body.is_done() {
            break;
        }
        let more;
        (more, wire) = receive_more(this, lease, &mut outbound, wire).await;
        if more != More::Bytes {
            is_whole = more == More::Ended;
            break;
        }
    }
    this.shard.blocks.put(wire);
    if !is_whole {
        this.counts().aborted.add(1);
        return (After::Reset, false);
    }
    let after = match (outbound.keep_alive, this.inbound.keep_alive) {
        (true, _) => After::Next,
        // The client meant to go on and may have sent more already.
        (false, true) => After::Linger,
        (false, false) => After::Close,
    };
    (after, outbound.keep_upstream)
}

/// Has the client change to the protocol that it asked for, as its backend does: `wire` holds the
/// head that says so, of so many bytes, and what came with it.
pub(super) async fn switch(
    this: &Exchange<'_>,
    held: Held<'_>,
    lease: Lease,
    mut wire: Block,
    head_bytes: usize,
) -> Served {
    this.note_answered();
    if settle(this, &held, &mut wire, head_bytes, false).is_err() {
        held.counts().response_errors.add(1);
        this.shard.blocks.put(wire);
        let (client, route) = (this.client, this.route);
        return Served::Done(reply(this.shard, client, route, Reply::BadGateway, false).await);
    }
    this.progress();
    let (sent, wire) = this.client.send(wire, |_| this.progress()).await;
    this.shard.blocks.put(wire);
    if sent.is_err() {
        this.counts().aborted.add(1);
        return Served::Done(After::Reset);
    }
    this.counts().upgrades.add(1);
    Served::Switched(Box::new(Opened::switched(this, lease, held)))
}

/// Parses and rewrites the head in place, in one step that never waits.
fn settle(
    this: &Exchange<'_>,
    held: &Held<'_>,
    wire: &mut Block,
    head_bytes: usize,
    may_keep_alive: bool,
) -> Result<Outbound, BadResponse> {
    let mut slots = field_slots();
    let response = Response::parse(
        &wire.bytes()[..head_bytes],
        this.inbound.is_head,
        &mut slots,
    )?;
    let (status, framing) = (response.status, response.framing);
    if status == 101 && !this.may_switch(&response) {
        return Err(BadResponse);
    }
    let unchunks = framing == Framing::Chunked && this.inbound.version == Version::Http10;
    let keep_alive =
        may_keep_alive && !unchunks && framing != Framing::UntilClose && !this.shard.is_draining();
    let response_keeps_alive = response.keeps_alive();

    let mut lines = this.shard.lines.borrow_mut();
    lines.clear();
    stick::settle(this, held, &response, &mut lines);
    let affinity = &this.route.attributes.affinity;
    let encodes = affinity.underscore_encoding.is_of_set_cookies();
    let downstream = Downstream {
        keep_alive,
        unchunks,
        set_cookie: encodes.then_some(&encode_path),
        extra_lines: &lines,
    };
    let mut head = this.shard.scratch.borrow_mut();
    head.clear();
    response.write(&downstream, &mut head);
    let blocks = &this.shard.blocks;
    if !blocks.can_replace_front(wire, head_bytes, head.len()) {
        // All large blocks are in use. The answer without its cookies is better than none.
        this.shard.counts().bulk_blocks_short.add(1);
        let bare = Downstream {
            set_cookie: None,
            extra_lines: b"",
            ..downstream
        };
        head.clear();
        response.write(&bare, &mut head);
    }
    if !blocks.replace_front(wire, head_bytes, &head) {
        return Err(BadResponse);
    }

    let mut outbound = Outbound {
        body: Body::new(framing),
        keep_alive,
        keep_upstream: response_keeps_alive && !this.inbound.is_isolated,
        unchunks,
    };
    let left = outbound.body.left();
    this.client.record.note(|r| r.passed_on(status, left));
    let behind = &mut wire.bytes_mut()[head.len()..];
    let kept = outbound.take(this.shard, behind).map_err(|_| BadResponse)?;
    wire.truncate(head.len() + kept);
    held.counts().responses[usize::from(status / 100).clamp(1, 5) - 1].add(1);
    Ok(outbound)
}

/// What came of waiting for more of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    /// The block holds what is to be sent.
    Bytes,
    /// There is no more: the backend closed where that is the end.
    Ended,
    /// The body is broken off, or is not what it said.
    Broken,
}

/// Receives the next block of the body. One at a time: the client's pace is the backend's.
async fn receive_more(
    this: &Exchange<'_>,
    lease: &Lease,
    outbound: &mut Outbound,
    mut wire: Block,
) -> (More, Block) {
    if is_bulk(&wire, outbound.body) {
        wire = this.shard.larger(wire);
    }
    wire.clear(0);
    this.progress();
    let received;
    (received, wire) = lease.channel().receive(wire, outbound.body.wanted()).await;
    match received {
        Ok(1..) => {}
        Ok(0) if outbound.body.is_until_close() && !this.client.watch.is_expired() => {
            return (More::Ended, wire);
        }
        Ok(0) | Err(_) => return (More::Broken, wire),
    }
    match outbound.take(this.shard, wire.bytes_mut()) {
        Ok(kept) => {
            wire.truncate(kept);
            (More::Bytes, wire)
        }
        Err(_) => (More::Broken, wire),
    }
}

/// Whether a body has so much to come that it is worth the largest block: it says so, or what came
/// last filled most of this one.
pub(super) fn is_bulk(last: &Block, body: Body) -> bool {
    match body.wanted() {
        usize::MAX => last.len() > last.capacity() / 2,
        wanted => wanted > last.capacity(),
    }
}

/// Passes an interim answer on to a client that knows them; 100 is ours to give and goes no
/// further.
///
/// # Errors
/// The head is malformed, or is a 101 that nobody asked for.
pub(super) async fn send_interim(this: &Exchange<'_>, head: &[u8]) -> Result<(), BadResponse> {
    let mut out;
    {
        let mut slots = field_slots();
        let response = Response::parse(head, false, &mut slots)?;
        if !response.is_interim() {
            return Err(BadResponse);
        }
        if response.status == 100 || this.inbound.version == Version::Http10 {
            return Ok(());
        }
        let mut scratch = this.shard.scratch.borrow_mut();
        scratch.clear();
        let downstream = Downstream {
            keep_alive: true,
            unchunks: false,
            set_cookie: None,
            extra_lines: b"",
        };
        response.write(&downstream, &mut scratch);
        out = this.shard.blocks.relay();
        out.append(&scratch);
    }
    // A client that is gone shows when the final answer is sent.
    let (_, out) = this.client.send(out, |_| ()).await;
    this.shard.blocks.put(out);
    Ok(())
}

/// Answers `Expect: 100-continue`.
pub(super) async fn send_continue(shard: &Shard, client: &Client<'_>) -> io::Result<()> {
    let mut out = shard.blocks.idle();
    out.append(CONTINUE);
    let (sent, out) = client.send(out, |_| ()).await;
    shard.blocks.put(out);
    sent
}

/// Gives an answer of elbow's own.
pub(super) async fn reply(
    shard: &Shard,
    client: &Client<'_>,
    route: &Route,
    own: Reply,
    keep_alive: bool,
) -> After {
    route.counts.line(shard.index).own_answers[own as usize].add(1);
    client.record.note(|record| record.replied(own.status()));
    client.watch.wait(
        Waiting::Answer,
        Instant::now().after(route.attributes.idle_timeout),
    );
    let mut out = shard.blocks.idle();
    out.append(own.bytes(keep_alive));
    let (sent, out) = client.send(out, |_| ()).await;
    shard.blocks.put(out);
    if sent.is_ok() && keep_alive {
        After::Next
    } else {
        After::Close
    }
}

/// Lets a client that is still sending read its answer: a close with unread bytes would reset the
/// connection and take the answer with it (RFC 9112 §9.6).
pub(super) async fn linger(client: &Client<'_>, mut inbox: Block) -> Block {
    client.close_notify().await;
    shut_down(client.stream.descriptor(), Way::Send);
    client
        .watch
        .wait(Waiting::Leftover, Instant::now().after(LINGER_TIME));
    let mut left = LINGER_BYTES_MAX;
    loop {
        inbox.clear(0);
        let received;
        (received, inbox) = client.stream.receive(inbox, usize::MAX).await;
        match received {
            Ok(count) if count > 0 && count < left => left -= count,
            _ => return inbox,
        }
    }
}
