//! Stickiness policies: `[[load_balancer.lb_cookie_policy]]` and
//! `[[load_balancer.app_cookie_policy]]`.
//!
//! Not here: which listener uses which (`listener.rs`).

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::time::Duration;

use toml::de::DeValue;

use super::cookie::{application_cookie_name, cookie};
use super::duration::Lengths;
use super::profile::Profile;
use super::read::{Report, Section};
use super::{CookieTemplate, Mistake};

/// Longest policy name; CLB publishes none (CLB.md §3.4).
const NAME_BYTES_MAX: usize = 128;

/// Policy names that AWS keeps for itself (CLB.md §3.4).
const RESERVED_PREFIXES: [&str; 2] = ["ELBSecurityPolicy-", "ELBSample-"];

/// Longest life of a cookie, 2^31 - 1 s (CLB.md §6).
pub(super) const EXPIRATION_SECONDS_MAX: u32 = i32::MAX as u32;

/// From the shortest time that a cookie can tell to the longest life that it can have.
const LIMIT: Lengths = Lengths {
    seconds: 1..=EXPIRATION_SECONDS_MAX as u64,
    shortest: Duration::from_secs(1),
};

/// The policies of one load balancer by name; `None` for one whose entry is wrong in another way,
/// so that its use by a listener is not refused as well.
pub(super) type Policies<'t> = HashMap<&'t str, Option<Stickiness>>;

/// A stickiness policy as a listener uses it (CLB.md §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stickiness {
    /// Duration-based: elbow's own cookie.
    Duration(DurationPolicy),
    /// Application-controlled: a cookie that follows one of the application's.
    Application(ApplicationPolicy),
}

impl Stickiness {
    /// The policy's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Duration(policy) => &policy.name,
            Self::Application(policy) => &policy.name,
        }
    }
}

/// A duration-based policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationPolicy {
    /// 1–128 of `[A-Za-z0-9-]`; unique among all policies of the load balancer.
    pub name: String,
    /// `MAX-AGE` of the cookie in seconds, at most 2^31 - 1; `None`: the browser session.
    pub expiration_seconds: Option<NonZeroU32>,
    /// What stands around the cookie's value.
    pub cookie: CookieTemplate,
    /// When a cookie that still holds is sent anew. Default [`Refresh::Never`].
    pub refresh: Refresh,
    /// Ends a session this long after its last request, however long the browser keeps the cookie.
    /// Cookies are renewed as often as that needs, whatever `refresh` says. 1 s – 2^31 - 1 s, told
    /// in whole seconds; `None`, the default: never.
    pub idle_limit: Option<Duration>,
    /// Ends a session this long after its first request. Range and default as for `idle_limit`.
    pub absolute_limit: Option<Duration>,
}

impl DurationPolicy {
    /// A policy as CLB has them.
    pub fn new(name: impl Into<String>, expiration_seconds: Option<NonZeroU32>) -> Self {
        Self {
            name: name.into(),
            expiration_seconds,
            cookie: CookieTemplate::default(),
            refresh: Refresh::Never,
            idle_limit: None,
            absolute_limit: None,
        }
    }
}

/// When a cookie that still holds is sent anew, so that its `MAX-AGE` starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Not before it is lost.
    Never,
    /// Once half of its `MAX-AGE` has passed; only where there is one.
    HalfLife,
    /// With every answer.
    Always,
}

impl Refresh {
    /// As the key `refresh` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::HalfLife => "half-life",
            Self::Always => "always",
        }
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let all = [Self::Never, Self::HalfLife, Self::Always];
        all.into_iter()
            .find(|refresh| refresh.name() == text)
            .ok_or_else(|| "must be \"never\", \"half-life\" or \"always\"".into())
    }
}

/// An application-controlled policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationPolicy {
    /// 1–128 of `[A-Za-z0-9-]`; unique among all policies of the load balancer.
    pub name: String,
    /// The application's cookie: an RFC 6265 token, case-sensitive, none of elbow's own names
    /// (CLB.md §2.6).
    pub cookie_name: String,
    /// Copies attributes beyond the twelve of R-056 too, such as `Partitioned`. Default false.
    pub copies_unknown_attributes: bool,
    /// Ends a session this long after its first request. 1 s – 2^31 - 1 s, told in whole seconds;
    /// `None`, the default: never.
    pub absolute_limit: Option<Duration>,
}

impl ApplicationPolicy {
    /// A policy as CLB has them.
    pub fn new(name: impl Into<String>, cookie_name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            cookie_name: cookie_name.into(),
            copies_unknown_attributes: false,
            absolute_limit: None,
        }
    }
}

/// Reads the policies of a load balancer, of both kinds, whose listeners are `listeners`.
pub(super) fn policies<'t>(
    load_balancer: &mut Section<'t>,
    profile: Profile,
    listeners: &[Section<'t>],
    report: &mut Report<'_>,
) -> Policies<'t> {
    let in_clear = used_in_clear(listeners);
    let mut policies = Policies::new();
    let sections = load_balancer.sections("lb_cookie_policy", report);
    for section in sections.unwrap_or_default() {
        read_named(section, &mut policies, report, |section, name, report| {
            let is_behind_tls = !in_clear.contains(name);
            duration_policy(section, name, profile, is_behind_tls, report).map(Stickiness::Duration)
        });
    }
    let sections = load_balancer.sections("app_cookie_policy", report);
    for section in sections.unwrap_or_default() {
        read_named(section, &mut policies, report, |section, name, report| {
            application_policy(section, name, report).map(Stickiness::Application)
        });
    }
    policies
}

/// The names of policies that listeners use whose clients come by plain HTTP.
///
/// Listeners are read after policies; what is wrong with them is noted then.
fn used_in_clear<'t>(listeners: &[Section<'t>]) -> HashSet<&'t str> {
    listeners
        .iter()
        .filter(|listener| {
            let protocol = listener.peek("protocol").and_then(DeValue::as_str);
            let is_https = protocol.is_some_and(|name| name.eq_ignore_ascii_case("HTTPS"));
            let is_behind_tls = listener.peek("behind_tls").and_then(DeValue::as_bool);
            !is_https && is_behind_tls != Some(true)
        })
        .filter_map(|listener| listener.peek("policies")?.as_array())
        .flat_map(|names| names.iter().filter_map(|name| name.get_ref().as_str()))
        .collect()
}

/// Puts the policy that `read` makes of the section under the section's `name`.
fn read_named<'t, 'r>(
    mut section: Section<'t>,
    policies: &mut Policies<'t>,
    report: &mut Report<'r>,
    read: impl FnOnce(&mut Section<'t>, &str, &mut Report<'r>) -> Option<Stickiness>,
) {
    let field = section.required("name", report);
    let name = field.as_ref().and_then(|field| field.text(report));
    let stickiness = read(&mut section, name.unwrap_or_default(), report);
    section.finish(report);
    let (Some(field), Some(name)) = (field, name) else {
        return;
    };
    let name_holds = field.parsed(check_name, report);
    if policies.insert(name, name_holds.and(stickiness)).is_some() {
        let mistake = "is the name of another policy of this load balancer too";
        report.refuse(&field, mistake);
    }
}

pub(super) fn check_name(name: &str) -> Result<(), Mistake> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
        return Err(format!("must be 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 -").into());
    }
    match RESERVED_PREFIXES
        .iter()
        .find(|prefix| name.starts_with(**prefix))
    {
        Some(prefix) => Err(format!("must not begin with {prefix}, which AWS reserves").into()),
        None => Ok(()),
    }
}

fn duration_policy(
    section: &mut Section<'_>,
    name: &str,
    profile: Profile,
    is_behind_tls: bool,
    report: &mut Report<'_>,
) -> Option<DurationPolicy> {
    let expiration_seconds = section.read_or("expiration_seconds", None, |field| {
        let seconds = field.integer(0..=EXPIRATION_SECONDS_MAX.into(), report)?;
        let seconds = u32::try_from(seconds).expect("the range ends within u32");
        Some(NonZeroU32::new(seconds))
    });
    let cookie = cookie(section, profile.cookie(is_behind_tls), report);
    let refresh = refresh(section, profile, expiration_seconds, report);
    let idle_limit = limit(section, "idle_limit", report);
    let absolute_limit = limit(section, "absolute_limit", report);
    Some(DurationPolicy {
        name: name.to_owned(),
        expiration_seconds: expiration_seconds?,
        cookie: cookie?,
        refresh: refresh?,
        idle_limit: idle_limit?,
        absolute_limit: absolute_limit?,
    })
}

/// Reads `refresh`. `expiration_seconds` is `None` where that key is wrong.
fn refresh(
    section: &mut Section<'_>,
    profile: Profile,
    expiration_seconds: Option<Option<NonZeroU32>>,
    report: &mut Report<'_>,
) -> Option<Refresh> {
    let Some(field) = section.field("refresh") else {
        return Some(profile.refresh(expiration_seconds?.is_some()));
    };
    let refresh = field.parsed(Refresh::parse, report)?;
    if refresh == Refresh::HalfLife && expiration_seconds?.is_none() {
        report.refuse(
            &field,
            "needs expiration_seconds: a browser session has no half",
        );
        return None;
    }
    Some(refresh)
}

fn application_policy(
    section: &mut Section<'_>,
    name: &str,
    report: &mut Report<'_>,
) -> Option<ApplicationPolicy> {
    let cookie_name = section
        .required("cookie_name", report)
        .and_then(|field| field.parsed(application_cookie_name, report));
    let copies_unknown_attributes =
        section.read_or("copy_unknown_attributes", false, |f| f.boolean(report));
    let absolute_limit = limit(section, "absolute_limit", report);
    Some(ApplicationPolicy {
        name: name.to_owned(),
        cookie_name: cookie_name?,
        copies_unknown_attributes: copies_unknown_attributes?,
        absolute_limit: absolute_limit?,
    })
}

fn limit(
    section: &mut Section<'_>,
    key: &'static str,
    report: &mut Report<'_>,
) -> Option<Option<Duration>> {
    section.read_or(key, None, |field| field.duration(&LIMIT, report).map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_names_are_plain_and_not_those_of_aws() {
        assert!(check_name("my-duration-cookie-policy").is_ok());
        assert!(check_name("ELBSecurity").is_ok());
        let long = "p".repeat(NAME_BYTES_MAX + 1);
        for name in [
            "",
            "a_b",
            "a b",
            "ELBSample-x",
            "ELBSecurityPolicy-2016-08",
            &long,
        ] {
            assert!(check_name(name).is_err(), "{name:?} was taken");
        }
    }
}
