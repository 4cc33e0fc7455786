//! Stickiness at the two ends of an exchange: where a request belongs, and what goes with its
//! answer.
//!
//! The decisions are `sticky`'s; here they meet requests, responses and counters. Invariant: what
//! an answer binds its client to is the backend that gave it.

use super::Shard;
use super::exchange::Exchange;
use super::hold::Held;
use super::serve::Client;
use crate::config::{Affinity, DurationPolicy, Fallback, Stickiness};
use crate::health;
use crate::http::{Request, Response};
use crate::state::{LoadBalancerLine, Route};
use crate::sticky::{self, NONCE_BYTES, Stick, Tally, Value, Visit};
use crate::sys::unix_seconds;

/// Finds where a request belongs, and counts why.
pub(super) fn look_up(
    shard: &Shard,
    client: &Client<'_>,
    route: &Route,
    epoch: u64,
    request: &Request<'_, '_>,
) -> Stick {
    let fallback = fallback_key(client, route, request);
    if route.stickiness.is_none() && fallback.is_none() {
        return Stick::NOWHERE;
    }
    let counts = shard.counts();
    let tally = Tally {
        hits: &counts.table_hits,
        misses: &counts.table_misses,
        evictions: &counts.table_evictions,
        sessions: &counts.sessions,
    };
    let visit = Visit {
        route,
        epoch,
        now: unix_seconds(),
        fallback,
    };
    let mut sessions = shard.sessions.borrow_mut();
    let stick = sessions.look_up(&visit, request.cookies(), &tally);
    let line: &LoadBalancerLine = route.counts.line(shard.index);
    line.verdicts[stick.verdict as usize].add(1);
    stick
}

/// What stands for a client that sends no cookie.
fn fallback_key(client: &Client<'_>, route: &Route, request: &Request<'_, '_>) -> Option<u64> {
    let key = match &route.attributes.affinity.fallback {
        Fallback::None => return None,
        Fallback::ClientAddress => client.address.as_bytes(),
        Fallback::Header(name) => request.field(name)?,
    };
    Some(health::mix(route.scope, health::key_hash(key)))
}

/// Writes the line that tells the backend where the session would go next.
pub(super) fn write_standby(route: &Route, stick: &Stick, out: &mut Vec<u8>) {
    if let Some(standby) = stick.standby {
        out.extend_from_slice(b"X-Elbow-Standby: ");
        out.extend_from_slice(route.backends[standby].id.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the lines that bind the client to the backend that answers, where they are due, and the
/// reason for its choice, where that is asked for. Counts the session as seen there.
pub(super) fn settle(
    this: &Exchange<'_>,
    held: &Held<'_>,
    response: &Response<'_, '_>,
    out: &mut Vec<u8>,
) {
    let affinity = &this.route.attributes.affinity;
    if affinity.sends_reason {
        write_reason(this, held, out);
    }
    note_refusal(this, held);
    let session = match this.route.stickiness.as_deref() {
        None => this.inbound.stick.session,
        Some(Stickiness::Duration(policy)) => bind_by_duration(this, held, policy, out),
        Some(Stickiness::Application(policy)) => {
            let copying = sticky::Copying::new(policy, affinity);
            let mut bound = this.inbound.stick.session;
            let seal = || {
                let (session, value) = seal(this, held)?;
                bound = Some(session);
                Some(value)
            };
            let app_cookies = response.set_cookies();
            let tally =
                sticky::write_app_lines(app_cookies, &policy.cookie_name, &copying, seal, out);
            this.counts().cookies_set.add(tally.bound);
            this.counts().app_cookies_ignored.add(tally.ignored);
            this.counts().app_cookies_surplus.add(tally.surplus);
            this.counts().app_cookies_encoded.add(tally.encoded);
            bound
        }
    };
    if let Some(session) = session {
        let slot = this.route.backends[held.index()].slot;
        this.shard.census.borrow_mut().note(slot, session);
    }
}

/// Notes that a session is elsewhere, as its home refused and is not known to be out yet.
fn note_refusal(this: &Exchange<'_>, held: &Held<'_>) {
    let stick = &this.inbound.stick;
    if let (Some(session), Some(home)) = (stick.session, stick.home)
        && home != held.index()
    {
        let mut sessions = this.shard.sessions.borrow_mut();
        sessions.note_move(this.route, home, held.index(), session);
    }
}

/// The cookie of a duration policy, unless the client has one that holds.
fn bind_by_duration(
    this: &Exchange<'_>,
    held: &Held<'_>,
    policy: &DurationPolicy,
    out: &mut Vec<u8>,
) -> Option<u64> {
    let stick = &this.inbound.stick;
    if stick.holds_for(held.index()) {
        return stick.session;
    }
    let (session, value) = seal(this, held)?;
    let cors_name = this.route.attributes.cors_cookie_name;
    sticky::write_lines(policy, cors_name, this.route.is_secure, &value, out);
    this.counts().cookies_set.add(1);
    Some(session)
}

/// A new cookie value for the backend that answers: of the request's session, or of a new one.
/// `None` without randomness, without which there is no seal: the session is not bound then.
fn seal(this: &Exchange<'_>, held: &Held<'_>) -> Option<(u64, Value)> {
    let mut random = [0; NONCE_BYTES + 8];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let (nonce, fresh) = random.split_first_chunk::<NONCE_BYTES>()?;
    let fresh = fresh.iter().fold(0, |sum, &b| sum << 8 | u64::from(b));
    let stick = &this.inbound.stick;
    let binding = stick.binding(this.route, held.index(), fresh, unix_seconds());
    let value = this.shard.sessions.borrow().seal(&binding, *nonce);
    Some((binding.session, value))
}

/// `X-Elbow-Reason: moved; backend=i-2; life=1; epoch=17`.
fn write_reason(this: &Exchange<'_>, held: &Held<'_>, out: &mut Vec<u8>) {
    use std::io::Write;
    let stick = &this.inbound.stick;
    let backend = &this.route.backends[held.index()];
    let refused = match stick.home {
        Some(home) if home != held.index() => "; refused",
        Some(_) | None => "",
    };
    write!(
        out,
        "X-Elbow-Reason: {}{refused}; backend={}; life={}; epoch={}\r\n",
        stick.verdict.name(),
        backend.id,
        backend.life,
        this.epoch,
    )
    .expect("a vector takes every write");
}

/// What becomes of a request's `Cookie` fields on their way to the backend.
pub(super) struct CookieRewrite<'a> {
    affinity: &'a Affinity,
    own_name: &'a str,
}

impl<'a> CookieRewrite<'a> {
    /// `None`: they go on as they came.
    pub(super) fn of(route: &'a Route) -> Option<Self> {
        let affinity = &route.attributes.affinity;
        let encodes = affinity.underscore_encoding.is_of_requests();
        (affinity.strips_cookie || encodes).then(|| Self {
            affinity,
            own_name: match route.stickiness.as_deref() {
                Some(Stickiness::Duration(policy)) => &policy.cookie.name,
                Some(Stickiness::Application(_)) | None => "",
            },
        })
    }

    /// The new value of a field; nothing if it goes.
    pub(super) fn write(&self, value: &[u8], out: &mut Vec<u8>) {
        let encodes = self.affinity.underscore_encoding.is_of_requests();
        if !self.affinity.strips_cookie {
            return sticky::encode_dollar_path(value, out);
        }
        let start = out.len();
        sticky::strip_cookies(value, &sticky::own_names(self.own_name), out);
        if encodes {
            let stripped = out.split_off(start);
            sticky::encode_dollar_path(&stripped, out);
        }
    }
}
