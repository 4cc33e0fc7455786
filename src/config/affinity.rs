//! How sessions are kept together and new ones spread: the switches of
//! `[load_balancer.attributes]` that the Classic Load Balancer does not have.
//!
//! Not here: what a switch does to a request (`sticky`, `balance`).

use std::time::Duration;

/// The affinity switches of one load balancer. Their defaults change nothing that CLB does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that do not exclude each other"
)]
pub struct Affinity {
    /// Where `_` becomes `%5F` in a path.
    pub underscore_encoding: UnderscoreEncoding,
    /// Takes elbow's own cookies out of requests before backends see them. Default false.
    pub strips_cookie: bool,
    /// Answers 503 rather than move a session whose backend is out of service. Default false.
    pub is_strict: bool,
    /// What keeps clients together that send no cookie.
    pub fallback: Fallback,
    /// How far a backend may be above its fair share of sessions before it takes no new ones, in
    /// percent: 25 means at 1.25 times. 1–1000; `None`, the default: however far.
    pub load_bound_percent: Option<u32>,
    /// How long a backend that came into service works up to its share of new sessions. 1 s –
    /// 15 min (as text from 50 ms); zero, the default: not at all.
    pub slow_start: Duration,
    /// Tells each request's backend where the session would go next. Default false.
    pub sends_standby: bool,
    /// Tells each client why it reached its backend. Default false.
    pub sends_reason: bool,
    /// Where a session goes whose backend is out of service.
    pub failover: Failover,
}

impl UnderscoreEncoding {
    /// Whether the application's `Set-Cookie` fields are changed.
    pub fn is_of_set_cookies(self) -> bool {
        self == Self::AllSetCookies
    }

    /// Whether `Cookie` fields of requests are changed.
    pub fn is_of_requests(self) -> bool {
        self == Self::RequestDollarPath
    }
}

impl Default for Affinity {
    fn default() -> Self {
        Self {
            underscore_encoding: UnderscoreEncoding::StickinessCookie,
            strips_cookie: false,
            is_strict: false,
            fallback: Fallback::None,
            load_bound_percent: None,
            slow_start: Duration::ZERO,
            sends_standby: false,
            sends_reason: false,
            failover: Failover::Rank,
        }
    }
}

/// Where `_` becomes `%5F` in a path (R-014; its readings are in CLB.md §2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderscoreEncoding {
    /// In the `PATH` of the stickiness cookie. The default.
    StickinessCookie,
    /// In the path of the application's cookies as well.
    AllSetCookies,
    /// In `$Path` of the `Cookie` field of requests.
    RequestDollarPath,
    /// Nowhere: browsers then return a cookie for a path that has an underscore.
    Off,
}

/// What keeps clients together that send no cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing: each such request is balanced anew. The default.
    None,
    /// The address that the client's connection comes from.
    ClientAddress,
    /// The value of the request header of this name, an RFC 9110 token as written; names compare
    /// without regard to case.
    Header(String),
}

/// Where a session goes whose backend is out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// To the first in the session's own order of the backends, which every shard computes alike.
    /// The default.
    Rank,
    /// To the backend with the least outstanding requests: R-033 to the letter.
    LeastOutstanding,
}
