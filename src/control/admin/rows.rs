//! `/v1/backends`, everybody's health in the words of CLB's `DescribeInstanceHealth`, and
//! `/v1/sessions`, how many sessions live where.

use std::sync::Arc;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::answer::{Answer, json};
use crate::state::{HealthRow, Stage};

/// What a list is to be about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// The load balancer of this name; all if it is left out.
    load_balancer: Option<String>,
}

impl Of {
    pub(super) fn is_asked_for(&self, load_balancer: &str) -> bool {
        let asked = self.load_balancer.as_deref();
        asked.is_none_or(|asked| asked == load_balancer)
    }
}

/// An instance as a load balancer has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Backend)]
pub(super) struct BackendRow<'a> {
    /// The load balancer.
    #[schema(example = "web")]
    load_balancer: &'a str,
    /// The id of the instance.
    #[schema(example = "i-0a1b2c3d")]
    backend: &'a str,
    /// `InService` or `OutOfService`.
    #[schema(example = "InService")]
    state: &'static str,
    /// `ELB`, `Instance` or `N/A`: what it is out of service for.
    #[schema(example = "N/A")]
    reason_code: &'static str,
    /// The same in a sentence.
    #[schema(example = "N/A")]
    description: &'static str,
    /// How often it came into service.
    #[schema(example = 1)]
    life: u32,
    /// Its share of new sessions, as a ratio to the others'; 0 while it leaves.
    #[schema(example = 1)]
    weight: u32,
    /// About how many sessions are alive there.
    #[schema(example = 1200)]
    sessions: u64,
    /// It has more than its share of them and takes no new ones.
    over_bound: bool,
    /// How far it is on its way out: `sessions` or `connections`; null: it stays.
    draining: Option<&'static str>,
    /// Requests that run on it.
    #[schema(example = 3)]
    outstanding: u64,
}

impl<'a> From<&'a HealthRow> for BackendRow<'a> {
    fn from(row: &'a HealthRow) -> Self {
        let (state, reason_code, description) = match row.draining {
            // So does CLB while connections drain (CLB.md §4.5).
            Some(Stage::Connections | Stage::Done(_)) => (
                "InService",
                "N/A",
                "Instance deregistration currently in progress.",
            ),
            Some(Stage::Sessions) | None => (
                row.status.name(),
                row.status.reason_code(),
                row.status.description(),
            ),
        };
        Self {
            load_balancer: &row.load_balancer,
            backend: &row.backend,
            state,
            reason_code,
            description,
            life: row.life,
            weight: row.weight,
            sessions: row.sessions,
            over_bound: row.is_over_bound,
            draining: row.draining.map(Stage::name),
            outstanding: row.counts.sum(|line| &line.outstanding),
        }
    }
}

/// Lists the health of instances
///
/// A row for each instance of each load balancer, those that leave included.
#[utoipa::path(
    get,
    path = "/v1/backends",
    operation_id = "list_backends",
    tag = "load balancers",
    params(Of),
    responses((
        status = 200,
        description = "The instances with their health",
        body = [BackendRow<'static>]
    ))
)]
pub(super) async fn backends(admin: Shared, of: Result<Query<Of>, QueryRejection>) -> Answer {
    let Query(of) = of?;
    let health = Arc::clone(&admin.published.borrow().health);
    let rows = health
        .iter()
        .filter(|row| of.is_asked_for(&row.load_balancer));
    let rows: Vec<_> = rows.map(BackendRow::from).collect();
    Ok(json(StatusCode::OK, &rows))
}

/// The sessions of a load balancer.
#[derive(Serialize, ToSchema)]
pub(super) struct Sessions<'a> {
    /// The load balancer.
    #[schema(example = "web")]
    load_balancer: &'a str,
    /// About how many are alive.
    #[schema(example = 2300)]
    sessions: u64,
    /// Where they live.
    instances: Vec<SessionsOfInstance<'a>>,
}

/// The sessions of an instance.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionsOfInstance<'a> {
    /// The id of the instance.
    #[schema(example = "i-0a1b2c3d")]
    instance: &'a str,
    /// About how many are alive there.
    #[schema(example = 1200)]
    sessions: u64,
    /// Its share of new ones, as a ratio to the others'; 0 while it leaves.
    #[schema(example = 1)]
    weight: u32,
    /// It has more than its share of them and takes no new ones.
    over_bound: bool,
}

impl<'a> From<&'a HealthRow> for SessionsOfInstance<'a> {
    fn from(row: &'a HealthRow) -> Self {
        Self {
            instance: &row.backend,
            sessions: row.sessions,
            weight: row.weight,
            over_bound: row.is_over_bound,
        }
    }
}

/// Counts sessions
///
/// As all shards together estimate them, within some percent. A session counts until ten windows
/// (`host.session_window`) have passed since its last request.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    operation_id = "count_sessions",
    tag = "sessions",
    params(Of),
    responses((
        status = 200,
        description = "Load balancers that have instances, with their sessions",
        body = [Sessions<'static>]
    ))
)]
pub(super) async fn sessions(admin: Shared, of: Result<Query<Of>, QueryRejection>) -> Answer {
    let Query(of) = of?;
    let health = Arc::clone(&admin.published.borrow().health);
    // All rows of a load balancer stand together.
    let by_balancer = health.chunk_by(|a, b| a.load_balancer == b.load_balancer);
    let rows: Vec<_> = by_balancer
        .filter(|rows| of.is_asked_for(&rows[0].load_balancer))
        .map(|rows| Sessions {
            load_balancer: &rows[0].load_balancer,
            sessions: rows.iter().map(|row| row.sessions).sum(),
            instances: rows.iter().map(SessionsOfInstance::from).collect(),
        })
        .collect();
    Ok(json(StatusCode::OK, &rows))
}
