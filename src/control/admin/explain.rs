//! `/v1/explain`: where a session goes and why.
//!
//! Not here: the answer (`sticky::explain`). A cookie stands in the query and nowhere else: it is
//! not logged.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::answer::{Answer, Refused, Trouble, json};
use crate::config::Stickiness;
use crate::state::{Refusal, Route, Snapshot};
use crate::sticky::{Explanation, Question, Visit, explain};
use crate::sys::unix_seconds;

/// The query.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The load balancer.
    #[param(example = "web")]
    load_balancer: String,
    /// The port of a listener; needed if the load balancer has several.
    #[param(example = 80, minimum = 0, maximum = 65535)]
    port: Option<u16>,
    /// The value of the stickiness cookie, or a whole `Cookie` field.
    #[serde(default)]
    cookie: String,
    /// The value of the application's own cookie.
    app_cookie: Option<String>,
    /// The id of an instance that is taken for dead.
    without: Option<String>,
}

/// Explains where a session goes
///
/// By the functions that requests go by: verdict, home, each move since the cookie was sealed, and
/// who would be next.
#[utoipa::path(
    get,
    path = "/v1/explain",
    operation_id = "explain",
    tag = "sessions",
    params(Asked),
    responses(
        (status = 200, description = "Where it goes, and why", body = Explanation),
        (
            status = 400,
            description = "It is not said which listener, or a value does not hold",
            body = Refused
        ),
        (
            status = 404,
            description = "There is no such load balancer, listener or instance",
            body = Refused
        ),
    )
)]
pub(super) async fn answer(admin: Shared, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    let Query(asked) = asked?;
    let snapshot = admin.link.snapshot.load_full();
    let route = asked.route(&snapshot)?;
    let fields = asked.fields(route);
    let fields: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
    let question = Question {
        visit: Visit {
            route,
            epoch: snapshot.epoch,
            now: unix_seconds(),
            fallback: None,
        },
        cookies: &fields,
        without: asked.without.as_deref(),
    };
    let unknown = || Trouble::not_found("no instance of the id in `without` is registered");
    let explanation = explain(&question, &admin.seals).ok_or_else(unknown)?;
    Ok(json(StatusCode::OK, &explanation))
}

impl Asked {
    fn route<'s>(&self, snapshot: &'s Snapshot) -> Result<&'s Route, Trouble> {
        let is_of_it = |route: &&Route| *route.load_balancer == *self.load_balancer;
        let routes: Vec<&Route> = snapshot.routes.iter().filter(is_of_it).collect();
        let ports: Vec<String> = routes
            .iter()
            .map(|route| route.address.port().to_string())
            .collect();
        let ports = ports.join(", ");
        match (self.port, routes.as_slice()) {
            (_, []) => Err(Refusal::NoLoadBalancer(self.load_balancer.clone()).into()),
            (None, [only]) => Ok(only),
            (None, _) => Err(Trouble::malformed(format!("which port of {ports}?"))),
            (Some(port), routes) => {
                let found = routes.iter().find(|route| route.address.port() == port);
                found.copied().ok_or_else(|| {
                    Trouble::not_found(format!("the load balancer listens on {ports} only"))
                })
            }
        }
    }

    /// The values of the `Cookie` fields that the request would have.
    fn fields(&self, route: &Route) -> Vec<String> {
        let text = self.cookie.trim();
        let mut fields = Vec::new();
        if text.contains('=') {
            let (name, value) = text.split_once(':').unwrap_or_default();
            let is_whole_line = name.eq_ignore_ascii_case("cookie");
            fields.push(if is_whole_line { value } else { text }.to_owned());
        } else if !text.is_empty() {
            // Read under any policy, whatever it calls its own.
            fields.push(format!("AWSELB={text}"));
        }
        if let (Some(value), Some(Stickiness::Application(policy))) =
            (&self.app_cookie, route.stickiness.as_deref())
        {
            fields.push(format!("{}={value}", policy.cookie_name));
        }
        fields
    }
}
