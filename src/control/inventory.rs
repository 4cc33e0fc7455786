//! What is set up: the load balancers as they are written, their listeners, and what was made of
//! the files that they name.
//!
//! Not what shards know of it (`state`). Invariant: a load balancer that cannot be as it is written
//! stays as it was, listeners, certificates and all.

use std::sync::Arc;

use super::Files;
use super::ports::{Port, Ports, clashes};
use crate::config::{Config, LoadBalancer};
use crate::state::Bound;
use crate::sys::{Listeners, Listening, unix_seconds};

/// The load balancers of the process, as far as they are more than values.
#[derive(Debug, Default)]
pub struct Inventory {
    /// As they were written last.
    in_force: Vec<LoadBalancer>,
    ports: Ports,
    pub(super) files: Files,
    /// How often listeners have opened or closed.
    version: u64,
}

/// A load balancer that can be as it is written.
pub(super) struct Prepared {
    pub(super) wanted: LoadBalancer,
    ports: Vec<Port>,
    files: Files,
}

impl Prepared {
    /// Where its listeners accept, in order.
    pub(super) fn bound(&self) -> Vec<Bound> {
        self.ports.iter().map(|port| port.bound).collect()
    }
}

impl Inventory {
    /// Opens the listeners of a configuration, for that many shards, and says where they accept, in
    /// configuration order.
    ///
    /// # Errors
    /// Which address cannot be had, and why.
    pub fn open(
        config: &Config,
        files: Files,
        shard_count: usize,
    ) -> Result<(Self, Vec<Bound>), String> {
        if let [first, ..] = &clashes(config.load_balancers.iter())[..] {
            return Err(first.clone());
        }
        let mut ports = Ports::new(shard_count);
        let mut all = Vec::new();
        for balancer in &config.load_balancers {
            let offers = &files.certificates.offers[all.len()..];
            let terms = &files.trusts.terms[all.len()..];
            let opened = ports.open(balancer, offers, terms)?;
            all.extend(opened.iter().map(|port| port.bound));
            ports.replace(&balancer.name, opened);
        }
        let inventory = Self {
            in_force: config.load_balancers.clone(),
            ports,
            files,
            version: 1,
        };
        Ok((inventory, all))
    }

    /// What shards are to have open.
    pub fn listeners(&self) -> Listeners {
        Listeners {
            version: self.version,
            all: self.ports.listening(),
        }
    }

    /// A load balancer as it was written last.
    pub(super) fn written(&self, load_balancer: &str) -> Option<&LoadBalancer> {
        let mut all = self.in_force.iter();
        all.find(|balancer| balancer.name == *load_balancer)
    }

    /// What is to be done so that these are the load balancers: who is to be put, and who removed.
    pub(super) fn differences(
        &self,
        wanted: &[LoadBalancer],
    ) -> (Vec<LoadBalancer>, Vec<Arc<str>>) {
        let is_new = |balancer: &&LoadBalancer| !self.in_force.contains(balancer);
        let is_gone = |balancer: &&LoadBalancer| wanted.iter().all(|w| w.name != balancer.name);
        let gone = self.in_force.iter().filter(is_gone);
        (
            wanted.iter().filter(is_new).cloned().collect(),
            gone.map(|balancer| Arc::from(&*balancer.name)).collect(),
        )
    }

    /// Reads the files of load balancers that are new or otherwise, and opens those of their
    /// listeners that are new. Those `gone` are to go; all others stay.
    ///
    /// # Errors
    /// What does not hold, a line each; all is as it was.
    pub(super) fn prepare(
        &mut self,
        wanted: Vec<LoadBalancer>,
        gone: &[Arc<str>],
    ) -> Result<Vec<Prepared>, Vec<String>> {
        let stays = |old: &&LoadBalancer| {
            wanted.iter().all(|new| new.name != old.name)
                && gone.iter().all(|name| **name != *old.name)
        };
        let mut problems = clashes(self.in_force.iter().filter(stays).chain(&wanted));
        let mut all = Vec::with_capacity(wanted.len());
        for balancer in wanted {
            match self.open_for(balancer) {
                Ok(prepared) => all.push(prepared),
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() {
            Ok(all)
        } else {
            Err(problems)
        }
    }

    fn open_for(&mut self, wanted: LoadBalancer) -> Result<Prepared, Vec<String>> {
        let files = self.files.read(&wanted, unix_seconds())?;
        let (offers, terms) = (&files.certificates.offers, &files.trusts.terms);
        let ports = self.ports.open(&wanted, offers, terms);
        let ports = ports.map_err(|problem| vec![format!("{}: {problem}", wanted.name)])?;
        Ok(Prepared {
            wanted,
            ports,
            files,
        })
    }

    /// Of the new listeners those at whose address others are open, which are about to close.
    pub(super) fn successors(&self, prepared: &[Prepared]) -> Vec<Arc<Listening>> {
        let each = prepared.iter();
        each.flat_map(|one| self.ports.successors(&one.ports))
            .collect()
    }

    /// The listeners that are none in what was prepared, and those of load balancers that go, are
    /// to close. The addresses of new ones are taken already: who connects meanwhile waits there.
    pub(super) fn close_old(&mut self, prepared: &[Prepared], gone: &[Arc<str>]) {
        let mut is_closing = false;
        for one in prepared {
            is_closing |= self.ports.keep_only(&one.wanted.name, &one.ports);
        }
        for name in gone {
            is_closing |= self.ports.keep_only(name, &[]);
        }
        self.version += u64::from(is_closing);
    }

    /// The load balancer is as it was prepared.
    pub(super) fn settle(&mut self, prepared: Prepared) {
        let Prepared {
            wanted,
            ports,
            mut files,
        } = prepared;
        for (index, port) in ports.iter().enumerate() {
            files.adopt(index, &port.listening);
        }
        self.files.replace(&wanted.name, files);
        self.version += u64::from(self.ports.replace(&wanted.name, ports));
        let same = self.in_force.iter_mut().find(|b| b.name == wanted.name);
        match same {
            Some(same) => *same = wanted,
            None => self.in_force.push(wanted),
        }
    }

    /// The load balancer is gone.
    pub(super) fn remove(&mut self, load_balancer: &str) {
        self.in_force
            .retain(|balancer| balancer.name != *load_balancer);
        self.files.replace(load_balancer, Files::default());
        self.version += u64::from(self.ports.replace(load_balancer, Vec::new()));
    }
}
