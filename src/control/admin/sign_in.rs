//! `/v1/sign-in`: somebody signs in to the console by one signed request, is known by a cookie from
//! then on, and signs out.
//!
//! Not whose signature or cookie it is (`proof.rs`). The secret itself never travels. Invariant: no
//! script reads the cookie, no other site has it sent, and no cache keeps an answer.

use std::time::Duration;

use axum::Extension;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::access::{By, Caller};
use super::answer::{Answer, Refused, Trouble, json};
use super::sign_ins::{Pass, SignedIn};
use crate::limits::SIGN_IN_TIME_MAX;

pub(super) const PATH: &str = "/v1/sign-in";

/// Browsers keep the cookies of all ports of a host together, so that the port is in the name: who
/// has several elbows open, such as through tunnels, stays signed in to each.
const COOKIE: &str = "elbow_sign_in_";

/// Whose request it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Account {
    /// An access key id; `anonymous` where there are no credentials; null: nobody has signed in.
    #[schema(example = "AKIAELBOW")]
    who: Option<String>,
    /// It may change nothing.
    read_only: bool,
    /// What has to be in the field `X-Elbow-Token` of requests by the cookie that change something,
    /// and of all of the ELB API; null: the request came without a cookie.
    token: Option<String>,
    /// When the cookie is out of date at the latest; without a request it is after half an hour.
    #[schema(example = 43200)]
    expires_in_seconds: Option<u64>,
}

impl Account {
    fn of(caller: &Caller) -> Self {
        match &caller.by {
            By::Cookie(signed_in) => Self::signed_in(signed_in),
            By::Nothing if !caller.may_change => Self::nobody(),
            By::Nothing | By::Password | By::Signature(_) => Self {
                who: Some(caller.who.clone()),
                read_only: !caller.may_change,
                token: None,
                expires_in_seconds: None,
            },
        }
    }

    fn signed_in(signed_in: &SignedIn) -> Self {
        Self {
            who: Some(signed_in.who.clone()),
            read_only: signed_in.is_read_only,
            token: Some(signed_in.pass.token()),
            expires_in_seconds: Some(signed_in.ends_in.as_secs()),
        }
    }

    fn nobody() -> Self {
        Self {
            who: None,
            read_only: true,
            token: None,
            expires_in_seconds: None,
        }
    }

    fn answer(&self) -> Response {
        let fields = [(header::CACHE_CONTROL, "no-store")];
        (fields, json(StatusCode::OK, self)).into_response()
    }

    /// The same, and the browser keeps this, or forgets what it has.
    fn answer_with(&self, fields: &HeaderMap, pass: Option<&Pass>) -> Response {
        ([set_cookie(fields, pass)], self.answer()).into_response()
    }
}

/// Says whose request this is
///
/// Whoever asks, also without a signature: the console finds out by it whether to sign in.
#[utoipa::path(
    get,
    path = "/v1/sign-in",
    operation_id = "show_sign_in",
    tag = "process",
    responses((status = 200, description = "Who asks, if that is known", body = Account))
)]
pub(super) async fn show(Extension(caller): Extension<Caller>) -> Response {
    Account::of(&caller).answer()
}

/// Signs in
///
/// The request is signed like any other. Its answer sets a cookie, by which a browser at the same
/// address is the holder of the credential for up to twelve hours.
#[utoipa::path(
    post,
    path = "/v1/sign-in",
    operation_id = "sign_in",
    tag = "process",
    responses(
        (status = 200, description = "Who has signed in", body = Account),
        (status = 409, description = "The request is not signed, as it need not be", body = Refused),
    )
)]
pub(super) async fn begin(
    admin: Shared,
    Extension(caller): Extension<Caller>,
    fields: HeaderMap,
) -> Answer {
    if !matches!(caller.by, By::Signature(_)) {
        let clause = "only a request with a signature can sign in";
        return Err(Trouble::new(StatusCode::CONFLICT, clause));
    }
    let signed_in = admin.access.sign_in(&caller)?;
    let account = Account::signed_in(&signed_in);
    Ok(account.answer_with(&fields, Some(&signed_in.pass)))
}

/// Signs out
///
/// The cookie that the request has is worth nothing any more.
#[utoipa::path(
    delete,
    path = "/v1/sign-in",
    operation_id = "sign_out",
    tag = "process",
    responses(
        (status = 200, description = "Nobody is signed in", body = Account),
        (status = 404, description = "The request has no cookie of a sign-in", body = Refused),
    )
)]
pub(super) async fn end(
    admin: Shared,
    Extension(caller): Extension<Caller>,
    fields: HeaderMap,
) -> Answer {
    let By::Cookie(signed_in) = &caller.by else {
        return Err(Trouble::not_found("nobody is signed in by this request"));
    };
    admin.access.sign_out(&signed_in.pass);
    Ok(Account::nobody().answer_with(&fields, None))
}

/// The passes in a request's cookies. Other sites of this host can add some of their own.
pub(super) fn passes(fields: &HeaderMap) -> impl Iterator<Item = Pass> {
    let name = cookie_name(fields);
    let cookies = fields.get_all(header::COOKIE).iter();
    let texts = cookies.filter_map(|field| field.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';'));
    pairs.filter_map(move |pair| {
        let (known, value) = pair.trim().split_once('=')?;
        Pass::parse(value).filter(|_| known == name)
    })
}

/// Without `Secure`, as the admin address has no TLS, and without `Domain`: for this host alone.
fn set_cookie(fields: &HeaderMap, pass: Option<&Pass>) -> (HeaderName, String) {
    let name = cookie_name(fields);
    let value = pass.map_or_else(String::new, Pass::text);
    let lifetime = pass.map_or(Duration::ZERO, |_| SIGN_IN_TIME_MAX);
    let seconds = lifetime.as_secs();
    let text = format!("{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict");
    (header::SET_COOKIE, text)
}

/// With the port that the browser knows.
fn cookie_name(fields: &HeaderMap) -> String {
    let host = fields.get(header::HOST).and_then(|host| host.to_str().ok());
    let port = host.and_then(|host| host.rsplit_once(':')?.1.parse().ok());
    format!("{COOKIE}{}", port.unwrap_or(80_u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| text.parse().expect("it is printable");
        let pairs = fields.iter();
        pairs
            .map(|(name, text)| (name.clone(), value(text)))
            .collect()
    }

    #[test]
    fn the_cookie_is_for_this_port_of_this_host_and_no_script_reads_it() {
        let pass = Pass::parse(&"0a".repeat(32)).expect("it is one");
        let here = with(&[(header::HOST, "[::1]:9090")]);
        let (_, text) = set_cookie(&here, Some(&pass));
        let attributes = "Path=/; HttpOnly; SameSite=Strict";
        let value = "0a".repeat(32);
        let expected = format!("elbow_sign_in_9090={value}; Max-Age=43200; {attributes}");
        assert_eq!(text, expected);
        let (_, text) = set_cookie(&with(&[(header::HOST, "localhost")]), None);
        assert_eq!(text, format!("elbow_sign_in_80=; Max-Age=0; {attributes}"));
    }

    #[test]
    fn of_all_cookies_the_passes_of_this_port_are_read() {
        let [one, two, other] = ["1", "2", "3"].map(|digit| digit.repeat(64));
        let first = format!("a=b; elbow_sign_in_90={one};elbow_sign_in_91={other}");
        let second = format!("elbow_sign_in_90=x; elbow_sign_in_90={two}");
        let mut fields = with(&[(header::HOST, "localhost:90"), (header::COOKIE, &first)]);
        fields.append(header::COOKIE, second.parse().unwrap());
        let read: Vec<String> = passes(&fields).map(|pass| pass.text()).collect();
        assert_eq!(read, [one, two]);
    }
}
