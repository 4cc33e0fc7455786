//! Actions of the ELB API are carried out: what they change is judged, kept on disk, and in force
//! when they are answered.
//!
//! Not what an action means (`elb`), nor who may ask (`admin`). Invariants: an action that fails
//! has changed nothing; one that is answered is on the disk, where there is one; shards have its
//! listeners open.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::journal::Record;
use super::setup::Setup;
use crate::config::DrainMode;
use crate::elb::{
    self, Action, Answer, Catalog, Code, Failure, Health, Limits, SubnetFacts, World,
};
use crate::health::{Reason, Status};
use crate::state::HealthRow;
use crate::sys::unix_millis;

/// An action and where its answer goes.
#[derive(Debug)]
pub(super) struct Act {
    /// Whose load balancers are meant.
    pub(super) region: String,
    pub(super) action: Action,
    /// Who asks, for the log.
    pub(super) who: String,
    pub(super) answer: oneshot::Sender<Result<Answer, Failure>>,
}

/// What changes beside a catalog.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// What is to be kept of it.
    pub(super) records: Vec<Record>,
    /// Load balancers that are otherwise by it, by region.
    pub(super) touched: Vec<(String, Arc<elb::LoadBalancer>)>,
    /// What instances that leave still take; `None`: as the attributes say.
    pub(super) mode: Option<DrainMode>,
}

impl Setup {
    /// Carries an action out and answers; the log tells of each change, and of each that failed.
    pub(super) fn act(&mut self, act: Act) {
        let Act {
            region,
            action,
            who,
            answer,
        } = act;
        let outcome = self.carry_out(&region, &action);
        let name = action.name();
        match &outcome {
            _ if action.is_read_only() => {}
            Ok(_) => tracing::info!(%who, %region, action = name, "done"),
            Err(failure) => tracing::info!(%who, %region, action = name, %failure, "refused"),
        }
        // Refused: whoever asked has gone; what was done is done.
        drop(answer.send(outcome));
    }

    fn carry_out(&mut self, region: &str, action: &Action) -> Result<Answer, Failure> {
        let mut catalog = self.regions.catalog(region);
        let answer = self.apply(&mut catalog, region, action)?;
        if !action.is_read_only() {
            self.follow(region, catalog, Beside::default())?;
        }
        Ok(answer)
    }

    /// What an action makes of a catalog of that region, and its answer.
    pub(super) fn apply(
        &self,
        catalog: &mut Catalog,
        region: &str,
        action: &Action,
    ) -> Result<Answer, Failure> {
        let published = self.published.borrow().clone();
        let health = |name: &str, id: &str| {
            let name = self.regions.full_name(region, name);
            let mut rows = published.health.iter();
            let row = rows.find(|row| *row.load_balancer == *name && *row.backend == *id);
            row.map(health)
        };
        catalog.apply(
            action,
            &World {
                now_ms: unix_millis(),
                number: unix_millis() % 10_000_000_000,
                region,
                dns_suffix: self.regions.api.dns_suffix.as_deref(),
                address: self.regions.address_of(region, name_of(action)),
                hosted_zone: "Z0ELBOW",
                is_instance: &|id| self.regions.has_instance(id),
                is_certificate: &|arn| self.regions.has_certificate(arn),
                is_public_key: &|text| crate::config::public_key(text).is_ok(),
                is_zone: &|id| self.regions.api.knows(id),
                is_security_group: &|id| self.regions.api.knows(id),
                subnet: &|id| self.subnet(id),
                health: &health,
                limits: Limits::default(),
            },
        )
    }

    /// What is known of a subnet, if there is one of this id.
    fn subnet(&self, id: &str) -> Option<SubnetFacts> {
        let api = &self.regions.api;
        api.knows(id).then(|| SubnetFacts {
            zone: None,
            vpc: api.vpc().map(str::to_owned),
        })
    }

    /// Puts in force what is otherwise in the new catalog of a region, and what changes beside it.
    ///
    /// # Errors
    /// Why that cannot be; nothing has changed.
    pub(super) fn follow(
        &mut self,
        region: &str,
        new: Catalog,
        beside: Beside,
    ) -> Result<(), Failure> {
        let Beside {
            mut records,
            touched,
            mode,
        } = beside;
        let old = self.regions.catalog(region);
        let now_ms = unix_millis();
        let is_otherwise =
            |one: &&Arc<elb::LoadBalancer>| old.load_balancer(&one.name) != Some(one);
        let before = old.load_balancers().map(|one| one.name.as_str());
        let gone: Vec<&str> = before
            .filter(|name| new.load_balancer(name).is_none())
            .collect();
        let mut wanted = Vec::new();
        for one in new.load_balancers().filter(is_otherwise) {
            let address = self.regions.address_of(region, &one.name);
            wanted.push(self.regions.lowered(region, one, address)?);
            records.push(self.regions.record(region, one, address, now_ms));
        }
        for (region, one) in &touched {
            let address = self.regions.address_of(region, &one.name);
            let again = self.regions.lowered(region, one, address)?;
            if wanted.iter().all(|other| other.name != again.name) {
                wanted.push(again);
            }
        }
        let deleted = |name: &&str| self.regions.deleted(region, name, now_ms);
        records.extend(gone.iter().map(deleted));
        let full_name = |name: &&str| Arc::from(self.regions.full_name(region, name));
        let gone: Vec<Arc<str>> = gone.iter().map(full_name).collect();
        let prepared = self.prepare(wanted, &gone);
        let prepared = prepared.map_err(|problems| refusal(&problems))?;
        let changes = self.replicas.as_mut();
        let changes = changes.map(|known| known.stamp(&mut records, now_ms));
        self.journal.append(&records).map_err(|error| {
            self.counts.journal_write_errors.add(1);
            let message = format!("The change cannot be kept on disk: {error}");
            Failure::new(Code::InternalFailure, message)
        })?;
        self.bring_about(prepared, &gone, mode);
        self.regions.take_in(region, new, records);
        if let Some((known, changes)) = self.replicas.as_mut().zip(changes) {
            known.made(changes, mode, &self.counts);
        }
        Ok(())
    }
}

/// The load balancer that an action would make.
fn name_of(action: &Action) -> &str {
    match action {
        Action::CreateLoadBalancer(new) => &new.name,
        _ => "",
    }
}

fn refusal(problems: &[String]) -> Failure {
    Failure::new(Code::InvalidConfigurationRequest, problems.join("; "))
}

/// How an instance is, in the words of the API.
fn health(row: &HealthRow) -> Health {
    match row.status {
        _ if row.draining.is_some() => Health::leaving(),
        Status::InService => Health::in_service(),
        Status::OutOfService(Reason::Registering) => Health::registering(),
        Status::OutOfService(Reason::Failed) => Health::failed(),
        Status::OutOfService(Reason::Recovering) => Health::recovering(),
    }
}
