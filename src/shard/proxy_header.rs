//! PROXY headers at the two ends: read from clients that are proxies, put in front of requests.
//!
//! The bytes are `proxy_protocol`'s. Invariant: a header is believed if the socket's own address
//! is one that the listener trusts, and a connection that began with one for a backend never
//! carries another client's request.

use super::Shard;
use super::exchange::Exchange;
use super::serve::{Client, deadline, shrink, with_room};
use super::upstream::Lease;
use super::watch::Waiting;
use crate::proxy_protocol::{Malformed, Parsed, Version, parse, write};
use crate::state::{LoadBalancerLine, Route};
use crate::sys::Block;

/// The block that a client's first head is received into. Where the connection comes from a trusted
/// address, receives the header that it begins with, and takes its source for the client: bytes
/// behind it are in the block. `None`: there is no whole header, and the connection ends.
pub(super) async fn receive_header(shard: &Shard, client: &mut Client<'_>) -> Option<Block> {
    let mut inbox = shard.blocks.idle();
    if !is_expected(shard, client) {
        return Some(inbox);
    }
    // One deadline for all of it.
    let deadline = deadline(shard, client);
    client.watch.wait(Waiting::Idle, deadline);
    loop {
        inbox = match with_room(shard, inbox) {
            Ok(roomy) => roomy,
            Err(full) => {
                shard.blocks.put(full);
                return None;
            }
        };
        let received;
        // In front of TLS, so below it.
        (received, inbox) = client.stream.stream().receive(inbox, usize::MAX).await;
        let is_over = !matches!(received, Ok(1..));
        match parse(inbox.bytes()) {
            Ok(Parsed::Incomplete(_)) if !is_over => client.watch.wait(Waiting::Head, deadline),
            Ok(Parsed::Header { endpoints, length }) => {
                client.take_for(endpoints);
                inbox.consume(length);
                return Some(shrink(shard, inbox));
            }
            Ok(Parsed::Local { length }) => {
                inbox.consume(length);
                return Some(shrink(shard, inbox));
            }
            Ok(Parsed::Incomplete(_)) | Err(Malformed) => {
                // Who only looks whether somebody listens sends nothing and is not counted.
                if !inbox.is_empty() {
                    count_refused(shard, client);
                }
                shard.blocks.put(inbox);
                return None;
            }
        }
    }
}

fn is_expected(shard: &Shard, client: &Client<'_>) -> bool {
    let world = shard.world();
    let Some(route) = world.route(client.listener.number) else {
        return false;
    };
    let peer = client.peer.ip();
    let mut networks = route.proxy_networks.iter();
    networks.any(|network| network.contains(peer))
}

fn count_refused(shard: &Shard, client: &Client<'_>) {
    let world = shard.world();
    if let Some(route) = world.route(client.listener.number) {
        let counts: &LoadBalancerLine = route.counts.line(shard.index);
        counts.proxy_headers_refused.add(1);
    }
}

/// What stands in front of the TLS handshake with a backend: the header, if it is to get one.
pub(super) fn preface(client: &Client<'_>, route: &Route) -> Vec<u8> {
    let mut header = Vec::new();
    if let Some(version) = route.proxy_protocol
        && is_secured(client)
    {
        write(version, client.endpoints(), &mut header);
    }
    header
}

/// Whether TLS is on connections to backends, so that a header has gone in front of it.
fn is_secured(client: &Client<'_>) -> bool {
    client.listener.terms.is_some()
}

/// What a relayed connection begins with at its backend: the header, if it is still to get one, and
/// what the client has sent `early`. `None`: there is no block for both.
pub(super) fn announced(
    shard: &Shard,
    client: &Client<'_>,
    version: Option<Version>,
    mut early: Block,
) -> Option<Block> {
    let Some(version) = version.filter(|_| !is_secured(client)) else {
        return Some(early);
    };
    let mut header = shard.scratch.borrow_mut();
    header.clear();
    write(version, client.endpoints(), &mut header);
    if shard.blocks.replace_front(&mut early, 0, &header) {
        return Some(early);
    }
    shard.blocks.put(early);
    None
}

/// Where the route's backends are to know whose connection they get: puts the header in front of
/// the request in `wire`, and sees that the new connection is for this exchange alone.
pub(super) fn announce(this: &Exchange<'_>, lease: &mut Lease, wire: &mut Block) {
    let Some(version) = this.route.proxy_protocol else {
        return;
    };
    lease.is_private = true;
    if is_secured(this.client) {
        return;
    }
    let mut header = this.shard.scratch.borrow_mut();
    header.clear();
    write(version, this.client.endpoints(), &mut header);
    let has_headroom = wire.replace_front(0, &header);
    assert!(
        has_headroom,
        "a request begins behind a relay block's headroom"
    );
}
