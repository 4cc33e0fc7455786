//! How long something took, counted by powers of two.
//!
//! Not an average: what the slowest of a hundred had to wait is read from the buckets. Invariant:
//! it has one writer, as all that is [`Count`]ed.

use std::time::Duration;

use super::Count;

/// Durations by how long they were, each counted once.
#[derive(Debug, Default)]
pub struct Histogram {
    /// How many were at most as long as the bound of the same index, and longer than the one
    /// before; the last has those that were longer than all bounds.
    buckets: [Count; Self::BOUNDS + 1],
    /// All together, in nanoseconds.
    sum: Count,
}

impl Histogram {
    /// How many bounds there are: a quarter of a millisecond, twice as much, and so on up to a
    /// minute, which is as long as a backend may take by default.
    const BOUNDS: usize = 19;

    /// The first bound, in nanoseconds.
    const FIRST_NANOS: u64 = 250_000;

    /// Counts one that took so long: two loads and two stores. Only the owner may call it.
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[Self::bucket(nanos)].add(1);
        self.sum.add(nanos);
    }

    fn bucket(nanos: u64) -> usize {
        let beyond = nanos.saturating_sub(1) / Self::FIRST_NANOS;
        let doublings = u64::BITS - beyond.leading_zeros();
        (doublings as usize).min(Self::BOUNDS)
    }

    /// The upper bound of each bucket in seconds, infinite for the last.
    pub fn bounds() -> impl Iterator<Item = f64> {
        let finite = (0..Self::BOUNDS).map(|n| (Self::FIRST_NANOS << n) as f64 / 1e9);
        finite.chain([f64::INFINITY])
    }

    /// How many each bucket has, in the order of [`bounds`](Self::bounds).
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Count::value)
    }

    /// How many the buckets of all have together.
    pub fn total<'a>(all: impl Iterator<Item = &'a Self>) -> Vec<u64> {
        let mut total = vec![0_u64; Self::BOUNDS + 1];
        for histogram in all {
            for (sum, count) in total.iter_mut().zip(histogram.counts()) {
                *sum = sum.wrapping_add(count);
            }
        }
        total
    }

    /// About how long the quickest `share` of those took that buckets with these `counts` have, in
    /// seconds: as if those of a bucket were spread evenly between its bounds. Of those beyond all
    /// bounds only the last bound is known. `None` if there are none; `share` is from 0 to 1.
    pub fn quantile(counts: &[u64], share: f64) -> Option<f64> {
        let all: u64 = counts.iter().sum();
        let wanted = all as f64 * share;
        let (mut lower, mut below) = (0.0, 0.0);
        for (&count, bound) in counts.iter().zip(Self::bounds()) {
            let count = count as f64;
            if count > 0.0 && below + count >= wanted {
                let part = ((wanted - below) / count).max(0.0);
                let upper = if bound.is_finite() { bound } else { lower };
                return Some(lower + (upper - lower) * part);
            }
            below += count;
            lower = bound;
        }
        None
    }

    /// All together, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum.value() as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_under_the_first_bound_that_it_does_not_exceed() {
        let bounds: Vec<f64> = Histogram::bounds().collect();
        assert_eq!(bounds[..3], [0.00025, 0.0005, 0.001]);
        assert_eq!(bounds[18..], [65.536, f64::INFINITY]);
        for nanos in [0, 1, u64::MAX] {
            check(&bounds, nanos);
        }
        for n in 0..bounds.len() {
            let bound = Histogram::FIRST_NANOS << n;
            for nanos in [bound - 1, bound, bound + 1] {
                check(&bounds, nanos);
            }
        }
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_the_one_that_it_is_about() {
        let mut counts = [0; Histogram::BOUNDS + 1];
        assert_eq!(Histogram::quantile(&counts, 0.5), None);
        counts[2] = 100;
        assert_eq!(Histogram::quantile(&counts, 0.0), Some(0.0005));
        assert_eq!(Histogram::quantile(&counts, 0.5), Some(0.00075));
        assert_eq!(Histogram::quantile(&counts, 1.0), Some(0.001));
        counts[4] = 100;
        assert_eq!(Histogram::quantile(&counts, 0.5), Some(0.001));
        assert_eq!(Histogram::quantile(&counts, 0.75), Some(0.003));
        counts[Histogram::BOUNDS] = 1000;
        assert_eq!(Histogram::quantile(&counts, 0.99), Some(65.536));
    }

    fn check(bounds: &[f64], nanos: u64) {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_nanos(nanos));
        let seconds = nanos as f64 / 1e9;
        let expected = bounds.iter().map(|bound| seconds <= *bound);
        let expected = expected.scan(false, |is_counted, fits| {
            Some(u64::from(fits && !std::mem::replace(is_counted, fits)))
        });
        let expected: Vec<u64> = expected.collect();
        assert_eq!(histogram.counts().collect::<Vec<_>>(), expected, "{nanos}");
        assert!((histogram.sum() - seconds).abs() <= seconds * 1e-9);
    }
}
