//! What the ELB API knows, region by region, and how that and the configuration file become the
//! load balancers that run.
//!
//! Values only; who carries changes out is `act.rs` and `setup.rs`. Invariants: a load balancer of
//! the file that has not changed there since the API changed it is as the API has it, and one that
//! has is as the file has it; every load balancer that runs is in a catalog.

mod adopt;
mod records;
mod used;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

pub(super) use self::records::forgetting;
use self::records::{Everything, Kept};
pub(super) use self::used::Showing;
use super::journal::Record;
use super::names::{Names, Said};
use crate::config::{Api, Backend, CertificateFiles, Config, LoadBalancer};
use crate::elb::setup::{Facts, Places, lift, lower};
use crate::elb::{self, Catalog, Code, Failure};
use crate::health::{self, Stamp};

/// Region and name.
type Key = (String, String);

/// All regions.
#[derive(Debug, Default, Clone)]
pub struct Regions {
    pub(super) api: Api,
    /// Milliseconds since 1970: when the load balancers of the file are said to have been made.
    began_ms: u64,
    pub(super) instances: Names<Backend>,
    pub(super) certificates: Names<CertificateFiles>,
    /// The load balancers of the file.
    file: Vec<LoadBalancer>,
    /// What the API has changed of load balancers.
    changed: BTreeMap<Key, Said<Kept>>,
    catalogs: BTreeMap<String, Catalog>,
}

/// What the file and what the API has changed come to.
#[derive(Debug)]
pub struct Settled {
    /// What the API knows.
    pub regions: Regions,
    /// The load balancers that are to run.
    pub wanted: Vec<LoadBalancer>,
    /// For the journal: what the API had changed and counts no more, as the file was edited since.
    pub outdated: Vec<Record>,
}

impl Regions {
    /// What the file and what the API has changed come to; `now_ms` is milliseconds since 1970.
    ///
    /// # Errors
    /// What the API has set and cannot be any more, a line each.
    pub fn settle(
        config: &Config,
        records: Vec<Record>,
        now_ms: u64,
    ) -> Result<Settled, Vec<String>> {
        let about: Vec<Record> = records.iter().map(forgetting).collect();
        let mut said = Everything::of(records);
        // A tombstone says nothing here.
        said.load_balancers.retain(|_, said| !said.is_empty());
        let mut regions = Self {
            api: config.api.clone(),
            began_ms: now_ms,
            instances: Names::new(config.instances.clone(), said.instances),
            certificates: Names::new(config.certificates.clone(), said.certificates),
            file: config.load_balancers.clone(),
            changed: said.load_balancers,
            catalogs: BTreeMap::new(),
        };
        let wanted = regions.take_stock()?;
        let is_outdated = |record: &Record| !regions.knows(record);
        Ok(Settled {
            outdated: about.into_iter().filter(is_outdated).collect(),
            wanted,
            regions,
        })
    }

    /// The same with another file.
    ///
    /// # Errors
    /// Those of [`settle`](Self::settle).
    pub(super) fn with(&self, config: &Config) -> Result<Settled, Vec<String>> {
        Self::settle(config, self.records(), self.began_ms)
    }

    /// Finds out which load balancers there are, and fills the catalogs with them.
    fn take_stock(&mut self) -> Result<Vec<LoadBalancer>, Vec<String>> {
        let mut known: BTreeMap<String, Vec<Arc<elb::LoadBalancer>>> = BTreeMap::new();
        let mut wanted = Vec::new();
        let mut problems = Vec::new();
        let host = self.api.region.clone();
        for balancer in self.file.clone() {
            let lifted = self.lifted(&balancer);
            let key = (host.clone(), balancer.name.clone());
            match self.changed.get(&key) {
                Some(said) if said.stanza == Some(stanza(&lifted)) => {}
                // What the API has changed is older than the file.
                _ => {
                    self.changed.remove(&key);
                    self.use_names_of(&balancer);
                    match self.as_named(&balancer) {
                        Ok(balancer) => wanted.push(balancer),
                        Err(problem) => problems.push(problem),
                    }
                    let known = known.entry(host.clone()).or_default();
                    known.push(Arc::new(lifted));
                }
            }
        }
        let file: BTreeSet<&str> = self.file.iter().map(|b| b.name.as_str()).collect();
        // What the API has changed of a load balancer that the file has no more goes with it.
        self.changed.retain(|(region, name), said| {
            said.stanza.is_none() || (*region == host && file.contains(name.as_str()))
        });
        for ((region, name), said) in &self.changed {
            let Some(kept) = &said.value else { continue };
            match self.lowered(region, &kept.load_balancer, kept.address) {
                Ok(balancer) => wanted.push(balancer),
                Err(failure) => problems.push(format!("{name}: {failure}")),
            }
            let known = known.entry(region.clone()).or_default();
            known.push(Arc::clone(&kept.load_balancer));
        }
        let catalogs = known.into_iter();
        self.catalogs = catalogs
            .map(|(region, all)| (region, all.into_iter().collect()))
            .collect();
        if problems.is_empty() {
            Ok(wanted)
        } else {
            Err(problems)
        }
    }

    /// The load balancers that are to run: those that are as the file has them, then those that are
    /// as the API has them.
    pub(super) fn all(&self) -> Vec<LoadBalancer> {
        self.each().filter_map(Result::ok).collect()
    }

    /// The same.
    ///
    /// # Errors
    /// Why one of them cannot be.
    pub(super) fn try_all(&self) -> Result<Vec<LoadBalancer>, String> {
        self.each().collect()
    }

    fn each(&self) -> impl Iterator<Item = Result<LoadBalancer, String>> {
        let key = |balancer: &LoadBalancer| (self.api.region.clone(), balancer.name.clone());
        let of_file = self.file.iter();
        let of_file = of_file.filter(move |balancer| !self.changed.contains_key(&key(balancer)));
        let of_file = of_file.map(|balancer| self.as_named(balancer));
        let of_api = self.changed.iter().filter_map(|((region, name), said)| {
            let kept = said.value.as_ref()?;
            let lowered = self.lowered(region, &kept.load_balancer, kept.address);
            Some(lowered.map_err(|failure| format!("{name}: {failure}")))
        });
        of_file.chain(of_api)
    }

    /// What is known of a region.
    pub(super) fn catalog(&self, region: &str) -> Catalog {
        self.catalogs.get(region).cloned().unwrap_or_default()
    }

    /// That is known of it from now on, and this was changed.
    pub(super) fn take_in(&mut self, region: &str, catalog: Catalog, records: Vec<Record>) {
        self.catalogs.insert(region.to_owned(), catalog);
        let said = Everything::of(records);
        for (key, said) in said.load_balancers {
            if said.is_empty() {
                self.changed.remove(&key);
            } else {
                self.changed.insert(key, said);
            }
        }
        for (id, said) in said.instances {
            self.instances.take_in(id, said);
        }
        for (arn, said) in said.certificates {
            self.certificates.take_in(arn, said);
        }
    }

    /// The region of a load balancer among all that run, and its name there.
    pub(super) fn split<'n>(&'n self, full_name: &'n str) -> (&'n str, &'n str) {
        match full_name.split_once('/') {
            // Those of the host's own region have no other name.
            Some((region, name)) if region != self.api.region => (region, name),
            Some(_) | None => (&self.api.region, full_name),
        }
    }

    /// All load balancers, each with its region.
    pub(super) fn load_balancers(&self) -> impl Iterator<Item = (&str, &Arc<elb::LoadBalancer>)> {
        let catalogs = self.catalogs.iter();
        catalogs.flat_map(|(region, catalog)| {
            let all = catalog.load_balancers();
            all.map(move |one| (region.as_str(), one))
        })
    }

    /// Whether an ARN leads to a certificate.
    pub(super) fn has_certificate(&self, arn: &str) -> bool {
        self.certificates.in_force().contains_key(arn) || self.is_of_file(arn)
    }

    /// Whether an ARN was made up for a certificate that a listener of the file names by its path.
    fn is_of_file(&self, arn: &str) -> bool {
        let listeners = self.file.iter().flat_map(|balancer| &balancer.listeners);
        let mut firsts = listeners.filter_map(|one| one.tls.as_ref()?.certificates.first());
        firsts.any(|files| files.file_arn() == arn)
    }

    /// Whether an instance id leads to an address.
    pub(super) fn has_instance(&self, id: &str) -> bool {
        self.instance(id).is_some()
    }

    /// Where an instance id leads.
    pub(super) fn instance(&self, id: &str) -> Option<Backend> {
        Backend::by_id(id, self.instances.in_force())
    }

    /// The name of a load balancer among all that run.
    pub(super) fn full_name(&self, region: &str, name: &str) -> String {
        format!("{}{name}", self.prefix(region))
    }

    fn prefix(&self, region: &str) -> String {
        if region == self.api.region {
            String::new()
        } else {
            format!("{region}/")
        }
    }

    /// Where a load balancer listens: where it does already, or at an address of the pool that no
    /// other has.
    pub(super) fn address_of(&self, region: &str, name: &str) -> IpAddr {
        let key = (region.to_owned(), name.to_owned());
        if let Some(kept) = self.changed.get(&key).and_then(|said| said.value.as_ref()) {
            return kept.address;
        }
        let written = self.written(region, name).and_then(|b| b.listeners.first());
        written.map_or_else(|| self.free_address(), |listener| listener.address.ip())
    }

    fn free_address(&self) -> IpAddr {
        let kept = self.changed.values().filter_map(|said| said.value.as_ref());
        let taken: BTreeSet<IpAddr> = kept.map(|kept| kept.address).collect();
        let first = self.api.address(0).expect("a pool has an address");
        let mut all = (0..).map_while(|index| self.api.address(index));
        // All are taken: one is shared, and two listeners on one port get in each other's way.
        all.find(|address| !taken.contains(address))
            .unwrap_or(first)
    }

    /// A load balancer as it is to run.
    ///
    /// # Errors
    /// What it names leads nowhere.
    pub(super) fn lowered(
        &self,
        region: &str,
        one: &elb::LoadBalancer,
        address: IpAddr,
    ) -> Result<LoadBalancer, Failure> {
        let places = Places {
            address,
            instance: &|id| self.instance(id),
            certificate: &|arn| self.certificates.in_force().get(arn).cloned(),
        };
        let written = self.written(region, &one.name);
        let written = written.map(|balancer| self.as_named(balancer)).transpose();
        let written = written.map_err(|problem| Failure::new(Code::InvalidInstance, problem))?;
        lower(one, written.as_ref(), &self.prefix(region), &places)
    }

    /// What is to be kept of a load balancer; it has no stamp yet.
    pub(super) fn record(
        &self,
        region: &str,
        load_balancer: &Arc<elb::LoadBalancer>,
        address: IpAddr,
        now_ms: u64,
    ) -> Record {
        Record::LoadBalancer {
            region: region.to_owned(),
            load_balancer: Arc::clone(load_balancer),
            address,
            stanza: self.stanza(region, &load_balancer.name),
            since_ms: Some(now_ms),
            stamp: Stamp::default(),
        }
    }

    /// What is to be kept of one that is gone; it has no stamp yet.
    pub(super) fn deleted(&self, region: &str, name: &str, now_ms: u64) -> Record {
        Record::Deleted {
            region: region.to_owned(),
            name: name.to_owned(),
            stanza: self.stanza(region, name),
            since_ms: Some(now_ms),
            stamp: Stamp::default(),
        }
    }

    /// The load balancer as the file has it.
    fn written(&self, region: &str, name: &str) -> Option<&LoadBalancer> {
        let mut all = self.file.iter().filter(|_| region == self.api.region);
        all.find(|balancer| balancer.name == name)
    }

    fn stanza(&self, region: &str, name: &str) -> Option<u64> {
        let written = self.written(region, name)?;
        Some(stanza(&self.lifted(written)))
    }

    fn lifted(&self, balancer: &LoadBalancer) -> elb::LoadBalancer {
        let region = &self.api.region;
        let suffix = self.api.dns_suffix.as_ref();
        let dns_name = suffix.map(|suffix| format!("{}.{region}.{suffix}", balancer.name));
        let facts = Facts {
            region,
            created_ms: self.began_ms,
            dns_name: dns_name.as_deref(),
            arn: &|files| self.arn_of(files),
        };
        lift(balancer, &facts)
    }
}

/// A number that says whether the file's words, as far as the API has them too, are still the same.
fn stanza(lifted: &elb::LoadBalancer) -> u64 {
    let timeless = elb::LoadBalancer {
        created_ms: 0,
        dns_name: String::new(),
        ..lifted.clone()
    };
    let json = serde_json::to_vec(&timeless).expect("text, numbers and lists are valid JSON");
    health::key_hash(&json)
}

#[cfg(test)]
mod tests;
