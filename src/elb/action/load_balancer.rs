//! What `CreateLoadBalancer`, `ConfigureHealthCheck` and the pages of lists take.

use super::fields::{Fields, Range};
use super::{listeners, tags};
use crate::config::Target;
use crate::elb::{Code, Failure, HealthCheck, Listener, Scheme, Tag};
use crate::limits::PAGE_ENTRIES_MAX;

/// Longest name (CLB.md §3.4).
const NAME_BYTES_MAX: usize = 32;

/// A load balancer that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLoadBalancer {
    /// 1–32 of `[A-Za-z0-9-]`, no leading or trailing dash.
    pub name: String,
    /// Its listeners, which have no policies yet; not empty.
    pub listeners: Vec<Listener>,
    /// Its zones.
    pub zones: Vec<String>,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Who is meant to reach it.
    pub scheme: Scheme,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What the page before said; `None`: this is the first.
    pub marker: Option<String>,
    /// How many entries it has: 1–400; `None`: 400.
    pub size: Option<usize>,
}

pub(super) fn page(f: &Fields<'_>) -> Result<Page, Failure> {
    let sizes = Range {
        least: 1,
        most: PAGE_ENTRIES_MAX,
    };
    Ok(Page {
        marker: f.optional("Marker")?,
        size: f.number("PageSize", sizes)?,
    })
}

pub(super) fn new(f: &Fields<'_>) -> Result<NewLoadBalancer, Failure> {
    let tags = match f.list("Tags")? {
        Some(members) if !members.is_empty() => tags::tags(f)?,
        _ => Vec::new(),
    };
    Ok(NewLoadBalancer {
        name: name(f)?,
        listeners: listeners::listeners(f)?,
        zones: f.texts("AvailabilityZones")?.unwrap_or_default(),
        subnets: f.texts("Subnets")?.unwrap_or_default(),
        security_groups: f.texts("SecurityGroups")?.unwrap_or_default(),
        scheme: scheme(f)?,
        tags,
    })
}

pub(super) fn health_check(f: &Fields<'_>) -> Result<HealthCheck, Failure> {
    let f = f.structure("HealthCheck");
    let text = f.required("Target")?;
    let target = Target::parse(&text).map_err(|_| Failure::invalid(target_mistake(&text)))?;
    let thresholds = || Range { least: 2, most: 10 };
    let interval = Range {
        least: 5,
        most: 300,
    };
    let check = HealthCheck {
        target,
        interval_seconds: f.required_number("Interval", interval)?,
        timeout_seconds: f.required_number("Timeout", Range { least: 2, most: 60 })?,
        unhealthy_threshold: f.required_number("UnhealthyThreshold", thresholds())?,
        healthy_threshold: f.required_number("HealthyThreshold", thresholds())?,
    };
    if check.timeout_seconds >= check.interval_seconds {
        return Err(Failure::invalid(
            "HealthCheck timeout must be less than interval",
        ));
    }
    Ok(check)
}

fn name(f: &Fields<'_>) -> Result<String, Failure> {
    let name = f.required("LoadBalancerName")?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.len() > NAME_BYTES_MAX {
        return Err(Failure::invalid(
            "LoadBalancer name cannot be longer than 32 characters",
        ));
    }
    if !name.bytes().all(is_allowed) || name.starts_with('-') || name.ends_with('-') {
        return Err(Failure::invalid(
            "LoadBalancer name must consist of letters, digits and dashes, and cannot begin or end \
             with a dash",
        ));
    }
    Ok(name)
}

fn scheme(f: &Fields<'_>) -> Result<Scheme, Failure> {
    let all = [Scheme::InternetFacing, Scheme::Internal];
    match f.optional("Scheme")? {
        None => Ok(Scheme::InternetFacing),
        Some(name) => all
            .into_iter()
            .find(|scheme| scheme.name() == name)
            .ok_or_else(|| {
                let message = format!("'{name}' is no scheme: internet-facing, internal");
                Failure::new(Code::InvalidScheme, message)
            }),
    }
}

/// What is wrong with a target, in words that clients know (CLB.md §3.3).
fn target_mistake(target: &str) -> String {
    let protocol = target.split_once(':').map_or("", |(protocol, _)| protocol);
    match protocol.to_ascii_uppercase().as_str() {
        protocol @ ("HTTP" | "HTTPS") => format!(
            "HealthCheck {protocol} Target must specify a port followed by a path that begins with \
             a slash. e.g. {protocol}:80/ping/this/path"
        ),
        protocol @ ("TCP" | "SSL") => {
            format!("HealthCheck {protocol} Target must specify a port only. e.g. {protocol}:5000")
        }
        _ => "HealthCheck Target must begin with one of HTTP, TCP, HTTPS, SSL".to_owned(),
    }
}
