//! What the API has changed, to and from the records of the journal.
//!
//! Not which of it still counts (`regions.rs`, `names.rs`). Invariant: of what is said of one thing
//! the last word is kept.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Key, Regions};
use crate::config::{Backend, CertificateFiles};
use crate::control::journal::Record;
use crate::control::names::Said;
use crate::elb;
use crate::health::Stamp;

/// A load balancer as the API has it, and where its listeners accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) load_balancer: Arc<elb::LoadBalancer>,
    pub(super) address: IpAddr,
}

/// What records say of each thing, the last of them about the same.
#[derive(Default)]
pub(super) struct Everything {
    pub(super) load_balancers: BTreeMap<Key, Said<Kept>>,
    pub(super) instances: BTreeMap<String, Said<Backend>>,
    pub(super) certificates: BTreeMap<String, Said<CertificateFiles>>,
}

impl Everything {
    pub(super) fn of(records: Vec<Record>) -> Self {
        let mut all = Self::default();
        for record in records {
            all.add(record);
        }
        all
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::LoadBalancer {
                region,
                load_balancer,
                address,
                stanza,
                since_ms,
                stamp,
            } => {
                let key = (region, load_balancer.name.clone());
                let value = Some(Kept {
                    load_balancer,
                    address,
                });
                let said = Said {
                    value,
                    stanza,
                    since_ms,
                    stamp,
                };
                self.load_balancers.insert(key, said);
            }
            Record::Deleted {
                region,
                name,
                stanza,
                since_ms,
                stamp,
            } => {
                let said = Said {
                    value: None,
                    stanza,
                    since_ms,
                    stamp,
                };
                self.load_balancers.insert((region, name), said);
            }
            Record::Instance {
                id,
                backend,
                stanza,
                since_ms,
                stamp,
            } => {
                let said = Said {
                    value: backend,
                    stanza,
                    since_ms,
                    stamp,
                };
                self.instances.insert(id, said);
            }
            Record::Certificate {
                arn,
                files,
                stanza,
                since_ms,
            } => {
                let said = Said {
                    value: files,
                    stanza,
                    since_ms,
                    stamp: Stamp::default(),
                };
                self.certificates.insert(arn, said);
            }
            // It is not in force.
            Record::Waiting { .. } => {}
        }
    }
}

impl Regions {
    /// All that the API has changed.
    pub(in crate::control) fn records(&self) -> Vec<Record> {
        let balancers = self.changed.iter();
        let balancers = balancers.map(|((region, name), said)| match &said.value {
            Some(kept) => Record::LoadBalancer {
                region: region.clone(),
                load_balancer: Arc::clone(&kept.load_balancer),
                address: kept.address,
                stanza: said.stanza,
                since_ms: said.since_ms,
                stamp: said.stamp,
            },
            None => Record::Deleted {
                region: region.clone(),
                name: name.clone(),
                stanza: said.stanza,
                since_ms: said.since_ms,
                stamp: said.stamp,
            },
        });
        let instances = self.instances.said().iter();
        let instances = instances.map(|(id, said)| Record::Instance {
            id: id.clone(),
            backend: said.value.clone(),
            stanza: said.stanza,
            since_ms: said.since_ms,
            stamp: said.stamp,
        });
        let certificates = self.certificates.said().iter();
        let certificates = certificates.map(|(arn, said)| Record::Certificate {
            arn: arn.clone(),
            files: said.value.clone(),
            stanza: said.stanza,
            since_ms: said.since_ms,
        });
        balancers.chain(instances).chain(certificates).collect()
    }

    /// Whether the API has changed what a record is about.
    pub(super) fn knows(&self, record: &Record) -> bool {
        match record {
            Record::LoadBalancer {
                region,
                load_balancer,
                ..
            } => self.has_changed(region, &load_balancer.name),
            Record::Deleted { region, name, .. } => self.has_changed(region, name),
            Record::Instance { id, .. } => self.instances.said().contains_key(id),
            Record::Certificate { arn, .. } => self.certificates.said().contains_key(arn),
            // Whether it counts is not known before it is tried.
            Record::Waiting { .. } => true,
        }
    }

    fn has_changed(&self, region: &str, name: &str) -> bool {
        let key = (region.to_owned(), name.to_owned());
        self.changed.contains_key(&key)
    }
}

/// A record by which there is nothing to know any more of what another is about.
pub(in crate::control) fn forgetting(record: &Record) -> Record {
    match record {
        Record::LoadBalancer {
            region,
            load_balancer,
            ..
        } => Record::Deleted {
            region: region.clone(),
            name: load_balancer.name.clone(),
            stanza: None,
            since_ms: None,
            stamp: Stamp::default(),
        },
        Record::Deleted { region, name, .. } => Record::Deleted {
            region: region.clone(),
            name: name.clone(),
            stanza: None,
            since_ms: None,
            stamp: Stamp::default(),
        },
        Record::Instance { id, .. } => Record::Instance {
            id: id.clone(),
            backend: None,
            stanza: None,
            since_ms: None,
            stamp: Stamp::default(),
        },
        Record::Certificate { arn, .. } => Record::Certificate {
            arn: arn.clone(),
            files: None,
            stanza: None,
            since_ms: None,
        },
        Record::Waiting { about, .. } => Record::Waiting {
            about: about.clone(),
            record: None,
        },
    }
}
