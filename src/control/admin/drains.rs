//! `/v1/drains`: instances that leave once their sessions have ended.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Sent, Trouble, json};
use super::{Admin, Shared};
use crate::config::DrainMode;
use crate::state::{Command, DrainEnd, DrainRow, Stage};

/// One element of `/v1/drains`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    /// The load balancer.
    pub load_balancer: String,
    /// The instance that leaves.
    pub instance: String,
    /// `sessions` while those that it has are served, then `connections` while requests in flight
    /// finish, then `done`.
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

/// The body of a POST.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    load_balancer: String,
    instance: String,
    mode: Option<String>,
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
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    load_balancer: Option<String>,
    instance: Option<String>,
}

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

pub(super) async fn begin(admin: Shared, Sent(wanted): Sent<Wanted>) -> Answer {
    let mode = wanted.mode(admin.attributes(&wanted.load_balancer)?.drain_mode)?;
    admin
        .wish(Command::Deregister {
            load_balancer: wanted.load_balancer.as_str().into(),
            backend: wanted.instance.as_str().into(),
            mode,
        })
        .await?;
    Ok(row_of(&admin, &wanted.load_balancer, &wanted.instance))
}

pub(super) async fn cancel(
    admin: Shared,
    place: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((load_balancer, instance)) = place?;
    admin
        .wish(Command::CancelDrain {
            load_balancer: load_balancer.into(),
            backend: instance.into(),
        })
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
