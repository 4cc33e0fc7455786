//! Which load balancers use which names, and what those stand for there.
//!
//! Not who gives a name (`names.rs`). Invariant: a load balancer of the file goes by the names that
//! are in force, as one that the API has made does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Regions;
use crate::config::{Backend, CertificateFiles, LoadBalancer};
use crate::elb;

/// A listener that shows a certificate.
pub(in crate::control) struct Showing<'r> {
    pub(in crate::control) region: &'r str,
    /// Its load balancer.
    pub(in crate::control) one: &'r Arc<elb::LoadBalancer>,
    pub(in crate::control) port: u16,
}

impl Regions {
    /// The listeners that show certificates with a name, by its ARN.
    pub(in crate::control) fn shown(&self) -> BTreeMap<String, Vec<Showing<'_>>> {
        let mut shown: BTreeMap<String, Vec<Showing<'_>>> = BTreeMap::new();
        for (region, one) in self.load_balancers() {
            for listener in &one.listeners {
                let first = listener.certificate.clone();
                let further = self.further(region, &one.name, listener.port);
                let further = further.filter_map(|files| self.arn_of(files));
                for arn in first.into_iter().chain(further) {
                    let port = listener.port;
                    let listeners = shown.entry(arn).or_default();
                    listeners.push(Showing { region, one, port });
                }
            }
        }
        shown
    }

    /// What a listener of the file has for clients that name another host, of which the API knows
    /// nothing.
    fn further(
        &self,
        region: &str,
        name: &str,
        port: u16,
    ) -> impl Iterator<Item = &CertificateFiles> {
        let written = self.written(region, name).into_iter();
        let listeners = written.flat_map(|one| &one.listeners);
        let at_port = listeners.filter(move |one| one.address.port() == port);
        let tls = at_port.filter_map(|one| one.tls.as_ref());
        tls.flat_map(|tls| &tls.certificates[1..])
    }

    /// A load balancer of the file that is in force as it is there has the names that it uses, also
    /// those that the API has taken away.
    pub(super) fn use_names_of(&mut self, balancer: &LoadBalancer) {
        for backend in &balancer.backends {
            self.instances.give_back(&backend.id);
        }
        if self.certificates.said().is_empty() {
            return;
        }
        for files in certificates_of(balancer) {
            if let Some(arn) = self.arn_of(files) {
                self.certificates.give_back(&arn);
            }
        }
    }

    /// A load balancer of the file, with what its names stand for now.
    pub(super) fn as_named(&self, balancer: &LoadBalancer) -> Result<LoadBalancer, String> {
        let mut named = balancer.clone();
        for backend in &mut named.backends {
            if let Some(now) = self.instances.in_force().get(&backend.id) {
                backend.clone_from(now);
            }
        }
        let mut places = BTreeMap::new();
        for Backend {
            id, address, port, ..
        } in &named.backends
        {
            if let Some(other) = places.insert((address, port), id) {
                let name = &named.name;
                return Err(format!("{name}: {other} and {id} are the same instance"));
            }
        }
        if self.certificates.said().is_empty() {
            return Ok(named);
        }
        let tls = named
            .listeners
            .iter_mut()
            .filter_map(|one| one.tls.as_mut());
        for files in tls.flat_map(|tls| &mut tls.certificates) {
            let arn = self.arn_of(files);
            let now = arn.and_then(|arn| self.certificates.in_force().get(&arn));
            if let Some(now) = now {
                files.clone_from(now);
            }
        }
        Ok(named)
    }

    /// The ARN that the file gives to files.
    pub(super) fn arn_of(&self, files: &CertificateFiles) -> Option<String> {
        let mut all = self.certificates.of_file().iter();
        all.find(|(_, named)| *named == files)
            .map(|(arn, _)| arn.clone())
    }
}

/// All certificates that the listeners of a load balancer show.
fn certificates_of(balancer: &LoadBalancer) -> impl Iterator<Item = &CertificateFiles> {
    let tls = balancer.listeners.iter().filter_map(|one| one.tls.as_ref());
    tls.flat_map(|tls| &tls.certificates)
}
