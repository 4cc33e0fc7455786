//! Instances come to load balancers and leave them because `/v1` says so.
//!
//! Not the same by the ELB API (`act.rs`), but by the same door: what is registered is what the
//! catalog of a region has. Invariant: what is answered is in the catalog, on the disk and in
//! force.

use super::act::Beside;
use super::naming::{Parts, has_room};
use super::problem::Problem;
use super::setup::Setup;
use crate::config::DrainMode;
use crate::elb::{Action, Catalog};
use crate::limits::{BACKENDS_MAX, INSTANCES_NAMED_MAX};
use crate::state::{Command, Refusal, Stage};

impl Setup {
    /// Registers an instance, and has it be so from now on, here and wherever else it is
    /// registered; whether the load balancer did not have it yet. One whose sessions are drained
    /// stays.
    pub(super) fn register(
        &mut self,
        load_balancer: &str,
        id: &str,
        parts: &Parts,
    ) -> Result<bool, Problem> {
        let (region, name, mut catalog) = self.catalog_of(load_balancer)?;
        let is_new = !has(&catalog, &name, id);
        let one = catalog.load_balancer(&name);
        if is_new && one.is_some_and(|one| one.instances.len() >= BACKENDS_MAX) {
            return Err(Refusal::TooMany.into());
        }
        let known = self.regions.instance(id);
        let backend = parts.onto(id, known.as_ref())?;
        let before = self.regions.instances.clone();
        let mut beside = Beside::default();
        if known.as_ref() != Some(&backend) {
            let names = before.in_force();
            has_room(names, id, INSTANCES_NAMED_MAX)?;
            beside = self.saying_of_instance(id, Some(backend));
        }
        let action = Action::RegisterInstancesWithLoadBalancer(name, vec![id.to_owned()]);
        let applied = self.apply(&mut catalog, &region, &action);
        let done = applied.and_then(|_| self.follow(&region, catalog, beside));
        self.unless_done(done, |setup| setup.regions.instances = before)?;
        Ok(is_new)
    }

    /// Lets an instance leave; `mode` is what it still takes, `None`: as the attributes say. For
    /// one that leaves already, that is changed.
    pub(super) fn leave(
        &mut self,
        load_balancer: &str,
        id: &str,
        mode: Option<DrainMode>,
    ) -> Result<(), Problem> {
        let (region, name, mut catalog) = self.catalog_of(load_balancer)?;
        if !has(&catalog, &name, id) {
            if self.stage(load_balancer, id).is_none() {
                return Err(Refusal::NoBackend(id.to_owned()).into());
            }
            let command = Command::Deregister {
                load_balancer: load_balancer.into(),
                backend: id.into(),
                mode,
            };
            // It may have left in between.
            let gone = Refusal::NoBackend(id.to_owned());
            return self.wish(command).map_err(|problem| {
                if problem == gone.to_string() {
                    gone.into()
                } else {
                    Problem::Conflict(problem)
                }
            });
        }
        let action = Action::DeregisterInstancesFromLoadBalancer(name, vec![id.to_owned()]);
        self.apply(&mut catalog, &region, &action)?;
        let beside = Beside {
            mode,
            ..Beside::default()
        };
        Ok(self.follow(&region, catalog, beside)?)
    }

    /// Keeps an instance that was to leave and still waits for its sessions to end.
    pub(super) fn stay(&mut self, load_balancer: &str, id: &str) -> Result<(), Problem> {
        self.catalog_of(load_balancer)?;
        match self.stage(load_balancer, id) {
            None => Err(Refusal::NoBackend(id.to_owned()).into()),
            Some(Some(Stage::Sessions)) => {
                self.register(load_balancer, id, &Parts::default())?;
                Ok(())
            }
            Some(_) => Err(Refusal::NotDraining.into()),
        }
    }

    /// The region of a load balancer, its name there, and all that is there.
    fn catalog_of(&self, load_balancer: &str) -> Result<(String, String, Catalog), Problem> {
        let (region, name) = self.regions.split(load_balancer);
        let catalog = self.regions.catalog(region);
        if catalog.load_balancer(name).is_none() {
            return Err(Refusal::NoLoadBalancer(load_balancer.to_owned()).into());
        }
        Ok((region.to_owned(), name.to_owned(), catalog))
    }

    /// How far an instance is on its way out: `Some(None)`, it stays; `None`, it is not there.
    fn stage(&self, load_balancer: &str, id: &str) -> Option<Option<Stage>> {
        let published = self.published.borrow();
        let mut rows = published.health.iter();
        let row = rows.find(|row| (&*row.load_balancer, &*row.backend) == (load_balancer, id));
        row.map(|row| row.draining)
    }
}

/// Whether an instance is registered with a load balancer of that catalog.
fn has(catalog: &Catalog, load_balancer: &str, id: &str) -> bool {
    let one = catalog.load_balancer(load_balancer);
    one.is_some_and(|one| one.instances.iter().any(|other| other == id))
}
