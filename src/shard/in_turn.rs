//! What is done with those that wait in the surge queue: they are tried again as their turn comes,
//! with the snapshot of that moment.
//!
//! Not the queue (`surge.rs`). Invariant: nothing is with a backend, so that an exchange is as new
//! at its turn as it was when it came, but for its place in the queue and the backends that it
//! could not reach.

use super::admit::Inbound;
use super::exchange::{After, Exchange, Served, Surplus, Tried, Turn, attempt, unserved};
use super::record::Record;
use super::respond::reply;
use super::surge::{Ended, Place};
use crate::balance::{Refusers, Wish};
use crate::state::Route;
use crate::sticky::{Next, Stick};
use crate::sys::{Block, socket};

/// What a client waits for, in terms of no snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) wish: Wish,
    refusers: Refusers,
    /// The slot of its session's backend.
    home: Option<u32>,
}

impl Wanted {
    /// By where a request belongs, and which backends it could not reach.
    pub(super) fn of(stick: &Stick, route: &Route, tried: &Tried) -> Self {
        let backends = &route.backends;
        let refusers = Refusers::of(tried.as_slice(), backends);
        let wish = match stick.next(route, tried.as_slice()) {
            Next::Backend(index) => Wish::Only(backends[index].slot),
            Next::Any | Next::Nobody => Wish::AnyBut(refusers),
        };
        Self {
            wish,
            refusers,
            home: stick.home.map(|home| backends[home].slot),
        }
    }

    /// The backends that it could not reach, of those that there are now.
    pub(super) fn tried(&self, route: &Route) -> Tried {
        let mut tried = Tried::default();
        self.refusers
            .among(&route.backends)
            .for_each(|index| tried.add(index));
        tried
    }

    /// Where the request belongs now: nowhere if its backend is out of service, as if that had
    /// refused it.
    fn carry_over(&self, stick: Stick, route: &Route) -> Stick {
        let is_home = |slot| {
            let mut backends = route.backends.iter();
            backends.position(|backend| backend.slot == slot && backend.is_in_service())
        };
        Stick {
            home: self.home.and_then(is_home),
            standby: None,
            ..stick
        }
    }
}

/// Carries out an exchange that has found no backend with room, once there is one.
///
/// A client that has said that it sends no more counts as gone: nearly all who do so have given up,
/// and in an overload each answer that nobody reads is one that somebody else waits for.
pub(super) async fn exchange_in_turn(
    first: &Exchange<'_>,
    mut surplus: Surplus,
    mut inbox: Block,
) -> (Served, Block) {
    let (shard, client) = (first.shard, first.client);
    let mut inbound = first.inbound.clone();
    // It has got its `100 Continue`.
    inbound.expects_continue = false;
    let place = Place::new(shard, client, first.route, socket::has_ended);
    loop {
        let world = match place.turn(surplus.wanted.wish).await {
            Ok(world) => world,
            Err(ended) => return (refuse(first, &inbound, surplus, ended).await, inbox),
        };
        client.record.note(Record::waited);
        let route = world.route(client.listener.number);
        let route = route.expect("a turn is in a world that has the listener");
        inbound.is_idempotent = surplus.may_repeat;
        inbound.stick = surplus.wanted.carry_over(inbound.stick, route);
        let turn = Turn {
            number: place.number,
            tried: surplus.wanted.tried(route),
            is_second: surplus.is_second,
        };
        let epoch = world.snapshot.epoch;
        let this = Exchange {
            turn: Some(&turn),
            ..Exchange::new(shard, client, route, epoch, inbound.clone())
        };
        let served;
        (served, inbox) = attempt(&this, inbox, surplus.wire).await;
        match served {
            Served::Full(again) => (surplus, inbound) = (*again, this.inbound),
            Served::Done(_) | Served::Switched(_) => return (served, inbox),
        }
    }
}

/// Ends an exchange that waits no more.
async fn refuse(this: &Exchange<'_>, inbound: &Inbound, surplus: Surplus, ended: Ended) -> Served {
    this.shard.blocks.put(surplus.wire);
    if ended == Ended::Gone {
        return Served::Done(After::Close);
    }
    let own = unserved(surplus.is_second);
    if inbound.body.get().is_done() {
        let keep_alive = inbound.may_keep_alive() && !this.shard.is_draining();
        return Served::Done(reply(this.shard, this.client, this.route, own, keep_alive).await);
    }
    reply(this.shard, this.client, this.route, own, false).await;
    Served::Done(After::Linger)
}
