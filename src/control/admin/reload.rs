//! `POST /v1/reload`: the configuration is read again, as on SIGHUP, and the answer says what came
//! of it.
//!
//! Not the reload (`setup.rs`). Reloads and changes by the API come one after the other.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::answer::{Answer, Refused, Trouble, json};
use crate::control::outcome::{Reloaded, Unchanged};

/// Why a configuration is not taken.
#[derive(Serialize, ToSchema)]
pub(super) struct Problems {
    /// In short.
    error: &'static str,
    /// Each with file, line and key.
    problems: Vec<String>,
}

/// Reads the configuration again
///
/// As SIGHUP does: what is otherwise in the file becomes so, and what is the same goes on
/// untouched.
#[utoipa::path(
    post,
    path = "/v1/reload",
    operation_id = "reload",
    tag = "process",
    responses(
        (status = 200, description = "What has changed", body = Reloaded),
        (status = 409, description = "There is no configuration file", body = Refused),
        (status = 422, description = "It does not hold; nothing has changed", body = Problems),
    )
)]
pub(super) async fn reload(admin: Shared) -> Answer {
    match admin.order(|setup| Ok(setup.reload())).await? {
        Ok(reloaded) => Ok(json(StatusCode::OK, &reloaded)),
        Err(Unchanged::NoFile) => {
            let clause = "there is no configuration file to read again: it was started by flags";
            Err(Trouble::new(StatusCode::CONFLICT, clause))
        }
        Err(Unchanged::Problems(problems)) => {
            let error = "the configuration does not hold; nothing has changed";
            let refusal = Problems { error, problems };
            Ok(json(StatusCode::UNPROCESSABLE_ENTITY, &refusal))
        }
    }
}
