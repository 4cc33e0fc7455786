//! The attributes of a load balancer: their defaults, and changing some of them (CLB.md §3.4).
//!
//! Not their ranges (`action/attributes.rs`).

use serde::{Deserialize, Serialize};

use super::LoadBalancer;
use crate::config::Bucket;
use crate::elb::answer::{Answer, AttributesShown};
use crate::elb::{AttributeChanges, Code, Failure};
use crate::http::DesyncMode;

/// The one additional attribute that there is.
const DESYNC_KEY: &str = "elb.http.desyncmitigationmode";

/// All attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Whether each node uses the instances of all zones. Default false.
    pub cross_zone: bool,
    /// Access logs.
    pub access_log: AccessLog,
    /// What happens to requests of an instance that goes.
    pub draining: Draining,
    /// Seconds that a connection may be idle: 1–4000, default 60.
    pub idle_timeout_seconds: u16,
    /// What is done about requests that are not as RFC 9112 has them.
    pub desync_mode: DesyncMode,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            cross_zone: false,
            access_log: AccessLog::default(),
            draining: Draining::default(),
            idle_timeout_seconds: 60,
            desync_mode: DesyncMode::Defensive,
        }
    }
}

/// Access logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// Whether they are written. Default false.
    pub is_enabled: bool,
    /// Where they go; always there if they are written.
    pub bucket: Option<String>,
    /// Minutes between two of them: 5 or 60, default 60.
    pub interval_minutes: u8,
    /// What the names of the files begin with.
    pub prefix: Option<String>,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            is_enabled: false,
            bucket: None,
            interval_minutes: 60,
            prefix: None,
        }
    }
}

/// What happens to requests of an instance that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// Whether they may finish. Default false.
    pub is_enabled: bool,
    /// Seconds that they have for it: 1–3600, default 300. Kept while it is disabled.
    pub timeout_seconds: u16,
}

impl Default for Draining {
    fn default() -> Self {
        Self {
            is_enabled: false,
            timeout_seconds: 300,
        }
    }
}

impl Attributes {
    /// All of them, to be shown.
    pub(super) fn shown(&self) -> AttributesShown {
        AttributesShown {
            cross_zone: Some(self.cross_zone),
            access_log: Some(self.access_log.clone()),
            draining: Some(self.draining.clone()),
            idle_timeout_seconds: Some(self.idle_timeout_seconds),
            additional: Some(vec![(
                DESYNC_KEY.to_owned(),
                self.desync_mode.name().to_owned(),
            )]),
        }
    }
}

/// Changes the attributes that were sent and leaves the others. The answer tells of those that were
/// sent, as they are now.
pub(super) fn modify(
    load_balancer: &mut LoadBalancer,
    changes: &AttributeChanges,
) -> Result<Answer, Failure> {
    let attributes = &mut load_balancer.attributes;
    let mut shown = AttributesShown::default();
    if let Some(is_on) = changes.cross_zone {
        attributes.cross_zone = is_on;
        shown.cross_zone = Some(is_on);
    }
    if let Some(changes) = &changes.access_log {
        let log = &mut attributes.access_log;
        log.is_enabled = changes.is_enabled;
        log.interval_minutes = changes.interval_minutes.unwrap_or(log.interval_minutes);
        if let Some(bucket) = &changes.bucket {
            log.bucket = Some(bucket.clone()).filter(|bucket| !bucket.is_empty());
        }
        if let Some(prefix) = &changes.prefix {
            log.prefix = Some(prefix.clone()).filter(|prefix| !prefix.is_empty());
        }
        if log.is_enabled && log.bucket.is_none() {
            let message = "Access logs need the name of an S3 bucket (S3BucketName) to be enabled";
            return Err(Failure::configuration(message));
        }
        if let Some(bucket) = log.bucket.as_deref().filter(|_| log.is_enabled) {
            let prefix = log.prefix.as_deref().unwrap_or_default();
            Bucket::new(bucket, prefix, log.interval_minutes)
                .map_err(|mistake| Failure::configuration(format!("Access log: {mistake}")))?;
        }
        shown.access_log = Some(log.clone());
    }
    if let Some((is_enabled, timeout)) = changes.draining {
        let draining = &mut attributes.draining;
        draining.is_enabled = is_enabled;
        draining.timeout_seconds = timeout.unwrap_or(draining.timeout_seconds);
        shown.draining = Some(draining.clone());
    }
    if let Some(seconds) = changes.idle_timeout_seconds {
        attributes.idle_timeout_seconds = seconds;
        shown.idle_timeout_seconds = Some(seconds);
    }
    for (key, value) in &changes.additional {
        attributes.desync_mode = desync_mode(key, value)?;
    }
    if !changes.additional.is_empty() {
        shown.additional = Some(changes.additional.clone());
    }
    Ok(Answer::Modified(load_balancer.name.clone(), shown))
}

fn desync_mode(key: &str, value: &str) -> Result<DesyncMode, Failure> {
    if key != DESYNC_KEY {
        let message = format!("There is no load balancer attribute '{key}'");
        return Err(Failure::new(Code::LoadBalancerAttributeNotFound, message));
    }
    DesyncMode::parse(value).ok_or_else(|| {
        let message =
            format!("'{value}' is no value of {DESYNC_KEY}: monitor, defensive, strictest");
        Failure::configuration(message)
    })
}
