//! `POST /`: the ELB Query API (CLB.md §3.1), as `aws elb` and the SDKs speak it; by GET too.
//!
//! Not what an action means (`elb`) or does (`act.rs`). Invariant: whatever comes in, the answer
//! has the shape that AWS's clients read, with a request id.

use axum::body::Bytes;
use axum::extract::{FromRequest, RawQuery, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

use super::{Admin, Shared};
use crate::control::act::Act;
use crate::control::setup::Order;
use crate::elb::{Action, Answer, Code, Failure, Parameters};
use crate::limits;

/// The service in the scope of a signature (SigV4).
const SERVICE: &str = "elasticloadbalancing";

/// By POST: the parameters are the body, a form.
pub(super) async fn post(admin: Shared, request: Request) -> Response {
    let fields = request.headers().clone();
    // `DefaultBodyLimit` of the route bounds it.
    let reading = Bytes::from_request(request, &());
    let problem = match tokio::time::timeout(limits::ADMIN_HEAD_TIMEOUT, reading).await {
        Ok(Ok(form)) => return serve(&admin, &fields, &form).await,
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::too_long()
        }
        Ok(Err(rejection)) => Failure::new(Code::ValidationError, rejection.body_text()),
        Err(_) => Failure::new(Code::ValidationError, "The body did not come in time"),
    };
    refuse(&problem)
}

/// By GET: the parameters are in the target. Without them there is nothing to see here.
pub(super) async fn get(admin: Shared, query: RawQuery, fields: HeaderMap) -> Response {
    match query.0 {
        Some(form) => serve(&admin, &fields, form.as_bytes()).await,
        None => admin.not_found().into_response(),
    }
}

async fn serve(admin: &Admin, fields: &HeaderMap, form: &[u8]) -> Response {
    let parsed = Parameters::parse(form).and_then(|parameters| Action::parse(&parameters));
    let action = match parsed {
        Ok(action) => action,
        Err(failure) => return refuse(&failure),
    };
    match carry_out(admin, fields, action.clone()).await {
        Ok(answer) => {
            let id = request_id();
            answered(StatusCode::OK, answer.to_xml(&action, &id), &id)
        }
        Err(failure) => refuse(&failure),
    }
}

async fn carry_out(admin: &Admin, fields: &HeaderMap, action: Action) -> Result<Answer, Failure> {
    let (answer, answered) = oneshot::channel();
    let region = region(fields);
    let act = Act {
        region: region.unwrap_or(&admin.region).to_owned(),
        action,
        who: "anonymous".to_owned(),
        answer,
    };
    let busy = |_| Failure::new(Code::Throttling, "Rate exceeded");
    admin.orders.try_send(Order::Act(act)).map_err(busy)?;
    let ending = |_| Failure::new(Code::ServiceUnavailable, "elbow is ending");
    answered.await.map_err(ending)?
}

/// The region in the scope of the signature, if there is one.
fn region(fields: &HeaderMap) -> Option<&str> {
    let signature = fields.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = signature.split_once("Credential=")?;
    let scope = credential.split(',').next()?;
    let mut parts = scope.trim().rsplit('/');
    let [_request, service, region] = [parts.next()?, parts.next()?, parts.next()?];
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let holds = service == SERVICE && !region.is_empty() && region.len() <= 32;
    (holds && region.chars().all(is_name)).then_some(region)
}

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
    fn the_region_is_that_of_the_signature() {
        let of = |text: &'static str| {
            let mut fields = HeaderMap::new();
            fields.insert(header::AUTHORIZATION, text.parse().unwrap());
            region(&fields).map(str::to_owned)
        };
        let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261128/eu-west-1/\
                      elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=00";
        assert_eq!(of(signed).as_deref(), Some("eu-west-1"));
        for other in [
            "Basic dTpw",
            "AWS4-HMAC-SHA256 Credential=A/20261128/eu-west-1/s3/aws4_request, Signature=00",
            "AWS4-HMAC-SHA256 Credential=A/b/../elasticloadbalancing/aws4_request",
            "AWS4-HMAC-SHA256 Credential=",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(region(&HeaderMap::new()), None);
    }

    #[test]
    fn request_ids_are_uuids_and_differ() {
        let (first, second) = (request_id(), request_id());
        assert_eq!(first.len(), 36);
        assert_eq!(first.as_bytes()[14], b'4');
        assert_ne!(first, second);
    }
}
