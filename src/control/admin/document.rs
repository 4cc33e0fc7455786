//! The OpenAPI document of the admin address, made of its handlers and of the types that they read
//! and write.
//!
//! Not here: what it says of each of them, which stands beside it. Invariant: it has the routes
//! that there are, as both come from one list (`admin.rs`).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{self, ContentBuilder, OpenApi, Ref, ResponseBuilder};

use super::answer::Refused;
use super::{Shared, console};

/// What is said of all of it.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "elbow",
        description = "The admin address of elbow beside the ELB API, which is at `POST /` and \
            described by AWS. What is changed here is in force on all shards when it is answered, \
            is what the ELB API shows, and is kept in `host.state_dir` where there is one."
    ),
    tags(
        (name = "load balancers", description = "Who is registered where, and how they are"),
        (name = "instances", description = "Names for addresses, as `[[instance]]` gives them"),
        (name = "certificates", description = "Names for files, as `[[certificate]]` gives them"),
        (name = "drains", description = "Instances that leave once their sessions have ended"),
        (name = "sessions", description = "Where sessions live, and why there"),
        (name = "process", description = "The process itself"),
    ),
    components(schemas(Refused))
)]
struct About;

/// The document as it is served, and what a request for anything else is told.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) json: String,
    pub(super) not_found: String,
}

impl Document {
    pub(super) fn new(mut document: OpenApi) -> Self {
        for item in document.paths.paths.values_mut() {
            operations_mut(item).for_each(complete);
        }
        let json = document.to_pretty_json();
        Self {
            json: json.expect("text, numbers and lists are valid JSON") + "\n",
            not_found: not_found(&document),
        }
    }
}

/// The document, without a route so far.
pub(super) fn without_routes() -> OpenApi {
    About::openapi()
}

/// Shows this document
///
/// OpenAPI 3.1, as JSON.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "show_document",
    tag = "process",
    responses((status = 200, description = "The document", body = Object))
)]
pub(super) async fn show(admin: Shared) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, kind, admin.document.json.clone()).into_response()
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
    ];
    all.into_iter().filter_map(Option::as_mut)
}

/// Adds what any request can be refused for.
fn complete(operation: &mut Operation) {
    refused(
        operation,
        "401",
        "There are credentials, and the request has no signature, password or cookie of a sign-in",
    );
    refused(
        operation,
        "403",
        "The `Host` field is no name of this host, a page of another origin asks for a change, or \
         the signature does not hold or may not change anything, or the token beside a cookie is \
         missing",
    );
    refused(
        operation,
        "429",
        "Too many wrong secrets came from the client's address; `Retry-After` says when it may try \
         again",
    );
    refused(
        operation,
        "503",
        "elbow is ending, or too much is being changed",
    );
    if operation.parameters.is_some() || operation.request_body.is_some() {
        refused(operation, "400", "A parameter does not hold");
    }
    if operation.request_body.is_some() {
        refused(operation, "408", "The body did not come in time");
        refused(operation, "413", "The body is too long");
    }
    let changes = |(status, _): (&String, _)| matches!(&**status, "201" | "202" | "204");
    if operation.responses.responses.iter().any(changes) {
        refused(
            operation,
            "500",
            "The change cannot be kept on disk; nothing has changed",
        );
    }
}

/// Adds a refusal, unless it is there in words of its own.
fn refused(operation: &mut Operation, status: &str, description: &str) {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Refused")));
    let response = ResponseBuilder::new()
        .description(description)
        .content("application/json", body.build());
    let responses = &mut operation.responses.responses;
    let entry = responses.entry(status.to_owned());
    entry.or_insert_with(|| openapi::RefOr::T(response.build()));
}

/// A line for each operation.
fn not_found(document: &OpenApi) -> String {
    let mut text = "404: not here. What is:\n".to_owned();
    let mut add = |method: &str, path: &str, summary: &str| {
        text += &format!("  {method:<6} {path:<56} {summary}\n");
    };
    add(
        "POST",
        "/",
        "The ELB API, version 2012-06-01: `aws elb --endpoint-url`",
    );
    add("GET", console::ROOT, "The web console, for browsers");
    for (path, item) in &document.paths.paths {
        for (method, operation) in [
            ("GET", &item.get),
            ("PUT", &item.put),
            ("POST", &item.post),
            ("DELETE", &item.delete),
        ] {
            if let Some(operation) = operation {
                let summary = operation.summary.as_deref();
                add(method, path, summary.unwrap_or_default());
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::admin::api;

    fn document() -> OpenApi {
        api().into_openapi()
    }

    #[test]
    fn each_operation_has_a_name_of_its_own_a_tag_and_a_summary() {
        let document = document();
        let mut names = Vec::new();
        let tags = document.tags.clone().expect("it has tags");
        for (path, mut item) in document.paths.paths {
            for operation in operations_mut(&mut item) {
                assert!(operation.summary.is_some(), "{path}");
                let tag = operation.tags.as_ref().and_then(|tags| tags.first());
                assert!(
                    tags.iter().any(|known| Some(&known.name) == tag),
                    "{path} {tag:?}"
                );
                names.extend(operation.operation_id.clone());
            }
        }
        let count = names.len();
        assert!(count > 15, "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn the_answer_to_an_unknown_path_tells_all_that_are_known() {
        let paths: Vec<String> = document().paths.paths.into_keys().collect();
        let told = Document::new(document()).not_found;
        for path in paths {
            assert!(
                told.contains(&format!(" {path} ")),
                "{path} is not in\n{told}"
            );
        }
        assert!(
            told.lines().all(|line| line.chars().count() <= 140),
            "{told}"
        );
    }
}
