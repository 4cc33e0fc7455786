//! A number from second to second, as far back as a screen shows it.
//!
//! Invariant: a second that was not heard of is a gap and never a number.

use std::collections::VecDeque;

/// How many seconds are kept; more than a wide terminal has columns.
const SECONDS_MAX: usize = 300;

/// Blocks of rising height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last seconds of one number, at most [`SECONDS_MAX`].
#[derive(Debug, Default)]
pub(super) struct History {
    /// The latest at the end.
    seconds: VecDeque<Option<f64>>,
    /// When that was, in milliseconds since 1970.
    last_ms: u64,
}

impl History {
    /// Adds what the number was in the second that ended then.
    pub(super) fn add(&mut self, at_ms: u64, value: f64) {
        let passed = at_ms.saturating_sub(self.last_ms).saturating_add(500) / 1000;
        let passed = usize::try_from(passed).unwrap_or(SECONDS_MAX);
        let missed = match self.seconds.is_empty() {
            true => 0,
            false => passed.clamp(1, SECONDS_MAX) - 1,
        };
        self.seconds.extend((0..missed).map(|_| None));
        self.seconds.push_back(Some(value));
        let too_many = self.seconds.len().saturating_sub(SECONDS_MAX);
        self.seconds.drain(..too_many);
        self.last_ms = at_ms;
    }

    /// The last `count` seconds, the latest at the end; `None`: nothing is known of it.
    pub(super) fn last(&self, count: usize) -> Vec<Option<f64>> {
        let known = self.seconds.iter().rev().take(count).copied();
        let mut last: Vec<_> = known.collect();
        last.resize(count, None);
        last.reverse();
        last
    }

    /// The last `count` seconds, added up as far as they are known.
    pub(super) fn sum(&self, count: usize) -> f64 {
        self.last(count).into_iter().flatten().sum()
    }

    /// The last minute in so many characters, each as high as the highest of its seconds.
    pub(super) fn minute(&self, characters: usize) -> String {
        const MINUTE: usize = 60;
        let characters = characters.clamp(1, MINUTE);
        let seconds = self.last(MINUTE);
        let peak = seconds.iter().flatten().copied().fold(0.0, f64::max);
        let pieces = (0..characters).map(|n| {
            let piece = n * MINUTE / characters..(n + 1) * MINUTE / characters;
            seconds[piece].iter().flatten().copied().reduce(f64::max)
        });
        pieces.map(|value| block(value, peak)).collect()
    }
}

fn block(value: Option<f64>, peak: f64) -> char {
    let Some(value) = value else { return ' ' };
    let steps = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    // What is not nothing is seen.
    let height = steps
        .iter()
        .filter(|step| value > peak * (*step - 1.0) / 7.0);
    BLOCKS[height.count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_that_was_missed_is_a_gap() {
        let mut history = History::default();
        history.add(1_000, 1.0);
        history.add(2_010, 2.0);
        history.add(4_900, 4.0);
        let expected = [None, Some(1.0), Some(2.0), None, None, Some(4.0)];
        assert_eq!(history.last(6), expected);
        assert_eq!(history.sum(6), 7.0);
    }

    #[test]
    fn a_clock_that_goes_back_or_far_ahead_does_no_harm() {
        let mut history = History::default();
        for at_ms in [5_000, 1_000, u64::MAX] {
            history.add(at_ms, 1.0);
        }
        assert_eq!(history.seconds.len(), SECONDS_MAX);
        assert_eq!(history.last(2), [None, Some(1.0)]);
    }

    #[test]
    fn the_last_minute_fits_in_few_characters() {
        let mut history = History::default();
        for second in 0..30_u32 {
            history.add(u64::from(second) * 1000, f64::from(second / 10) * 7.0);
        }
        assert_eq!(history.minute(6), "   ▁▅█");
        assert_eq!(history.minute(60).trim_start().chars().count(), 30);
        let mut still = History::default();
        still.add(0, 0.0);
        assert_eq!(still.minute(2), " ▁");
    }
}
