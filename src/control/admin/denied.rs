//! Requests that are refused before anybody looks at what they ask, in the shape of the route: XML
//! for the ELB API, a page for the console, JSON elsewhere.
//!
//! Not who finds fault with what (`guard.rs`, `signature.rs`, `access.rs`).

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::Trouble;
use super::{console, query};
use crate::elb::{Code, Failure};
use crate::state::AdminRefusal;

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) reason: AdminRefusal,
    pub(super) message: Cow<'static, str>,
}

impl Denied {
    pub(super) fn new(reason: AdminRefusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The answer to a request for `path`.
    pub(super) fn answer(&self, path: &str) -> Response {
        if path == "/" {
            return query::refuse(&self.failure());
        }
        let status = match self.reason {
            AdminRefusal::Body => StatusCode::PAYLOAD_TOO_LARGE,
            // Whoever asked may sign anew.
            AdminRefusal::Replay => StatusCode::CONFLICT,
            AdminRefusal::ReplayTableFull => StatusCode::SERVICE_UNAVAILABLE,
            AdminRefusal::Unsigned | AdminRefusal::Credential | AdminRefusal::Signature
                if path == METRICS =>
            {
                return self.challenge();
            }
            _ => StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::FORBIDDEN),
        };
        if console::has(path) {
            return console::refuse(status, &self.message);
        }
        Trouble::new(status, self.message.clone()).into_response()
    }

    /// Prometheus and browsers are told how they can be let in.
    fn challenge(&self) -> Response {
        let mut answer =
            Trouble::new(StatusCode::UNAUTHORIZED, self.message.clone()).into_response();
        let how = HeaderValue::from_static("Basic realm=\"elbow metrics\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        answer
    }

    /// As clients of AWS know it.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.code(), self.message.clone())
    }

    fn code(&self) -> Code {
        match self.reason {
            AdminRefusal::Host | AdminRefusal::Origin | AdminRefusal::ReadOnly => {
                Code::AccessDenied
            }
            AdminRefusal::Unsigned => Code::MissingAuthenticationToken,
            AdminRefusal::Malformed => Code::IncompleteSignature,
            AdminRefusal::Expired => Code::RequestExpired,
            AdminRefusal::Credential => Code::InvalidClientTokenId,
            AdminRefusal::Body => Code::InvalidQueryParameter,
            AdminRefusal::Signature => Code::SignatureDoesNotMatch,
            // What clients do about it is to sign anew a moment later, which is what helps.
            AdminRefusal::Replay | AdminRefusal::ReplayTableFull => Code::Throttling,
        }
    }
}

/// Where HTTP Basic is understood as well.
pub(super) const METRICS: &str = "/metrics";
