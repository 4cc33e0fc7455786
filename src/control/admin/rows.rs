//! `/v1/backends`, everybody's health in the words of CLB's `DescribeInstanceHealth`, and
//! `/v1/sessions`, how many sessions live where.

use std::sync::Arc;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Published;
use super::Shared;
use super::answer::{Answer, Refused, Trouble, json};
use crate::config::nearest;
use crate::health::{Reason, Status};
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
    /// The one of that name, or all.
    pub(super) fn only(load_balancer: Option<String>) -> Self {
        Self { load_balancer }
    }

    /// The name that is asked for.
    pub(super) fn into_name(self) -> Option<String> {
        self.load_balancer
    }

    pub(super) fn is_asked_for(&self, load_balancer: &str) -> bool {
        let asked = self.load_balancer.as_deref();
        asked.is_none_or(|asked| asked == load_balancer)
    }

    /// That there is a load balancer of the name that is asked for, if one is.
    pub(super) fn check(&self, published: &Published) -> Result<(), Trouble> {
        let Some(name) = &self.load_balancer else {
            return Ok(());
        };
        let mut names = published.load_balancers.iter().map(|row| &*row.name);
        if names.clone().any(|known| known == name) {
            return Ok(());
        }
        let told = match nearest(name, names.clone()) {
            Some(known) => format!("there is no load balancer {name}; did you mean `{known}`?"),
            None if names.next().is_none() => "there is no load balancer yet".to_owned(),
            None => format!("there is no load balancer {name}"),
        };
        Err(Trouble::not_found(told))
    }
}

/// An instance as a load balancer has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Backend)]
pub struct BackendRow {
    /// The load balancer.
    #[schema(example = "web")]
    pub load_balancer: String,
    /// The id of the instance.
    #[schema(example = "i-0a1b2c3d")]
    pub backend: String,
    /// Where it is.
    #[schema(example = "10.0.1.7")]
    pub address: String,
    /// Its own port; null: it has the instance port of each listener.
    #[schema(example = 9001)]
    pub port: Option<u16>,
    /// `InService` or `OutOfService`.
    #[schema(example = "InService")]
    pub state: String,
    /// `ELB`, `Instance` or `N/A`: what it is out of service for.
    #[schema(example = "N/A")]
    pub reason_code: String,
    /// The same in a sentence.
    #[schema(example = "N/A")]
    pub description: String,
    /// What its checks say, in a word: `in-service`, `registering` before the first success,
    /// `failed`, or `recovering` while it passes checks again and not yet enough of them.
    #[schema(example = "in-service")]
    pub health: String,
    /// How often it came into service.
    #[schema(example = 1)]
    pub life: u32,
    /// Its share of new sessions, as a ratio to the others'; 0 while it leaves.
    #[schema(example = 1)]
    pub weight: u32,
    /// About how many sessions are alive there.
    #[schema(example = 1200)]
    pub sessions: u64,
    /// It has more than its share of them and takes no new ones.
    pub over_bound: bool,
    /// How far it is on its way out: `sessions` or `connections`; null: it stays.
    pub draining: Option<String>,
    /// Requests and relayed connections that run on it.
    #[schema(example = 3)]
    pub outstanding: u64,
}

impl From<&HealthRow> for BackendRow {
    fn from(row: &HealthRow) -> Self {
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
            load_balancer: row.load_balancer.to_string(),
            backend: row.backend.to_string(),
            address: row.address.to_string(),
            port: row.port,
            state: state.to_owned(),
            reason_code: reason_code.to_owned(),
            description: description.to_owned(),
            health: health(row.status).to_owned(),
            life: row.life,
            weight: row.weight,
            sessions: row.sessions,
            over_bound: row.is_over_bound,
            draining: row.draining.map(|stage| stage.name().to_owned()),
            outstanding: row.outstanding(),
        }
    }
}

fn health(status: Status) -> &'static str {
    match status {
        Status::InService => "in-service",
        Status::OutOfService(Reason::Registering) => "registering",
        Status::OutOfService(Reason::Failed) => "failed",
        Status::OutOfService(Reason::Recovering) => "recovering",
    }
}

impl Published {
    /// The rows of a load balancer, which stand together.
    pub(in crate::control) fn backends_of(&self, load_balancer: &str) -> &[HealthRow] {
        let mut groups = self
            .health
            .chunk_by(|a, b| a.load_balancer == b.load_balancer);
        let own = groups.find(|group| *group[0].load_balancer == *load_balancer);
        own.unwrap_or_default()
    }

    /// The row of one backend.
    pub(super) fn row(&self, load_balancer: &str, id: &str) -> Option<BackendRow> {
        let mut rows = self.health.iter();
        let row = rows.find(|row| (&*row.load_balancer, &*row.backend) == (load_balancer, id));
        row.map(BackendRow::from)
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
    responses(
        (status = 200, description = "The instances with their health", body = [BackendRow]),
        (status = 404, description = "There is no such load balancer", body = Refused),
    )
)]
pub(super) async fn backends(admin: Shared, of: Result<Query<Of>, QueryRejection>) -> Answer {
    let Query(of) = of?;
    let published = admin.published.borrow().clone();
    of.check(&published)?;
    let health = &published.health;
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
