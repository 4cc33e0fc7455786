//! `/v1/load-balancers` and their instances: who is registered, and changes to that.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::answer::{Answer, Sent, Trouble, json};
use super::drains::row_of;
use crate::config::{Backend, DrainMode, Protocol};
use crate::state::{Command, Route};

/// One element of `/v1/load-balancers`.
#[derive(Serialize)]
struct BalancerRow<'a> {
    name: &'a str,
    listeners: Vec<ListenerRow>,
    instances: Vec<&'a str>,
    connection_draining_seconds: Option<f64>,
    drain_mode: &'static str,
    drain_deadline_seconds: Option<u64>,
}

#[derive(Serialize)]
struct ListenerRow {
    address: String,
    protocol: String,
    policy: Option<String>,
    behind_tls: bool,
}

impl<'a> BalancerRow<'a> {
    /// The load balancer to which these routes belong.
    fn of(routes: &'a [Route]) -> Self {
        let first = &routes[0];
        let (drain_mode, deadline) = match first.attributes.drain_mode {
            DrainMode::Connections { .. } => ("connections", None),
            DrainMode::Sessions { deadline } => ("session", Some(deadline)),
        };
        let draining = first.attributes.connection_draining;
        Self {
            name: &first.load_balancer,
            listeners: routes.iter().map(ListenerRow::from).collect(),
            instances: first.backends.iter().map(|backend| &*backend.id).collect(),
            connection_draining_seconds: draining.map(|time| time.as_secs_f64()),
            drain_mode,
            drain_deadline_seconds: deadline.map(|deadline| deadline.as_secs()),
        }
    }
}

impl From<&Route> for ListenerRow {
    fn from(route: &Route) -> Self {
        Self {
            address: route.address.to_string(),
            protocol: route.protocol.to_string(),
            policy: route.stickiness.as_deref().map(ToString::to_string),
            behind_tls: route.is_secure && route.protocol == Protocol::Http,
        }
    }
}

pub(super) async fn load_balancers(admin: Shared) -> Answer {
    let snapshot = admin.link.snapshot.load_full();
    let same = |a: &Route, b: &Route| a.load_balancer == b.load_balancer;
    let rows: Vec<_> = snapshot
        .routes
        .chunk_by(same)
        .map(BalancerRow::of)
        .collect();
    Ok(json(StatusCode::OK, &rows))
}

/// The body of a PUT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    address: Option<String>,
    port: Option<u64>,
    weight: Option<u64>,
}

type Place = Result<Path<(String, String)>, PathRejection>;

/// Registers the instance (201), or changes it (200).
pub(super) async fn put(admin: Shared, place: Place, Sent(wanted): Sent<Wanted>) -> Answer {
    let Path((load_balancer, id)) = place?;
    let address = wanted.address.as_deref();
    let backend = Backend::from_parts(&id, address, wanted.port, wanted.weight)
        .map_err(|(key, mistake)| Trouble::malformed(format!("{key} {mistake}")))?;
    let row = || admin.published.borrow().row(&load_balancer, &id);
    let was_there = row().is_some();
    admin
        .wish(Command::Register {
            load_balancer: load_balancer.as_str().into(),
            backend,
        })
        .await?;
    let status = match was_there {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    Ok(json(status, &row()))
}

/// Lets the instance leave as the load balancer's attributes say.
pub(super) async fn delete(admin: Shared, place: Place) -> Answer {
    let Path((load_balancer, id)) = place?;
    admin
        .wish(Command::Deregister {
            load_balancer: load_balancer.as_str().into(),
            backend: id.as_str().into(),
            mode: None,
        })
        .await?;
    Ok(row_of(&admin, &load_balancer, &id))
}
