//! `/v1/instances`: the addresses that instance ids stand for.
//!
//! Not who is registered where (`load_balancers.rs`), nor how a name comes into force
//! (`naming.rs`).

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::answer::{Answer, Refused, Sent, json};
use crate::control::naming::{self, Parts, Source};
use crate::control::setup::Setup;

/// An instance.
#[derive(Serialize, ToSchema)]
pub(super) struct Instance {
    /// The id by which load balancers, the ELB API and `/v1` know it.
    #[schema(example = "i-0a1b2c3d")]
    id: String,
    /// Its IP address.
    #[schema(example = "10.0.1.7")]
    address: String,
    /// The port that replaces the instance port of listeners and of the health check; null: none.
    #[schema(example = 9001)]
    port: Option<u16>,
    /// Its share of new sessions, as a ratio to the others'.
    #[schema(example = 1, maximum = 256)]
    weight: u32,
    /// Who says so: the configuration `file`, the `api`, or its `id`, which is an address.
    named_by: NamedBy,
    /// The load balancers that it is registered with.
    #[schema(example = json!(["web"]))]
    load_balancers: Vec<String>,
}

/// Who says what a name stands for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum NamedBy {
    /// The configuration file.
    File,
    /// This API.
    Api,
    /// The name itself, which is an address.
    Id,
}

impl From<Source> for NamedBy {
    fn from(source: Source) -> Self {
        match source {
            Source::File => Self::File,
            Source::Api => Self::Api,
            Source::Id => Self::Id,
        }
    }
}

impl From<naming::Instance> for Instance {
    fn from(instance: naming::Instance) -> Self {
        let backend = instance.backend;
        Self {
            id: backend.id,
            address: backend.address.to_string(),
            port: backend.port,
            weight: backend.weight,
            named_by: instance.source.into(),
            load_balancers: instance.load_balancers,
        }
    }
}

/// Lists instances
///
/// Those that have a name, by the file or by this API, and the addresses that are registered
/// without one.
#[utoipa::path(
    get,
    path = "/v1/instances",
    operation_id = "list_instances",
    tag = "instances",
    responses((
        status = 200,
        description = "The instances, in order of their ids",
        body = [Instance]
    ))
)]
pub(super) async fn list(admin: Shared) -> Answer {
    let all = admin.order(|setup| Ok(setup.instances())).await?;
    let rows: Vec<_> = all.into_iter().map(Instance::from).collect();
    Ok(json(StatusCode::OK, &rows))
}

/// Shows an instance
#[utoipa::path(
    get,
    path = "/v1/instances/{id}",
    operation_id = "show_instance",
    tag = "instances",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The instance", body = Instance),
        (status = 404, description = "There is no such instance", body = Refused),
    )
)]
pub(super) async fn show(admin: Shared, id: Result<Path<String>, PathRejection>) -> Answer {
    let Path(id) = id?;
    let found = admin.order(move |setup| setup.instance(&id)).await?;
    Ok(json(StatusCode::OK, &Instance::from(found)))
}

/// What a name is to stand for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInstance)]
pub(super) struct Wanted {
    /// Its IP address; needed, unless the id is an address.
    #[schema(example = "10.0.1.7", pattern = "^[0-9A-Fa-f.:]+$")]
    address: Option<String>,
    /// A port that replaces the instance port of listeners and of the health check. Left out: none.
    #[schema(example = 9001, minimum = 1, maximum = 65535)]
    port: Option<u64>,
    /// Its share of new sessions, as a ratio to the others'; 0 takes none. Left out: 1.
    #[schema(example = 1, minimum = 0, maximum = 256)]
    weight: Option<u64>,
}

/// Names an instance
///
/// As an `[[instance]]` of the file does: from now on load balancers can have it under that id, by
/// the ELB API too. What was said of the id before is replaced; where it is registered that is in
/// force at once, and its sessions stay with it. It holds until the file's entry of this id is
/// edited.
#[utoipa::path(
    put,
    path = "/v1/instances/{id}",
    operation_id = "name_instance",
    tag = "instances",
    params((
        "id" = String,
        Path,
        description = "1 to 64 of A-Z a-z 0-9 - _ . or an address, to give it a weight",
        pattern = r"^[A-Za-z0-9._:\[\]-]{1,64}$"
    )),
    request_body = Wanted,
    responses(
        (status = 200, description = "It had a name, which stands for this now", body = Instance),
        (status = 201, description = "It has that name", body = Instance),
        (status = 400, description = "The id or a part does not hold", body = Refused),
        (
            status = 409,
            description = "A load balancer that has it has another one at that address, or there \
                are as many names as may be",
            body = Refused
        ),
    )
)]
pub(super) async fn put(
    admin: Shared,
    id: Result<Path<String>, PathRejection>,
    Sent(wanted): Sent<Wanted>,
) -> Answer {
    let Path(id) = id?;
    let parts = Parts {
        address: wanted.address,
        port: wanted.port,
        weight: wanted.weight,
    };
    let backend = parts.onto(&id, None)?;
    let work = move |setup: &mut Setup| {
        let is_new = setup.name_instance(backend)?;
        Ok((is_new, setup.instance(&id)?))
    };
    let (is_new, instance) = admin.order(work).await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok(json(status, &Instance::from(instance)))
}

/// Takes the name of an instance away
#[utoipa::path(
    delete,
    path = "/v1/instances/{id}",
    operation_id = "forget_instance",
    tag = "instances",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (
            status = 204,
            description = "The id stands for nothing any more, or if it is an address, for that \
                alone"
        ),
        (status = 404, description = "Nothing has that name", body = Refused),
        (status = 409, description = "A load balancer has it, or lets it leave", body = Refused),
    )
)]
pub(super) async fn delete(admin: Shared, id: Result<Path<String>, PathRejection>) -> Answer {
    let Path(id) = id?;
    admin.order(move |setup| setup.forget_instance(&id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
