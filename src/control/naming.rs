//! Names that `/v1` gives: addresses to instance ids, files to the ARNs of certificates.
//!
//! Not which entry goes before which (`names.rs`), nor what is in a certificate's files
//! (`certificates.rs`). Invariants: a name is on the disk and in force on every load balancer that
//! uses it when it is answered; one that is used is not taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::act::Beside;
use super::journal::Record;
use super::names::Names;
use super::problem::Problem;
use super::regions::Showing;
use super::setup::Setup;
use crate::config::{Backend, CertificateFiles};
use crate::elb::{self, Failure};
use crate::limits::{CERTIFICATES_NAMED_MAX, INSTANCES_NAMED_MAX};
use crate::sys::unix_millis;

/// Who said what a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The configuration file.
    File,
    /// `/v1`.
    Api,
    /// Nobody: the id is an address.
    Id,
}

/// An instance id and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) backend: Backend,
    pub(super) source: Source,
    /// The load balancers that it is registered with.
    pub(super) load_balancers: Vec<String>,
}

/// A certificate's ARN and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) arn: String,
    pub(super) files: CertificateFiles,
    pub(super) source: Source,
    /// The listeners that show it: load balancer and port.
    pub(super) listeners: Vec<(String, u16)>,
}

/// What may be said of an instance; what is left out stays as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    pub(super) address: Option<String>,
    pub(super) port: Option<u64>,
    pub(super) weight: Option<u64>,
}

impl Parts {
    /// The instance that this makes of one that is known, or a new one by the rules and defaults
    /// of `[[instance]]`.
    pub(super) fn onto(&self, id: &str, known: Option<&Backend>) -> Result<Backend, Problem> {
        let is_address = Backend::by_id(id, &BTreeMap::new()).is_some();
        // An address says itself where it is.
        let place = known.filter(|_| !is_address);
        let address = place.map(|known| known.address.to_string());
        let address = self.address.as_deref().or(address.as_deref());
        let port = self.port.or_else(|| place?.port.map(u64::from));
        let weight = self.weight.or_else(|| Some(known?.weight.into()));
        Backend::from_parts(id, address, port, weight)
            .map_err(|(key, mistake)| Problem::Malformed(format!("{key} {mistake}")))
    }
}

impl Setup {
    /// All instances that have a name or are registered, in order of their ids.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let mut all: BTreeMap<&str, Instance> = BTreeMap::new();
        let names = &self.regions.instances;
        for (id, backend) in names.in_force() {
            let named = Instance {
                backend: backend.clone(),
                source: source(names, id),
                load_balancers: Vec::new(),
            };
            all.insert(id, named);
        }
        for (region, one) in self.regions.load_balancers() {
            for id in &one.instances {
                let Some(backend) = self.regions.instance(id) else {
                    continue;
                };
                let instance = all.entry(id).or_insert_with(|| Instance {
                    backend,
                    source: Source::Id,
                    load_balancers: Vec::new(),
                });
                let name = self.regions.full_name(region, &one.name);
                instance.load_balancers.push(name);
            }
        }
        all.into_values().collect()
    }

    /// The one of that id.
    pub(super) fn instance(&self, id: &str) -> Result<Instance, Problem> {
        let mut all = self.instances().into_iter();
        let found = all.find(|instance| instance.backend.id == id);
        found.ok_or_else(|| Problem::Unknown(format!("no instance has the id `{id}`")))
    }

    /// Has an id lead there from now on; whether it was new.
    pub(super) fn name_instance(&mut self, backend: Backend) -> Result<bool, Problem> {
        let id = backend.id.clone();
        let names = self.regions.instances.in_force();
        let is_new = !names.contains_key(&id);
        has_room(names, &id, INSTANCES_NAMED_MAX)?;
        let (address, port, weight) = (backend.address, backend.port, backend.weight);
        self.say_of_instance(&id, Some(backend))?;
        tracing::info!(instance = id, %address, port, weight, "instance named");
        Ok(is_new)
    }

    /// Has an id lead nowhere.
    pub(super) fn forget_instance(&mut self, id: &str) -> Result<(), Problem> {
        if !self.regions.instances.in_force().contains_key(id) {
            return Err(Problem::Unknown(format!("no instance has the name `{id}`")));
        }
        // One that leaves may be told to stay.
        let published = self.published.borrow().clone();
        let mut rows = published.health.iter();
        if let Some(row) = rows.find(|row| *row.backend == *id) {
            let name = &row.load_balancer;
            let clause = format!("load balancer `{name}` has it; deregister it there first");
            return Err(Problem::Conflict(clause));
        }
        self.say_of_instance(id, None)?;
        tracing::info!(instance = id, "name of instance taken away");
        Ok(())
    }

    fn say_of_instance(&mut self, id: &str, backend: Option<Backend>) -> Result<(), Problem> {
        let before = self.regions.instances.clone();
        let beside = self.saying_of_instance(id, backend);
        let region = self.regions.api.region.clone();
        let catalog = self.regions.catalog(&region);
        let done = self.follow(&region, catalog, beside);
        self.unless_done(done, |setup| setup.regions.instances = before)
    }

    /// Has it in the names, and says what that changes.
    pub(super) fn saying_of_instance(&mut self, id: &str, backend: Option<Backend>) -> Beside {
        let names = &mut self.regions.instances;
        if names.in_force().get(id) == backend.as_ref() {
            return Beside::default();
        }
        let said = names.saying(id, backend, unix_millis());
        names.take_in(id.to_owned(), said.clone());
        let has_it = |one: &elb::LoadBalancer| one.instances.iter().any(|other| other == id);
        let touched = self.regions.load_balancers();
        let touched = touched.filter(|(_, one)| has_it(one));
        Beside {
            records: vec![Record::Instance {
                id: id.to_owned(),
                backend: said.value,
                stanza: said.stanza,
                since_ms: said.since_ms,
                stamp: said.stamp,
            }],
            touched: touched.map(owned).collect(),
            mode: None,
        }
    }

    /// All certificates that have a name, in order of their ARNs.
    pub(super) fn certificates(&self) -> Vec<Named> {
        let names = &self.regions.certificates;
        let mut shown = self.regions.shown();
        let listener = |showing: Showing<'_>| {
            let name = &showing.one.name;
            let name = self.regions.full_name(showing.region, name);
            (name, showing.port)
        };
        let all = names.in_force().iter();
        all.map(|(arn, files)| {
            let listeners = shown.remove(arn).unwrap_or_default();
            Named {
                arn: arn.clone(),
                files: files.clone(),
                source: source(names, arn),
                listeners: listeners.into_iter().map(listener).collect(),
            }
        })
        .collect()
    }

    /// Has an ARN stand for those files from now on; whether it was new. They were read and hold.
    pub(super) fn name_certificate(
        &mut self,
        arn: &str,
        files: CertificateFiles,
    ) -> Result<bool, Problem> {
        let names = self.regions.certificates.in_force();
        let is_new = !names.contains_key(arn);
        has_room(names, arn, CERTIFICATES_NAMED_MAX)?;
        let file = files.chain.display().to_string();
        self.say_of_certificate(arn, Some(files))?;
        tracing::info!(arn, file, "certificate named");
        Ok(is_new)
    }

    /// Has an ARN stand for nothing.
    pub(super) fn forget_certificate(&mut self, arn: &str) -> Result<(), Problem> {
        if !self.regions.certificates.in_force().contains_key(arn) {
            let clause = format!("no certificate has the ARN `{arn}`");
            return Err(Problem::Unknown(clause));
        }
        if let Some([showing, ..]) = self.regions.shown().get(arn).map(Vec::as_slice) {
            let name = self.regions.full_name(showing.region, &showing.one.name);
            let clause = format!("load balancer `{name}` shows it at port {}", showing.port);
            return Err(Problem::Conflict(clause));
        }
        self.say_of_certificate(arn, None)?;
        tracing::info!(arn, "name of certificate taken away");
        Ok(())
    }

    fn say_of_certificate(
        &mut self,
        arn: &str,
        files: Option<CertificateFiles>,
    ) -> Result<(), Problem> {
        if self.regions.certificates.in_force().get(arn) == files.as_ref() {
            return Ok(());
        }
        let before = self.regions.certificates.clone();
        let said = before.saying(arn, files, unix_millis());
        let mut shown = self.regions.shown();
        let touched = shown.remove(arn).unwrap_or_default().into_iter();
        let beside = Beside {
            touched: touched
                .map(|showing| owned((showing.region, showing.one)))
                .collect(),
            records: vec![Record::Certificate {
                arn: arn.to_owned(),
                files: said.value.clone(),
                stanza: said.stanza,
                since_ms: said.since_ms,
            }],
            mode: None,
        };
        self.regions.certificates.take_in(arn.to_owned(), said);
        let region = self.regions.api.region.clone();
        let catalog = self.regions.catalog(&region);
        let done = self.follow(&region, catalog, beside);
        self.unless_done(done, |setup| setup.regions.certificates = before)
    }

    /// Takes back what was done to the names if the rest could not be.
    pub(super) fn unless_done(
        &mut self,
        done: Result<(), Failure>,
        take_back: impl FnOnce(&mut Self),
    ) -> Result<(), Problem> {
        done.map_err(|failure| {
            take_back(self);
            failure.into()
        })
    }
}

fn owned((region, one): (&str, &Arc<elb::LoadBalancer>)) -> (String, Arc<elb::LoadBalancer>) {
    (region.to_owned(), Arc::clone(one))
}

fn source<T>(names: &Names<T>, name: &str) -> Source {
    match names.said().contains_key(name) {
        true => Source::Api,
        false => Source::File,
    }
}

pub(super) fn has_room<T>(
    names: &BTreeMap<String, T>,
    name: &str,
    most: usize,
) -> Result<(), Problem> {
    if names.len() < most || names.contains_key(name) {
        return Ok(());
    }
    Err(Problem::Conflict(format!(
        "there are {most} names already, which is as many as may be"
    )))
}
