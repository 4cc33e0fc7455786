//! `[[load_balancer]]` without its listeners, instances, policies and attributes.

use std::time::Duration;

use super::attributes::attributes;
use super::backend_policy::backend_policies;
use super::certificate::Certificates;
use super::duration::{Lengths, SHORTEST, written};
use super::instance::{Instances, backends};
use super::listener::{Places, listener};
use super::policy::policies;
use super::profile::Profile;
use super::read::{Field, Report, Section};
use super::ssl_policy::ssl_policies;
use super::{HealthCheck, Listener, LoadBalancer, Mistake, Protocol, Target};
use crate::limits::LISTENERS_MAX;

const NAME_BYTES_MAX: usize = 32;

/// CLB.md §4.4, and below as text.
const INTERVAL: Lengths = Lengths {
    seconds: 5..=300,
    shortest: SHORTEST,
};
const TIMEOUT: Lengths = Lengths {
    seconds: 2..=60,
    shortest: SHORTEST,
};

impl HealthCheck {
    /// The check of a load balancer that asks for none: a TCP connection to `port`, with the
    /// intervals and thresholds of CLB.md §4.4.
    pub(super) fn tcp(port: u16) -> Self {
        Self {
            target: Target {
                protocol: Protocol::Tcp,
                port,
                path: String::new(),
            },
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unhealthy_threshold: 2,
            healthy_threshold: 10,
        }
    }
}

/// What the file gives names to, for the load balancers to use.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub instances: &'a Instances<'a>,
    pub certificates: &'a Certificates<'a>,
}

/// Reads one `[[load_balancer]]`.
pub(super) fn load_balancer(
    mut section: Section<'_>,
    profile: Profile,
    names: Names<'_>,
    places: &mut Places,
    report: &mut Report<'_>,
) -> Option<LoadBalancer> {
    let name = section
        .required("name", report)
        .and_then(|field| name(&field, places, report));
    let backends = backends(&mut section, names.instances, report);
    let sections = section.sections("listener", report);
    match sections.as_ref().map(Vec::len) {
        Some(0) => {
            section.refuse(
                report,
                "no [[load_balancer.listener]]: nothing could reach it",
            );
        }
        Some(count) if count > LISTENERS_MAX => {
            section.refuse(report, format!("more than {LISTENERS_MAX} listeners"));
        }
        Some(_) | None => {}
    }
    let sections = sections.unwrap_or_default();
    let policies = policies(&mut section, profile, &sections, report);
    let ssl_policies = ssl_policies(&mut section, &policies, report);
    let listeners: Vec<Option<Listener>> = sections
        .into_iter()
        .map(|section| {
            let certificates = names.certificates;
            listener(
                section,
                &policies,
                &ssl_policies,
                certificates,
                places,
                report,
            )
        })
        .collect();
    let backend_policies = backend_policies(&mut section, &listeners, report);
    // A first listener that is wrong has been noted: its port is only needed to read on.
    let first_port = listeners
        .first()
        .and_then(Option::as_ref)
        .map_or(80, |l| l.instance_port);
    let health_check = health_check(&mut section, first_port, report);
    // A listener that is wrong has been noted and may be any.
    let may_read_heads = |l: &Option<Listener>| l.as_ref().is_none_or(|l| l.protocol.is_http());
    let reads_heads = listeners.is_empty() || listeners.iter().any(may_read_heads);
    let attributes = attributes(&mut section, profile.attributes(), reads_heads, report);
    section.finish(report);
    Some(LoadBalancer {
        name: name?,
        backends: backends?,
        health_check: health_check?,
        listeners: listeners.into_iter().collect::<Option<_>>()?,
        backend_policies: backend_policies?,
        attributes: attributes?,
    })
}

fn name(field: &Field<'_>, places: &mut Places, report: &mut Report<'_>) -> Option<String> {
    let name = field.parsed(|text| check_name(text).map(|()| text.to_owned()), report)?;
    if !places.names.insert(name.clone()) {
        report.refuse(field, "is the name of another load balancer too");
        return None;
    }
    Some(name)
}

fn check_name(name: &str) -> Result<(), Mistake> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let has_outer_dash = name.starts_with('-') || name.ends_with('-');
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || has_outer_dash
        || !name.bytes().all(is_allowed)
    {
        return Err("must be 1 to 32 of A-Z a-z 0-9 -, with no dash at either end".into());
    }
    Ok(())
}

fn health_check(
    section: &mut Section<'_>,
    first_instance_port: u16,
    report: &mut Report<'_>,
) -> Option<HealthCheck> {
    let default = HealthCheck::tcp(first_instance_port);
    let Some(mut section) = section.section("health_check", report) else {
        return Some(default);
    };
    let target = section.read_or("target", default.target, |field| {
        field.parsed(Target::parse, report)
    });
    let interval = section.read_or("interval", default.interval, |field| {
        field.duration(&INTERVAL, report)
    });
    let timeout = section.read_or("timeout", default.timeout, |field| {
        field.duration(&TIMEOUT, report)
    });
    let unhealthy_threshold =
        section.read_or("unhealthy_threshold", default.unhealthy_threshold, |f| {
            threshold(&f, report)
        });
    let healthy_threshold = section.read_or("healthy_threshold", default.healthy_threshold, |f| {
        threshold(&f, report)
    });
    section.refuse_not_yet(&["initial_healthy_checks"], report);
    if let (Some(interval), Some(timeout)) = (interval, timeout)
        && timeout >= interval
    {
        let (timeout, interval) = (written(timeout), written(interval));
        let mistake =
            format!("the timeout, {timeout}, must be shorter than the interval, {interval}");
        section.refuse(report, mistake);
    }
    section.finish(report);
    Some(HealthCheck {
        target: target?,
        interval: interval?,
        timeout: timeout?,
        unhealthy_threshold: unhealthy_threshold?,
        healthy_threshold: healthy_threshold?,
    })
}

fn threshold(field: &Field<'_>, report: &mut Report<'_>) -> Option<u32> {
    let threshold = field.integer(2..=10, report)?;
    Some(u32::try_from(threshold).expect("the range ends with 10"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_clb() {
        for name in ["a", "my-loadbalancer", &"n".repeat(NAME_BYTES_MAX)] {
            assert!(check_name(name).is_ok(), "{name:?} was refused");
        }
        for name in [
            "",
            "-a",
            "a-",
            "a_b",
            "a.b",
            "é",
            &"n".repeat(NAME_BYTES_MAX + 1),
        ] {
            assert!(check_name(name).is_err(), "{name:?} was taken");
        }
    }
}
