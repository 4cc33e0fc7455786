//! A change as text: JSON with the record of the journal in it, its stamp, and the stamp of what it
//! replaced.
//!
//! ```text
//! c/lb/us-east-1/web  {"v":1,"stamp":{…},"before":{…},"record":{"kind":"load_balancer",…}}
//! c/in/i-0a1b2c3d     {"v":1,"stamp":{…},"before":{…},"record":{"kind":"instance",…},"mode":{…}}
//! ```
//!
//! Not who has the last word (`known.rs`). Invariants: an address where listeners accept does not
//! travel, as each node has its own; what a later elbow says and this one does not understand is
//! refused as a whole, and breaks nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::Entry;
use crate::config::{Backend, DrainMode};
use crate::control::journal::Record;
use crate::health::Stamp;
use crate::limits::{REPLICA_BYTES_MAX, STAMP_AHEAD_MS_MAX};

/// The only version that is written and understood.
const VERSION: u32 = 1;

/// What keys of load balancers begin with; region, slash and name follow.
const LOAD_BALANCER: &str = "c/lb/";

/// What keys of instances begin with; the id follows.
const INSTANCE: &str = "c/in/";

/// A change on its way between nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// What it is about, such as `c/lb/us-east-1/web` or `c/in/i-0a1b2c3d`.
    pub key: String,
    /// What it is now and since when, as JSON. At most `limits::REPLICA_BYTES_MAX` bytes.
    pub value: String,
}

/// The JSON of a value. Keys that are unknown are passed over.
#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u32,
    stamp: Stamp,
    /// The stamp of what the node had in force when it made the change, all zeros for nothing;
    /// `None`: that is not known any more.
    #[serde(default)]
    before: Option<Stamp>,
    record: Value,
    /// What instances that leave still take.
    #[serde(default)]
    mode: Value,
}

/// A change from another node that can be understood.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) entry: Entry<Record>,
    pub(super) before: Option<Stamp>,
    pub(super) mode: Option<DrainMode>,
}

impl Replica {
    /// A change as it travels; `record` is as by [`travelling`].
    pub(super) fn new(
        key: &str,
        record: &Record,
        before: Option<Stamp>,
        mode: Option<DrainMode>,
    ) -> Self {
        let unstamped = record.clone().stamped(Stamp::default());
        let json = |value: serde_json::Result<Value>| value.expect("text and numbers are JSON");
        let envelope = Envelope {
            v: VERSION,
            stamp: record.stamp(),
            before,
            record: json(serde_json::to_value(&unstamped)),
            mode: json(serde_json::to_value(mode)),
        };
        Self {
            key: key.to_owned(),
            value: serde_json::to_string(&envelope).expect("text and numbers are JSON"),
        }
    }

    /// What another node tells by this key, if that is a change of the API; a value that was taken
    /// back is none.
    pub fn heard(key: &str, value: &str) -> Option<Self> {
        let is_one = key.starts_with(LOAD_BALANCER) || key.starts_with(INSTANCE);
        (is_one && !value.is_empty()).then(|| Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }

    /// Since when it is so; `None`: it cannot be read.
    pub(in crate::control) fn stamp(&self) -> Option<Stamp> {
        #[derive(Deserialize)]
        struct Stamped {
            stamp: Stamp,
        }
        let stamped: serde_json::Result<Stamped> = serde_json::from_str(&self.value);
        stamped.ok().map(|stamped| stamped.stamp)
    }

    /// Whether it can be on its way.
    pub(super) fn fits(&self) -> bool {
        self.value.len() <= REPLICA_BYTES_MAX
    }

    /// What it says; `now_ms` is milliseconds since 1970.
    ///
    /// # Errors
    /// Why it is not to be taken.
    pub(super) fn open(&self, now_ms: u64) -> Result<Arrived, String> {
        if !self.fits() {
            return Err("it is too large".to_owned());
        }
        let envelope: Envelope = serde_json::from_str(&self.value)
            .map_err(|error| format!("it is not understood: {error}"))?;
        if envelope.v != VERSION {
            return Err(format!("it is of version {}", envelope.v));
        }
        let stamp = envelope.stamp;
        if stamp == Stamp::default() {
            return Err("it has no stamp".to_owned());
        }
        if stamp.wall_ms > now_ms.saturating_add(STAMP_AHEAD_MS_MAX) {
            return Err("it is from the future: the clocks of the nodes differ".to_owned());
        }
        let record: Record = serde_json::from_value(envelope.record)
            .map_err(|error| format!("it is not understood: {error}"))?;
        if key_of(&record).as_ref() != Some(&self.key) || !holds(&record) {
            return Err("it is not what its key says".to_owned());
        }
        let mode: Option<DrainMode> = serde_json::from_value(envelope.mode).unwrap_or_default();
        Ok(Arrived {
            entry: entry(travelling(record.stamped(stamp))),
            before: envelope.before,
            mode: mode.filter(is_possible),
        })
    }
}

/// What nodes call that which a record is about; `None`: it stays on its node.
pub(in crate::control) fn key_of(record: &Record) -> Option<String> {
    match record {
        Record::LoadBalancer {
            region,
            load_balancer,
            ..
        } => Some(format!("{LOAD_BALANCER}{region}/{}", load_balancer.name)),
        Record::Deleted { region, name, .. } => Some(format!("{LOAD_BALANCER}{region}/{name}")),
        Record::Instance { id, .. } => Some(format!("{INSTANCE}{id}")),
        Record::Certificate { .. } | Record::Waiting { .. } => None,
    }
}

/// The same for people.
pub(super) fn in_words(key: &str) -> String {
    match key.strip_prefix(INSTANCE) {
        Some(id) => format!("instance {id}"),
        None => format!(
            "load balancer {}",
            key.strip_prefix(LOAD_BALANCER).unwrap_or(key)
        ),
    }
}

/// A record as it is on all nodes.
pub(super) fn travelling(mut record: Record) -> Record {
    if let Record::LoadBalancer { address, .. } = &mut record {
        *address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    }
    record
}

/// A record as an entry.
pub(super) fn entry(record: Record) -> Entry<Record> {
    Entry {
        stamp: record.stamp(),
        value: Some(record).filter(|record| !record.is_nothing()),
    }
}

/// An entry as a record.
pub(super) fn record(key: &str, entry: &Entry<Record>) -> Record {
    if let Some(record) = &entry.value {
        return record.clone();
    }
    let Entry { stamp, .. } = *entry;
    let since_ms = Some(stamp.wall_ms);
    if let Some(id) = key.strip_prefix(INSTANCE) {
        return Record::Instance {
            id: id.to_owned(),
            backend: None,
            stanza: None,
            since_ms,
            stamp,
        };
    }
    let both = key.strip_prefix(LOAD_BALANCER).unwrap_or(key);
    // A name has no slash.
    let (region, name) = both.rsplit_once('/').unwrap_or(("", both));
    Record::Deleted {
        region: region.to_owned(),
        name: name.to_owned(),
        stanza: None,
        since_ms,
        stamp,
    }
}

/// Whether two records say the same, whoever says it and when.
pub(super) fn say_the_same(left: &Record, right: &Record) -> bool {
    let timeless = |record: &Record| {
        let mut record = record.clone().stamped(Stamp::default());
        match &mut record {
            Record::LoadBalancer { since_ms, .. }
            | Record::Deleted { since_ms, .. }
            | Record::Instance { since_ms, .. } => *since_ms = None,
            Record::Certificate { .. } | Record::Waiting { .. } => {}
        }
        record
    };
    timeless(left) == timeless(right)
}

/// Whether a record from elsewhere says what one from here could.
fn holds(record: &Record) -> bool {
    match record {
        Record::LoadBalancer {
            region,
            load_balancer,
            ..
        } => !region.is_empty() && is_name(&load_balancer.name),
        Record::Deleted { region, name, .. } => !region.is_empty() && is_name(name),
        Record::Instance { id, backend, .. } => backend.as_ref().is_none_or(|said| {
            let is_address = Backend::by_id(id, &std::collections::BTreeMap::new()).is_some();
            let address = said.address.to_string();
            let address = Some(&*address).filter(|_| !is_address);
            let port = said.port.map(u64::from).filter(|_| !is_address);
            let made = Backend::from_parts(id, address, port, Some(said.weight.into()));
            made.is_ok_and(|made| made == *said)
        }),
        Record::Certificate { .. } | Record::Waiting { .. } => false,
    }
}

fn is_name(name: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().all(is_fit)
}

/// Whether an instance may leave like that here.
fn is_possible(mode: &DrainMode) -> bool {
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    match mode {
        DrainMode::Connections { timeout } => timeout.is_none_or(|timeout| timeout <= LONGEST),
        DrainMode::Sessions { deadline } => *deadline <= LONGEST,
    }
}
