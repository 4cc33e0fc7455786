//! What the journal keeps, one record for each thing, and which records are alive.
//!
//! Not how they lie on disk (`text.rs`). Invariant: of two records for one thing the later is
//! alive, and one that says that there is nothing to know never is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text;
use crate::config::{Backend, CertificateFiles};
use crate::elb::LoadBalancer;
use crate::health::Stamp;

/// What the API has done to one thing. Its JSON is kept on disk: kinds and keys may be added, keys
/// with a default; what is there does not change but with the version of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The API made or changed a load balancer, which is like this now.
    LoadBalancer {
        /// The region that it belongs to.
        region: String,
        /// All of it.
        load_balancer: Arc<LoadBalancer>,
        /// Where its listeners accept.
        address: IpAddr,
        /// A hash of the file's stanza of this name as it was then, so that one that was edited
        /// since is known; `None`: the file had none.
        stanza: Option<u64>,
        /// When it became so, in milliseconds since 1970; `None`: that was not noted.
        since_ms: Option<u64>,
        /// The moment among all changes in the cluster; the default without one, which is not
        /// written.
        #[serde(default, skip_serializing_if = "is_unstamped")]
        stamp: Stamp,
    },
    /// The API deleted a load balancer.
    Deleted {
        /// The region that it belonged to.
        region: String,
        /// Its name.
        name: String,
        /// As above: a stanza of the file that is to have no effect as long as it is like that.
        /// `None`: there is nothing to know of this name any more, and this record is not kept
        /// itself, unless it has a stamp.
        stanza: Option<u64>,
        /// When that was, as above.
        since_ms: Option<u64>,
        /// As above.
        #[serde(default, skip_serializing_if = "is_unstamped")]
        stamp: Stamp,
    },
    /// The API said what an instance id stands for.
    Instance {
        /// The id.
        id: String,
        /// Where it leads, under the same id; `None`: nowhere.
        backend: Option<Backend>,
        /// A hash of the file's `[[instance]]` of this id as it was then; `None`: there was none.
        /// If there is no backend either, there is nothing to know of it, and this record is not
        /// kept itself, unless it has a stamp.
        stanza: Option<u64>,
        /// When it was said, as above.
        since_ms: Option<u64>,
        /// As above.
        #[serde(default, skip_serializing_if = "is_unstamped")]
        stamp: Stamp,
    },
    /// The API said what an ARN stands for.
    Certificate {
        /// The ARN.
        arn: String,
        /// The files; `None`: none.
        files: Option<CertificateFiles>,
        /// As for an instance, of the file's `[[certificate]]`.
        stanza: Option<u64>,
        /// When it was said, as above.
        since_ms: Option<u64>,
    },
    /// Another node has changed something, and that cannot be in force on this one.
    Waiting {
        /// What it is about, as nodes call it.
        about: String,
        /// What it is to be; `None`: it waits no more, and this record is not kept itself.
        record: Option<Box<Self>>,
    },
}

fn is_unstamped(stamp: &Stamp) -> bool {
    *stamp == Stamp::default()
}

impl Record {
    /// Its moment among all changes in the cluster; the default if it has none.
    pub(in crate::control) fn stamp(&self) -> Stamp {
        match self {
            Self::LoadBalancer { stamp, .. }
            | Self::Deleted { stamp, .. }
            | Self::Instance { stamp, .. } => *stamp,
            Self::Certificate { .. } | Self::Waiting { .. } => Stamp::default(),
        }
    }

    /// The same at another moment; what stays on its node has none.
    pub(in crate::control) fn stamped(mut self, moment: Stamp) -> Self {
        match &mut self {
            Self::LoadBalancer { stamp, .. }
            | Self::Deleted { stamp, .. }
            | Self::Instance { stamp, .. } => *stamp = moment,
            Self::Certificate { .. } | Self::Waiting { .. } => {}
        }
        self
    }

    fn key(&self) -> Key {
        match self {
            Self::LoadBalancer {
                region,
                load_balancer,
                ..
            } => Key::LoadBalancer(region.clone(), load_balancer.name.clone()),
            Self::Deleted { region, name, .. } => Key::LoadBalancer(region.clone(), name.clone()),
            Self::Instance { id, .. } => Key::Instance(id.clone()),
            Self::Certificate { arn, .. } => Key::Certificate(arn.clone()),
            Self::Waiting { about, .. } => Key::Waiting(about.clone()),
        }
    }

    /// Whether it says that there is nothing to know.
    fn is_empty(&self) -> bool {
        self.is_nothing() && is_unstamped(&self.stamp())
    }

    /// Whether it says that there is nothing, but for the moment since when.
    pub(in crate::control) fn is_nothing(&self) -> bool {
        match self {
            Self::LoadBalancer { .. } => false,
            Self::Deleted { stanza, .. } => stanza.is_none(),
            Self::Instance {
                backend, stanza, ..
            } => backend.is_none() && stanza.is_none(),
            Self::Certificate { files, stanza, .. } => files.is_none() && stanza.is_none(),
            Self::Waiting { record, .. } => record.is_none(),
        }
    }
}

/// What a record is about: the next one about the same takes its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Region and name.
    LoadBalancer(String, String),
    /// Its id.
    Instance(String),
    /// Its ARN.
    Certificate(String),
    /// What waits.
    Waiting(String),
}

/// The records that say what is now.
#[derive(Debug, Clone, Default)]
pub(super) struct Alive {
    /// Each with the bytes of its JSON.
    records: BTreeMap<Key, (Record, usize)>,
    /// The sum of those bytes.
    json_bytes: usize,
}

impl Alive {
    /// Puts a record in the place of an earlier one.
    pub(super) fn take_in(&mut self, record: Record) -> serde_json::Result<()> {
        let bytes = serde_json::to_vec(&record)?.len();
        let key = record.key();
        let replaced = if record.is_empty() {
            self.records.remove(&key)
        } else {
            self.json_bytes += bytes;
            self.records.insert(key, (record, bytes))
        };
        self.json_bytes -= replaced.map_or(0, |(_, bytes)| bytes);
        Ok(())
    }

    /// All of them, in order of what they are about.
    pub(super) fn records(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.records.values().map(|(record, _)| record)
    }

    /// Bytes of a journal that holds them and nothing else.
    pub(super) fn journal_bytes(&self) -> usize {
        text::HEAD.len() + self.json_bytes + self.records.len() * text::AROUND_RECORD_BYTES
    }
}
