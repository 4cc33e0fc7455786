//! Stickiness policies: `[[load_balancer.lb_cookie_policy]]` and
//! `[[load_balancer.app_cookie_policy]]`.
//!
//! Not here: which listener uses which (`listener.rs`).

use std::num::NonZeroU32;
use std::time::Duration;

use super::CookieTemplate;

/// A stickiness policy as a listener uses it (CLB.md §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stickiness {
    /// Duration-based: elbow's own cookie.
    Duration(DurationPolicy),
    /// Application-controlled: a cookie that follows one of the application's.
    Application(ApplicationPolicy),
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
    /// Cookies are renewed as often as that needs, whatever `refresh` says. Whole seconds, 1 to
    /// 2^31 - 1; `None`, the default: never.
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
    /// Ends a session this long after its first request. Whole seconds, 1 to 2^31 - 1; `None`, the
    /// default: never.
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
