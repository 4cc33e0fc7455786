//! Changes of attributes, as parameters (CLB.md §3.4).

use super::fields::{Fields, Range};
use crate::elb::Failure;

/// Most additional attributes in one request.
const ADDITIONAL_MAX: usize = 10;

/// Longest key and value of one, and of the names that access logs take.
const TEXT_BYTES_MAX: usize = 256;

/// Attributes that are to change; the others stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    /// Whether each node uses the instances of all zones.
    pub cross_zone: Option<bool>,
    /// Access logs.
    pub access_log: Option<AccessLogChanges>,
    /// Whether requests of an instance that goes may finish, and in how many seconds: 1–3600.
    pub draining: Option<(bool, Option<u16>)>,
    /// Seconds that a connection may be idle: 1–4000.
    pub idle_timeout_seconds: Option<u16>,
    /// Keys and values of the others.
    pub additional: Vec<(String, String)>,
}

/// What of access logs is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogChanges {
    /// Whether they are written.
    pub is_enabled: bool,
    /// Where they go; empty: nowhere any more.
    pub bucket: Option<String>,
    /// Minutes between two of them: 5 or 60.
    pub interval_minutes: Option<u8>,
    /// What the names of the files begin with; empty: nothing any more.
    pub prefix: Option<String>,
}

pub(super) fn changes(f: &Fields<'_>) -> Result<AttributeChanges, Failure> {
    let all = f.structure("LoadBalancerAttributes");
    if !all.is_there() {
        return Err(f.missing("LoadBalancerAttributes"));
    }
    let cross_zone = all.structure("CrossZoneLoadBalancing");
    let draining = all.structure("ConnectionDraining");
    let timeouts = Range {
        least: 1,
        most: 3600,
    };
    let connections = all.structure("ConnectionSettings");
    let idle_timeouts = Range {
        least: 1,
        most: 4000,
    };
    Ok(AttributeChanges {
        cross_zone: if_there(&cross_zone, |f| f.required_boolean("Enabled"))?,
        access_log: if_there(&all.structure("AccessLog"), access_log)?,
        draining: if_there(&draining, |f| {
            let is_enabled = f.required_boolean("Enabled")?;
            Ok((is_enabled, f.number("Timeout", timeouts)?))
        })?,
        idle_timeout_seconds: if_there(&connections, |f| {
            f.required_number("IdleTimeout", idle_timeouts)
        })?,
        additional: additional(&all)?,
    })
}

fn if_there<T>(
    f: &Fields<'_>,
    read: impl FnOnce(&Fields<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    f.is_there().then(|| read(f)).transpose()
}

fn access_log(f: &Fields<'_>) -> Result<AccessLogChanges, Failure> {
    let interval_minutes = match f.text("EmitInterval")? {
        None => None,
        Some("5") => Some(5),
        Some("60") => Some(60),
        Some(other) => return Err(f.refused("EmitInterval", Some(other), "be 5 or 60")),
    };
    let name = |name: &str| {
        let text = f.text(name)?;
        match text.filter(|text| text.len() > TEXT_BYTES_MAX) {
            None => Ok(text.map(str::to_owned)),
            Some(_) => Err(too_long(f, name)),
        }
    };
    Ok(AccessLogChanges {
        is_enabled: f.required_boolean("Enabled")?,
        bucket: name("S3BucketName")?,
        interval_minutes,
        prefix: name("S3BucketPrefix")?,
    })
}

fn additional(f: &Fields<'_>) -> Result<Vec<(String, String)>, Failure> {
    let members = f.list("AdditionalAttributes")?.unwrap_or_default();
    if members.len() > ADDITIONAL_MAX {
        let rule = format!("have at most {ADDITIONAL_MAX} members");
        return Err(f.refused("AdditionalAttributes", None, &rule));
    }
    let word = |f: &Fields<'_>, name: &str| {
        let text = f.required(name)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(too_long(f, name));
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        if !text.bytes().all(is_allowed) {
            let rule = "consist of letters, digits and dots";
            return Err(f.refused(name, Some(&text), rule));
        }
        Ok(text)
    };
    let pair = |f: &Fields<'_>| Ok((word(f, "Key")?, word(f, "Value")?));
    members.iter().map(pair).collect()
}

fn too_long(f: &Fields<'_>, name: &str) -> Failure {
    let rule = format!("have length less than or equal to {TEXT_BYTES_MAX}");
    f.refused(name, None, &rule)
}
