//! `POST /v1/reload`: the configuration is read again, as on SIGHUP, and the answer says what came
//! of it.
//!
//! Not the reload (`setup.rs`). Reloads and changes by the API come one after the other.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json as value;
use tokio::sync::oneshot;

use super::Shared;
use super::answer::{Answer, Trouble, json};
use crate::control::outcome::Unchanged;
use crate::control::setup::Order;

pub(super) async fn reload(admin: Shared) -> Answer {
    let (answer, answered) = oneshot::channel();
    admin.order(Order::Reload(Some(answer)))?;
    match answered.await.map_err(|_| Trouble::ending())? {
        Ok(reloaded) => Ok(json(StatusCode::OK, &reloaded)),
        Err(Unchanged::NoFile) => {
            let clause = "there is no configuration file to read again: it was started by flags";
            Err(Trouble::new(StatusCode::CONFLICT, clause))
        }
        Err(Unchanged::Problems(problems)) => {
            let error = "the configuration does not hold; nothing has changed";
            let refusal = value!({ "error": error, "problems": problems });
            Ok(json(StatusCode::UNPROCESSABLE_ENTITY, &refusal).into_response())
        }
    }
}
