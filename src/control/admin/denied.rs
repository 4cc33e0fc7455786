//! Requests that are refused before anybody looks at what they ask, in the shape of the route: XML
//! for the ELB API, a page for the console, JSON elsewhere.
//!
//! Not who finds fault with what (`guard.rs`, `signature.rs`, `proof.rs`, `access.rs`).

use std::borrow::Cow;
use std::time::Duration;

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
    /// After how many seconds it may be otherwise.
    retry_after: Option<u64>,
}

impl Denied {
    pub(super) fn new(reason: AdminRefusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Nothing that the client shows is looked at for so long.
    pub(super) fn locked_out(left: Duration) -> Self {
        let seconds = left.as_secs() + 1;
        let message = format!(
            "Rate exceeded: too many wrong secrets came from your address; try again in {seconds} \
             seconds"
        );
        Self {
            retry_after: Some(seconds),
            ..Self::new(AdminRefusal::LockedOut, message)
        }
    }

    /// The answer to a request for `path`.
    pub(super) fn answer(&self, path: &str) -> Response {
        let mut answer = self.answer_in_shape(path);
        if let Some(seconds) = self.retry_after {
            let fields = answer.headers_mut();
            fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }

    fn answer_in_shape(&self, path: &str) -> Response {
        if path == "/" {
            return query::refuse(&self.failure());
        }
        let status = match self.reason {
            AdminRefusal::Body => StatusCode::PAYLOAD_TOO_LARGE,
            // Whoever asked may sign anew.
            AdminRefusal::Replay => StatusCode::CONFLICT,
            AdminRefusal::ReplayTableFull => StatusCode::SERVICE_UNAVAILABLE,
            AdminRefusal::LockedOut => StatusCode::TOO_MANY_REQUESTS,
            AdminRefusal::Unsigned | AdminRefusal::Credential | AdminRefusal::Signature
                if path == METRICS =>
            {
                return self.challenge("Basic realm=\"elbow metrics\"");
            }
            AdminRefusal::Unsigned | AdminRefusal::SignedOut => return self.challenge(SIGNATURE),
            _ => StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::FORBIDDEN),
        };
        if console::has(path) {
            return console::refuse(status, &self.message);
        }
        Trouble::new(status, self.message.clone()).into_response()
    }

    /// Whoever asks is told how it can be let in. Browsers have a dialog of their own for `Basic`.
    fn challenge(&self, how: &'static str) -> Response {
        let mut answer =
            Trouble::new(StatusCode::UNAUTHORIZED, self.message.clone()).into_response();
        let how = HeaderValue::from_static(how);
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        answer
    }

    /// As clients of AWS know it.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.code(), self.message.clone())
    }

    fn code(&self) -> Code {
        match self.reason {
            AdminRefusal::Host
            | AdminRefusal::Origin
            | AdminRefusal::ReadOnly
            | AdminRefusal::Token => Code::AccessDenied,
            AdminRefusal::Unsigned | AdminRefusal::SignedOut => Code::MissingAuthenticationToken,
            AdminRefusal::Malformed => Code::IncompleteSignature,
            AdminRefusal::Expired => Code::RequestExpired,
            AdminRefusal::Credential => Code::InvalidClientTokenId,
            AdminRefusal::Body => Code::InvalidQueryParameter,
            AdminRefusal::Signature => Code::SignatureDoesNotMatch,
            // What clients do about it is to sign anew a moment later, which is what helps.
            AdminRefusal::Replay | AdminRefusal::ReplayTableFull | AdminRefusal::LockedOut => {
                Code::Throttling
            }
        }
    }
}

/// Where HTTP Basic is understood as well.
pub(super) const METRICS: &str = "/metrics";

/// How a request is signed (`signature.rs`).
const SIGNATURE: &str = "AWS4-HMAC-SHA256";
