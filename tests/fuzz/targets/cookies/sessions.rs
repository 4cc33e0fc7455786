//! Where cookies lead: by a reader that knows each value and what it says.

use std::num::NonZeroU32;
use std::time::Duration;

use elbow::config::{ApplicationPolicy, CookieTemplate, DurationPolicy, Stickiness};
use elbow::limits::COOKIE_CANDIDATES_MAX;
use elbow::state::{Admits, Count, Route};
use elbow::sticky::{
    Binding, Key, Seals, Sessions, Stick, Tally, Verdict, Visit, next_home, own_names,
    strip_cookies,
};

use crate::route::{SCOPE, backend, route};
use crate::text::is_cookie;
use crate::values::{IDLE_LIMIT_SECONDS, NOW, Values};

/// The policy's own name for the cookie.
pub(crate) const OWN_NAME: &str = "sid";

/// The application's cookie.
pub(crate) const APP_COOKIE: &str = "app";

pub(crate) fn check(values: &Values, fields: &[&[u8]], follows_app: bool) {
    let route = a_route(follows_app);
    let own_name = if follows_app { "" } else { OWN_NAME };
    let mut sessions = Sessions::new(Seals::new(&[key(2), key(1)]));
    let stick = look_up(&mut sessions, &route, fields);
    assert_eq!(
        look_up(&mut sessions, &route, fields),
        stick,
        "the table says the same"
    );

    let candidates = candidates(fields, own_name);
    let has_app_cookie = fields.iter().any(|field| has_cookie(field, APP_COOKIE));
    let mut opened = candidates.iter().filter_map(|value| values.said(value));
    let is_over = |b: &Binding| NOW - b.issued > IDLE_LIMIT_SECONDS && !follows_app;
    let mine: Vec<Binding> = opened
        .by_ref()
        .filter(|binding| binding.scope == SCOPE && !is_over(binding))
        .collect();
    if candidates.is_empty() || follows_app && !has_app_cookie {
        assert_eq!((stick.session, stick.home), (None, None));
    } else if follows_app {
        let is_known = |session| mine.iter().any(|binding| binding.session == session);
        assert_eq!(stick.session.is_some(), !mine.is_empty());
        assert!(stick.session.is_none_or(is_known));
    } else {
        expect_by_duration(&route, &mine, &stick);
    }
    assert_eq!(stick.verdict == Verdict::None, candidates.is_empty());
    if let Some(home) = stick.home {
        assert!(route.backends[home].is_in_service());
    }
    expect_nothing_behind_strip(&mut sessions, &route, fields, own_name);
}

/// The first that names a backend in service, or else the first.
fn expect_by_duration(route: &Route, mine: &[Binding], stick: &Stick) {
    let home_of = |binding: &Binding| {
        let named = |b: &elbow::state::Backend| b.id_hash == binding.backend && b.is_in_service();
        route.backends.iter().position(named)
    };
    let served = mine.iter().find(|binding| home_of(binding).is_some());
    let expected = served.or(mine.first());
    assert_eq!(stick.session, expected.map(|binding| binding.session));
    let home = expected.and_then(|binding| {
        home_of(binding).or_else(|| next_home(binding.session, &route.backends, &[]))
    });
    assert_eq!(stick.home, home);
    assert_eq!(stick.verdict == Verdict::Valid, served.is_some());
}

/// Where elbow takes its cookies out of a request, none is left for anybody.
fn expect_nothing_behind_strip(
    sessions: &mut Sessions,
    route: &Route,
    fields: &[&[u8]],
    own_name: &str,
) {
    let strip = |field: &&[u8]| {
        let mut out = Vec::new();
        strip_cookies(field, &own_names(own_name), &mut out);
        out
    };
    let stripped: Vec<Vec<u8>> = fields.iter().map(strip).collect();
    let left: Vec<&[u8]> = stripped.iter().map(Vec::as_slice).collect();
    assert_eq!(look_up(sessions, route, &left), Stick::NOWHERE);
}

fn look_up(sessions: &mut Sessions, route: &Route, fields: &[&[u8]]) -> Stick {
    let [hits, misses, evictions, count] = [(); 4].map(|()| Count::default());
    let tally = Tally {
        hits: &hits,
        misses: &misses,
        evictions: &evictions,
        sessions: &count,
    };
    let visit = Visit {
        route,
        epoch: 1,
        now: NOW,
        fallback: None,
    };
    sessions.look_up(&visit, fields.iter().copied(), &tally)
}

/// The values of cookies with one of elbow's names, in order; empty: the policy has no own one.
fn candidates<'b>(fields: &[&'b [u8]], own_name: &str) -> Vec<&'b [u8]> {
    let own = (!own_name.is_empty()).then_some(own_name);
    let names = ["AWSELB", "AWSELBCORS", "AWSALBCORS"]
        .into_iter()
        .chain(own);
    let pairs = fields
        .iter()
        .flat_map(|field| field.split(|&byte| byte == b';'));
    let values = pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let is_ours = names.clone().any(|name| pair[..at] == *name.as_bytes());
        is_ours.then(|| &pair[at + 1..])
    });
    values.take(COOKIE_CANDIDATES_MAX).collect()
}

fn has_cookie(field: &[u8], name: &str) -> bool {
    field
        .split(|&byte| byte == b';')
        .any(|part| is_cookie(part, name))
}

fn a_route(follows_app: bool) -> Route {
    let stickiness = if follows_app {
        Stickiness::Application(ApplicationPolicy::new("p", APP_COOKIE))
    } else {
        Stickiness::Duration(DurationPolicy {
            cookie: CookieTemplate {
                name: OWN_NAME.to_owned(),
                ..CookieTemplate::default()
            },
            idle_limit: Some(Duration::from_secs(IDLE_LIMIT_SECONDS)),
            ..DurationPolicy::new("p", NonZeroU32::new(60))
        })
    };
    let address = ([127, 0, 0, 1], 1).into();
    let backends = vec![
        backend("down", address, Admits::Nothing),
        backend("first", address, Admits::All),
        backend("second", address, Admits::Sessions),
    ];
    route(0, address, Some(stickiness), backends)
}

fn key(id: u8) -> Key {
    Key {
        id,
        secret: [id; 16],
    }
}
