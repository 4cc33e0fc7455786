//! Requests whose body is still coming: it goes up while the answer may already come down.
//!
//! Both directions run in one task and are always polled to their end; to end one, its connection
//! is shut down. Such a request is sent once: its bytes are not kept.

use std::cell::Cell;

use super::exchange::{After, Exchange, NoAnswer, Served, Surplus, read_answer};
use super::hold::Held;
use super::in_turn::Wanted;
use super::pace::Pace;
use super::proxy_header::announce;
use super::respond::{is_bulk, reply, respond, send_continue};
use super::upstream::Lease;
use super::watch::Waiting;
use crate::balance::Unserved;
use crate::http::{BrokenBody, Refusal, Reply};
use crate::limits::{LINGER_BYTES_MAX, LINGER_TIME};
use crate::sys::socket::{Way, shut_down};
use crate::sys::{Block, Instant};

/// How the body's way up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// All of it is with the backend.
    Whole,
    /// The client went away, or its time was over.
    ClientStopped,
    /// The chunks are malformed, or too many.
    Broken(BrokenBody),
    /// The backend takes no more; it may have answered.
    BackendStopped,
    /// The answer was over before the body.
    Overtaken,
}

/// How the answer's way down ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Download {
    /// It was passed on.
    Passed(After),
    /// There was none.
    Missing(NoAnswer),
}

/// What the two directions know of each other.
#[derive(Debug, Default)]
struct Progress {
    is_upload_over: Cell<bool>,
    is_upload_whole: Cell<bool>,
    /// The backend's connection was shut down, as its request will never be whole.
    is_cut: Cell<bool>,
    is_answered: Cell<bool>,
}

/// Forwards a request whose body is not whole yet. `wire` holds its head and the first bytes of
/// its body; `inbox` may hold more of them and comes back with those behind its end.
pub(super) async fn stream_through(
    this: &Exchange<'_>,
    inbox: Block,
    mut wire: Block,
) -> (Served, Block) {
    this.client.watch.wait(Waiting::Upload, this.deadline());
    if this.inbound.expects_continue
        && inbox.is_empty()
        && send_continue(this.shard, this.client).await.is_err()
    {
        this.shard.blocks.put(wire);
        return (Served::Done(After::Close), inbox);
    }
    let mut tried = this.tried();
    let (held, mut lease) = match this.open(&mut tried, false, None).await {
        Ok(opened) => opened,
        Err(Unserved::Full) => {
            let surplus = Surplus {
                wire,
                wanted: Wanted::of(&this.inbound.stick, this.route, &tried),
                is_second: false,
                may_repeat: false,
            };
            return (Served::Full(Box::new(surplus)), inbox);
        }
        Err(Unserved::Nobody) => {
            this.shard.blocks.put(wire);
            let own = Reply::ServiceUnavailable;
            reply(this.shard, this.client, this.route, own, false).await;
            return (Served::Done(After::Linger), inbox);
        }
    };
    announce(this, &mut lease, &mut wire);
    let progress = Progress::default();
    this.client.watch.wait(Waiting::Answer, this.deadline());
    let ((upload, inbox), (download, keep_upstream)) = monoio::join!(
        upload(this, &progress, &lease, inbox, wire),
        download(this, &progress, &lease, &held),
    );
    if keep_upstream && upload == Upload::Whole {
        lease.put_back(this.shard, this.deadline());
    }
    (Served::Done(conclude(this, upload, download).await), inbox)
}

/// Moves the body up, one block at a time: the backend's pace is the client's.
async fn upload(
    this: &Exchange<'_>,
    progress: &Progress,
    lease: &Lease,
    mut inbox: Block,
    mut wire: Block,
) -> (Upload, Block) {
    let pace = Pace::default();
    let ended = loop {
        let sent;
        (sent, wire) = lease.channel().send(wire, |_| this.progress()).await;
        if progress.is_answered.get() {
            break Upload::Overtaken;
        }
        if sent.is_err() || this.client.watch.is_expired() {
            break Upload::BackendStopped;
        }
        this.note_sent();
        let body = this.inbound.body.get();
        if body.is_done() {
            break Upload::Whole;
        }
        if is_bulk(&wire, body) {
            wire = this.shard.larger(wire);
        }
        wire.clear(0);
        let passed;
        if inbox.is_empty() {
            let since = Instant::now();
            this.client.watch.wait(
                Waiting::Upload,
                pace.deadline(&this.route.attributes, since),
            );
            let received;
            (received, wire) = this.client.stream.receive(wire, body.wanted()).await;
            if progress.is_answered.get() {
                break Upload::Overtaken;
            }
            match received {
                Ok(count @ 1..) => pace.note(&this.route.attributes, count, since),
                Ok(0) | Err(_) => break Upload::ClientStopped,
            }
            passed = this.inbound.pass(wire.bytes());
        } else {
            let at_hand = inbox.len().min(wire.room());
            wire.append(&inbox.bytes()[..at_hand]);
            passed = this.inbound.pass(wire.bytes());
            inbox.consume(passed.unwrap_or(0));
        }
        let taken = match passed {
            Ok(taken) => taken,
            Err(broken) => break Upload::Broken(broken),
        };
        if inbox.is_empty() && taken < wire.len() {
            // The bytes behind the body's end are the next request's.
            this.shard.blocks.put(inbox);
            inbox = this.shard.blocks.holding(&wire.bytes()[taken..]);
        }
        wire.truncate(taken);
        this.client.watch.wait(Waiting::Answer, this.deadline());
    };
    this.note_received();
    end_upload(this, progress, lease, ended);
    if ended == Upload::Overtaken {
        wire = discard(this, wire).await;
    }
    this.shard.blocks.put(wire);
    (ended, inbox)
}

/// The body's way up is over: the other direction knows, and so does a backend that has not got all
/// of it.
fn end_upload(this: &Exchange<'_>, progress: &Progress, lease: &Lease, ended: Upload) {
    progress.is_upload_over.set(true);
    progress.is_upload_whole.set(ended == Upload::Whole);
    match ended {
        Upload::Whole | Upload::BackendStopped => {
            this.client.watch.wait(Waiting::Answer, this.deadline());
        }
        // What the backend got is not a whole request; it must not think so.
        Upload::ClientStopped | Upload::Broken(_) => {
            progress.is_cut.set(true);
            shut_down(lease.descriptor(), Way::Both);
        }
        Upload::Overtaken => {}
    }
}

/// Lets a client that is still sending finish, within bounds, so that it reads its answer.
async fn discard(this: &Exchange<'_>, mut wire: Block) -> Block {
    let mut left = LINGER_BYTES_MAX;
    loop {
        wire.clear(0);
        let received;
        (received, wire) = this.client.stream.receive(wire, usize::MAX).await;
        match received {
            Ok(count) if count > 0 && count < left => left -= count,
            _ => return wire,
        }
    }
}

/// Waits for the answer and passes it on, while the body may still be on its way up.
async fn download(
    this: &Exchange<'_>,
    progress: &Progress,
    lease: &Lease,
    held: &Held<'_>,
) -> (Download, bool) {
    let wire = this.shard.blocks.relay();
    let (answer, wire) = read_answer(this, lease, wire).await;
    let (download, keep_upstream) = match answer {
        Ok(head_bytes) => {
            // A client that is still sending cannot be told where its next request would begin.
            let may_keep_alive = this.inbound.may_keep_alive() && progress.is_upload_whole.get();
            let (after, keep_upstream) =
                respond(this, held, lease, wire, head_bytes, may_keep_alive).await;
            (Download::Passed(after), keep_upstream)
        }
        Err(no_answer) => {
            if !progress.is_cut.get() {
                held.counts().response_errors.add(1);
            }
            this.shard.blocks.put(wire);
            if progress.is_upload_over.get() || no_answer == NoAnswer::Late {
                return (Download::Missing(no_answer), false);
            }
            let own = no_answer.reply();
            reply(this.shard, this.client, this.route, own, false).await;
            (Download::Passed(After::Linger), false)
        }
    };
    if !progress.is_upload_over.get() {
        progress.is_answered.set(true);
        // The backend is told that the rest will not come, the client that nothing more will: but
        // an answer that is not whole must not seem to end.
        shut_down(lease.descriptor(), Way::Both);
        let way = match download {
            Download::Passed(After::Reset) => Way::Receive,
            _ => {
                this.client.close_notify().await;
                Way::Send
            }
        };
        shut_down(this.client.stream.descriptor(), way);
        this.client
            .watch
            .wait(Waiting::Leftover, Instant::now().after(LINGER_TIME));
    }
    (download, keep_upstream)
}

/// What the client is told, and what becomes of its connection.
async fn conclude(this: &Exchange<'_>, upload: Upload, download: Download) -> After {
    match (download, upload) {
        (Download::Passed(After::Reset), _) => After::Reset,
        (Download::Passed(after), Upload::Whole) => after,
        (Download::Passed(_), Upload::ClientStopped | Upload::Overtaken) => After::Close,
        (Download::Passed(_), Upload::Broken(_) | Upload::BackendStopped) => After::Linger,
        (Download::Missing(_), Upload::ClientStopped) if !this.client.watch.is_expired() => {
            After::Close
        }
        (Download::Missing(_), Upload::ClientStopped) => {
            reply(
                this.shard,
                this.client,
                this.route,
                Reply::RequestTimeout,
                false,
            )
            .await;
            After::Close
        }
        (Download::Missing(_), Upload::Broken(broken)) => {
            let own = Refusal::from(broken).reply();
            reply(this.shard, this.client, this.route, own, false).await;
            After::Linger
        }
        (Download::Missing(no_answer), Upload::Whole) => {
            let keep_alive = this.inbound.may_keep_alive() && !this.shard.is_draining();
            reply(
                this.shard,
                this.client,
                this.route,
                no_answer.reply(),
                keep_alive,
            )
            .await
        }
        (Download::Missing(no_answer), Upload::BackendStopped | Upload::Overtaken) => {
            reply(
                this.shard,
                this.client,
                this.route,
                no_answer.reply(),
                false,
            )
            .await;
            After::Linger
        }
    }
}
