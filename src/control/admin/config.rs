//! `/v1/config`: what is in force, as the text of a configuration file.
//!
//! Not that text (`config::Config::to_toml`, `origin.rs`).

use axum::http::header;
use axum::response::IntoResponse;
use tokio::sync::oneshot;

use super::Shared;
use super::answer::{Answer, Trouble};
use crate::control::setup::Order;

pub(super) async fn config(admin: Shared) -> Answer {
    let (answer, answered) = oneshot::channel();
    admin.order(Order::Describe(answer))?;
    let text = answered.await.map_err(|_| Trouble::ending())?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, text).into_response())
}
