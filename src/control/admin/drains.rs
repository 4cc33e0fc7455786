//! `/v1/drains`: instances that leave once their sessions have ended.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Refused, Sent, Trouble, json};
use super::{Admin, Shared};
use crate::config::DrainMode;
use crate::state::{DrainEnd, DrainRow, Stage};

/// An instance on its way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Drain {
    /// The load balancer.
    #[schema(example = "web")]
    pub load_balancer: String,
    /// The instance that leaves.
    #[schema(example = "i-0a1b2c3d")]
    pub instance: String,
    /// `sessions` while those that it has are served, then `connections` while requests in flight
    /// finish, then `done`.
    #[schema(example = "sessions")]
    pub stage: String,
    /// How the drain of sessions ended, if there was one and it is over: `idle`, or `deadline`
    /// with sessions left.
    pub sessions_ended: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// About how many sessions were alive when it began.
    pub sessions_at_start: u64,
    /// About how many are alive.
    pub sessions_left: u64,
    /// The same in percent, rounded up.
    pub left_percent: u8,
    /// In what time the sessions become half as many; `None`: not known yet.
    pub half_life_seconds: Option<f64>,
    /// When the last one ends, as far as can be told.
    pub ends_in_seconds: Option<f64>,
    /// How long the stage may still take.
    pub deadline_in_seconds: f64,
    /// Requests that run on it.
    pub requests_in_flight: u64,
}

impl Drain {
    /// It is over: the instance is deregistered.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done(None).name()
    }
}

impl From<&DrainRow> for Drain {
    fn from(row: &DrainRow) -> Self {
        let end = match row.stage {
            Stage::Done(end) => end,
            Stage::Sessions | Stage::Connections => None,
        };
        Self {
            load_balancer: row.load_balancer.to_string(),
            instance: row.backend.to_string(),
            stage: row.stage.name().to_owned(),
            sessions_ended: end.map(|end| match end {
                DrainEnd::Idle => "idle".to_owned(),
                DrainEnd::Deadline => "deadline".to_owned(),
            }),
            began_ms: row.began_ms,
            sessions_at_start: row.sessions_at_start,
            sessions_left: row.sessions_left,
            left_percent: row.left_percent,
            half_life_seconds: row.half_life.map(|time| time.as_secs_f64()),
            ends_in_seconds: row.ends_in.map(|time| time.as_secs_f64()),
            deadline_in_seconds: row.deadline_in.as_secs_f64(),
            requests_in_flight: row.outstanding,
        }
    }
}

/// Which instance is to leave, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDrain)]
pub(super) struct Wanted {
    /// The load balancer.
    #[schema(example = "web")]
    load_balancer: String,
    /// The id of the instance.
    #[schema(example = "i-0a1b2c3d")]
    instance: String,
    /// What it still takes: `connections` nothing new, `session` the requests of its own sessions
    /// until they end. Left out: as the load balancer's attributes say.
    #[schema(example = "session", pattern = "^(connections|session)$")]
    mode: Option<String>,
    /// How long it may take: up to 3600 for `connections`, a week for `session`. Left out: as the
    /// attributes say.
    #[schema(example = 7200, minimum = 1, maximum = 604_800)]
    deadline_seconds: Option<u64>,
}

impl Wanted {
    /// What was asked for, on top of the load balancer's attribute; `None`: as that says.
    fn mode(&self, attribute: DrainMode) -> Result<Option<DrainMode>, Trouble> {
        let named = match self.mode.as_deref().map(DrainMode::parse).transpose() {
            Err(mistake) => return Err(Trouble::malformed(format!("mode {mistake}"))),
            // The kind that the attribute is, so its deadline goes before the usual one.
            Ok(Some(DrainMode::Sessions { .. }))
                if matches!(attribute, DrainMode::Sessions { .. }) =>
            {
                Some(attribute)
            }
            Ok(named) => named,
        };
        match self.deadline_seconds {
            None => Ok(named),
            Some(seconds) => named
                .unwrap_or(attribute)
                .with_deadline(seconds)
                .map(Some)
                .map_err(|mistake| Trouble::malformed(format!("deadline_seconds {mistake}"))),
        }
    }
}

/// Which drains a GET asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Those of the load balancer of this name; of all if it is left out.
    load_balancer: Option<String>,
    /// Those of the instance of this id; of all if it is left out.
    instance: Option<String>,
}

/// Lists drains
///
/// Those that go on, and the last ones of each load balancer that ended.
#[utoipa::path(
    get,
    path = "/v1/drains",
    operation_id = "list_drains",
    tag = "drains",
    params(Asked),
    responses((status = 200, description = "The drains", body = [Drain]))
)]
pub(super) async fn list(admin: Shared, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    let Query(asked) = asked?;
    let is_asked_for = |row: &&DrainRow| {
        let names = [&*row.load_balancer, &*row.backend];
        let filters = [&asked.load_balancer, &asked.instance];
        let mut pairs = names.into_iter().zip(filters);
        pairs.all(|(name, filter)| filter.as_ref().is_none_or(|filter| filter == name))
    };
    let drains = Arc::clone(&admin.published.borrow().drains);
    let rows: Vec<_> = drains
        .iter()
        .filter(is_asked_for)
        .map(Drain::from)
        .collect();
    Ok(json(StatusCode::OK, &rows))
}

/// Lets an instance leave
///
/// It is deregistered at once, by the ELB API's words too, and takes no new session. For one that
/// leaves already, mode and deadline are changed.
#[utoipa::path(
    post,
    path = "/v1/drains",
    operation_id = "begin_drain",
    tag = "drains",
    request_body = Wanted,
    responses(
        (status = 200, description = "It has left, like this", body = Drain),
        (status = 202, description = "It leaves, and is this far", body = Drain),
        (status = 204, description = "It has left"),
        (status = 400, description = "A part does not hold", body = Refused),
        (
            status = 404,
            description = "There is no such load balancer, or it has no such instance",
            body = Refused
        ),
    )
)]
pub(super) async fn begin(admin: Shared, Sent(wanted): Sent<Wanted>) -> Answer {
    let mode = wanted.mode(admin.attributes(&wanted.load_balancer)?.drain_mode)?;
    let (name, id) = (wanted.load_balancer.clone(), wanted.instance.clone());
    admin
        .order(move |setup| setup.leave(&name, &id, mode))
        .await?;
    Ok(row_of(&admin, &wanted.load_balancer, &wanted.instance))
}

/// Keeps an instance that was to leave
///
/// As long as its sessions are waited for. It is registered again.
#[utoipa::path(
    delete,
    path = "/v1/drains/{load_balancer}/{instance}",
    operation_id = "cancel_drain",
    tag = "drains",
    params(
        ("load_balancer" = String, Path, description = "Its name, a slash in it as `%2F`"),
        ("instance" = String, Path, description = "The id of the instance"),
    ),
    responses(
        (status = 204, description = "It stays"),
        (
            status = 404,
            description = "There is no such load balancer, or it has no such instance",
            body = Refused
        ),
        (status = 409, description = "It is not waiting for its sessions to end", body = Refused),
    )
)]
pub(super) async fn cancel(
    admin: Shared,
    place: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((load_balancer, instance)) = place?;
    admin
        .order(move |setup| setup.stay(&load_balancer, &instance))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The drain that was just begun, or the one that it ended with.
pub(super) fn row_of(admin: &Admin, load_balancer: &str, instance: &str) -> Response {
    let published = admin.published.borrow();
    let row = published
        .drains
        .iter()
        .find(|row| (&*row.load_balancer, &*row.backend) == (load_balancer, instance));
    match row.map(Drain::from) {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(drain) if drain.is_done() => json(StatusCode::OK, &drain),
        Some(drain) => json(StatusCode::ACCEPTED, &drain),
    }
}
