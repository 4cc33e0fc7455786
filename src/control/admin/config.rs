//! `/v1/config`: what is in force, as the text of a configuration file.
//!
//! Not that text (`config::Config::to_toml`, `origin.rs`).

use axum::http::header;
use axum::response::IntoResponse;

use super::Shared;
use super::answer::Answer;

/// Shows what is in force
///
/// As a configuration file, with every default, and behind each key where it comes from. Of secrets
/// it has the paths of their files.
#[utoipa::path(
    get,
    path = "/v1/config",
    operation_id = "show_config",
    tag = "process",
    responses((
        status = 200,
        description = "The file",
        body = String,
        content_type = "text/plain; charset=utf-8"
    ))
)]
pub(super) async fn config(admin: Shared) -> Answer {
    let text = admin.order(|setup| Ok(setup.description())).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, text).into_response())
}
