//! Why a request goes where it goes, in words and rows for people.
//!
//! It decides nothing itself: the search, the place and the limits are those of the data path
//! (`sessions`, `place`), and what is told is what they answered. Invariant: for the same route,
//! cookies and time, verdict, session, home and standby are those of `Sessions::look_up`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::{Fallback, Stickiness};
use crate::health::{Home, Stamp};
use crate::state::{Admits, Backend, Route};

use super::cookie::write_lines;
use super::place::{Verdict, place, ranked};
use super::seal::{Binding, Seals, VALUE_BYTES};
use super::sessions::{Stick, Visit, find};

/// What stands for the value of a cookie that would be sent.
const VALUE_WORDS: &str = "<138 hex digits>";
const _: () = assert!(VALUE_BYTES == 138);

/// A request of which somebody wants to know where it would go.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The request: its listener, and when it comes.
    pub visit: Visit<'a>,
    /// The values of its `Cookie` fields.
    pub cookies: &'a [&'a [u8]],
    /// As if the backend of this id had just died.
    pub without: Option<&'a str>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The load balancer.
    pub load_balancer: String,
    /// Where its listener accepts.
    pub listener: String,
    /// The policy in force.
    pub policy: String,
    /// The epoch of the snapshot for which all this holds.
    pub epoch: u64,
    /// The backend that was taken for dead, if that was asked for.
    pub without: Option<String>,
    /// The verdict's name.
    pub verdict: String,
    /// The verdict in a sentence.
    pub because: String,
    /// The session, 16 hex digits.
    pub session: Option<String>,
    /// What the cookie says that counted, or the first that opened if none counted.
    pub cookie: Option<Said>,
    /// The session's moves since that cookie was sealed, the first one first.
    pub moves: Vec<Step>,
    /// The backend where the session lives.
    pub home: Option<String>,
    /// Where the request goes, also where no backend is its home.
    pub goes: String,
    /// The backend that would take the session over, where the load balancer asks for it.
    pub standby: Option<String>,
    /// The backends in service, in the order in which the session would go to them.
    pub ranked: Vec<Ranked>,
    /// What the answer would carry for the client: header lines, or what is known of them.
    pub sends: Vec<String>,
}

/// What a cookie says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// The backend that it binds to.
    pub bound_to: Lived,
    /// When it was sealed, in seconds since 1970.
    pub issued: u64,
    /// When its session began, in seconds since 1970.
    pub began: u64,
}

/// A backend in one of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lived {
    /// Its id; if it is not registered, the 16 hex digits of its hash.
    pub backend: String,
    /// The number of the life.
    pub life: u32,
}

/// One move of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Where it was.
    pub from: Lived,
    /// When that life ended, in milliseconds since 1970; `None`: before all that is known.
    pub ended_ms: Option<u64>,
    /// Where it went.
    pub to: Lived,
}

/// A backend in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ranked {
    /// Its id.
    pub backend: String,
    /// The life that goes on.
    pub life: u32,
    /// Its weight for sessions of others; 0 while it leaves.
    pub weight: u32,
    /// It takes the requests of its own sessions only, as it leaves.
    pub is_leaving: bool,
    /// It has more than its share of sessions and takes no new ones.
    pub is_over_bound: bool,
}

/// Answers. `None`: no backend of the id in [`Question::without`] is registered.
pub fn explain(question: &Question<'_>, seals: &Seals) -> Option<Explanation> {
    let without = question.without;
    let route = match without {
        None => question.visit.route.clone(),
        Some(id) => bereft(question.visit.route, id)?,
    };
    let visit = Visit {
        route: &route,
        ..question.visit
    };
    let mut opened = None;
    let read = |follows_app, candidate: &[u8]| {
        let binding = seals.open(candidate)?;
        if binding.scope != route.scope {
            return None;
        }
        opened = opened.or(Some(binding));
        let found = place(&route, follows_app, &binding, |_| ());
        Some((binding, found))
    };
    let (stick, counted) = find(&visit, question.cookies.iter().copied(), read);
    let name = |index: usize| route.backends[index].id.to_string();
    Some(Explanation {
        load_balancer: route.load_balancer.to_string(),
        listener: route.address.to_string(),
        policy: route.stickiness.as_deref().map_or_else(
            || {
                if route.relays() {
                    "bytes as they are"
                } else {
                    "not sticky"
                }
                .to_owned()
            },
            |stickiness: &Stickiness| stickiness.to_string(),
        ),
        epoch: visit.epoch,
        without: without.map(str::to_owned),
        verdict: stick.verdict.name().to_owned(),
        because: because(&route, &stick, counted.as_ref()),
        session: stick.session.map(|session| format!("{session:016x}")),
        cookie: counted.or(opened).map(|binding| said(&route, &binding)),
        moves: counted.map_or_else(Vec::new, |binding| moves(&route, &binding)),
        home: stick.home.map(name),
        goes: goes(&route, &stick),
        standby: stick.standby.map(name),
        ranked: stick
            .session
            .map_or_else(Vec::new, |session| rows(session, &route.backends)),
        sends: sends(&route, &stick),
    })
}

/// The route once that backend has died, after all that is known.
fn bereft(route: &Route, id: &str) -> Option<Route> {
    let mut route = route.clone();
    let backend = route.backends.iter_mut().find(|b| &*b.id == id)?;
    backend.admits = Admits::Nothing;
    let now = Stamp {
        wall_ms: route.view.latest().wall_ms + 1,
        ..Stamp::default()
    };
    let view = Arc::make_mut(&mut route.view);
    view.chronicle_mut(backend.id_hash).end(now);
    Some(route)
}

fn lived(route: &Route, home: Home) -> Lived {
    let known = route.backends.iter().find(|b| b.id_hash == home.backend);
    Lived {
        backend: known.map_or_else(|| format!("{:016x}", home.backend), |b| b.id.to_string()),
        life: home.life,
    }
}

fn bound_to(binding: &Binding) -> Home {
    Home {
        backend: binding.backend,
        life: binding.life,
    }
}

fn said(route: &Route, binding: &Binding) -> Said {
    Said {
        bound_to: lived(route, bound_to(binding)),
        issued: binding.issued,
        began: binding.began().into(),
    }
}

fn follows_app(route: &Route) -> bool {
    matches!(
        route.stickiness.as_deref(),
        Some(Stickiness::Application(_))
    )
}

fn moves(route: &Route, binding: &Binding) -> Vec<Step> {
    let mut steps = Vec::new();
    place(route, follows_app(route), binding, |step| {
        steps.push(Step {
            from: lived(route, step.from),
            ended_ms: step.at.map(|at| at.wall_ms),
            to: lived(route, step.to),
        });
    });
    steps
}

fn rows(session: u64, backends: &[Backend]) -> Vec<Ranked> {
    let row = |index: usize| {
        let backend = &backends[index];
        Ranked {
            backend: backend.id.to_string(),
            life: backend.life,
            weight: backend.weight_for_others(),
            is_leaving: backend.admits == Admits::Sessions,
            is_over_bound: backend.is_over_bound,
        }
    };
    ranked(session, backends).into_iter().map(row).collect()
}

/// The verdict in a sentence.
fn because(route: &Route, stick: &Stick, counted: Option<&Binding>) -> String {
    let own = counted.map_or_else(String::new, |binding| {
        lived(route, bound_to(binding)).backend
    });
    match stick.verdict {
        Verdict::None if route.relays() => {
            "the listener relays bytes and sees no cookies".to_owned()
        }
        Verdict::None if route.stickiness.is_none() => {
            "the listener has no stickiness policy".to_owned()
        }
        Verdict::None => "the request has no stickiness cookie".to_owned(),
        Verdict::Valid => format!("the cookie's backend, {own}, is in service"),
        Verdict::Moved => {
            format!("the life of {own} that the cookie is bound to is over, so the session moved")
        }
        Verdict::Down if stick.home.is_none() && follows_app(route) => {
            format!("the life of {own} is over, and no backend has lived since")
        }
        Verdict::Down => format!("the cookie's backend, {own}, is not in service"),
        Verdict::Gone => format!("the cookie's backend, {own}, is not registered any more"),
        Verdict::Invalid => "no cookie opens for this listener: it was damaged or forged, is of \
                             another load balancer or instance port, or its key was retired"
            .to_owned(),
        Verdict::Expired => "the session is older than the policy's limits allow".to_owned(),
        Verdict::AppCookieMissing => {
            "the application's own cookie is not there, so its session is over".to_owned()
        }
        Verdict::Fallback => "the client is known without a cookie".to_owned(),
        Verdict::Strict => {
            format!("the cookie's backend, {own}, is not in service, and sessions must not move")
        }
    }
}

fn goes(route: &Route, stick: &Stick) -> String {
    let takes_all = |backend: &Backend| backend.admits == Admits::All;
    match (stick.home, &route.attributes.affinity.fallback) {
        (Some(home), _) => format!("to {}", route.backends[home].id),
        (None, _) if stick.verdict == Verdict::Strict => "nowhere: it gets 503".to_owned(),
        (None, _) if route.relays() && !route.backends.iter().any(Backend::is_in_service) => {
            "nowhere: no backend is in service, the connection is reset".to_owned()
        }
        (None, Fallback::None | Fallback::Header(_)) if route.relays() => {
            "to the backend in turn".to_owned()
        }
        (None, _) if !route.backends.iter().any(takes_all) => {
            "nowhere: no backend in service takes new sessions, it gets 503".to_owned()
        }
        (None, Fallback::ClientAddress) if stick.session.is_none() => {
            "to the backend for its client's address, which is not known here".to_owned()
        }
        (None, Fallback::Header(name)) if stick.session.is_none() => {
            format!("to the backend for its header {name}, which is not known here")
        }
        (None, _) => "to the backend with the fewest requests in flight".to_owned(),
    }
}

/// What the answer carries if the backend is the home, or any if there is none.
fn sends(route: &Route, stick: &Stick) -> Vec<String> {
    let is_answered = stick.home.is_some()
        || stick.verdict != Verdict::Strict
            && route.backends.iter().any(|b| b.admits == Admits::All);
    match route.stickiness.as_deref() {
        Some(_) if !is_answered => Vec::new(),
        None => Vec::new(),
        Some(Stickiness::Duration(_)) if stick.home.is_some_and(|home| stick.holds_for(home)) => {
            Vec::new()
        }
        Some(Stickiness::Duration(policy)) => {
            const DIGIT: u8 = b'#';
            let mut lines = Vec::new();
            let cors_name = route.attributes.cors_cookie_name;
            let value = [DIGIT; VALUE_BYTES];
            write_lines(policy, cors_name, route.is_secure, &value, &mut lines);
            let digits = char::from(DIGIT).to_string().repeat(VALUE_BYTES);
            let lines = String::from_utf8_lossy(&lines);
            let worded = |line: &str| line.replacen(&digits, VALUE_WORDS, 1);
            lines.lines().map(worded).collect()
        }
        Some(Stickiness::Application(policy)) => vec![format!(
            "Set-Cookie: AWSELB={VALUE_WORDS} after each Set-Cookie of {}, with the attributes of \
             that; nothing if the answer has none",
            policy.cookie_name
        )],
    }
}

#[cfg(test)]
mod tests;
