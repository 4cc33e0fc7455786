//! How sessions are kept together and new ones spread: the switches of
//! `[load_balancer.attributes]` that the Classic Load Balancer does not have.
//!
//! Not here: what a switch does to a request (`sticky`, `balance`).

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Mistake;
use super::cookie::is_token;
use super::duration::{Lengths, SHORTEST};
use super::read::{Field, Report, Section};

/// Longest name of a header that keeps clients together.
pub(super) const HEADER_NAME_BYTES_MAX: usize = 128;

/// From a hundredth to ten times the fair share above it.
const LOAD_BOUND: RangeInclusive<f64> = 0.01..=10.0;

/// Longer than any backend needs to fill its caches; below as text.
const SLOW_START: Lengths = Lengths {
    seconds: 1..=15 * 60,
    shortest: SHORTEST,
};

/// The affinity switches of one load balancer. Their defaults are what CLB does, with one
/// exception: [`Failover::Rank`].
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

impl UnderscoreEncoding {
    /// As the key `underscore_encoding` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::StickinessCookie => "stickiness-cookie",
            Self::AllSetCookies => "all-set-cookies",
            Self::RequestDollarPath => "request-dollar-path",
            Self::Off => "off",
        }
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let all = [
            Self::StickinessCookie,
            Self::AllSetCookies,
            Self::RequestDollarPath,
            Self::Off,
        ];
        let mistake = "must be \"stickiness-cookie\", \"all-set-cookies\", \
                       \"request-dollar-path\" or \"off\"";
        all.into_iter()
            .find(|encoding| encoding.name() == text)
            .ok_or_else(|| mistake.into())
    }
}

/// What keeps clients together that send no cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing: each such request is balanced anew. The default.
    None,
    /// The address that the client's connection comes from.
    ClientAddress,
    /// The value of the request header of this name, an RFC 9110 token as written; names compare
    /// without regard to case. Connections of TCP listeners have none and are balanced.
    Header(String),
}

impl Fallback {
    fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "none" => return Ok(Self::None),
            "client-address" => return Ok(Self::ClientAddress),
            _ => {}
        }
        let name = text
            .strip_prefix("header:")
            .ok_or("must be \"none\", \"client-address\" or such as \"header:X-Device\"")?;
        if !is_token(name) || name.len() > HEADER_NAME_BYTES_MAX {
            return Err(format!(
                "the name after header: must be 1 to {HEADER_NAME_BYTES_MAX} letters, digits and \
                 !#$%&'*+-.^_`|~"
            )
            .into());
        }
        Ok(Self::Header(name.to_owned()))
    }
}

impl fmt::Display for Fallback {
    /// As the key `fallback_affinity` says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::ClientAddress => f.write_str("client-address"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
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

impl Failover {
    /// As the key `failover` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rank => "rank",
            Self::LeastOutstanding => "least-outstanding",
        }
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let all = [Self::Rank, Self::LeastOutstanding];
        all.into_iter()
            .find(|failover| failover.name() == text)
            .ok_or_else(|| "must be \"rank\" or \"least-outstanding\"".into())
    }
}

/// Reads the affinity switches among the attributes; `default` stands for what is not written.
/// `reads_heads`: one of the load balancer's listeners is HTTP.
pub(super) fn affinity(
    section: &mut Section<'_>,
    default: Affinity,
    reads_heads: bool,
    report: &mut Report<'_>,
) -> Option<Affinity> {
    let underscore_encoding =
        section.read_or("underscore_encoding", default.underscore_encoding, |f| {
            f.parsed(UnderscoreEncoding::parse, report)
        });
    let fallback = section.read_or("fallback_affinity", default.fallback, |field| {
        fallback(&field, reads_heads, report)
    });
    let load_bound_percent = section.read_or("load_bound", default.load_bound_percent, |field| {
        load_bound_percent(&field, report)
    });
    let slow_start = section.read_or("slow_start", default.slow_start, |field| {
        slow_start(&field, report)
    });
    let failover = section.read_or("failover", default.failover, |field| {
        field.parsed(Failover::parse, report)
    });
    let mut switch = |key, default| section.read_or(key, default, |field| field.boolean(report));
    let strips_cookie = switch("strip_cookie", default.strips_cookie);
    let is_strict = switch("strict", default.is_strict);
    let sends_standby = switch("standby_header", default.sends_standby);
    let sends_reason = switch("reason_header", default.sends_reason);
    Some(Affinity {
        underscore_encoding: underscore_encoding?,
        strips_cookie: strips_cookie?,
        is_strict: is_strict?,
        fallback: fallback?,
        load_bound_percent: load_bound_percent?,
        slow_start: slow_start?,
        sends_standby: sends_standby?,
        sends_reason: sends_reason?,
        failover: failover?,
    })
}

fn fallback(field: &Field<'_>, reads_heads: bool, report: &mut Report<'_>) -> Option<Fallback> {
    let fallback = field.parsed(Fallback::parse, report)?;
    if matches!(fallback, Fallback::Header(_)) && !reads_heads {
        report.refuse(
            field,
            "needs an HTTP listener: TCP listeners see no headers",
        );
        return None;
    }
    Some(fallback)
}

/// Reads `load_bound`: how far above the fair share, as a part of it, or `false`.
fn load_bound_percent(field: &Field<'_>, report: &mut Report<'_>) -> Option<Option<u32>> {
    if field.as_boolean() == Some(false) {
        return Some(None);
    }
    let bound = field.as_number().filter(|bound| LOAD_BOUND.contains(bound));
    let Some(bound) = bound else {
        let (first, last) = (LOAD_BOUND.start(), LOAD_BOUND.end());
        report.refuse(field, format!("must be {first} to {last}, or false"));
        return None;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 1000, as the range says"
    )]
    let percent = (bound * 100.0).round() as u32;
    Some(Some(percent))
}

/// Reads `slow_start`; 0 and `false` switch it off.
fn slow_start(field: &Field<'_>, report: &mut Report<'_>) -> Option<Duration> {
    if field.as_boolean() == Some(false) || field.as_number() == Some(0.0) {
        return Some(Duration::ZERO);
    }
    field.duration_or("0 or false", &SLOW_START, report)
}
