//! `[load_balancer.attributes]`.
//!
//! Not here: its affinity switches (`affinity.rs`), the bounds of its backends (`overload.rs`) and
//! of a client (`bounds.rs`), and what stands for keys that are not written (`profile.rs`).

use std::time::Duration;

use super::access_log::logging;
use super::affinity::affinity;
use super::bounds::bounds;
use super::duration::{Lengths, SHORTEST};
use super::header::header;
use super::overload::overload;
use super::read::{Field, Report, Section};
use super::{
    Affinity, Attributes, Bounds, CorsCookieName, DrainMode, Logging, Mistake, Overload, Upgrades,
};
use crate::http::DesyncMode;

/// CLB.md §4.3, and below as text; `queue_timeout` is as long.
pub(super) const IDLE_TIMEOUT: Lengths = Lengths {
    seconds: 1..=4000,
    shortest: SHORTEST,
};

/// CLB.md §4.5, and below as text.
const CONNECTION_DRAINING: Lengths = Lengths {
    seconds: 1..=3600,
    shortest: SHORTEST,
};

/// How long exchanges in flight may run where `connection_draining` is only switched on
/// (CLB.md §4.5).
pub(super) const CONNECTION_DRAINING_DEFAULT: Duration = Duration::from_secs(300);

/// Up to a week.
const DRAIN_DEADLINE: Lengths = Lengths {
    seconds: 1..=7 * 24 * 60 * 60,
    shortest: SHORTEST,
};

/// How long sessions may stay on a backend that leaves, unless `drain_deadline` says otherwise.
pub(super) const DRAIN_DEADLINE_DEFAULT: Duration = Duration::from_secs(60 * 60);

impl Default for Attributes {
    /// CLB's.
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            cors_cookie_name: CorsCookieName::AwsAlbCors,
            connection_draining: None,
            drain_mode: DrainMode::Connections { timeout: None },
            upgrades: Upgrades::default(),
            desync_mode: DesyncMode::Defensive,
            request_id: None,
            access_log: Logging::default(),
            bounds: Bounds::default(),
            overload: Overload::default(),
            affinity: Affinity::default(),
        }
    }
}

impl Attributes {
    /// How long a request may wait for a backend that has room.
    pub fn queue_timeout(&self) -> Duration {
        self.overload.queue_timeout.unwrap_or(self.idle_timeout)
    }
}

impl CorsCookieName {
    /// As the key `cors_cookie_name` says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AwsAlbCors => "AWSALBCORS",
            Self::AwsElbCors => "AWSELBCORS",
            Self::Both => "both",
        }
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let all = [Self::AwsAlbCors, Self::AwsElbCors, Self::Both];
        all.into_iter()
            .find(|name| name.name() == text)
            .ok_or_else(|| "must be \"AWSALBCORS\", \"AWSELBCORS\" or \"both\"".into())
    }
}

impl DrainMode {
    /// Reads it as the key `drain_mode` has it; the deadline of sessions is an hour then.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "connections" => Ok(Self::Connections { timeout: None }),
            "session" => Ok(Self::Sessions {
                deadline: DRAIN_DEADLINE_DEFAULT,
            }),
            _ => Err("must be \"connections\" or \"session\"".into()),
        }
    }

    /// The same with another deadline: of the sessions, up to a week, or of the connections, up to
    /// an hour. In seconds.
    ///
    /// # Errors
    /// What it must be.
    pub fn with_deadline(self, seconds: u64) -> Result<Self, Mistake> {
        match self {
            Self::Sessions { .. } => Ok(Self::Sessions {
                deadline: DRAIN_DEADLINE.take_seconds(seconds)?,
            }),
            Self::Connections { .. } => Ok(Self::Connections {
                timeout: Some(CONNECTION_DRAINING.take_seconds(seconds)?),
            }),
        }
    }

    /// Reads a deadline with its unit, in whole seconds, as `drain_deadline` has it.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse_deadline(text: &str) -> Result<Duration, Mistake> {
        let deadline = DRAIN_DEADLINE.take_text(text)?;
        if deadline.subsec_millis() > 0 {
            return Err("must be whole seconds".into());
        }
        Ok(deadline)
    }
}

/// Reads `[load_balancer.attributes]` of a load balancer; `default` stands for what is not written.
/// `reads_heads`: one of its listeners is HTTP.
pub(super) fn attributes(
    load_balancer: &mut Section<'_>,
    default: Attributes,
    reads_heads: bool,
    report: &mut Report<'_>,
) -> Option<Attributes> {
    let Some(mut section) = load_balancer.section("attributes", report) else {
        return Some(default);
    };
    let idle_timeout = section.read_or("idle_timeout", default.idle_timeout, |field| {
        field.duration(&IDLE_TIMEOUT, report)
    });
    let cors_cookie_name = section.read_or("cors_cookie_name", default.cors_cookie_name, |field| {
        field.parsed(CorsCookieName::parse, report)
    });
    let connection_draining =
        section.read_or("connection_draining", default.connection_draining, |f| {
            connection_draining(&f, report)
        });
    let drain_mode = drain_mode(&mut section, default.drain_mode, report);
    let upgrades = section.read_or("upgrades", default.upgrades, |field| {
        Upgrades::read(&field, report)
    });
    let desync_mode = section.read_or("desync_mode", default.desync_mode, |field| {
        field.parsed(desync_mode, report)
    });
    let request_id = section.read_or("request_id", default.request_id, |field| {
        request_id(&field, report)
    });
    let access_log = logging(&mut section, report);
    let bounds = bounds(&mut section, default.bounds, reads_heads, report);
    let overload = overload(&mut section, report);
    let affinity = affinity(&mut section, default.affinity, reads_heads, report);
    section.refuse_not_yet(&["cross_zone"], report);
    section.finish(report);
    Some(Attributes {
        idle_timeout: idle_timeout?,
        cors_cookie_name: cors_cookie_name?,
        connection_draining: connection_draining?,
        drain_mode: drain_mode?,
        upgrades: upgrades?,
        desync_mode: desync_mode?,
        request_id: request_id?,
        access_log: access_log?,
        bounds: bounds?,
        overload: overload?,
        affinity: affinity?,
    })
}

fn connection_draining(field: &Field<'_>, report: &mut Report<'_>) -> Option<Option<Duration>> {
    match field.as_boolean() {
        Some(true) => Some(Some(CONNECTION_DRAINING_DEFAULT)),
        Some(false) => Some(None),
        None => field
            .duration_or("true or false", &CONNECTION_DRAINING, report)
            .map(Some),
    }
}

fn request_id(field: &Field<'_>, report: &mut Report<'_>) -> Option<Option<String>> {
    match field.as_boolean() {
        Some(false) => Some(None),
        Some(true) => {
            let allowed = "must be the name of a field, such as \"X-Request-Id\", or false";
            report.refuse(field, allowed);
            None
        }
        None => field.parsed(header, report).map(Some),
    }
}

fn desync_mode(text: &str) -> Result<DesyncMode, Mistake> {
    DesyncMode::parse(text)
        .ok_or_else(|| "must be \"monitor\", \"defensive\" or \"strictest\"".into())
}

/// Reads `drain_mode` with its `drain_deadline`.
fn drain_mode(
    section: &mut Section<'_>,
    default: DrainMode,
    report: &mut Report<'_>,
) -> Option<DrainMode> {
    let mode = section.read_or("drain_mode", default, |field| {
        field.parsed(DrainMode::parse, report)
    });
    let Some(field) = section.field("drain_deadline") else {
        return mode;
    };
    let deadline = field.duration(&DRAIN_DEADLINE, report)?;
    match mode? {
        DrainMode::Sessions { .. } => Some(DrainMode::Sessions { deadline }),
        DrainMode::Connections { .. } => {
            report.refuse(&field, "needs drain_mode = \"session\"");
            None
        }
    }
}
