//! `/v1/view`: which instance lived when, by which sessions that moved are found again.
//!
//! Not what follows from it for one session (`explain.rs`).

use std::collections::HashSet;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::answer::{Answer, Refused, json};
use crate::health::{Chronicle, Life, id_hash};
use crate::state::{HealthRow, Refusal, Stage};

/// Whose view is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The load balancer.
    #[param(example = "web")]
    load_balancer: String,
    /// The instance of this id alone; all if it is left out.
    instance: Option<String>,
}

/// The view of a load balancer.
#[derive(Serialize, ToSchema)]
pub(super) struct View<'a> {
    /// The load balancer.
    #[schema(example = "web")]
    load_balancer: &'a str,
    /// The number of the snapshot that shards go by; it grows with every change.
    #[schema(example = 12)]
    epoch: u64,
    /// Its instances, those that are registered first, and then those that were.
    instances: Vec<Remembered<'a>>,
}

/// What is remembered of an instance.
#[derive(Serialize, ToSchema)]
#[schema(as = Chronicle)]
pub(super) struct Remembered<'a> {
    /// Its id; null: it is not registered, and only the hash is known.
    #[schema(example = "i-0a1b2c3d")]
    instance: Option<&'a str>,
    /// The hash of the id, which cookies name: 16 hex digits.
    #[schema(example = "94cd3de6848053fe")]
    hash: String,
    /// How far it is on its way out: `sessions` or `connections`; null: it stays, or has left.
    draining: Option<&'static str>,
    /// The last times that it was in service, the latest last.
    lives: Vec<Lived>,
}

/// A time in which an instance was in service without a break.
#[derive(Serialize, ToSchema)]
#[schema(as = Life)]
pub(super) struct Lived {
    /// From 1, one more with each life.
    #[schema(example = 1)]
    number: u32,
    /// When it came into service, in milliseconds since 1970.
    #[schema(example = 1_767_225_600_000_u64)]
    born_ms: u64,
    /// When it was declared out of service or deregistered; null: it is in service.
    died_ms: Option<u64>,
}

impl From<&Life> for Lived {
    fn from(life: &Life) -> Self {
        Self {
            number: life.number,
            born_ms: life.born.wall_ms,
            died_ms: life.died.map(|died| died.wall_ms),
        }
    }
}

impl<'a> Remembered<'a> {
    fn new(hash: u64, registered: Option<&'a HealthRow>, chronicle: Option<&Chronicle>) -> Self {
        let lives = chronicle.map_or(&[][..], Chronicle::lives);
        Self {
            instance: registered.map(|row| &*row.backend),
            hash: format!("{hash:016x}"),
            draining: registered.and_then(|row| row.draining).map(Stage::name),
            lives: lives.iter().map(Lived::from).collect(),
        }
    }
}

/// Shows the lives of instances
///
/// A cookie names an instance and one of its lives. Where that life is over, the view says which
/// instances lived when it ended, and so where the session went. It is the same on every shard.
#[utoipa::path(
    get,
    path = "/v1/view",
    operation_id = "show_view",
    tag = "sessions",
    params(Asked),
    responses(
        (
            status = 200,
            description = "The view, with the last lives of each instance",
            body = View<'static>
        ),
        (status = 404, description = "There is no such load balancer", body = Refused),
    )
)]
pub(super) async fn view(admin: Shared, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    let Query(asked) = asked?;
    let epoch = admin.link.snapshot.load().epoch;
    let published = admin.published.borrow().clone();
    let mut all = published.load_balancers.iter();
    let row = all.find(|row| *row.name == *asked.load_balancer);
    let row = row.ok_or_else(|| Refusal::NoLoadBalancer(asked.load_balancer.clone()))?;
    let wanted = asked.instance.as_deref().map(id_hash);
    let is_wanted = |hash: u64| wanted.is_none_or(|wanted| wanted == hash);

    let members = published.health.iter();
    let members = members.filter(|member| member.load_balancer == row.name);
    let members: Vec<(u64, &HealthRow)> = members
        .map(|member| (id_hash(&member.backend), member))
        .collect();
    let registered: HashSet<u64> = members.iter().map(|(hash, _)| *hash).collect();
    let gone = row.view.chronicles();
    let gone = gone.filter(|(hash, _)| !registered.contains(hash));
    let gone = gone.map(|(hash, _)| (hash, None));
    let members = members.iter().map(|(hash, member)| (*hash, Some(*member)));
    let instances = members.chain(gone).filter(|(hash, _)| is_wanted(*hash));
    let view = View {
        load_balancer: &row.name,
        epoch,
        instances: instances
            .map(|(hash, member)| Remembered::new(hash, member, row.view.chronicle(hash)))
            .collect(),
    };
    Ok(json(StatusCode::OK, &view))
}
