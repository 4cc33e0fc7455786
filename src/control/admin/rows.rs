//! `/v1/backends`: everybody's health, in the words of CLB's `DescribeInstanceHealth`.

use axum::http::StatusCode;
use serde::Serialize;

use super::super::Published;
use super::Shared;
use super::answer::{Answer, json};
use crate::state::{HealthRow, Stage};

/// One element of `/v1/backends`.
#[derive(Serialize)]
pub(super) struct BackendRow<'a> {
    pub(super) load_balancer: &'a str,
    pub(super) backend: &'a str,
    state: &'static str,
    reason_code: &'static str,
    description: &'static str,
    life: u32,
    weight: u32,
    sessions: u64,
    over_bound: bool,
    draining: Option<&'static str>,
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

impl Published {
    pub(super) fn rows(&self) -> impl Iterator<Item = BackendRow<'_>> {
        self.health.iter().map(BackendRow::from)
    }
}

pub(super) async fn backends(admin: Shared) -> Answer {
    let published = admin.published.borrow().clone();
    let rows: Vec<_> = published.rows().collect();
    Ok(json(StatusCode::OK, &rows))
}
