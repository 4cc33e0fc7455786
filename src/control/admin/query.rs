//! `POST /`: the ELB Query API (CLB.md §3.1), as `aws elb` and the SDKs speak it; by GET too.
//!
//! Not what an action means (`elb`) or does (`act.rs`). Invariant: whatever comes in, the answer
//! has the shape that AWS's clients read, with a request id.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequest, RawQuery, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

use super::access::Caller;
use super::{Admin, Shared};
use crate::control::act::Act;
use crate::control::setup::Order;
use crate::elb::{Action, Answer, Code, Failure, Parameters};
use crate::limits;

/// By POST: the parameters are the body, a form.
pub(super) async fn post(
    admin: Shared,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    // `DefaultBodyLimit` of the route bounds it.
    let reading = Bytes::from_request(request, &());
    let problem = match tokio::time::timeout(limits::ADMIN_HEAD_TIMEOUT, reading).await {
        Ok(Ok(form)) => return serve(&admin, &caller, &form).await,
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::too_long()
        }
        Ok(Err(rejection)) => Failure::new(Code::ValidationError, rejection.body_text()),
        Err(_) => Failure::new(Code::ValidationError, "The body did not come in time"),
    };
    refuse(&problem)
}

/// By GET: the parameters are in the target. Without them there is nothing to see here.
pub(super) async fn get(
    admin: Shared,
    Extension(caller): Extension<Caller>,
    query: RawQuery,
) -> Response {
    match query.0 {
        Some(form) => serve(&admin, &caller, form.as_bytes()).await,
        None => admin.not_found().into_response(),
    }
}

async fn serve(admin: &Admin, caller: &Caller, form: &[u8]) -> Response {
    let parsed = Parameters::parse(form).and_then(|parameters| Action::parse(&parameters));
    let action = match parsed {
        Ok(action) => action,
        Err(failure) => return refuse(&failure),
    };
    match carry_out(admin, caller, action.clone()).await {
        Ok(answer) => {
            let id = request_id();
            answered(StatusCode::OK, answer.to_xml(&action, &id), &id)
        }
        Err(failure) => refuse(&failure),
    }
}

async fn carry_out(admin: &Admin, caller: &Caller, action: Action) -> Result<Answer, Failure> {
    let is_change = !action.is_read_only();
    if is_change && let Err(denied) = admin.access.may_change(caller) {
        admin.access.note(&denied, caller.peer);
        return Err(denied.failure());
    }
    let (answer, answered) = oneshot::channel();
    let act = Act {
        region: caller
            .region
            .as_ref()
            .unwrap_or(&admin.standing.region)
            .clone(),
        action,
        who: caller.who.clone(),
        answer,
    };
    if admin.orders.try_send(Order::Act(act)).is_err() {
        admin.access.give_back(caller);
        return Err(Failure::new(Code::Throttling, "Rate exceeded"));
    }
    let ending = |_| Failure::new(Code::ServiceUnavailable, "elbow is ending");
    answered.await.map_err(ending)?
}

/// The answer to a request that is not carried out.
pub(super) fn refuse(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.code.status());
    let id = request_id();
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answered(status, failure.to_xml(&id), &id)
}

fn answered(status: StatusCode, xml: String, id: &str) -> Response {
    let fields = [
        (header::CONTENT_TYPE.as_str(), "text/xml"),
        ("x-amzn-requestid", id),
    ];
    (status, fields, xml).into_response()
}

/// A random UUID (RFC 9562 §5.4).
fn request_id() -> String {
    let mut bytes = [0_u8; 16];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        // It is still an id, and nothing depends on it.
        tracing::warn!("no random bytes for the id of an answer");
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_uuids_and_differ() {
        let (first, second) = (request_id(), request_id());
        assert_eq!(first.len(), 36);
        assert_eq!(first.as_bytes()[14], b'4');
        assert_ne!(first, second);
    }
}
