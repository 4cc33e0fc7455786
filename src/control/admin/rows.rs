//! `/v1/backends`: everybody's health, in the words of CLB's `DescribeInstanceHealth`.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::super::Published;
use super::Shared;
use super::answer::{Answer, Trouble, json};
use crate::config::nearest;
use crate::health::{Reason, Status};
use crate::state::{HealthRow, Stage};

/// One element of `/v1/backends`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendRow {
    /// The load balancer.
    pub load_balancer: String,
    /// The instance's id.
    pub backend: String,
    /// Where it is.
    pub address: String,
    /// Its own port; `None`: it has the instance port of each listener.
    pub port: Option<u16>,
    /// `InService` or `OutOfService`.
    pub state: String,
    /// Who is to blame: `ELB`, `Instance`, or `N/A`.
    pub reason_code: String,
    /// The reason in words, or `N/A`.
    pub description: String,
    /// What its checks say, in a word: `in-service`, `registering` before the first success,
    /// `failed`, or `recovering` while it passes checks again and not yet enough of them.
    pub health: String,
    /// How often it came into service.
    pub life: u32,
    /// Its share of new sessions, as a ratio to the others'.
    pub weight: u32,
    /// About how many sessions are alive there.
    pub sessions: u64,
    /// It has more than its share of sessions and takes no new ones.
    pub over_bound: bool,
    /// The stage of its drain, if it leaves: as in `/v1/drains`.
    pub draining: Option<String>,
    /// Requests and relayed connections that run on it.
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
            outstanding: row.counts.sum(|line| &line.outstanding),
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
    /// The row of one backend.
    pub(super) fn row(&self, load_balancer: &str, id: &str) -> Option<BackendRow> {
        let mut rows = self.health.iter();
        let row = rows.find(|row| (&*row.load_balancer, &*row.backend) == (load_balancer, id));
        row.map(BackendRow::from)
    }

    /// That there is a load balancer of this name.
    fn expect_balancer(&self, name: &str) -> Result<(), Trouble> {
        let mut names = self.balancers.iter().map(|balancer| &*balancer.name);
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

/// Which backends are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    load_balancer: Option<String>,
}

pub(super) async fn backends(admin: Shared, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    let Query(Asked { load_balancer }) = asked?;
    let published = admin.published.borrow().clone();
    if let Some(name) = &load_balancer {
        published.expect_balancer(name)?;
    }
    let is_asked_for = |row: &&HealthRow| {
        let name = load_balancer.as_deref();
        name.is_none_or(|name| *row.load_balancer == *name)
    };
    let rows = published.health.iter().filter(is_asked_for);
    let rows: Vec<_> = rows.map(BackendRow::from).collect();
    Ok(json(StatusCode::OK, &rows))
}
