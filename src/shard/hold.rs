//! A backend's place that a request has, counted as outstanding as long as it is held.
//!
//! Invariant: each place is given back once, whatever becomes of its holder.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::surge::Surge;
use crate::state::{Backend, BackendLine, PerShard};

/// A backend that has an exchange, counted until it has answered.
#[derive(Debug)]
pub(super) struct Held<'a> {
    surge: &'a Rc<Surge>,
    backend: &'a Backend,
    /// 32 bits, as it lies in the task of every connection.
    index: u32,
    is_counted: Cell<bool>,
}

impl<'a> Held<'a> {
    /// Takes a place on the backend with that index, if it has one left.
    pub(super) fn take(
        surge: &'a Rc<Surge>,
        backends: &'a [Backend],
        index: usize,
    ) -> Option<Self> {
        let backend = &backends[index];
        surge.take(backend).then(|| Self {
            surge,
            backend,
            index: u32::try_from(index).expect("limits::BACKENDS_MAX are fewer"),
            is_counted: Cell::new(true),
        })
    }

    /// The backend's index among its route's.
    pub(super) fn index(&self) -> usize {
        self.index as usize
    }

    /// The backend's counters of this shard.
    pub(super) fn counts(&self) -> &'a BackendLine {
        self.surge.line(&self.backend.counts)
    }

    /// The answer is here, to its last byte; how long its client takes to read it is not the
    /// backend's load.
    pub(super) fn has_answered(&self) {
        if self.is_counted.replace(false) {
            let is_bounded = self.backend.max_outstanding.is_some();
            self.surge.give_back(&self.backend.counts, is_bounded);
        }
    }

    /// The same place, for what outlives the exchange.
    pub(super) fn keep(self) -> Kept {
        let is_counted = self.is_counted.replace(false);
        debug_assert!(is_counted, "an exchange that goes on has no whole answer");
        Kept::counted(self.surge, self.backend)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.has_answered();
    }
}

/// A backend that has a relayed connection, counted until that ends. It holds no snapshot.
#[derive(Debug)]
pub(super) struct Kept {
    surge: Rc<Surge>,
    counts: Arc<PerShard<BackendLine>>,
}

impl Kept {
    /// Takes a place on the backend, if it has one left.
    pub(super) fn take(surge: &Rc<Surge>, backend: &Backend) -> Option<Self> {
        surge.take(backend).then(|| Self::counted(surge, backend))
    }

    fn counted(surge: &Rc<Surge>, backend: &Backend) -> Self {
        Self {
            surge: Rc::clone(surge),
            counts: Arc::clone(&backend.counts),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Whether others wait is looked for in any case: by now the backend may have a bound.
        self.surge.give_back(&self.counts, true);
    }
}
