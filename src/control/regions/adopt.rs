//! What another node has changed, as it is on this one.
//!
//! Not whether that can be in force (`control/adopt.rs`). Invariant: a load balancer listens where
//! it does on this node, or where this node would have it, wherever it listens on others.

use std::net::IpAddr;
use std::sync::Arc;

use super::Regions;
use crate::control::journal::Record;
use crate::elb::{self, Catalog};

impl Regions {
    /// Whether the file has what a record is about as it was where the record was made.
    pub(in crate::control) fn counts(&self, record: &Record) -> bool {
        match record {
            Record::LoadBalancer {
                region,
                load_balancer,
                stanza,
                ..
            } => *stanza == self.stanza(region, &load_balancer.name),
            Record::Deleted {
                region,
                name,
                stanza,
                ..
            } => *stanza == self.stanza(region, name),
            Record::Instance { id, stanza, .. } => *stanza == self.instances.stanza(id),
            Record::Certificate { .. } | Record::Waiting { .. } => false,
        }
    }

    /// That is known from now on; returns the record as it is on this node.
    pub(in crate::control) fn adopt(&mut self, mut record: Record) -> Record {
        let (region, catalog) = match &mut record {
            Record::LoadBalancer {
                region,
                load_balancer,
                address,
                ..
            } => {
                *address = self.address_of(region, &load_balancer.name);
                self.name_by_address(load_balancer, *address);
                let others = self.without(region, &load_balancer.name);
                let all = others.chain([Arc::clone(load_balancer)]);
                (region.clone(), all.collect())
            }
            Record::Deleted { region, name, .. } => {
                (region.clone(), self.without(region, name).collect())
            }
            Record::Instance { .. } | Record::Certificate { .. } | Record::Waiting { .. } => {
                let region = self.api.region.clone();
                let catalog: Catalog = self.catalog(&region);
                (region, catalog)
            }
        };
        self.take_in(&region, catalog, vec![record.clone()]);
        record
    }

    /// All load balancers of a region but one.
    fn without(&self, region: &str, name: &str) -> impl Iterator<Item = Arc<elb::LoadBalancer>> {
        let catalog = self.catalog(region);
        let others = catalog.load_balancers();
        let others = others.filter(|one| one.name != name);
        let others: Vec<_> = others.cloned().collect();
        others.into_iter()
    }

    /// A load balancer that has its address for a name has the one of this node.
    fn name_by_address(&self, one: &mut Arc<elb::LoadBalancer>, address: IpAddr) {
        let is_address = one.dns_name.parse::<IpAddr>().is_ok();
        if is_address && self.api.dns_suffix.is_none() && one.dns_name != address.to_string() {
            Arc::make_mut(one).dns_name = address.to_string();
        }
    }
}
