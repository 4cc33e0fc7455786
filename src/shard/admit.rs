//! From a request head to what is sent to the backend, in one step that never waits.

use std::cell::Cell;

use super::serve::Client;
use super::stick::{CookieRewrite, look_up, write_standby};
use super::{Shard, World};
use crate::http::{
    Body, BrokenBody, FieldSlots, Forwarding, Refusal, Request, Rewrite, Treatment, Verdict,
    Version, classify, field_slots,
};
use crate::state::{LoadBalancerLine, Route};
use crate::sticky::Stick;
use crate::sys::Block;

/// What has to be known of a request once its head is written anew.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five facts that do not exclude each other"
)]
pub(super) struct Inbound {
    /// The body as far as it has been taken; none so far.
    pub(super) body: Cell<Body>,
    /// The client's version.
    pub(super) version: Version,
    /// The client can send another request on this connection.
    pub(super) keep_alive: bool,
    /// Readers may disagree about where the request ends, so neither of its connections carries
    /// another exchange.
    pub(super) is_isolated: bool,
    /// The client waits for `100 Continue`.
    pub(super) expects_continue: bool,
    /// The answer has no body, as this is HEAD.
    pub(super) is_head: bool,
    /// The request may be sent twice.
    pub(super) is_idempotent: bool,
    /// The protocol that it asks to change to, by its index in
    /// [`Attributes::upgrades`](crate::config::Attributes::upgrades); `None`: none of those.
    pub(super) upgrade: Option<u8>,
    /// Where its cookies say it belongs.
    pub(super) stick: Stick,
}

impl Inbound {
    /// Whether another exchange may follow on the client's connection.
    pub(super) fn may_keep_alive(&self) -> bool {
        self.keep_alive && !self.is_isolated
    }

    /// [`Body::pass`].
    pub(super) fn pass(&self, bytes: &[u8]) -> Result<usize, BrokenBody> {
        let mut body = self.body.get();
        let passed = body.pass(bytes);
        self.body.set(body);
        passed
    }
}

/// Judges a head, looks its session up, and writes the head for the backend into `wire`.
///
/// # Errors
/// The refusal; `wire` is then as it was.
pub(super) fn admit(
    shard: &Shard,
    world: &World,
    route: &Route,
    client: &Client<'_>,
    head: &[u8],
    wire: &mut Block,
) -> Result<Inbound, Refusal> {
    let mut slots = field_slots();
    let (request, is_isolated) = judge(shard, route, client, head, &mut slots)?;
    let may_have = route.attributes.bounds.max_body.unwrap_or(u64::MAX);
    let body = Body::at_most(request.framing, may_have)?;
    let stick = look_up(shard, client, route, world.snapshot.epoch, &request);
    // Where readers may disagree about the request's end, they do about the protocol's beginning.
    client
        .record
        .note(|record| record.judged(stick.verdict, body.left()));
    let upgrade = request.upgrade().filter(|_| !is_isolated);
    let upgrade = upgrade.and_then(|protocol| route.attributes.upgrades.place_of(protocol));
    let forwarded = (&request, &stick, upgrade.is_some());
    write(shard, world, route, client, forwarded, wire)?;
    Ok(Inbound {
        body: Cell::new(body),
        version: request.version,
        keep_alive: request.wants_keep_alive(),
        is_isolated,
        expects_continue: request.expects_continue,
        is_head: request.is_head(),
        is_idempotent: request.is_idempotent(),
        upgrade,
        stick,
    })
}

/// Parses a head and has desync mitigation look at it; also says whether its connections carry
/// nothing else from now on.
fn judge<'b, 'h>(
    shard: &Shard,
    route: &Route,
    client: &Client<'_>,
    head: &'b [u8],
    slots: &'h mut FieldSlots<'b>,
) -> Result<(Request<'b, 'h>, bool), Refusal> {
    let parsed = Request::parse(head, slots);
    let verdict = match &parsed {
        Ok(request) => request.verdict,
        Err(_) => classify(head),
    };
    count(client, route.counts.line(shard.index), verdict);
    let request = parsed?;
    match verdict.treatment(route.attributes.desync_mode) {
        Treatment::Forward => Ok((request, false)),
        Treatment::Isolate => Ok((request, true)),
        Treatment::Refuse => Err(Refusal::Desync),
    }
}

/// Counts a head, and how far it is from what it should be.
pub(super) fn count(client: &Client<'_>, counts: &LoadBalancerLine, verdict: Verdict) {
    counts.requests.add(1);
    if let Some(reason) = verdict.reason() {
        tracing::debug!(
            client = &*client.address,
            ?reason,
            "request is not compliant"
        );
        counts.non_compliant[reason.classification() as usize].add(1);
    }
}

fn write(
    shard: &Shard,
    world: &World,
    route: &Route,
    client: &Client<'_>,
    (request, stick, upgrades): (&Request<'_, '_>, &Stick, bool),
    wire: &mut Block,
) -> Result<(), Refusal> {
    let texts = world.texts(client.listener.number);
    let texts = texts.expect("a route has its texts");
    let local;
    let fallback_host = if texts.host.is_empty() && request.lacks_host() {
        local = client.local_host();
        &local
    } else {
        &texts.host
    };
    let cookies = CookieRewrite::of(route);
    let rewrite = cookies
        .as_ref()
        .map(|cookies| |value: &[u8], out: &mut Vec<u8>| cookies.write(value, out));
    let mut lines = shard.lines.borrow_mut();
    lines.clear();
    write_standby(route, stick, &mut lines);
    write_subject(route, client, &mut lines);
    write_id(route, client, request, &mut lines);
    let forwarding = Forwarding {
        client: &client.address,
        protocol: if route.is_secure { "https" } else { "http" },
        port: &texts.port,
        fallback_host,
        cookie: rewrite.as_ref().map(|rewrite| rewrite as Rewrite<'_>),
        cut: route.subject_header.as_deref(),
        upgrades,
        extra_lines: &lines,
    };
    let mut scratch = shard.scratch.borrow_mut();
    scratch.clear();
    request.write(&forwarding, &mut scratch);
    if scratch.len() > wire.room() {
        return Err(Refusal::LargeHead);
    }
    wire.append(&scratch);
    Ok(())
}

/// Writes the line of the id by which a request is known, if it has to have one and came without.
fn write_id(route: &Route, client: &Client<'_>, request: &Request<'_, '_>, out: &mut Vec<u8>) {
    let Some(name) = &route.attributes.request_id else {
        return;
    };
    if let Some(id) = request.field(name) {
        return client.record.note(|record| record.identified(id));
    }
    // Without randomness there is none, as without it there is no session.
    let Some(id) = made_up_id() else {
        return;
    };
    client.record.note(|record| record.identified(&id));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(&id);
    out.extend_from_slice(b"\r\n");
}

/// 128 random bits as 32 digits.
fn made_up_id() -> Option<[u8; 32]> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    Some(std::array::from_fn(|at| {
        let byte = random[at / 2];
        let digit = if at % 2 == 0 { byte >> 4 } else { byte & 15 };
        DIGITS[usize::from(digit)]
    }))
}

/// Writes the line that tells the backend whose certificate the client has shown, if it has.
fn write_subject(route: &Route, client: &Client<'_>, out: &mut Vec<u8>) {
    let tls = route.subject_header.as_ref().zip(client.stream.tls());
    let Some((header, subject)) = tls.and_then(|(header, tls)| Some((header, tls.subject()?)))
    else {
        return;
    };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(subject.as_bytes());
    out.extend_from_slice(b"\r\n");
}
