//! What comes in as JSON and goes out as JSON, also where the admin address refuses.
//!
//! Invariant: a body is read up to `limits::ADMIN_BODY_BYTES_MAX` and no longer than an admin
//! connection may rest.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::control::problem::Problem;
use crate::limits;
use crate::state::Refusal;

/// What a handler gives back.
pub(super) type Answer = Result<Response, Trouble>;

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    clause: Cow<'static, str>,
}

/// Why a request is refused.
#[derive(Serialize, ToSchema)]
pub(super) struct Refused {
    /// In words.
    #[schema(example = "no instance `i-1` is registered with the load balancer")]
    error: String,
}

/// A request's body.
pub(super) struct Sent<T>(pub(super) T);

/// `value` as an answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_string(value).expect("text, numbers and lists are valid JSON");
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, text + "\n").into_response()
}

impl Trouble {
    pub(super) fn new(status: StatusCode, clause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            clause: clause.into(),
        }
    }

    /// The request says something that does not hold.
    pub(super) fn malformed(clause: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, clause)
    }

    pub(super) fn not_found(clause: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, clause)
    }

    /// Nobody carries anything out any more.
    pub(super) fn ending() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "elbow is ending")
    }

    /// As many changes wait as may.
    pub(super) fn busy() -> Self {
        let clause = "too many changes wait for their turn; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, clause)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        json(
            self.status,
            &Refused {
                error: self.clause.into_owned(),
            },
        )
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Problem::from(refusal).into()
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        let (status, clause) = match problem {
            Problem::Malformed(clause) => (StatusCode::BAD_REQUEST, clause),
            Problem::Unknown(clause) => (StatusCode::NOT_FOUND, clause),
            Problem::Conflict(clause) => (StatusCode::CONFLICT, clause),
            Problem::NotKept(clause) => (StatusCode::INTERNAL_SERVER_ERROR, clause),
        };
        Self::new(status, clause)
    }
}

impl From<QueryRejection> for Trouble {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Trouble {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        // `DefaultBodyLimit` of the routes bounds it.
        let reading = Bytes::from_request(request, state);
        let late = |_| Trouble::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
        let bytes = tokio::time::timeout(limits::ADMIN_HEAD_TIMEOUT, reading)
            .await
            .map_err(late)?
            .map_err(|rejection| Trouble::new(rejection.status(), rejection.body_text()))?;
        let value = serde_json::from_slice(&bytes);
        value
            .map(Self)
            .map_err(|error| Trouble::malformed(format!("the body does not hold: {error}")))
    }
}
