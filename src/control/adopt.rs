//! What other nodes have changed comes to be in force on this one.
//!
//! Not who has the last word (`replicas`), nor what is judged: the node where it was asked for has
//! judged it. Invariants: a change is in the journal when it is in force; one that cannot be in
//! force leaves all as it was, is kept, reported, and tried again.

use std::slice;

use super::journal::Record;
use super::replicas::{OF_FILE, Replica};
use super::setup::Setup;
use crate::limits::REPLICAS_AT_ONCE;

/// How often a batch is gone through that is not in force as a whole: an instance has to be there
/// before a load balancer that has it, and can go after that.
const ROUNDS: usize = 3;

impl Setup {
    /// Takes in what other nodes have changed.
    pub(super) fn adopt(&mut self, replicas: Vec<Replica>) {
        if let Some(known) = &mut self.replicas {
            known.receive(replicas, &self.counts);
            self.try_waiting();
        }
    }

    /// Forgets what was deleted long ago, and tries again what waits.
    pub(super) fn try_waiting(&mut self) {
        let Some(known) = &mut self.replicas else {
            return;
        };
        let forgotten = known.begin_try(&self.counts);
        let (fresh, others) = known.waiting();
        // What stays in the journal is forgotten after the next start.
        drop(self.keep(&forgotten));
        let (together, alone): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|key| self.counts_here(key));
        let mut left = [alone, others].concat();
        for batch in together.chunks(REPLICAS_AT_ONCE) {
            if batch.len() < 2 || self.bring_in(batch).is_err() {
                left.extend_from_slice(batch);
            }
        }
        // Instances first.
        left.sort_unstable();
        let problems = self.bring_in_each(left);
        let Some(known) = &mut self.replicas else {
            return;
        };
        let records = problems.iter();
        let records = records.filter_map(|(key, why)| known.cannot_come(key, why));
        let records: Vec<Record> = records.collect();
        known.count(&self.counts);
        for batch in records.chunks(REPLICAS_AT_ONCE) {
            let is_kept = self.keep(batch).is_ok();
            let known = self.replicas.as_mut().filter(|_| is_kept);
            known.into_iter().for_each(|known| known.are_kept(batch));
        }
    }

    /// Brings in force what can be, one after the other; returns the rest, and why.
    fn bring_in_each(&mut self, mut left: Vec<String>) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for _ in 0..ROUNDS {
            problems.clear();
            for key in &left {
                if let Err(why) = self.bring_in(slice::from_ref(key)) {
                    problems.push((key.clone(), why));
                }
            }
            if problems.is_empty() || problems.len() == left.len() {
                break;
            }
            left = problems.iter().map(|(key, _)| key.clone()).collect();
        }
        problems
    }

    /// Whether this node's file has what a change is about as the node had it that made it.
    fn counts_here(&self, key: &str) -> bool {
        let known = self.replicas.as_ref();
        let candidate = known.and_then(|known| known.candidate(key));
        candidate.is_some_and(|(record, _)| self.regions.counts(&record))
    }

    /// Has all of these be in force.
    ///
    /// # Errors
    /// Why they cannot; nothing has changed.
    fn bring_in(&mut self, keys: &[String]) -> Result<(), String> {
        let Some(known) = &self.replicas else {
            return Ok(());
        };
        let mut next = self.regions.clone();
        let mut records = Vec::new();
        for key in keys {
            let Some((record, ended)) = known.candidate(key) else {
                continue;
            };
            if !next.counts(&record) {
                return Err(OF_FILE.to_owned());
            }
            records.push(next.adopt(record));
            records.extend(ended);
        }
        // One that says how instances leave comes alone.
        let mode = keys.first().and_then(|key| known.mode(key));
        let (wanted, gone) = self.inventory.differences(&next.try_all()?);
        let prepared = self.prepare(wanted, &gone);
        let prepared = prepared.map_err(|problems| problems.join("; "))?;
        self.keep(&records)?;
        self.bring_about(prepared, &gone, mode);
        self.regions = next;
        if let Some(known) = &mut self.replicas {
            for key in keys {
                known.has_come(key, &self.counts);
            }
        }
        Ok(())
    }

    /// Has the journal hold records.
    ///
    /// # Errors
    /// Why it cannot; that is counted.
    fn keep(&mut self, records: &[Record]) -> Result<(), String> {
        self.journal.append(records).map_err(|error| {
            self.counts.journal_write_errors.add(1);
            format!("the change cannot be kept on disk: {error}")
        })
    }
}

#[cfg(test)]
mod tests;
