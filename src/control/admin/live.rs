//! `/v1/live`: what happens, told from second to second for as long as somebody listens.
//!
//! Not what is told (`control::moment`). Each listener has readings of its own, taken only while it
//! reads: who is slow misses seconds, and nothing queues up. Invariants: at most
//! [`WATCHERS_MAX`] listen; a stream ends after [`MOMENTS_MAX`], so that who was let in is asked
//! again who it is.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{self, MissedTickBehavior};
use utoipa::IntoParams;

use super::answer::{Answer, Refused, Trouble};
use super::{Admin, Shared};
use crate::control::Moment;
use crate::control::moment::{Reading, Watched};
use crate::limits::{MOMENT_INTERVAL, MOMENTS_MAX, WATCHERS_MAX};
use crate::sys::{Instant, unix_millis};

/// What somebody wants to watch.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The load balancer of this name, with its instances, moves and drains; if it is left out a
    /// little of each.
    load_balancer: Option<String>,
    /// After how many moments the stream ends; 600 if it is left out.
    #[param(minimum = 1, maximum = 600)]
    moments: Option<u16>,
}

/// Somebody who listens.
struct Watcher {
    admin: Arc<Admin>,
    load_balancer: Option<String>,
    left: u16,
    last: Reading,
    ticks: time::Interval,
    /// Its place among those who listen, given back when the stream ends.
    _place: OwnedSemaphorePermit,
}

/// Tells what happens
///
/// A moment each second, as server-sent events whose data is a `Moment`. The stream ends after ten
/// minutes: ask again.
#[utoipa::path(
    get,
    path = "/v1/live",
    operation_id = "watch",
    tag = "process",
    params(Wanted),
    responses(
        (
            status = 200,
            description = "What happens from now on",
            body = Moment,
            content_type = "text/event-stream"
        ),
        (status = 400, description = "The query does not hold", body = Refused),
        (status = 404, description = "There is no such load balancer", body = Refused),
        (status = 503, description = "As many listen as may", body = Refused),
    )
)]
pub(super) async fn watch(admin: Shared, wanted: Result<Query<Wanted>, QueryRejection>) -> Answer {
    let Query(wanted) = wanted?;
    let moments = wanted.moments.unwrap_or(MOMENTS_MAX);
    if moments == 0 || moments > MOMENTS_MAX {
        let clause = format!("moments must be from 1 to {MOMENTS_MAX}");
        return Err(Trouble::malformed(clause));
    }
    let of = super::rows::Of::only(wanted.load_balancer);
    of.check(&admin.published.borrow())?;
    let place = Arc::clone(&admin.watchers).try_acquire_owned();
    let place = place.map_err(|_| {
        let clause = format!("{WATCHERS_MAX} others watch already: close a console, or try again");
        Trouble::new(StatusCode::SERVICE_UNAVAILABLE, clause)
    })?;
    let admin = Arc::clone(&admin);
    let load_balancer = of.into_name();
    let mut ticks = time::interval_at(time::Instant::now() + MOMENT_INTERVAL, MOMENT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = admin.watched(load_balancer.as_deref(), |watched| {
        Reading::take(watched, Instant::now())
    });
    let watcher = Watcher {
        admin,
        load_balancer,
        left: moments,
        last,
        ticks,
        _place: place,
    };
    // What is told is of this moment: caches and proxies are to pass it on at once.
    let fields = [(header::CACHE_CONTROL, "no-store")];
    Ok((fields, Sse::new(told(watcher))).into_response())
}

fn told(watcher: Watcher) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(watcher, |mut watcher| async {
        watcher.left = watcher.left.checked_sub(1)?;
        watcher.ticks.tick().await;
        let moment = watcher.look();
        let text = serde_json::to_string(&moment).expect("text, numbers and lists are valid JSON");
        Some((Ok(Event::default().event("moment").data(text)), watcher))
    })
}

impl Watcher {
    /// What has happened since the last look.
    fn look(&mut self) -> Moment {
        let (admin, last) = (&self.admin, &mut self.last);
        admin.watched(self.load_balancer.as_deref(), |watched| {
            let now = Reading::take(watched, Instant::now());
            let moment = now.since(last, watched, unix_millis());
            *last = now;
            moment
        })
    }
}

impl Admin {
    fn watched<T>(&self, load_balancer: Option<&str>, look: impl FnOnce(&Watched<'_>) -> T) -> T {
        let published = self.published.borrow().clone();
        look(&Watched {
            link: &self.link,
            published: &published,
            cores: self.standing.cores(),
            load_balancer,
        })
    }
}
