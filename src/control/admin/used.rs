//! Signatures that have changed something: each does so once.
//!
//! Not how one is verified (`signature.rs`). Pure: time comes in. Invariant: a signature that
//! [`Used::take`] took is not taken again, also by another process that is started later, unless it
//! was given back; at the bound nothing is forgotten, and nothing more is taken.

use std::collections::BTreeSet;

use super::signature::Claim;
use crate::state::AdminRefusal;

/// Those that were taken and are not out of date.
#[derive(Debug)]
pub(super) struct Used {
    /// By the time when they are out of date, in seconds since 1970.
    taken: BTreeSet<(u64, [u8; 32])>,
    most: usize,
    /// What was signed before it may have been used in an earlier process.
    began: u64,
    /// The latest that it has been. A clock that is set back makes none valid that was forgotten.
    latest: u64,
}

impl Used {
    /// None yet, from `began` on, in seconds since 1970; `most` of them at once.
    pub(super) fn new(began: u64, most: usize) -> Self {
        Self {
            taken: BTreeSet::new(),
            most,
            began,
            latest: began,
        }
    }

    /// Takes a signature that has been verified and holds at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// It was used or may have been, or as many are remembered as may be.
    pub(super) fn take(&mut self, claim: &Claim, now: u64) -> Result<(), AdminRefusal> {
        self.latest = self.latest.max(now);
        self.forget();
        let ends_at = claim.ends_at();
        let entry = (ends_at, claim.signature);
        if claim.signed_at < self.began || ends_at < self.latest || self.taken.contains(&entry) {
            return Err(AdminRefusal::Replay);
        }
        if self.taken.len() == self.most {
            return Err(AdminRefusal::ReplayTableFull);
        }
        self.taken.insert(entry);
        Ok(())
    }

    /// Nothing was done with it after all.
    pub(super) fn give_back(&mut self, claim: &Claim) {
        self.taken.remove(&(claim.ends_at(), claim.signature));
    }

    fn forget(&mut self) {
        while self
            .taken
            .first()
            .is_some_and(|(ends_at, _)| *ends_at < self.latest)
        {
            self.taken.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::SIGNATURE_SKEW;

    const BEGAN: u64 = 1_000_000;

    fn claim(signed_at: u64, number: u8) -> Claim {
        Claim::of_header("A", signed_at, [number; 32])
    }

    #[test]
    fn one_is_taken_once() {
        let mut used = Used::new(BEGAN, 10);
        let (one, other) = (claim(BEGAN, 1), claim(BEGAN, 2));
        assert_eq!(used.take(&one, BEGAN), Ok(()));
        assert_eq!(used.take(&one, BEGAN + 1), Err(AdminRefusal::Replay));
        assert_eq!(used.take(&other, BEGAN + 1), Ok(()));
        used.give_back(&one);
        assert_eq!(used.take(&one, BEGAN + 2), Ok(()));
    }

    #[test]
    fn what_an_earlier_process_may_have_taken_is_not() {
        let mut used = Used::new(BEGAN, 10);
        let before = claim(BEGAN - 1, 1);
        assert_eq!(used.take(&before, BEGAN), Err(AdminRefusal::Replay));
    }

    #[test]
    fn at_the_bound_nothing_is_forgotten_before_its_time() {
        let mut used = Used::new(BEGAN, 2);
        let ends_at = claim(BEGAN, 1).ends_at();
        assert_eq!(used.take(&claim(BEGAN, 1), BEGAN), Ok(()));
        assert_eq!(used.take(&claim(BEGAN, 2), BEGAN), Ok(()));
        let full = Err(AdminRefusal::ReplayTableFull);
        assert_eq!(used.take(&claim(BEGAN + 1, 3), ends_at), full);
        assert_eq!(
            used.take(&claim(BEGAN, 1), ends_at),
            Err(AdminRefusal::Replay)
        );
        assert_eq!(used.take(&claim(BEGAN + 1, 3), ends_at + 1), Ok(()));
        assert_eq!(used.taken.len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_brings_none_back() {
        let mut used = Used::new(BEGAN, 10);
        let one = claim(BEGAN, 1);
        assert_eq!(used.take(&one, BEGAN), Ok(()));
        let later = one.ends_at() + 1;
        assert_eq!(used.take(&claim(later, 2), later), Ok(()));
        assert_eq!(used.take(&one, BEGAN), Err(AdminRefusal::Replay));
    }

    proptest! {
        /// Against a record that forgets nothing and has no bound.
        #[test]
        fn none_is_taken_twice(
            most in 1_usize..6,
            steps in proptest::collection::vec((0_u64..40, 0_u8..8, 0_u64..60), 1..80),
        ) {
            let mut used = Used::new(BEGAN, most);
            let mut ever = BTreeSet::new();
            let mut now = BEGAN;
            for (later, number, behind) in steps {
                now += later * 10;
                let signed_at = now - behind;
                let taken = used.take(&claim(signed_at, number), now);
                let is_new = signed_at >= BEGAN && !ever.contains(&(signed_at, number));
                let alive = ever.iter().filter(|(signed, _)| {
                    signed + SIGNATURE_SKEW.as_secs() >= now
                });
                let expected = match (is_new, alive.count() < most) {
                    (false, _) => Err(AdminRefusal::Replay),
                    (true, false) => Err(AdminRefusal::ReplayTableFull),
                    (true, true) => Ok(()),
                };
                prop_assert_eq!(taken, expected);
                if taken.is_ok() {
                    ever.insert((signed_at, number));
                }
            }
        }
    }
}
