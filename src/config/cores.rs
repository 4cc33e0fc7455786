//! CPU lists as an operator writes them: `0-3,8`.
//!
//! Not here: whether the machine has these CPUs; only the start of the shards can know.

use std::fmt;
use std::num::NonZeroUsize;

use super::{Cores, Mistake};
use crate::limits::SHARDS_MAX;

impl Cores {
    /// Reads numbers and ranges between commas, such as `0-3,8`: sorted, without repeats.
    ///
    /// CPU numbers lie below [`SHARDS_MAX`], which is also the width of the kernel's `cpu_set_t`.
    pub fn parse_list(text: &str) -> Result<Self, Mistake> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (cpu(first)?, cpu(last)?),
                None => (cpu(part)?, cpu(part)?),
            };
            if first > last {
                return Err(format!("the range {first}-{last} runs backwards").into());
            }
            cpus.extend(first..=last);
            if cpus.len() > SHARDS_MAX {
                return Err(format!("names more than {SHARDS_MAX} CPUs").into());
            }
        }
        cpus.sort_unstable();
        if let Some([cpu, ..]) = cpus.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("names CPU {cpu} twice").into());
        }
        Ok(Self::List(cpus))
    }

    /// Reads a number of shards, 1 to [`SHARDS_MAX`].
    pub fn parse_count(text: &str) -> Result<Self, Mistake> {
        text.parse()
            .ok()
            .filter(|count: &NonZeroUsize| count.get() <= SHARDS_MAX)
            .map(Self::Count)
            .ok_or_else(|| format!("must be 1 to {SHARDS_MAX}").into())
    }
}

fn cpu(text: &str) -> Result<usize, Mistake> {
    let number: Option<usize> = text.trim().parse().ok();
    match number {
        Some(cpu) if cpu < SHARDS_MAX => Ok(cpu),
        Some(cpu) => Err(format!(
            "CPU {cpu} is beyond the last one possible, {}",
            SHARDS_MAX - 1
        )
        .into()),
        None => Err("must list CPU numbers and ranges, such as \"0-3,8\"".into()),
    }
}

impl fmt::Display for Cores {
    /// A list as [`Cores::parse_list`] reads it, in ranges; the rest in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("every allowed CPU"),
            Self::Count(count) => write!(f, "the first {count} allowed CPUs"),
            Self::List(cpus) => {
                let runs = cpus.chunk_by(|a, b| a + 1 == *b);
                for (index, run) in runs.enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    match run {
                        [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                        _ => write!(f, "{comma}{}", run[0])?,
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_ranges_become_a_sorted_list() {
        assert_eq!(
            Cores::parse_list("8,0-3"),
            Ok(Cores::List(vec![0, 1, 2, 3, 8]))
        );
        assert_eq!(
            Cores::parse_list("1, 2 - 3"),
            Ok(Cores::List(vec![1, 2, 3]))
        );
        assert_eq!(Cores::parse_list("5-5"), Ok(Cores::List(vec![5])));
    }

    #[test]
    fn what_is_no_list_of_cpus_is_refused() {
        for text in [
            "", ",", "0,", "a", "0-", "-1", "3-1", "0,0", "0-2,1", "0-1-2", "+1x", "1024",
        ] {
            assert!(Cores::parse_list(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_range_beyond_all_machines_is_refused_before_it_is_built() {
        assert!(Cores::parse_list("0-18446744073709551615").is_err());
        let twice = format!("0-{0},0-{0}", SHARDS_MAX - 1);
        assert!(Cores::parse_list(&twice).is_err());
    }

    #[test]
    fn a_number_of_shards_lies_within_its_bound() {
        let two = NonZeroUsize::new(2).expect("2 is not 0");
        assert_eq!(Cores::parse_count("2"), Ok(Cores::Count(two)));
        assert!(Cores::parse_count("0").is_err());
        assert!(Cores::parse_count(&(SHARDS_MAX + 1).to_string()).is_err());
    }

    proptest! {
        #[test]
        fn a_printed_list_reads_back(cpus in prop::collection::btree_set(0..SHARDS_MAX, 1..40)) {
            let list = Cores::List(BTreeSet::into_iter(cpus).collect());
            prop_assert_eq!(Cores::parse_list(&list.to_string()), Ok(list));
        }

        #[test]
        fn no_text_makes_an_empty_or_unsorted_list(text in "[0-9,-]{0,12}") {
            if let Ok(Cores::List(cpus)) = Cores::parse_list(&text) {
                prop_assert!(!cpus.is_empty());
                prop_assert!(cpus.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
