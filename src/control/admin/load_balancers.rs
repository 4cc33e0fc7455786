//! `/v1/load-balancers` and their instances: who is registered, and changes to that.
//!
//! Not who is healthy (`rows.rs`), nor how a change is made (`membership.rs`).

use std::collections::HashMap;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::answer::{Answer, Refused, Sent, json};
use super::drains::{Drain, row_of};
use super::rows::{BackendRow, Of};
use crate::config::{DrainMode, Protocol};
use crate::control::{Published, naming};
use crate::state::{LoadBalancerRow, Route, Snapshot};

/// A load balancer.
#[derive(Serialize, ToSchema)]
pub(super) struct LoadBalancer {
    /// Its name; with its region and a slash in front where that is not the region of the host.
    #[schema(example = "web")]
    name: String,
    /// The region of the ELB API that it belongs to.
    #[schema(example = "us-east-1")]
    region: String,
    /// Where it accepts connections.
    listeners: Vec<Listener>,
    /// The ids of the instances that are registered; not those that leave, see `/v1/drains`.
    #[schema(example = json!(["i-0a1b2c3d", "10.0.1.8"]))]
    instances: Vec<String>,
    /// How long running requests may take on an instance that leaves; null: they are cut off.
    #[schema(example = 300.0)]
    connection_draining_seconds: Option<f64>,
    /// What an instance that leaves still takes: `connections` nothing new, `session` the requests
    /// of its own sessions.
    #[schema(example = "session")]
    drain_mode: &'static str,
    /// How long it takes those.
    #[schema(example = 3600)]
    drain_deadline_seconds: Option<u64>,
}

/// A listener.
#[derive(Serialize, ToSchema)]
pub(super) struct Listener {
    /// Address and port.
    #[schema(example = "0.0.0.0:80")]
    address: String,
    /// What clients speak: `HTTP`, `HTTPS`, `TCP` or `SSL`.
    #[schema(example = "HTTP")]
    protocol: String,
    /// The stickiness policy in force; null: none.
    #[schema(example = "sticky for 3600 s (an-hour)")]
    policy: Option<String>,
    /// TLS ends in front of it.
    behind_tls: bool,
}

/// What is known of load balancers beside their own rows, by their names.
struct Parts<'a> {
    listeners: HashMap<&'a str, Vec<Listener>>,
    instances: HashMap<&'a str, Vec<String>>,
}

impl<'a> Parts<'a> {
    fn of(snapshot: &'a Snapshot, published: &'a Published) -> Self {
        let mut parts = Self {
            listeners: HashMap::new(),
            instances: HashMap::new(),
        };
        for route in &snapshot.routes {
            let listeners = parts.listeners.entry(&route.load_balancer).or_default();
            listeners.push(Listener::from(route));
        }
        for row in published.health.iter().filter(|row| row.draining.is_none()) {
            let instances = parts.instances.entry(&row.load_balancer).or_default();
            instances.push(row.backend.to_string());
        }
        parts
    }
}

impl LoadBalancer {
    fn new(row: &LoadBalancerRow, host_region: &str, parts: &mut Parts<'_>) -> Self {
        let (drain_mode, deadline) = match row.attributes.drain_mode {
            DrainMode::Connections { .. } => ("connections", None),
            DrainMode::Sessions { deadline } => ("session", Some(deadline)),
        };
        let region = row.name.split_once('/').map(|(region, _)| region);
        let draining = row.attributes.connection_draining;
        Self {
            name: row.name.to_string(),
            region: region.unwrap_or(host_region).to_owned(),
            listeners: parts.listeners.remove(&*row.name).unwrap_or_default(),
            instances: parts.instances.remove(&*row.name).unwrap_or_default(),
            connection_draining_seconds: draining.map(|time| time.as_secs_f64()),
            drain_mode,
            drain_deadline_seconds: deadline.map(|deadline| deadline.as_secs()),
        }
    }
}

impl From<&Route> for Listener {
    fn from(route: &Route) -> Self {
        Self {
            address: route.address.to_string(),
            protocol: route.protocol.to_string(),
            policy: route.stickiness.as_deref().map(ToString::to_string),
            behind_tls: route.is_secure && route.protocol == Protocol::Http,
        }
    }
}

/// Lists load balancers
///
/// All of them, those of the file and those that the ELB API has made, in every region.
#[utoipa::path(
    get,
    path = "/v1/load-balancers",
    operation_id = "list_load_balancers",
    tag = "load balancers",
    params(Of),
    responses((status = 200, description = "The load balancers", body = [LoadBalancer]))
)]
pub(super) async fn list(admin: Shared, of: Result<Query<Of>, QueryRejection>) -> Answer {
    let Query(of) = of?;
    let snapshot = admin.link.snapshot.load_full();
    let published = admin.published.borrow().clone();
    let mut parts = Parts::of(&snapshot, &published);
    let all = published.load_balancers.iter();
    let asked_for = all.filter(|row| of.is_asked_for(&row.name));
    let rows: Vec<_> = asked_for
        .map(|row| LoadBalancer::new(row, &admin.standing.region, &mut parts))
        .collect();
    Ok(json(StatusCode::OK, &rows))
}

/// What an instance is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Registration)]
pub(super) struct Wanted {
    /// Its IP address. An id that is an address has none.
    #[schema(example = "10.0.1.7", pattern = "^[0-9A-Fa-f.:]+$")]
    address: Option<String>,
    /// A port that replaces the instance port of listeners and of the health check.
    #[schema(example = 9001, minimum = 1, maximum = 65535)]
    port: Option<u64>,
    /// Its share of new sessions, as a ratio to the others'; 0 takes none and keeps those it has.
    #[schema(example = 1, minimum = 0, maximum = 256)]
    weight: Option<u64>,
}

impl From<Wanted> for naming::Parts {
    fn from(wanted: Wanted) -> Self {
        Self {
            address: wanted.address,
            port: wanted.port,
            weight: wanted.weight,
        }
    }
}

type Place = Result<Path<(String, String)>, PathRejection>;

/// Registers an instance
///
/// With `address`, `port` or `weight` the instance is named too, as by `PUT /v1/instances/{id}`;
/// what is left out stays as it is. That holds on every load balancer that has it. One whose
/// sessions are being drained stays.
#[utoipa::path(
    put,
    path = "/v1/load-balancers/{load_balancer}/instances/{instance}",
    operation_id = "register_instance",
    tag = "load balancers",
    params(
        ("load_balancer" = String, Path, description = "Its name, a slash in it as `%2F`"),
        (
            "instance" = String,
            Path,
            description = "An id that has a name or gets one, or an address, perhaps with a port",
            pattern = r"^[A-Za-z0-9._:\[\]-]{1,64}$"
        ),
    ),
    request_body = Wanted,
    responses(
        (status = 200, description = "It was there, and is so now", body = BackendRow),
        (status = 201, description = "It is registered", body = BackendRow),
        (
            status = 400,
            description = "A part does not hold, or the id has no address",
            body = Refused
        ),
        (status = 404, description = "There is no such load balancer", body = Refused),
        (
            status = 409,
            description = "Another one is at that address, or there are as many as may be",
            body = Refused
        ),
    )
)]
pub(super) async fn register(admin: Shared, place: Place, Sent(wanted): Sent<Wanted>) -> Answer {
    let Path((load_balancer, id)) = place?;
    let (name, instance) = (load_balancer.clone(), id.clone());
    let parts = naming::Parts::from(wanted);
    let is_new = admin
        .order(move |setup| setup.register(&name, &instance, &parts))
        .await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let row = admin.published.borrow().row(&load_balancer, &id);
    Ok(json(status, &row))
}

/// Deregisters an instance
///
/// It leaves as the load balancer's attributes say; `POST /v1/drains` can say otherwise.
#[utoipa::path(
    delete,
    path = "/v1/load-balancers/{load_balancer}/instances/{instance}",
    operation_id = "deregister_instance",
    tag = "load balancers",
    params(
        ("load_balancer" = String, Path, description = "Its name, a slash in it as `%2F`"),
        ("instance" = String, Path, description = "The id of the instance"),
    ),
    responses(
        (status = 200, description = "It has left, like this", body = Drain),
        (status = 202, description = "It leaves, and is this far", body = Drain),
        (status = 204, description = "It has left"),
        (
            status = 404,
            description = "There is no such load balancer, or it has no such instance",
            body = Refused
        ),
    )
)]
pub(super) async fn deregister(admin: Shared, place: Place) -> Answer {
    let Path((load_balancer, id)) = place?;
    let (name, instance) = (load_balancer.clone(), id.clone());
    admin
        .order(move |setup| setup.leave(&name, &instance, None))
        .await?;
    Ok(row_of(&admin, &load_balancer, &id))
}
